"""An upstream that is not the bottleneck: constant bytes on bare sockets, as OpenAI would say them.

A request with `<stream CHUNKS PACE_US>` in its body gets so many chunks as server-sent events, one every so many
microseconds; any other gets a whole JSON answer. Run as `python -m bench.upstream`; prints its port.
"""

import asyncio
import json
import re
import sys
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PLAN = re.compile(rb"<stream (\d+) (\d+)>")
_PLAN_WITHIN_BYTES = 2_000

_USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 100,
    "total_tokens": 142,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_COMMON = {
    "id": "chatcmpl-Bench0000000000000000000000000",
    "created": 1_790_000_000,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
}
_FIELDS = (
    b"Date: Sun, 22 Nov 2026 12:00:00 GMT\r\nopenai-version: 2020-10-01\r\nopenai-processing-ms: 412\r\n"
    b"x-request-id: req_0123456789abcdef0123456789abcdef\r\nx-ratelimit-limit-requests: 30000\r\n"
    b"x-ratelimit-remaining-requests: 29999\r\nConnection: keep-alive\r\n"
)


def json_answer() -> bytes:
    """A whole answer of about 700 bytes, head not counted."""
    message = {"role": "assistant", "content": "It looks, it thinks, it leaves. " * 5, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = _dump({"object": "chat.completion", **_COMMON, "choices": [choice], "usage": _USAGE})
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
        _FIELDS,
        len(body),
        body,
    )


def stream_head() -> bytes:
    """What comes before the first event."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n%sTransfer-Encoding: chunked\r\n\r\n"
        % _FIELDS
    )


def stream_pieces(chunks: int) -> list[bytes]:
    """The writes of a stream: the role, so many content chunks, and the end (finish, usage, [DONE]) in one."""
    events = [_chunk({"role": "assistant", "content": "", "refusal": None}, None)]
    events += [_chunk({"content": f" word{number:03d}"}, None) for number in range(chunks)]
    usage = _event(_dump({"object": "chat.completion.chunk", **_COMMON, "choices": [], "usage": _USAGE}))
    end = [_chunk({}, "stop"), usage, _event(b"[DONE]")]
    return [*map(_framed, events), b"".join(map(_framed, end)) + b"0\r\n\r\n"]


def _chunk(delta: dict[str, object], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _event(_dump({"object": "chat.completion.chunk", **_COMMON, "choices": [choice], "usage": None}))


def _event(data: bytes) -> bytes:
    return b"data: %s\n\n" % data


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Answers:
    """What is said, made once."""

    def __init__(self) -> None:
        self.json = json_answer()
        self.head = stream_head()
        self._pieces: dict[int, list[bytes]] = {}

    def pieces(self, chunks: int) -> list[bytes]:
        if chunks not in self._pieces:
            self._pieces[chunks] = stream_pieces(chunks)
        return self._pieces[chunks]


class Connection(asyncio.Protocol):
    """One request after the other; a request ends where its Content-Length says."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._received: list[bytes] = []
        self._missing_bytes = 0
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A transport of uvloop is not a subclass.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._missing_bytes > 0:
            self._missing_bytes -= len(data)
        else:
            self._read_head()
        if self._missing_bytes <= 0 and self._received:
            self._answer()

    def _read_head(self) -> None:
        head = b"".join(self._received)
        self._received = [head]
        end = head.find(b"\r\n\r\n")
        if end < 0:
            self._missing_bytes = 1
            return
        length = _LENGTH.search(head, 0, end)
        body_bytes = int(length[1]) if length is not None else 0
        self._missing_bytes = end + 4 + body_bytes - len(head)

    def _answer(self) -> None:
        start = b"".join(self._received[:2])
        self._received = []
        self._missing_bytes = 0
        body_at = max(start.find(b"\r\n\r\n"), 0)
        wanted = _PLAN.search(start, body_at, body_at + _PLAN_WITHIN_BYTES)
        if wanted is None:
            self._transport.write(self._answers.json)
        else:
            self._transport.write(self._answers.head)
            self._say(self._answers.pieces(int(wanted[1])), 0, int(wanted[2]) / 1e6)

    def _say(self, pieces: list[bytes], at: int, pace_s: float) -> None:
        if self._gone:
            return
        self._transport.write(pieces[at])
        if at + 1 == len(pieces):
            return
        if pace_s:
            self._loop.call_later(pace_s, self._say, pieces, at + 1, pace_s)
        else:
            self._loop.call_soon(self._say, pieces, at + 1, pace_s)


async def _serve() -> None:
    answers = Answers()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        uvloop.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
