"""How fast the ledger takes records: records a second, commit latency and CPU time, by number of writers.

Each writer opens a record, closes it and waits until it is durable, over and over, as a request does. Prices,
users and models vary; roll-ups, indexes and the chain of hashes are on. Run as `make bench-ledger`, or as
`python -m bench.ledger --existing 10000000` to measure beside ten million records, which are written first.
`--store postgres` does the same with a PostgreSQL server of its own, and `--processes 2` with so many at once on it.
"""

import argparse
import asyncio
import gc
import multiprocessing
import shutil
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count, islice
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from tests.postgres_server import PostgresServer, installations

from arouter.domain.ids import RANDOM_BYTES, generation_id
from arouter.domain.record import Record, Status, UsageSource
from arouter.domain.usage import Usage
from arouter.store.base import Ledger
from arouter.store.postgres.appender import Appender, Durability
from arouter.store.postgres.ledger import PostgresLedger
from arouter.store.postgres.owners import Owner
from arouter.store.postgres.pool import Pool
from arouter.store.sqlite import SqliteStore

USERS = 5_000
MODELS = 12
KEYS = tuple(f"{number:064x}" for number in range(7))
SECONDS = 5.0
PAUSE_S = 3.0
FILLED_AT_ONCE = 20_000


def now_us() -> int:
    return time.time_ns() // 1000


def records() -> Iterator[Record]:
    """A record for each request, never the same id twice."""
    usage = Usage(input_tokens=60, cache_read_tokens=60, output_tokens=85, reasoning_tokens=30)
    for number in count():
        at = now_us()
        model = f"openai/gpt-{number % MODELS}"
        # `convert` makes them in a tenth of the time that their constructors take: the ledger is measured, not these.
        opening = {
            "id": generation_id(at, number.to_bytes(RANDOM_BYTES, "big")),
            "request_id": f"req-{number:032d}",
            "created_at_us": at,
            "organization_id": "org_0123456789abcdef",
            "workspace_id": "ws_0123456789abcdef",
            "key_hash": KEYS[number % len(KEYS)],
            "user": f"user_{number * 7919 % USERS}",
            "endpoint": "/v1/chat/completions",
            "requested_model": model,
            "streamed": bool(number % 2),
        }
        record = {
            "opening": opening,
            "completed_at_us": at + 812_400,
            "status": Status.SUCCESS,
            "http_status": 200,
            "model": model,
            "provider": "openai",
            "upstream_model": model,
            "upstream_id": f"chatcmpl-{number:029d}",
            "finish_reason": "stop",
            "usage": usage,
            "raw_usage": b'{"prompt_tokens":120,"completion_tokens":85,"total_tokens":205}',
            "usage_source": UsageSource.PROVIDER,
            "cost": 1_234_500_000 + number,
            "rated_cost": 1_234_500_000 + number,
            "price_source": "genai-prices",
            "price_version": "2026-11-22",
            "latency_us": 812_400,
            "time_to_first_token_us": 233_100,
            "attempts": 1,
        }
        yield msgspec.convert(record, Record)


class Commits:
    """How long the transactions of the ledger took, in seconds."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def add(self, records: int, seconds: float) -> None:
        self._seconds.append(seconds)

    def take(self) -> str:
        """Median and 99th percentile in milliseconds since the last call, and how many there were."""
        taken, self._seconds = self._seconds, []
        cuts = statistics.quantiles(taken, n=100) if len(taken) > 1 else [0.0] * 99
        return f"{cuts[49] * 1e3:>9.2f} {cuts[98] * 1e3:>9.2f} {len(taken):>8,}"


def threads_cpu_s() -> float:
    """The CPU time of the ledger's own threads: of the writer and, on SQLite, the checkpointer."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("ledger-") and thread.ident]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(thread.ident or 0)) for thread in threads)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a database in a server of its own, which writes to its disk as one that is not for tests does."""
    found = installations()
    folder = Path(tempfile.mkdtemp(prefix="arouter-bench-"))
    settings = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB", "max_wal_size": "4GB"}
    made = PostgresServer(found[max(found)], folder, settings=settings)
    try:
        made.make()
        made.start()
        yield made.new_database()
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def postgres(url: str, durability: Durability, commits: Commits) -> AsyncIterator[Ledger]:
    pool, owner = Pool(url), Owner(url)
    await pool.start()
    appender = Appender(pool, owner, clock=now_us, durability=durability, on_commit=commits.add)
    appender.start()
    yield PostgresLedger(pool, appender, clock=now_us)
    await appender.stop()
    await owner.forget()
    await pool.close()


async def fill(store: SqliteStore, source: Iterator[Record], number: int) -> None:
    """So many records before anything is measured, each through `close` as any other, with a bar."""
    bar = Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True))
    started = time.perf_counter()
    with bar:
        task = bar.add_task("existing records", total=number)
        waiting: deque[Awaitable[None]] = deque()
        for done, record in enumerate(islice(source, number), 1):
            waiting.append(store.ledger.close(record))
            if done % FILLED_AT_ONCE == 0 or done == number:
                # The writer never waits for more: those of the batch before are awaited while these are written.
                while len(waiting) > (FILLED_AT_ONCE if done < number else 0):
                    await waiting.popleft()
                bar.update(task, completed=done)
    seconds = time.perf_counter() - started
    print(f"{number:,} records written first, {number / seconds:,.0f} a second; the log has {_megabytes(store)} MB")


def _megabytes(store: SqliteStore) -> int:
    return store.log_bytes // 1_000_000


