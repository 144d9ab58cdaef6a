"""Requests that are recorded while others ask: `python -m bench.activity.recording --folder DIR --rate N`.

It records at an even rate through the ledger, as a gateway does: an intent, then the record, awaited until it is
durable. Each line on its standard input ends a phase, of which it tells in a line of JSON; the end of the input ends
the process.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from arouter.domain.ids import RANDOM_BYTES, generation_id
from arouter.domain.record import Record
from arouter.sandbox.history.columns import History
from arouter.sandbox.history.population import Plan
from arouter.sandbox.history.records import records_of
from arouter.store.sqlite import SqliteStore
from bench.activity.world import DATABASE, NOTE, World, listed_prices, today_us

_MADE_AT_ONCE = 20_000


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded meanwhile. Milliseconds."""

    records: int
    seconds: float
    commits: int
    commit_p50_ms: float
    commit_p99_ms: float
    commit_most_ms: float
    wait_p50_ms: float
    """From the end of a request until its record is durable."""
    wait_p99_ms: float


def quantile(values: list[float], part: float) -> float:
    """0 of none."""
    return sorted(values)[min(int(part * len(values)), len(values) - 1)] if values else 0.0


class Recording:
    """Writes at an even rate until it is told to stop."""

    def __init__(self, folder: Path, rate: int) -> None:
        world = msgspec.json.decode((folder / NOTE).read_bytes(), type=World)
        self._rate = rate
        self._world = world
        self._store = SqliteStore.open(str(folder / DATABASE), clock=_now_us, on_commit=self._committed)
        self._commits: list[float] = []
        self._waits: list[float] = []
        self._began = time.monotonic()

    def _committed(self, records: int, seconds: float) -> None:
        self._commits.append(seconds * 1e3)

    async def run(self) -> None:
        """Until the end of the standard input."""
        await self._store.start()
        loop = asyncio.get_running_loop()
        going = loop.create_task(self._write())
        print("{}", flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            sys.stdout.buffer.write(msgspec.json.encode(self._phase()) + b"\n")
            sys.stdout.buffer.flush()
        going.cancel()
        await asyncio.wait([going])
        await self._store.close()

    def _phase(self) -> Phase:
        commits, waits, began = self._commits, self._waits, self._began
        self._commits, self._waits, self._began = [], [], time.monotonic()
        return Phase(
            records=len(waits),
            seconds=self._began - began,
            commits=len(commits),
            commit_p50_ms=quantile(commits, 0.5),
            commit_p99_ms=quantile(commits, 0.99),
            commit_most_ms=max(commits, default=0.0),
            wait_p50_ms=quantile(waits, 0.5),
            wait_p99_ms=quantile(waits, 0.99),
        )

    async def _write(self) -> None:
        started, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            for record in self._records():
                number += 1
                ahead = started + number / self._rate - time.monotonic()
                if ahead > 0:
                    await asyncio.sleep(ahead)
                group.create_task(self._close(_as_now(record)))

    async def _close(self, record: Record) -> None:
        self._store.ledger.open(record.opening)
        started = time.monotonic()
        await self._store.ledger.close(record)
        self._waits.append((time.monotonic() - started) * 1e3)

    def _records(self) -> Iterator[Record]:
        """Of the users of the history, for ever."""
        plan = self._world.plans[0]
        plan = Plan(seed=plan.seed, start_us=today_us(), days=1, users=plan.users, records=_MADE_AT_ONCE)
        history = History(plan, listed_prices())
        while True:
            yield from records_of(history, history.day(0), self._world.tenants[0].owner())


def _as_now(record: Record) -> Record:
    """The same of this moment, with an id of its own."""
    now_us = _now_us()
    opening = replace(record.opening, id=generation_id(now_us, os.urandom(RANDOM_BYTES)), created_at_us=now_us)
    return replace(record, opening=opening, completed_at_us=now_us + (record.latency_us or 0))


def _now_us() -> int:
    return time.time_ns() // 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--rate", required=True, type=int)
    options = parser.parse_args()
    asyncio.run(Recording(options.folder, options.rate).run())
