"""The load: keep-alive connections that ask again as soon as they are answered, and count what comes back.

It reads no more of an answer than it must: status, length, events. An answer is cheap to make and to read, so that
what is measured is the gateway between.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from bench.answers import STAMP_DIGITS
from bench.cases import Case
from bench.cpu import Used
from bench.requests import Requests

CONNECT_WITHIN_S = 10.0
BEGIN_WITHIN_S = 20.0
SILENT_MOST_S = 30.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STAMPS = re.compile(rb"@(\d{%d})" % STAMP_DIGITS)
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_EVENT_END = b"\n\n"
_LINE_FEED = 10
_REST_MOST_BYTES = 64


@dataclass(slots=True)
class Tally:
    """What came back."""

    answered: int = 0
    """Whole answers, errors that were asked for among them."""
    failed: int = 0
    """Other answers, streams without all of their chunks, and connections that broke."""
    events: int = 0
    """Server-sent events."""
    latencies_s: list[float] = field(default_factory=list)
    """From the request to the end of the answer."""
    first_s: list[float] = field(default_factory=list)
    """From the request to the first event."""
    gaps_s: list[float] = field(default_factory=list)
    """Between one arrival of events and the next in a stream."""
    chunk_s: list[float] = field(default_factory=list)
    """From when the upstream said a chunk to its arrival, in timed streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The measured part of a load: after the warm-up, before the last answers are waited for."""

    seconds: float
    tally: Tally
    cpu_s: float
    """User and system time of the peer."""
    system_s: float
    memory_bytes: int
    """Of the peer, at the end."""
    load_cpu_s: float
    """What load and upstream used themselves."""


class Load:
    """So many connections to one peer, asking the requests of one case."""

    def __init__(self, case: Case, url: str, requests: Requests, *, every_s: float = 0.0) -> None:
        """Each connection asks once in `every_s`, later if it is not answered by then; 0: whenever it is answered."""
        self._case = case
        self.every_s = every_s
        self._url = url
        self.requests = requests
        self.tally = Tally()
        self.answered = 0
        """In all, warm-up and end included."""
        self.failed = 0
        self.begun = 0
        """Connections that have got something."""
        self.over = False
        self.busy = 0

    async def run(
        self,
        *,
        warm_up_s: float,
        seconds: float,
        used: Callable[[], Used],
        used_beside: Callable[[], float],
        warm_up_answers: int = 0,
        finish: bool = True,
    ) -> Window:
        """The warm-up lasts for `warm_up_answers` at least. `used` is asked of the peer before and after,
        `used_beside` of the load. Without `finish` the streams that run at the end are cut off, and not counted.

        RuntimeError if answers are missing and nothing more comes, OSError if nobody takes a connection.
        """
        case = self._case
        parts = urlsplit(self._url)
        open_ = [await self._connect(parts.hostname or "", parts.port or 80) for _ in range(case.at_once)]
        # Paced streams begin over the length of one, at most two seconds, so that their chunks do not come together.
        ramp_s = self.every_s or min(case.pace_us * case.chunks / 1e6, 2.0)
        for asker in open_:
            asker.ask()
            if ramp_s:
                await asyncio.sleep(ramp_s / case.at_once)
        await self._wait_for_all(case.at_once)
        await asyncio.sleep(warm_up_s)
        await self._wait_while(lambda: self.answered < warm_up_answers and not self.failed)
        window = await self._watch(seconds, used, used_beside)
        self.over = True
        if finish:
            await self._wait_while(lambda: self.busy > 0)
        for asker in open_:
            asker.close()
        await asyncio.sleep(0)
        return window

    async def _wait_for_all(self, connections: int) -> None:
        """Until each connection has got something, or for some seconds: a thousand streams do not begin at once."""
        end = time.monotonic() + BEGIN_WITHIN_S
        while self.begun < connections and time.monotonic() < end:  # noqa: ASYNC110 – nobody to wake it but itself
            await asyncio.sleep(0.01)

    async def _connect(self, host: str, port: int) -> "_Asker":
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_WITHIN_S):
            _, asker = await loop.create_connection(lambda: _Asker(self, self._case), host, port)
        return asker

    async def _watch(self, seconds: float, used: Callable[[], Used], used_beside: Callable[[], float]) -> Window:
        self.tally = tally = Tally()
        beside_s, before, began = used_beside(), used(), time.perf_counter()
        await asyncio.sleep(seconds)
        after, ended = used(), time.perf_counter()
        beside_s = used_beside() - beside_s
        self.tally = Tally()
        return Window(
            seconds=ended - began,
            tally=tally,
            cpu_s=after.cpu_s - before.cpu_s,
            system_s=after.system_s - before.system_s,
            memory_bytes=after.memory_bytes,
            load_cpu_s=beside_s,
        )

    async def _wait_while(self, goes_on: Callable[[], bool]) -> None:
        heard = (0, 0, 0)
        silent_since = time.monotonic()
        while goes_on():
            if heard != (heard := (self.answered, self.failed, self.tally.events)):
                silent_since = time.monotonic()
            if time.monotonic() > silent_since + SILENT_MOST_S:
                raise RuntimeError(f"{self.busy} answers of {self._url} did not come")
            await asyncio.sleep(0.01)


class _Asker(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load, case: Case) -> None:
        self._load = load
        self._case = case
        self._loop = asyncio.get_running_loop()
        self._waiting = False
        self._begun = False
        self._asked = self._heard = 0.0
        self._due_s = 0.0
        """When it asks next, by the loop's clock, where it asks at a pace."""
        self._head = b""
        self._in_body = False
        self._missing_bytes: int | None = None
        """Of the body; None if it comes in chunks."""
        self._rest = b""
        """The last bytes of a chunked body so far."""
        self._events = 0
        self._good = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A transport of uvloop is not a subclass.
        self._transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        self._waiting = True
        self._load.busy += 1
        self._head = self._rest = b""
        self._in_body = False
        self._events = 0
        self._heard = 0.0
        self._asked = time.perf_counter()
        self._transport.writelines(self._load.requests.next())

    def close(self) -> None:
        self._waiting = False
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._end(good=False)

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._load.begun += 1
        if not self._in_body:
            data = self._head + data
            end = data.find(_HEAD_END)
            if end < 0:
                self._head = data
                return
            self._read_head(data[:end])
            data = data[end + 4 :]
        if self._case.chunks:
            self._hear(data)
        self._take(data)

    def _read_head(self, head: bytes) -> None:
        self._in_body = True
        length = _LENGTH.search(head)
        self._missing_bytes = int(length[1]) if length is not None else None
        self._good = (head[9:12] == b"200") == (self._case.status == 200)

    def _hear(self, data: bytes) -> None:
        """Count the ends of events; one may be cut in two, as `\\n` and `\\n`."""
        events = data.count(_EVENT_END)
        if data and data[0] == _LINE_FEED and self._rest.endswith(b"\n"):
            events += 1
        if not events:
            return
        now = time.perf_counter()
        self._events += events
        tally = self._load.tally
        tally.events += events
        if self._heard:
            tally.gaps_s.append(now - self._heard)
        else:
            tally.first_s.append(now - self._asked)
        self._heard = now
        if self._case.timed:
            now_ns = time.monotonic_ns()
            tally.chunk_s.extend((now_ns - int(stamp)) / 1e9 for stamp in _STAMPS.findall(data))

    def _take(self, data: bytes) -> None:
        """Notice the end of the answer."""
        if self._missing_bytes is not None:
            self._missing_bytes -= len(data)
            over = self._missing_bytes <= 0
        else:
            self._rest = (self._rest + data[-_REST_MOST_BYTES:])[-_REST_MOST_BYTES:]
            over = self._rest.endswith(_LAST_CHUNK)
        if over:
            self._end(good=self._good and self._events >= self._case.chunks)
            if not self._load.over:
                self._ask_again()

    def _ask_again(self) -> None:
        every_s = self._load.every_s
        if not every_s:
            self._loop.call_soon(self.ask)
            return
        now_s = self._loop.time()
        self._due_s = max(self._due_s + every_s, now_s) if self._due_s else now_s + every_s
        self._loop.call_at(self._due_s, self._ask_if_not_over)

    def _ask_if_not_over(self) -> None:
        if not self._load.over:
            self.ask()

    def _end(self, *, good: bool) -> None:
        load = self._load
        self._waiting = False
        load.busy -= 1
        if good:
            load.answered += 1
            load.tally.answered += 1
            load.tally.latencies_s.append(time.perf_counter() - self._asked)
        else:
            load.failed += 1
            load.tally.failed += 1
