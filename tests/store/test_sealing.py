"""Days that are sealed answer as they did when they were rows; nothing is lost, doubled or held up by it."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityQuery, Cursor, Dimension, Filters, SummaryQuery
from arouter.domain.ids import RANDOM_BYTES, generation_id
from arouter.domain.money import Picodollars
from arouter.domain.record import Record
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.archive.columns import from_rows, own_id, pack, to_rows, unpack
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.pages import tags_of
from arouter.store.sqlite.rows import READ_SQL
from arouter.store.sqlite.sealed import DAY_US
from tests.conformance.backends import Backend, file_of, memory, sqlite
from tests.conformance.samples import BARE, FULL, NOON_US, SCOPE, ZEROS, adjust, adjustment, append, ids, record
from tests.store.test_sqlite_stateful import ADJUSTMENTS, CURSORS, FILTERS, RECORDS, SCOPES

DAY = NOON_US // DAY_US
FOR_EVER_US = 2**62


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def store_of(backend: Backend) -> SqliteStore:
    assert isinstance(backend.store, SqliteStore)
    return backend.store


def seal(backend: Backend, before_us: int = FOR_EVER_US) -> tuple[int, int]:
    sealed = backend.run(store_of(backend).archive.seal(before_us=before_us))
    assert sealed is not None
    return sealed.days, sealed.records


def problems(backend: Backend) -> tuple[str, ...]:
    return backend.run(backend.ledger.check()).problems


def count(backend: Backend, sql: str) -> int:
    connection = apsw.Connection(file_of(backend))
    try:
        return int(connection.execute(sql).get)
    finally:
        connection.close()


def at(number: int, **changes: Any) -> Record:
    """A record of our own kind of id, `number` seconds after noon."""
    created_at_us = NOON_US + number * 1_000_000
    record_id = generation_id(created_at_us, number.to_bytes(RANDOM_BYTES, "big"))
    opened = {"created_at_us": created_at_us, **changes.pop("opened", {})}
    return record(record_id, opened=opened, completed_at_us=created_at_us + 5, **changes)


# ---------------------------------------------------------------- the form


def test_a_block_gives_back_what_was_put_into_it(backend: Backend) -> None:
    append(backend, FULL, BARE, ZEROS, at(1))
    connection = apsw.Connection(file_of(backend))
    rows = fetch(connection, f"SELECT json_group_array(json_array({READ_SQL})) FROM records")
    numbers = {row[0]: [7, 8, 7] for row in rows if row[3]}
    packed = pack(from_rows(rows, numbers))
    found, tags = to_rows(_table(packed))
    for row in rows:
        row[3] = 3 if row[3] else 0
        row[29] = None if row[29] is None else row[29].lower()
    assert (found, tags) == (rows, numbers)
    assert tags_of(connection, backend.ledger._texts, [], {}) == {}  # type: ignore[attr-defined]


def _table(packed: Any) -> Any:
    return unpack(packed.present, packed.size, packed.data)


@given(created_at_us=st.integers(0, 2**62), entropy=st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_an_id_of_ours_is_its_time_and_nine_bytes(created_at_us: int, entropy: bytes) -> None:
    made = generation_id(created_at_us, entropy)
    random_part = own_id(created_at_us, made)
    assert random_part == bytes([entropy[0] & 15]) + entropy[1:]
    assert own_id(created_at_us + 1, made) is None
    assert own_id(created_at_us, made.upper()) is None
    assert own_id(created_at_us, made + "0") is None


# ---------------------------------------------------------------- the same answers


@settings(max_examples=30, deadline=None)
@given(
    records=st.lists(RECORDS, min_size=1, max_size=25),
    later=st.lists(RECORDS, max_size=6),
    adjustments=st.lists(ADJUSTMENTS, max_size=8),
    sealed_first=st.booleans(),
    questions=st.lists(
        st.builds(
            ActivityQuery,
            scope=SCOPES,
            filters=FILTERS,
            descending=st.booleans(),
            limit=st.integers(1, 6),
            after=CURSORS,
        ),
        min_size=3,
        max_size=8,
    ),
    group_by=st.lists(st.sampled_from(Dimension), max_size=2, unique=True).map(tuple),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
)
def test_sealed_days_answer_as_the_reference_does(
    records: list[Record],
    later: list[Record],
    adjustments: list[Any],
    sealed_first: bool,
    questions: list[ActivityQuery],
    group_by: tuple[Dimension, ...],
    zone: str,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reference, other = memory(Path(folder)), sqlite(Path(folder))
        for each in (reference, other):
            each.clock.now_us = 5
            append(each, *records)
        if sealed_first:
            seal(other)
        for each in (reference, other):
            each.clock.now_us = 10
            adjust(each, *adjustments)
            append(each, *later)
        if not sealed_first:
            seal(other)
        for question in questions:
            answers = [each.run(each.ledger.page(question)) for each in (reference, other)]
            assert answers[0] == answers[1]
            asked = SummaryQuery(scope=question.scope, filters=question.filters, group_by=group_by, timezone=zone)
            sums = [each.run(each.ledger.summary(asked)) for each in (reference, other)]
            assert sums[0] == sums[1]
        for opening in [one.opening for one in (*records, *later)]:
            organization = opening.organization_id
            rows = [one.run(one.ledger.get(organization, opening.id)) for one in (reference, other)]
            assert rows[0] == rows[1]
        assert problems(other) == ()
        for each in (reference, other):
            each.stop()


def test_many_blocks_are_walked_page_by_page_in_both_directions(backend: Backend) -> None:
    users = ("alice", "bob", None)
    records = [at(number, opened={"user": users[number % 3]}) for number in range(9_000)]
    append(backend, *records)
    # A microsecond that lies on the border of two blocks.
    twins = [
        replace(one, opening=replace(one.opening, id=f"twin-{number}"))
        for number, one in enumerate(records[4_090:4_100])
    ]
    append(backend, *twins)
    everything = sorted((each.opening.created_at_us, each.opening.id) for each in (*records, *twins))
    assert seal(backend)[1] == len(everything)
    assert count(backend, "SELECT count(*) FROM time_blocks") >= 3
    for descending in (True, False):
        for users_wanted, unattributed in (((), False), (("bob",), True)):
            found: list[tuple[int, str]] = []
            after: Cursor | None = None
            while True:
                filters = Filters(users=users_wanted, unattributed=unattributed)
                query = ActivityQuery(scope=SCOPE, filters=filters, descending=descending, limit=700, after=after)
                page = backend.run(backend.ledger.page(query))
                found += [(row.cursor.created_at_us, row.cursor.id) for row in page.rows]
                after = page.next_cursor
                if after is None:
                    break
            wanted = {
                (each.opening.created_at_us, each.opening.id)
                for each in (*records, *twins)
                if not users_wanted or each.opening.user in (*users_wanted, None)
            }
            assert found == sorted(wanted, reverse=descending)
    for each in (*twins, *records[4_085:4_105]):
        row = backend.run(backend.ledger.get("org_a", each.opening.id))
        assert row is not None
        assert row.record == each
    assert problems(backend) == ()


def test_blocks_with_and_without_a_column_are_added_up_together(backend: Backend) -> None:
    append(backend, at(1, model=None, opened={"user": None}), at(86_400), at(2 * 86_400, model=None))
    seal(backend)
    asked = SummaryQuery(scope=SCOPE, group_by=(Dimension.MODEL, Dimension.TAG))
    sums = backend.run(backend.ledger.summary(asked))
    assert [(row.group, row.totals.requests) for row in sums.rows] == [((None, None), 2), (("openai/gpt-5.4", None), 1)]


def test_a_record_that_comes_for_a_sealed_day_stays_a_row_beside_it(backend: Backend) -> None:
    append(backend, at(1), at(3))
    assert seal(backend) == (1, 2)
    append(backend, at(2))
    assert seal(backend) == (0, 0)
    assert count(backend, "SELECT count(*) FROM records") == 1
    assert ids(backend, descending=False) == [at(number).opening.id for number in (1, 2, 3)]
    assert backend.run(store_of(backend).status()).records == 3
    assert problems(backend) == ()


def test_a_sealed_record_is_not_written_again(backend: Backend) -> None:
    append(backend, at(1), record("gen-other"))
    seal(backend)
    append(backend, at(1, cost=Picodollars(1)), record("gen-other", cost=Picodollars(1)), at(2))
    assert count(backend, "SELECT count(*) FROM records") == 1
    row = backend.run(backend.ledger.get("org_a", at(1).opening.id))
    assert row is not None
    assert row.record == at(1)
    assert problems(backend) == ()


def test_a_sealed_record_is_adjusted_and_its_sums_follow(backend: Backend) -> None:
    append(backend, at(1, is_byok=True), at(2))
    seal(backend)
    record_id = at(1).opening.id
    assert adjust(backend, adjustment("adj-1", record_id, 7), seen={record_id: None}) == 1
    assert adjust(backend, adjustment("adj-1", record_id, 9), adjustment("adj-2", "gen-none", 9)) == 0
    row = backend.run(backend.ledger.get("org_a", record_id))
    assert row is not None
    assert (row.record.cost, row.original_cost) == (7, at(1).cost)
    assert [one.id for one in backend.run(backend.ledger.adjustments_of("org_a", record_id))] == ["adj-1"]
    own = backend.run(backend.ledger.byok_spending("key-a", day_us=0, week_us=0, month_us=0))
    assert own.total == 7
    assert problems(backend) == ()


def test_a_copy_holds_the_sealed_days_too(backend: Backend, tmp_path: Path) -> None:
    append(backend, at(1), at(2))
    seal(backend)
    backend.run(store_of(backend).backup(str(tmp_path / "copy.db")))
    copy = Backend(lambda clock, _: SqliteStore.open(str(tmp_path / "copy.db"), clock=clock))
    assert len(ids(copy)) == 2
    assert problems(copy) == ()
    copy.stop()


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("DELETE FROM time_blocks", "are not what was written"),
        ("DELETE FROM user_blocks", "The two copies"),
        ("UPDATE sealed_days SET records = records + 1", "The two copies"),
        ("UPDATE own_key_hours SET cost_rest = cost_rest + 1", "on own keys differ"),
        ("UPDATE rollups SET requests = requests + 1", "sums by quarter of an hour differ"),
        ("UPDATE key_hours SET cost_units = cost_units + 1", "sums by key and hour differ"),
        ("UPDATE names SET text = 'cheap' WHERE text = 'openai/gpt-5.4'", "their hash differs"),
        ("UPDATE time_blocks SET data = (SELECT data FROM user_blocks LIMIT 1)", "damaged"),
    ],
)
def test_the_check_tells_what_was_changed_about_sealed_days(backend: Backend, tampering: str, told: str) -> None:
    append(backend, *(at(number, is_byok=True) for number in range(300)))
    seal(backend)
    assert problems(backend) == ()
    apsw.Connection(file_of(backend)).execute(tampering)
    assert told in "\n".join(problems(backend))


# ---------------------------------------------------------------- while others work, and killed

SEALING = """
import asyncio, sys
from arouter.store.sqlite import SqliteStore

