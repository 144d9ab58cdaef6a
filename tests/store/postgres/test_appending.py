"""Appending to PostgreSQL: by several at once, through cuts of the line and ends of the server, each record once."""

import asyncio
import multiprocessing
import random
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityQuery, Filters, SummaryQuery
from arouter.domain.errors import StorageUnavailable
from arouter.domain.money import Picodollars
from arouter.domain.record import Record
from arouter.store.postgres.batch import prepared
from arouter.store.postgres.partitions import bounds_of, month_of
from tests.conformance.samples import NOON_US, SCOPE, adjustment, opening, record
from tests.postgres_server import PostgresServer, fresh_database
from tests.store.postgres.ledgers import Gateway, Line, gateway

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
WRITERS = 3
ROUNDS = 40


def finish(run: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, which is near."""
    asyncio.run(asyncio.wait_for(run, 60))


async def close_all(one: Gateway, records: Sequence[Record]) -> None:
    await asyncio.gather(*(one.ledger.close(each) for each in records))


async def insist(one: Gateway, each: Record) -> None:
    """As whoever keeps what could not be written does: again and again."""
    while True:
        try:
            return await one.ledger.close(each)
        except StorageUnavailable:
            await asyncio.sleep(0.02)


async def assert_sound(one: Gateway, requests: int) -> None:
    report = await one.ledger.check()
    assert report.problems == ()
    assert report.records == requests
    assert (await one.ledger.summary(SummaryQuery(scope=SCOPE))).totals.requests == requests


def shared_history(seed: int) -> list[Record]:
    """Records of few users, keys and models, in an order of its own, a third of them everybody's."""
    chance = random.Random(seed)
    mine = [
        record(
            f"gen-{'all' if number % 3 == 0 else seed}-{number}",
            opened={"user": f"u{number % 5}", "key_hash": f"key-{number % 2}", "created_at_us": NOON_US + number},
            model=f"m{number % 3}",
            cost=Picodollars(number),
        )
        for number in range(300)
    ]
    chance.shuffle(mine)
    return mine


def append_history(url: str, seed: int) -> None:
    """What a process does."""

    async def run() -> None:
        async with gateway(url) as one:
            mine = shared_history(seed)
            while mine:
                size = min(len(mine), random.Random(len(mine)).randint(1, 40))
                await close_all(one, [mine.pop() for _ in range(size)])

    finish(run())


# ---------------------------------------------------------------- at once


def test_processes_that_append_the_same_ids_at_once_write_each_record_once(postgres_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(WRITERS) as processes:
        processes.starmap(append_history, [(postgres_url, seed) for seed in range(WRITERS)])

    async def look() -> None:
        async with gateway(postgres_url) as one:
            await assert_sound(one, 100 + WRITERS * 200)
            total = (await one.ledger.summary(SummaryQuery(scope=SCOPE))).totals.cost
            assert total == sum(range(0, 300, 3)) + WRITERS * sum(n for n in range(300) if n % 3)
            assert await one.ask(DEADLOCKS) == 0

    asyncio.run(look())


OVERLAPPING = st.lists(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), min_size=1, max_size=8), min_size=2, max_size=6
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OVERLAPPING)
def test_batches_that_overlap_never_wait_for_each_other_in_turn(batches: list[list[tuple[int, int]]]) -> None:
    async def run() -> None:
        ones = [Gateway(url) for _ in batches]
        await asyncio.gather(*(one.start() for one in ones))
        try:
            await asyncio.gather(
                *(
                    close_all(one, [record(f"gen-{number}", opened={"user": f"u{user}"}) for number, user in batch])
                    for one, batch in zip(ones, batches, strict=True)
                )
            )
            await assert_sound(ones[0], len({number for batch in batches for number, _ in batch}))
            assert await ones[0].ask(DEADLOCKS) == 0
        finally:
            for one in ones:
                await one.close()

    url = fresh_database()
    finish(run())


def test_what_two_adjust_at_once_is_adjusted_in_one_order(postgres_url: str) -> None:
    async def run() -> None:
        async with gateway(postgres_url) as one, gateway(postgres_url) as other:
            await close_all(one, [record(f"gen-{n}") for n in range(10)])
            numbers = list(range(10))
            made = []
            for turn, each in enumerate((one, other) * 5):
                random.Random(turn).shuffle(numbers)
                some = [adjustment(f"adj-{turn}-{n}", f"gen-{n}", turn * 100 + n) for n in numbers]
                made.append(each.ledger.adjust(some))
                made.append(insist(each, record(f"gen-late-{turn}")))  # type: ignore[arg-type]
            await asyncio.gather(*made)
            await assert_sound(one, 20)
            assert len(await one.ledger.adjustments_of("org_a", "gen-3")) == 10

    finish(run())


# ---------------------------------------------------------------- what a reader may rely on


