"""Summaries have readers of their own: they end when nobody waits or the time is over, and only so many wait."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from arouter.domain.activity import Bounds, Dimension, Filters, SummaryQuery
from arouter.domain.errors import InvalidRequest, RateLimited, StorageUnavailable
from arouter.store.sqlite.readers import Readers, Stopped, Together, Watch
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import NOON_US, SCOPE, append, record

ENDLESS = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT max(n) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = str(tmp_path / "a.db")
    connection = apsw.Connection(path)
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE arrivals (no INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE arrival_files (no INTEGER PRIMARY KEY, booked INTEGER)")
    connection.close()
    return path


def nothing_arrived() -> None:
    raise AssertionError("nobody has anything booked")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def endless(connection: apsw.Connection) -> object:
    return connection.execute(ENDLESS).get


def test_a_job_ends_when_its_time_is_over(path: str) -> None:
    readers = Readers(path, nothing_arrived)

    async def run() -> None:
        with pytest.raises(InvalidRequest, match=r"took longer than 0.02 s") as caught:
            await readers.read(endless, Watch(0.02))
        assert caught.value.code == "query_too_heavy"
        # The connection is fit for the next one.
        assert await readers.read(lambda connection: connection.execute("SELECT 7").get) == 7

    asyncio.run(run())
    readers.close()


def test_a_job_ends_when_whoever_waits_is_cancelled(path: str) -> None:
    readers = Readers(path, nothing_arrived, threads=1)
    begun = threading.Event()

    def job(connection: apsw.Connection) -> object:
        begun.set()
        return endless(connection)

    async def run() -> None:
        waiting = asyncio.ensure_future(readers.read(job, Watch()))
        await asyncio.get_running_loop().run_in_executor(None, begun.wait)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # The only thread is free again.
        assert await readers.read(lambda connection: connection.execute("SELECT 7").get) == 7

    asyncio.run(run())
    readers.close()


def test_work_between_statements_ends_too() -> None:
    watch = Watch()
    watch.start()
    watch.check()
    watch.stop()
    with pytest.raises(Stopped):
        watch.check()


def test_only_so_many_wait(path: str) -> None:
    readers = Readers(path, nothing_arrived, threads=1, most_waiting=1)
    free = threading.Event()

    def job(connection: apsw.Connection) -> bool:
        return free.wait()

    async def run() -> None:
        waiting = [asyncio.ensure_future(readers.read(job)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RateLimited) as caught:
            await readers.read(job)
        assert (caught.value.code, caught.value.retry_after_s) == ("too_many_queries", 1)
        free.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await readers.read(job)

    asyncio.run(run())
    readers.close()


def test_a_user_with_too_many_records_is_read_from_the_rollups_of_all(backend: Backend) -> None:
    append(backend, *(record(f"gen-{number}", opened={"user": f"u{number % 2}"}) for number in range(40)))
    filters = Filters(users=("u1",))
    query = SummaryQuery(scope=SCOPE, filters=filters, group_by=(Dimension.DAY,), bounds=Bounds(most_records=5))
    answer = backend.run(backend.ledger.summary(query))
    assert (answer.totals.requests, answer.totals.users) == (20, 1)


def test_the_ends_of_a_range_count_as_records(backend: Backend) -> None:
    append(backend, *(record(f"gen-{number}", opened={"created_at_us": NOON_US + number}) for number in range(40)))
    ragged = SummaryQuery(scope=SCOPE, filters=Filters(start_us=NOON_US + 1), bounds=Bounds(most_records=5))
    with pytest.raises(InvalidRequest, match="within a quarter of an hour"):
        backend.run(backend.ledger.summary(ragged))
    whole = SummaryQuery(scope=SCOPE, filters=Filters(start_us=0), bounds=Bounds(most_records=5))
    assert backend.run(backend.ledger.summary(whole)).totals.requests == 40


def test_small_things_that_are_asked_for_together_are_read_in_one_job(path: str) -> None:
    readers = Readers(path, nothing_arrived)
    jobs: list[apsw.Connection] = []
    begun, go_on = threading.Event(), threading.Event()

    def read(connection: apsw.Connection, key: int) -> int:
        if not jobs or jobs[-1] is not connection or key % 10 == 1:
            jobs.append(connection)
        begun.set()
        assert go_on.wait(10)
        return key * 2

    async def run() -> None:
        together = Together(readers, read)
        first = [together.read(key) for key in (1, 2, 3)]
        await asyncio.to_thread(begun.wait, 10)
        then = [together.read(key) for key in (11, 12)]
        first[1].cancel()
        go_on.set()
        assert await asyncio.gather(first[0], first[2], *then) == [2, 6, 22, 24]
        assert len(jobs) == 2, "those who came while the first job ran share the next one"

    asyncio.run(run())
    readers.close()


def test_what_is_wrong_with_a_job_is_told_to_all_who_wait_for_it(path: str) -> None:
    readers = Readers(path, nothing_arrived)

    def read(connection: apsw.Connection, key: str) -> object:
        return connection.execute(key).get

    async def run() -> None:
        together = Together(readers, read)
        told = await asyncio.gather(together.read("SELECT 1"), together.read("nonsense"), return_exceptions=True)
        assert [type(one) for one in told] == [StorageUnavailable] * 2
        assert await together.read("SELECT 7") == 7

    asyncio.run(run())
    readers.close()