async def main(path):
    store = SqliteStore.open(path, clock=lambda: 1)
    await store.start()
    print("sealing", flush=True)
    print(await store.archive.seal(before_us=2**62), flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_kill_in_the_middle_of_sealing_loses_nothing_and_doubles_nothing(backend: Backend) -> None:
    days, each_day = 3, 700
    made = [
        at(number, opened={"user": f"u{number % 90}", "tags": ("x",)})
        for day in range(days)
        for number in range(day * 86_400, day * 86_400 + each_day)
    ]
    append(backend, *made)
    everything = sorted(one.opening.id for one in made)
    seen = set()
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", SEALING, store_of(backend).path], stdout=subprocess.PIPE, env=os.environ
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"sealing\n"
        time.sleep(random.uniform(0.0, 0.7))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen.add(count(backend, "SELECT coalesce(min(state), 9) FROM sealed_days"))
        assert sorted(ids(backend, limit=10_000)) == everything
        if count(backend, "SELECT count(*) FROM sealed_days WHERE state = 2") == days:
            break
    assert problems(backend) == ()
    seal(backend)
    assert count(backend, "SELECT count(*) FROM records") == 0
    assert count(backend, "SELECT sum(records) FROM time_blocks") == len(everything)
    assert sorted(ids(backend, limit=10_000, users=tuple(f"u{number}" for number in range(90)))) == everything
    assert problems(backend) == ()


def test_days_are_sealed_while_another_process_records_and_reads(backend: Backend, tmp_path: Path) -> None:
    append(backend, *(at(number) for number in range(1_500)))
    other = sqlite(tmp_path)

    async def both() -> int:
        archive = store_of(other).archive
        sealing = asyncio.ensure_future(archive.seal(before_us=(DAY + 1) * DAY_US))
        written = 0
        while not sealing.done():
            await other.ledger.close(at(86_400 + written))
            page = await other.ledger.page(ActivityQuery(scope=SCOPE, limit=10_000))
            assert len(page.rows) == 1_501 + written
            written += 1
        sealed = await sealing
        assert sealed is not None
        assert (sealed.days, sealed.records) == (1, 1_500)
        return written

    written = other.run(both())
    assert len(ids(backend, limit=10_000)) == 1_500 + written
    append(backend, at(1))
    assert len(ids(other, limit=10_000)) == 1_500 + written
    other.stop()
    assert problems(backend) == ()


def test_one_process_seals_at_a_time(backend: Backend, tmp_path: Path) -> None:
    append(backend, *(at(number) for number in range(3_000)))
    other = sqlite(tmp_path)

    async def begin(store: SqliteStore) -> Any:
        return await store.archive.seal(before_us=FOR_EVER_US)

    async def both() -> list[Any]:
        return [*await asyncio.gather(begin(store_of(other)), _soon(begin(store_of(backend))))]

    backend.run(store_of(backend).close())
    backend.store = SqliteStore.open(store_of(backend).path, clock=backend.clock)

    async def on_one_loop() -> list[Any]:
        await backend.store.start()
        try:
            return await both()
        finally:
            await backend.store.close()

    done = other.run(on_one_loop())
    assert sum(one is None for one in done) == 1
    backend.store = SqliteStore.open(store_of(backend).path, clock=backend.clock)
    backend.run(backend.store.start())
    other.stop()
    assert problems(backend) == ()


async def _soon(work: Any) -> Any:
    await asyncio.sleep(0.05)
    return await work


def test_what_a_dead_process_began_to_seal_is_deleted_and_begun_anew(backend: Backend) -> None:
    append(backend, at(1), at(2))
    connection = apsw.Connection(file_of(backend))
    connection.execute(
        "INSERT INTO sealed_days (organization_no, day, state, last_seq, records)"
        f"SELECT organization_no, {DAY}, 0, 2, 0 FROM records LIMIT 1"
    )
    assert len(ids(backend)) == 2
    assert problems(backend) == ()
    assert seal(backend) == (1, 2)
    assert count(backend, "SELECT count(*) FROM sealed_days") == 1
    assert problems(backend) == ()


LIBRARIES = """
import asyncio, sys
from arouter.store.sqlite import SqliteStore

async def main(path):
    store = SqliteStore.open(path, clock=lambda: 1)
    await store.start()
    print("pyarrow" in sys.modules, "numpy" in sys.modules)
    await store.ledger.get("org_a", "gen-none")
    print("pyarrow" in sys.modules)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_libraries_are_loaded_when_a_question_meets_a_sealed_day(backend: Backend) -> None:
    append(backend, at(1))
    seal(backend)
    told = subprocess.run(
        [sys.executable, "-c", LIBRARIES, store_of(backend).path], capture_output=True, env=os.environ, check=True
    )
    assert told.stdout.split() == [b"False", b"False", b"True"]