def test_what_was_written_until_a_time_never_changes(postgres_url: str) -> None:
    """However clocks differ: a reader that has seen a time has seen all that bears an earlier one."""

    async def run() -> None:
        skewed = [Gateway(postgres_url, clock=lambda skew=skew: asyncio_us() + skew) for skew in (0, -900, 900)]  # type: ignore[misc]
        await asyncio.gather(*(one.start() for one in skewed))
        seen: list[tuple[int, set[str]]] = []
        writing = True

        async def read() -> None:
            reader = skewed[0].ledger
            while writing:
                until_us = await reader.written_until()
                if until_us is not None:
                    page = await reader.page(
                        ActivityQuery(scope=SCOPE, limit=10_000, filters=Filters(written_until_us=until_us - 1))
                    )
                    seen.append((until_us - 1, {row.record.opening.id for row in page.rows}))

        reading = asyncio.ensure_future(read())
        for turn in range(ROUNDS):
            await asyncio.gather(
                *(
                    close_all(one, [record(f"gen-{place}-{turn}-{n}") for n in range(5)])
                    for place, one in enumerate(skewed)
                )
            )
        writing = False
        await reading
        query = ActivityQuery(scope=SCOPE, limit=10_000)
        rows = (await skewed[0].ledger.page(query)).rows
        assert len(rows) == len(skewed) * ROUNDS * 5
        assert len(seen) > 3
        for until_us, ids in seen:
            assert ids == {row.record.opening.id for row in rows if row.written_at_us <= until_us}
        for one in skewed:
            await one.close()

    def asyncio_us() -> int:
        return NOON_US + int(asyncio.get_running_loop().time() * 1e6)

    finish(run())


def test_a_summary_lacks_nothing_that_was_written_before_its_time(postgres_url: str) -> None:
    """Also where another process's clock is behind: what it writes later bears a later time."""

    async def run() -> None:
        async with (
            gateway(postgres_url, lambda: NOON_US) as ahead,
            gateway(postgres_url, lambda: NOON_US - 9) as behind,
        ):
            asked = await ahead.ledger.summary(SummaryQuery(scope=SCOPE))
            assert (asked.as_of_us, asked.totals.requests) == (NOON_US, 0)
            await behind.ledger.close(record("gen-1"))
            row = await ahead.ledger.get("org_a", "gen-1")
            assert row is not None
            assert row.written_at_us == NOON_US

    finish(run())


# ---------------------------------------------------------------- cuts and ends