async def run(ledger: Ledger, commits: Commits, source: Iterator[Record], writers: int, number: int) -> None:
    """`number` records by so many writers at once. Making the records is not in the time."""
    waits: list[float] = []
    commits.take()
    made = iter(list(islice(source, number)))

    async def write() -> None:
        for record in made:
            started = time.perf_counter()
            ledger.open(record.opening)
            await ledger.close(record)
            waits.append(time.perf_counter() - started)

    cpu, in_threads, started = time.process_time(), threads_cpu_s(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(writers):
            group.create_task(write())
    cpu, elapsed = time.process_time() - cpu, time.perf_counter() - started
    in_threads = threads_cpu_s() - in_threads
    cuts = statistics.quantiles(waits, n=1000)
    print(
        f"{writers:>8} {len(waits) / elapsed:>12,.0f} {cuts[499] * 1e3:>9.2f} {cuts[989] * 1e3:>9.2f} "
        f"{max(waits) * 1e3:>9.2f} {cpu / len(waits) * 1e6:>14.1f} {in_threads / len(waits) * 1e6:>11.1f} "
        f"{commits.take()}"
    )


async def run_steady(ledger: Ledger, commits: Commits, source: Iterator[Record], rate: int, seconds: float) -> None:
    """Arrivals at an even rate, whether or not the ones before are done. Making the records is not in the time."""
    waits: list[float] = []
    late: list[float] = []
    commits.take()
    made = list(islice(source, int(rate * seconds)))
    gc.collect()

    async def write(record: Record, due: float) -> None:
        started = time.perf_counter()
        late.append(started - due)
        ledger.open(record.opening)
        await ledger.close(record)
        waits.append(time.perf_counter() - started)

    cpu, in_threads, started = time.process_time(), threads_cpu_s(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, record in enumerate(made):
            due = started + number / rate
            ahead = due - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            group.create_task(write(record, due))
    cpu, in_threads = time.process_time() - cpu, threads_cpu_s() - in_threads
    print(
        f"steady {rate}/s: wait {_cuts(waits)}; the load itself was late by {_cuts(late)}; "
        f"CPU {cpu / len(waits) * 1e6:.1f} µs/record, {in_threads / len(waits) * 1e6:.1f} in threads; "
        f"commit p50, p99, commits: {commits.take().strip()}"
    )


def _cuts(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=1000)
    return f"p50 {cuts[499] * 1e3:.2f} ms, p99 {cuts[989] * 1e3:.2f} ms, max {max(seconds) * 1e3:.2f} ms"


async def measure(ledger: Ledger, commits: Commits, source: Iterator[Record], number: int, rate: int) -> None:
    print(
        f"{'writers':>8} {'records/s':>12} {'p50 ms':>9} {'p99 ms':>9} {'max ms':>9} {'CPU µs/record':>14} "
        f"{'in threads':>11} {'commit 50':>9} {'commit 99':>9} {'commits':>8}"
    )
    for writers, share in ((1, 20), (16, 3), (32, 2), (128, 1), (1024, 1)):
        await run(ledger, commits, source, writers, number // share)
    await asyncio.sleep(PAUSE_S)  # for a checkpointer to catch up
    await run_steady(ledger, commits, source, rate, SECONDS)


async def main_postgres(number: int, rate: int, durability: Durability, url: str) -> None:
    commits = Commits()
    async with postgres(url, durability, commits) as ledger:
        await measure(ledger, commits, records(), number, rate)
        problems = (await ledger.check()).problems
        print(problems or "sound")


def main_processes(number: int, durability: Durability, url: str, processes: int) -> None:
    """So many processes append at once, each with 1,024 writers."""
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(processes) as workers:
        jobs = [(number // processes, durability, url, place, processes) for place in range(processes)]
        took = workers.starmap(append_beside_others, jobs)
    print(
        f"{processes} processes at once: {number / max(took):,.0f} records a second together, "
        f"{time.perf_counter() - started:.1f} s with their starts"
    )


def append_beside_others(number: int, durability: Durability, url: str, place: int, processes: int) -> float:
    """The seconds that one of them took."""

    async def append() -> float:
        commits = Commits()
        async with postgres(url, durability, commits) as ledger:
            every = (record for each, record in enumerate(records()) if each % processes == place)
            started = time.perf_counter()
            await run(ledger, commits, every, 1024, number)
            return time.perf_counter() - started

    return asyncio.run(append())


async def main(number: int, rate: int, durability: Durability, existing: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "ledger.db")
        commits = Commits()
        store = SqliteStore.open(path, clock=now_us, durability=durability, on_commit=commits.add)
        await store.start()
        source = records()
        if existing:
            await fill(store, source, existing)
            await asyncio.sleep(PAUSE_S)
        await measure(store.ledger, commits, source, number, rate)
        status = await store.status()
        stats = store.stats
        print(
            f"{status.records:,} records, {status.size / status.records:.0f} bytes each; "
            f"{stats.records / stats.batches:.1f} a commit, worst commit {stats.worst_s * 1e3:.1f} ms"
        )
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--store", default="sqlite", choices=("sqlite", "postgres"))
    parser.add_argument("--processes", type=int, default=1, help="that append at once, on PostgreSQL")
    parser.add_argument("--durability", default="strict", choices=("strict", "relaxed"))
    parser.add_argument("--existing", type=int, default=0, help="records that are there before")
    options = parser.parse_args()
    if options.store == "sqlite":
        asyncio.run(main(options.records, options.rate, options.durability, options.existing))
    else:
        with server() as url:
            if options.processes == 1:
                asyncio.run(main_postgres(options.records, options.rate, options.durability, url))
            else:
                main_processes(options.records, options.durability, url, options.processes)
