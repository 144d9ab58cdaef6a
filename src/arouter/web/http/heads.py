"""Heads of requests: the bytes from the request line to the empty line, read strictly and remembered.

Only a head in the plainest form is read here: `POST` to a known path, HTTP/1.1, one `Host`, one `Content-Length`, no
field twice, no transfer coding, no upgrade, no expectation, no line that is anything but `name: value`. Every other
one is left to the general server, which takes more forms, or refuses. So what is read here can be understood in one
way only, and two parsers never see two different requests in the same bytes (RFC 9112, section 11.2).

A client sends the same head again and again, but for the length of the body. What was read of a head is therefore
remembered by its bytes without those digits. The digits are cut out behind the first `ength: `, and a head is
remembered only if that is the end of its `Content-Length:`; so equal bytes around the cut are equal heads.
"""

import re
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from arouter.domain.value import value

END_OF_HEAD = b"\r\n\r\n"
MOST_HEAD_BYTES = 64 * 1024
"""A longer head is refused."""
MOST_REMEMBERED_BYTES = 16 * 1024 * 1024
"""Of heads and what was read of them, by a count that is about half of what they take. Each key has a head of its own:
room for 10,000 of those that SDKs write."""
_BYTES_OF_ONE = 256
"""What one takes however short it is."""
_MOST_ONE_BYTES = 4096
_MOST_LENGTH_DIGITS = 15

_CUT = b"ength: "
_CUT_BYTES = len(_CUT)
_LENGTH_LINE = b"content-length: "
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_TARGET = re.compile(rb"/[!-\"$-~]*").fullmatch
_LEFT_TO_OTHERS = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"trailer", b"te", b"http2-settings"})
_CHANGING = frozenset({b"x-request-id", b"traceparent", b"tracestate", b"idempotency-key", b"x-amzn-trace-id"})
"""Fields that are different in every request: a head with one of them is not worth remembering."""

T = TypeVar("T")


@value(frozen=True, slots=True, kw_only=True)
class KnownHead(Generic[T]):
    """A head that is remembered. On its connection it comes again, and needs no look at others."""

    with_length: bytes
    """Its bytes without the empty line, and with `%d` for the length of the body."""
    made: T
    stays: bool


class Heads(Generic[T]):
    """Reads heads. `T` is what somebody makes of a path, a query and fields."""

    def __init__(self, make: Callable[[str, bytes, Mapping[bytes, bytes]], T | None]) -> None:
        """`make` gets the path, the raw query and the fields by lower-case name; None leaves the request to others.

        The length of the body is not among the fields, as what was made is used for other lengths too.
        """
        self._make = make
        self._known: dict[bytes, KnownHead[T]] = {}
        self.remembered_bytes = 0
        """By the count that is bounded."""

    def read(self, head: bytes) -> tuple[T, bool, int] | None:
        """What was made of a head, whether the connection stays open after the answer, and the body's length in bytes.

        `head` ends with the first empty line. None if it is for others.
        """
        start = head.find(_CUT) + _CUT_BYTES
        end = head.find(b"\r", start)
        digits = head[start:end]
        known = self._known.get(head[:start] + head[end:])
        if known is not None and digits.isdigit() and end - start <= _MOST_LENGTH_DIGITS:
            return known.made, known.stays, int(digits)
        return self._read(head, start, end)

    def recall(self, head: bytes) -> KnownHead[T] | None:
        """What is remembered of a head that was read; None if nothing is."""
        start = head.find(_CUT) + _CUT_BYTES
        return self._known.get(head[:start] + head[head.find(b"\r", start) :])

    def _read(self, head: bytes, start: int, end: int) -> tuple[T, bool, int] | None:
        line, *lines = head[:-4].split(b"\r\n")
        path, query = _read_request_line(line)
        fields = _read_fields(lines)
        if path is None or fields is None:
            return None
        length = fields.pop(b"content-length", b"")
        stays = _stays_open(fields.get(b"connection"))
        if not length.isdigit() or len(length) > _MOST_LENGTH_DIGITS or stays is None or b"host" not in fields:
            return None
        made = self._make(path, query, fields)
        if made is None:
            return None
        line_start = head.rfind(b"\n", 0, start) + 1
        if (
            head[line_start:start].lower() == _LENGTH_LINE
            and head[start:end] == length
            and len(head) <= _MOST_ONE_BYTES
            and not _CHANGING & fields.keys()
        ):
            self._remember(head[:start], head[end:], made, stays)
        return made, stays, int(length)

    def _remember(self, before: bytes, after: bytes, made: T, stays: bool) -> None:
        key = before + after
        size_bytes = 2 * len(key) + _BYTES_OF_ONE
        if self.remembered_bytes + size_bytes > MOST_REMEMBERED_BYTES:
            self._known = {}
            self.remembered_bytes = 0
        with_length = b"%d".join([part.replace(b"%", b"%%") for part in (before, after.removesuffix(END_OF_HEAD))])
        self._known[key] = KnownHead(with_length=with_length, made=made, stays=stays)
        self.remembered_bytes += size_bytes


def _read_request_line(line: bytes) -> tuple[str | None, bytes]:
    """The path and the query; no path if the line is for others."""
    method, _, rest = line.partition(b" ")
    target, _, version = rest.partition(b" ")
    if method != b"POST" or version != b"HTTP/1.1" or not _TARGET(target) or b"%" in target.partition(b"?")[0]:
        return None, b""
    path, _, query = target.partition(b"?")
    return path.decode("ascii"), query


def _read_fields(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """The fields by lower-case name; None if there is one that is for others."""
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, text = line.partition(b":")
        name = name.lower()
        text = text.strip(b" \t")
        if not colon or not _TOKEN(name) or _NOT_IN_A_VALUE(text) or name in fields or name in _LEFT_TO_OTHERS:
            return None
        fields[name] = text
    return fields


def _stays_open(connection: bytes | None) -> bool | None:
    """Whether the connection stays open after the answer; None if the field says something else."""
    if connection is None:
        return True
    return {b"keep-alive": True, b"close": False}.get(connection.lower())
