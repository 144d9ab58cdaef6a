"""An upstream that is not the bottleneck: constant bytes on bare sockets, as OpenAI, Anthropic or Gemini would say.

The path of a request says in which dialect; what stands in its prompt says what:

    [stream CHUNKS PACE_US]   server-sent events, a chunk every so many microseconds, or as fast as it goes for 0
    [timed CHUNKS PACE_US]    the same, each chunk with the time at which it was said
    [status CODE]             an error

and anything else is answered whole. Run as `python -m bench.upstream [--certificate FILE]`; prints a line of JSON with
its port and, if it got a certificate with its key, the port where it speaks TLS.
"""

import argparse
import asyncio
import json
import re
import ssl
import sys
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import uvloop

from bench.answers import STAMP, Dialect, error_answer, stream_pieces, whole_answer

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PLAN = re.compile(rb"\[(stream|timed|status) (\d+)(?: (\d+))?\]")
_PLAN_WITHIN_BYTES = 2_000
_LAST_CHUNK = b"0\r\n\r\n"
TICK_S = 0.001


class Pacer:
    """Says the next piece of every paced stream when it is due, with one timer for all of them.

    Streams of one pace sit on a wheel with a place for each millisecond of it, so that they do not speak at once.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wheels: dict[int, list[list[Stream]]] = {}
        self._ticks = 0
        self._began_s = 0.0
        self._streams = 0

    def add(self, stream: "Stream", pace_us: int) -> None:
        """Its next piece is said after `pace_us`, rounded to whole milliseconds."""
        if self._streams == 0:
            self._ticks = 0
            self._began_s = self._loop.time()
            self._loop.call_later(TICK_S, self._turn)
        self._streams += 1
        pace_ms = max(pace_us // 1000, 1)
        wheel = self._wheels.setdefault(pace_ms, [[] for _ in range(pace_ms)])
        wheel[self._ticks % pace_ms].append(stream)

    def _turn(self) -> None:
        """All ticks that are due: a late timer loses none."""
        due = int((self._loop.time() - self._began_s) / TICK_S)
        while self._ticks < due:
            self._ticks += 1
            for pace_ms, wheel in self._wheels.items():
                place = self._ticks % pace_ms
                if streams := wheel[place]:
                    going = [stream for stream in streams if stream.say()]
                    self._streams -= len(streams) - len(going)
                    wheel[place] = going
        if self._streams:
            self._loop.call_later(TICK_S, self._turn)


class Stream:
    """One answer on its way."""

    __slots__ = ("_at", "_connection", "_pieces", "_timed")

    def __init__(self, connection: "Connection", pieces: list[bytes], *, timed: bool) -> None:
        self._connection = connection
        self._pieces = pieces
        self._timed = timed
        self._at = 0

    def say(self) -> bool:
        """Write the next piece. Whether there are more, and somebody to hear them."""
        if self._connection.gone:
            return False
        piece = self._pieces[self._at]
        if self._timed:
            piece = piece.replace(STAMP, b"@%019d" % time.monotonic_ns())
        self._connection.transport.write(piece)
        self._at += 1
        return self._at < len(self._pieces)


class Connection(asyncio.Protocol):
    """One request after the other; a request ends where its Content-Length, or its last chunk, says."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._loop = asyncio.get_running_loop()
        self._received: list[bytes] = []
        self._missing_bytes = 0
        self._chunked = False
        self._full = False
        self._hurried: Stream | None = None
        """A stream that goes on when there is room again."""
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A transport of uvloop is not a subclass.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._hurried is not None:
            self._hurry(self._hurried)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._missing_bytes > 0:
            self._missing_bytes -= len(data)
        elif not self._read_head():
            return
        if self._chunked:
            self._missing_bytes = 0 if data.endswith(_LAST_CHUNK) else 1
        if self._missing_bytes <= 0:
            self._answer()

    def _read_head(self) -> bool:
        """Whether it is whole."""
        head = b"".join(self._received)
        self._received = [head]
        end = head.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = _LENGTH.search(head, 0, end)
        self._chunked = length is None and b"chunked" in head[:end].lower()
        self._missing_bytes = end + 4 + (int(length[1]) if length is not None else 0) - len(head)
        return True

    def _answer(self) -> None:
        start = b"".join(self._received[:3])
        self._received = []
        self._missing_bytes = 0
        self._chunked = False
        dialect = _dialect_of(start[: start.find(b"\r\n")])
        body_at = max(start.find(b"\r\n\r\n"), 0)
        wanted = _PLAN.search(start, body_at, body_at + _PLAN_WITHIN_BYTES)
        if wanted is None:
            self.transport.write(_whole(dialect))
        elif wanted[1] == b"status":
            self.transport.write(_error(int(wanted[2])))
        else:
            self._stream(dialect, int(wanted[2]), int(wanted[3]), timed=wanted[1] == b"timed")

    def _stream(self, dialect: Dialect, chunks: int, pace_us: int, *, timed: bool) -> None:
        stream = Stream(self, _pieces(dialect, chunks, timed=timed), timed=timed)
        stream.say()
        if pace_us:
            self._pacer.add(stream, pace_us)
        else:
            self._hurry(stream)

    def _hurry(self, stream: Stream) -> None:
        self._hurried = None
        if not stream.say():
            return
        if self._full:
            self._hurried = stream
        else:
            self._loop.call_soon(self._hurry, stream)


def _dialect_of(request_line: bytes) -> Dialect:
    if b"/messages" in request_line:
        return "anthropic"
    return "gemini" if b"enerateContent" in request_line else "openai"


_whole = lru_cache(whole_answer)
_error = lru_cache(error_answer)
_pieces = lru_cache(stream_pieces)


async def _serve(certificate: Path | None) -> None:
    loop = asyncio.get_running_loop()
    connection = partial(Connection, Pacer())
    server = await loop.create_server(connection, "127.0.0.1", 0, backlog=2048)
    told = {"port": server.sockets[0].getsockname()[1]}
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        secure = await loop.create_server(connection, "127.0.0.1", 0, backlog=2048, ssl=context)
        told["tls_port"] = secure.sockets[0].getsockname()[1]
    print(json.dumps(told), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", type=Path)
    try:
        uvloop.run(_serve(parser.parse_args().certificate))
    except KeyboardInterrupt:
        sys.exit(0)
