"""What is measured: each case is one row."""

import json
from dataclasses import dataclass
from typing import Literal

MODEL = "openai/gpt-4o-mini"
USERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of request, asked over and over."""

    name: str
    what: str
    """A line for the table."""
    unit: Literal["request", "chunk"]
    """What the CPU time is divided by."""
    prompt_bytes: int = 120
    chunks: int = 0
    """Content chunks of a stream; 0 for a JSON answer."""
    pace_us: int = 0
    """From one chunk to the next; 0 for as fast as the upstream can."""

    @property
    def events(self) -> int:
        """Server-sent events of one answer as the upstream sends them: role, content, finish, usage, [DONE]."""
        return self.chunks + 4 if self.chunks else 0


CASES = (
    Case(name="json", what="small JSON", unit="request"),
    Case(name="json-200kB", what="JSON, request of 200 kB", unit="request", prompt_bytes=200_000),
    Case(name="stream", what="stream, a chunk every 20 ms", unit="chunk", chunks=100, pace_us=20_000),
    Case(name="stream-fast", what="stream, as fast as it goes", unit="chunk", chunks=100),
)


class Requests:
    """The bytes of a case's requests: the same but for the user."""

    def __init__(self, case: Case, *, host: str, path: str, key: str) -> None:
        """The request is made once; `user_0000` stands where the user goes."""
        body = json.dumps(_body(case), separators=(",", ":")).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: bench\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        self._before, self._after = (head + body).split(b"user_0000")
        self._number = 0

    def next(self) -> tuple[bytes, bytes, bytes]:
        """The next request, in three pieces."""
        self._number = (self._number + 1) % USERS
        return self._before, b"user_%04d" % self._number, self._after


def _body(case: Case) -> dict[str, object]:
    """The user comes first, as it may: `plan` in the prompt tells the upstream what to answer."""
    words = "The quick brown fox looks at the lazy dog and thinks about it. "
    prompt = (plan(case) + words * (case.prompt_bytes // len(words) + 1))[: case.prompt_bytes]
    body: dict[str, object] = {
        "model": MODEL,
        "user": "user_0000",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}],
        "temperature": 0.7,
    }
    if case.chunks:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def plan(case: Case) -> str:
    """What the upstream reads in a request that it shall stream."""
    return f"<stream {case.chunks} {case.pace_us}> " if case.chunks else ""
