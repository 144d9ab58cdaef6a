"""What will be sent in answer to one request, and when: the provider decides it, the server carries it out.

The values that are made anew for each request are msgspec structs, here and in the other modules: a frozen data
class takes ten times as long to build, and the sandbox must not be what a load test measures.
"""

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType

import msgspec

from arouter.sandbox.dialect import Moments


class Received(msgspec.Struct, frozen=True):
    """A request as it came."""

    method: str
    target: str
    """The path with the query, as it was written."""
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    keep_alive: bool = True
    http_1_0: bool = False

    @property
    def path(self) -> str:
        """The target without the query."""
        return self.target.partition("?")[0]

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; of a repeated header the last one."""
        return MappingProxyType(
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}
        )


class Ending(Enum):
    """What happens to the connection after the last byte."""

    KEEP = "the next request is answered"
    CUT = "it is closed, whether the answer is complete or not"
    RESET = "it is reset"
    STALL = "it stays open, and nothing more is sent"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    status: int = 200
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    moments: Moments = ()
    """The pieces of the body, by the moment at which they are sent."""
    length: int | None = None
    """The `Content-Length`, true or not; None: chunked, each piece a chunk."""
    framed: bool = True
    """Whether there is an HTTP answer around the pieces. Without one the bare pieces are sent."""
    first_s: float = 0.0
    """The time before the first byte."""
    gap_s: float = 0.0
    """The time between two moments."""
    ending: Ending = Ending.KEEP


_STATUS_LINES: Mapping[int, bytes] = MappingProxyType(
    {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
)


def head(plan: Plan, *, close: bool, chunked: bool) -> bytes:
    """The status line and the headers of the answer, with the empty line that ends them."""
    line = _STATUS_LINES.get(plan.status)
    lines = [line if line is not None else b"HTTP/1.1 %d Sandbox\r\n" % plan.status]
    lines.append(b"content-type: %b\r\n" % plan.content_type)
    for name, value in plan.headers:
        lines.append(b"%b: %b\r\n" % (name, value))
    if plan.length is not None:
        lines.append(b"content-length: %d\r\n" % plan.length)
    elif chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    return b"".join(lines)


def whole_body(body: bytes, **rest: object) -> Plan:
    """A plan that sends `body` in one piece, with its length."""
    return Plan(moments=((body,),), length=len(body), **rest)  # type: ignore[arg-type]