def test_a_commit_whose_answer_was_lost_is_tried_again_and_done_once(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async def run() -> None:
        line = Line(postgres_server.port)
        port = await line.open()
        through = postgres_url.replace(f":{postgres_server.port}/", f":{port}/")
        async with gateway(through) as one, gateway(postgres_url) as other:
            await one.ledger.close(record("gen-1"))
            line.cut_behind = b"COMMIT"
            await one.ledger.close(record("gen-2"))
            assert line.cut_behind is None
            line.cut_behind = b"raised_rollups"
            await one.ledger.close(record("gen-3"))
            await assert_sound(other, 3)
        await line.close()

    finish(run())


def test_a_server_that_is_killed_while_many_append_loses_nothing_and_doubles_nothing(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async def run() -> None:
        async with gateway(postgres_url) as one:
            writing = asyncio.gather(*(insist(one, each) for each in shared_history(1)))
            for _ in range(2):
                while await one.ask("SELECT count(*) FROM batches") < 1:
                    pass
                await asyncio.to_thread(postgres_server.kill)
                writing_more = asyncio.gather(*(insist(one, each) for each in shared_history(2)))
                await asyncio.to_thread(postgres_server.start)
                await writing_more
            await writing
            await assert_sound(one, 500)

    finish(run())


def test_while_the_server_is_away_everybody_is_told_and_afterwards_all_goes_on(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async def run() -> None:
        async with gateway(postgres_url) as one:
            await one.ledger.close(record("gen-1"))
            one.ledger.open(opening("gen-2"))
            await asyncio.to_thread(postgres_server.kill)
            try:
                with pytest.raises(StorageUnavailable):
                    await one.ledger.close(record("gen-3"))
                with pytest.raises(StorageUnavailable):
                    one.ledger.open(opening("gen-4"))
            finally:
                await asyncio.to_thread(postgres_server.start)
            while one.appender.last_error is not None:
                await one.ask("SELECT 1")
            one.ledger.open(opening("gen-4"))
            await one.ledger.close(record("gen-2"))
            await assert_sound(one, 2)

    finish(run())


def test_a_closed_ledger_refuses(postgres_url: str) -> None:
    async def run() -> None:
        one = Gateway(postgres_url)
        await one.start()
        waiting = one.ledger.close(record("gen-1"))
        await one.close()
        await waiting
        with pytest.raises(StorageUnavailable):
            await one.ledger.close(record("gen-2"))

    finish(run())


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    "changes",
    [
        {"opened": {"user": "🙂" * 256}},
        {"opened": {"user": "\x00" * 1024}},
        {"opened": {"requested_model": "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(50_000))}},
        {"opened": {"tags": ("a,b", '"', "\\", "{}", "NULL", "null", " x ", "\x00", "ü")}},
        {"opened": {"created_at_us": 0}},
        {"opened": {"created_at_us": 2**62}},
        {"raw_usage": bytes(range(256))},
    ],
    ids=["wide user", "escaped user", "long model", "tags", "long ago", "far ahead", "bytes"],
)
def test_any_value_comes_back(changes: dict[str, Any]) -> None:
    async def run() -> None:
        async with gateway(fresh) as one:
            stored = record("gen-1", **changes)
            await one.ledger.close(stored)
            row = await one.ledger.get("org_a", "gen-1")
            assert row is not None
            assert row.record == stored
            await assert_sound(one, 1)

    fresh = fresh_database()
    finish(run())


def test_what_the_database_refuses_is_refused_alone() -> None:
    async def run() -> None:
        async with gateway(fresh) as one:
            bad = record("gen-bad", http_status=2**40)
            ones = [record(f"gen-{n}") for n in range(20)]
            told = await asyncio.gather(
                *(one.ledger.close(each) for each in (*ones[:7], bad, *ones[7:])), return_exceptions=True
            )
            assert [place for place, each in enumerate(told) if each is not None] == [7]
            assert isinstance(told[7], ValueError)
            assert one.appender.lost == 1
            await assert_sound(one, 20)

    fresh = fresh_database()
    finish(run())


def test_relaxed_records_do_not_wait_for_the_disk() -> None:
    async def run() -> None:
        async with gateway(fresh, durability="relaxed") as one:
            await one.ledger.close(record("gen-1"))
            await assert_sound(one, 1)

    fresh = fresh_database()
    finish(run())


# ---------------------------------------------------------------- months


def test_each_month_has_a_partition_that_is_made_when_it_comes(postgres_url: str) -> None:
    async def run() -> None:
        async with gateway(postgres_url) as one, gateway(postgres_url) as other:
            months = [NOON_US + n * 32 * 86_400_000_000 for n in range(4)]
            await asyncio.gather(
                *(
                    close_all(each, [record(f"gen-{place}-{at}", opened={"created_at_us": at}) for at in months])
                    for place, each in enumerate((one, other))
                )
            )
            assert await one.ask("SELECT count(DISTINCT tableoid) FROM records") == 4
            assert await one.ask("SELECT count(*) FROM records_before") == 0
            await one.run("ALTER TABLE records DETACH PARTITION records_2026_10; DROP TABLE records_2026_10")
            await one.ledger.close(record("gen-again", opened={"created_at_us": months[1]}))
            assert await other.ledger.get("org_a", "gen-again") is not None

    finish(run())


@given(st.integers(0, 2**62))
def test_a_month_holds_its_instants(at_us: int) -> None:
    month = month_of(at_us)
    if month is not None:
        first, beyond = bounds_of(month)
        assert first <= at_us < beyond


def test_a_batch_has_each_record_once_and_the_first_one() -> None:
    batch = prepared([record("gen-2"), record("gen-1"), record("gen-2", cost=Picodollars(1))])
    assert [each.opening.id for each in batch.records] == ["gen-1", "gen-2"]
    assert batch.records[1] == replace(record("gen-2"))


# ---------------------------------------------------------------- the check


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE records SET cost = 7, holding_cost = 7 WHERE id = 'gen-1'", "not what was written"),
        ("UPDATE records SET end_user = 'eve' WHERE id = 'gen-1'", "not what was written"),
        ("DELETE FROM records WHERE id = 'gen-1'", "ids do not belong together"),
        ("UPDATE rollups SET requests = requests + 1", "by quarter of an hour differ"),
        ("UPDATE key_hours SET cost = cost + 1", "by key and hour differ"),
        ("UPDATE key_hours SET last_used_us = last_used_us - 1", "used later in an hour"),
        ("UPDATE key_hours SET last_used_us = NULL", "used later in an hour"),
        ("UPDATE usage_days SET tokens = 0 WHERE scope = 'user'", "that budgets go by differ"),
        ("UPDATE user_spans SET last_seen_us = 0", "spans do not hold"),
        ("UPDATE records SET holding_cost = 3 WHERE id = 'gen-2'", "another adjustment"),
        ("UPDATE adjustments SET reason = 'other'", "adjustments of batch"),
        ("UPDATE batches SET written_at_us = 0 WHERE no = 1", "does not follow"),
        ("DELETE FROM batches WHERE no = 1", "missing before batch 2"),
        ("UPDATE ledger_head SET no = no + 1", "is not the last one"),
    ],
)
def test_the_check_finds_what_was_changed_behind_the_ledgers_back(change: str, told: str) -> None:
    async def run() -> None:
        async with gateway(fresh) as one:
            await one.ledger.close(record("gen-1"))
            await one.ledger.close(record("gen-2"))
            await one.ledger.adjust([adjustment("adj-1", "gen-2", 5)])
            await assert_sound(one, 2)
            await one.run(change)
            problems = (await one.ledger.check()).problems
            assert any(told in problem for problem in problems), problems

    fresh = fresh_database()
    finish(run())
