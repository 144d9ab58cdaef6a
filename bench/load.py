"""The load: keep-alive connections that ask again as soon as they are answered, and count what comes back."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

from bench.cases import Case, Requests
from bench.cpu import Used

FINISH_WITHIN_S = 30.0


@dataclass(slots=True)
class Tally:
    """What came back."""

    answered: int = 0
    """Whole answers with status 200."""
    failed: int = 0
    """Other answers, streams of the wrong length, and connections that broke."""
    events: int = 0
    """Server-sent events."""
    latencies_s: list[float] = field(default_factory=list)
    """From the request to the end of the answer."""
    first_s: list[float] = field(default_factory=list)
    """From the request to the first bytes of the body."""
    gaps_s: list[float] = field(default_factory=list)
    """Between one arrival of events and the next in a stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The measured part of a load: after the warm-up, before the last answers are waited for."""

    seconds: float
    tally: Tally
    cpu_s: float
    memory_bytes: int
    """At its end."""


class Load:
    """So many connections to one peer, asking the requests of one case."""

    def __init__(self, case: Case, url: str, requests: Requests) -> None:
        self._case = case
        self._url = url
        self.requests = requests
        self.tally = Tally()
        self.answered = 0
        """In all, warm-up and end included."""
        self.failed = 0
        self.over = False
        self.busy = 0

    async def run(self, connections: int, *, warm_up_s: float, seconds: float, used: Callable[[], Used]) -> Window:
        """`used` is asked before and after. RuntimeError if answers are still missing long after the end."""
        parts = urlsplit(self._url)
        open_ = [await self._connect(parts.hostname or "", parts.port or 80) for _ in range(connections)]
        for asker in open_:
            asker.ask()
            # Paced streams begin over the length of one, so that neither their chunks nor their ends come together.
            await asyncio.sleep(self._case.pace_us * self._case.chunks / 1e6 / connections)
        await asyncio.sleep(warm_up_s)
        window = await self._watch(seconds, used)
        self.over = True
        await self._finish()
        for asker in open_:
            asker.close()
        return window

    async def _connect(self, host: str, port: int) -> "_Asker":
        _, asker = await asyncio.get_running_loop().create_connection(lambda: _Asker(self, self._case), host, port)
        return asker

    async def _watch(self, seconds: float, used: Callable[[], Used]) -> Window:
        self.tally = tally = Tally()
        before, began = used(), time.perf_counter()
        await asyncio.sleep(seconds)
        after, ended = used(), time.perf_counter()
        self.tally = Tally()
        return Window(
            seconds=ended - began, tally=tally, cpu_s=after.cpu_s - before.cpu_s, memory_bytes=after.memory_bytes
        )

    async def _finish(self) -> None:
        end = time.monotonic() + FINISH_WITHIN_S
        while self.busy:
            if time.monotonic() > end:
                raise RuntimeError(f"{self.busy} answers of {self._url} did not come")
            await asyncio.sleep(0.01)


class _Asker(asyncio.Protocol):
    """One connection. Its parser calls the `on_…` methods."""

    def __init__(self, load: Load, case: Case) -> None:
        self._load = load
        self._case = case
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = False
        self._asked = self._heard = 0.0
        self._lines = self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A transport of uvloop is not a subclass.
        self._transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        self._waiting = True
        self._load.busy += 1
        self._asked = time.perf_counter()
        self._heard = 0.0
        self._lines = self._bytes = 0
        self._transport.writelines(self._load.requests.next())

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._end(good=False)

    def data_received(self, data: bytes) -> None:
        # An event is two line ends: a single byte is never cut in two.
        before = self._lines // 2
        self._parser.feed_data(data)
        if self._case.chunks and (events := self._lines // 2 - before):
            self._arrived(events)

    def _arrived(self, events: int) -> None:
        now = time.perf_counter()
        tally = self._load.tally
        tally.events += events
        if self._heard:
            tally.gaps_s.append(now - self._heard)
        else:
            tally.first_s.append(now - self._asked)
        self._heard = now

    # ---------------------------------------------------------------- for the parser

    def on_body(self, data: bytes) -> None:
        self._bytes += len(data)
        self._lines += data.count(b"\n")

    def on_message_complete(self) -> None:
        whole = self._lines == 2 * self._case.events if self._case.chunks else self._bytes > 0
        self._end(good=whole and self._parser.get_status_code() == 200)
        if self._parser.should_keep_alive() and not self._load.over:
            asyncio.get_running_loop().call_soon(self.ask)

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
