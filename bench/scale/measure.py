"""What the model needs and no other benchmark prints: the room of a record, and short transactions a second."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tests.postgres_server import running_server

from arouter.domain.counters import Counter, Meter
from arouter.domain.guardrails import Target
from arouter.store.base import LeaseWanted, Ledger
from arouter.store.postgres.database import PostgresStore
from arouter.store.sqlite import SqliteStore
from bench.ledger import now_us, records

_AT_ONCE = 500
_CALLERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Bytes of a record, and transactions a second of one process with so many callers."""

    records: int
    sqlite_row_b: float
    postgres_row_b: float
    leases_s: float
    looks_s: float


def measure(count: int, seconds: float) -> Found:
    """On a PostgreSQL server of its own."""
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        url = server.new_database()
        sqlite_b = asyncio.run(_sqlite(Path(folder), count))
        return asyncio.run(_postgres(url, count, seconds, sqlite_b / count))


async def _fill(ledger: Ledger, count: int) -> None:
    made = records()
    for _ in range(0, count, _AT_ONCE):
        for done in [ledger.close(each) for each in islice(made, _AT_ONCE)]:
            await done


async def _sqlite(folder: Path, count: int) -> int:
    path = folder / "arouter.db"
    store = SqliteStore.open(str(path), clock=now_us)
    before = path.stat().st_size
    await store.start()
    await _fill(store.ledger, count)
    copy = folder / "copy.db"
    await store.backup(str(copy))
    await store.close()
    return copy.stat().st_size - before


async def _postgres(url: str, count: int, seconds: float, sqlite_row_b: float) -> Found:
    store = PostgresStore.open(url, clock=now_us)
    await store.start()
    before = (await store.status()).size
    await _fill(store.ledger, count)
    size = (await store.status()).size - before

    async def lease(number: int) -> None:
        counter = Counter(
            meter=Meter.TOKENS,
            scope=Target.KEY,
            organization_id="org",
            scope_id=f"key-{number}",
            start_us=0,
            end_us=60_000_000,
        )
        await store.counters.lease([LeaseWanted(counter=counter, limit=10**9, keep=1, need=1)], now_us=now_us())

    async def look(number: int) -> None:
        await store.counters.recalled()

    found = Found(
        records=count,
        sqlite_row_b=sqlite_row_b,
        postgres_row_b=size / count,
        leases_s=await _each_second(lease, seconds),
        looks_s=await _each_second(look, seconds),
    )
    await store.close()
    return found


async def _each_second(call: Callable[[int], Awaitable[Any]], seconds: float) -> float:
    end_s = time.monotonic() + seconds
    calls = 0

    async def caller(number: int) -> None:
        nonlocal calls
        while time.monotonic() < end_s:
            await call(number)
            calls += 1

    await asyncio.gather(*(caller(number) for number in range(_CALLERS)))
    return calls / seconds
