"""Day columns say what the records say, whatever happens after they were made.

Records come in any order, some of them days late; costs are adjusted; days are folded in between. Every summary equals
that of the reference, which adds up every record.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from arouter.domain.activity import (
    SUMMED_METRICS,
    TIME_DIMENSIONS,
    Dimension,
    Filters,
    Order,
    Scope,
    SummaryQuery,
)
from arouter.domain.adjustment import Adjustment, AdjustmentKind
from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record, Status
from arouter.domain.usage import Usage
from arouter.store.buckets import DAY_US, SLOT_US, SLOTS_OF_DAY
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.columns.absences import ABSENCES, absences_of, present_between
from arouter.store.sqlite.columns.blocks import pack, unpack
from arouter.store.sqlite.columns.folding import Table
from arouter.store.sqlite.folded import CLOSED_FOR_US, MANY_ROLLUPS
from tests.conformance.backends import Backend, file_of, memory, sqlite
from tests.conformance.samples import SCOPE, adjust, adjustment, append, record

DAY = 20_751
"""2026-10-25: the clocks of Europe go back; those of Lord Howe went forward half an hour three weeks before."""
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
]
DAYS = [DAY - 21, DAY - 1, DAY, DAY + 7, DAY + 8]
TIMES = st.builds(
    lambda day, slot, us: day * DAY_US + slot * SLOT_US + us,
    st.sampled_from(DAYS),
    st.sampled_from([0, 1, 2, 50, 63, 64, 94, 95]),
    st.sampled_from([0, 1, SLOT_US - 1]),
)
MODELS = st.sampled_from([None, "m", "n", "alias"])
USERS = st.sampled_from([None, "", "a", "b", "ü", *(f"u{number}" for number in range(6))])
RECORDS = st.builds(
    Record,
    opening=st.builds(
        Opening,
        id=st.integers(0, 200).map("gen-{}".format),
        request_id=st.just("req"),
        created_at_us=TIMES,
        organization_id=st.sampled_from(["org_a", "org_a", "org_a", "org_b"]),
        workspace_id=st.sampled_from(["ws_a", "ws_b"]),
        key_hash=st.sampled_from(["key-a", "key-b"]),
        user=USERS,
        endpoint=st.sampled_from(["/v1/messages", "/v1/chat/completions"]),
        requested_model=MODELS,
        streamed=st.booleans(),
        tags=st.sampled_from([(), ("x",), ("x", "y")]),
    ),
    completed_at_us=TIMES,
    status=st.sampled_from(Status),
    http_status=st.just(200),
    model=MODELS,
    provider=st.sampled_from([None, "openai"]),
    usage=st.builds(
        Usage,
        input_tokens=st.sampled_from([None, 0, 1, 300, 70_000, 10**12]),
        cache_read_tokens=st.sampled_from([None, 5]),
        output_tokens=st.sampled_from([None, 0, 200]),
        reasoning_tokens=st.sampled_from([None, 3]),
    ),
    cost=st.sampled_from([None, 0, 1, 999_999, 10**9 + 1, -(10**6) - 3, 2**63 - 1]).map(
        lambda cost: None if cost is None else Picodollars(cost)
    ),
    latency_us=st.sampled_from([None, 0, 812_400]),
)
ADJUSTMENTS = st.builds(
    lambda number, record_id, cost: Adjustment(
        id=f"adj-{number}",
        record_id=f"gen-{record_id}",
        created_at_us=0,
        kind=AdjustmentKind.REPRICE,
        cost=None if cost is None else Picodollars(cost),
        price_source=None,
        price_version=None,
    ),
    st.integers(0, 1000),
    st.integers(0, 200),
    st.sampled_from([None, 0, 7, -7]),
)
FOLD = st.sampled_from([96, 96, 1, 64, 95])
"""How many quarters of each day."""
STEPS = st.lists(
    st.lists(RECORDS, min_size=1, max_size=40) | st.lists(ADJUSTMENTS, min_size=1, max_size=3) | FOLD,
    min_size=1,
    max_size=8,
)


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.one_of(st.just(()), st.just(()), st.just(()), st.lists(values, max_size=2, unique=True).map(tuple))


QUERIES = st.builds(
    SummaryQuery,
    scope=st.builds(
        Scope,
        organization_id=st.sampled_from(["org_a", "org_a", "org_b"]),
        workspace_id=st.sampled_from([None, None, "ws_a"]),
        key_hash=st.sampled_from([None, None, "key-a"]),
    ),
    filters=st.builds(
        Filters,
        users=some(USERS.filter(lambda user: user is not None).map(str)),
        unattributed=st.sampled_from([False, False, True]),
        models=some(st.sampled_from(["m", "n", "alias", "unheard of"])),
        providers=some(st.just("openai")),
        statuses=some(st.sampled_from(Status).map(lambda status: status.value)),
        endpoints=some(st.just("/v1/messages")),
        key_hashes=some(st.sampled_from(["key-a", "key-b"])),
        workspace_ids=some(st.just("ws_b")),
        start_us=st.none() | TIMES,
        end_us=st.none() | TIMES,
    ),
    group_by=st.lists(
        st.sampled_from([one for one in Dimension if one is not Dimension.TAG]), max_size=3, unique=True
    ).map(tuple),
    timezone=st.sampled_from(ZONES),
    metrics=st.sampled_from([frozenset(SUMMED_METRICS), frozenset({"cost"})]),
    order=st.none() | st.builds(Order, by=st.sampled_from(SUMMED_METRICS), descending=st.booleans()),
    limit=st.none() | st.integers(1, 4),
)


async def fold_all(store: SqliteStore, now_us: int, quarters: int) -> int:
    folded = 0
    for day in await store.days_to_fold(now_us, 1):
        folded += await store.fold(replace(day, quarters=quarters), now_us)
    return folded


def fold(backend: Backend, now_us: int = (DAY + 100) * DAY_US, quarters: int = SLOTS_OF_DAY) -> int:
    assert isinstance(backend.store, SqliteStore)
    return backend.run(fold_all(backend.store, now_us, quarters))


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(STEPS, st.lists(QUERIES, min_size=1, max_size=12))
def test_columns_are_never_stale(steps: list[object], queries: list[SummaryQuery]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        both = (memory(Path(folder)), sqlite(Path(folder)))
        try:
            for step in steps:
                if isinstance(step, int):
                    fold(both[1], quarters=step)
                    continue
                assert isinstance(step, list)
                for backend in both:
                    if isinstance(step[0], Record):
                        append(backend, *step)
                    else:
                        adjust(backend, *step)
            report = both[1].run(both[1].ledger.check())
            assert report.problems == ()
            for query in queries:
                reference, answer = (backend.run(backend.ledger.summary(query)) for backend in both)
                assert answer == reference
        finally:
            for backend in both:
                backend.stop()


# ---------------------------------------------------------------- folding


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def on(day: int, record_id: str, **opened: object) -> Record:
    return record(record_id, opened={"created_at_us": day * DAY_US + SLOT_US, **opened})


def days(backend: Backend, now_us: int) -> list[int]:
    assert isinstance(backend.store, SqliteStore)
    return [one.day for one in backend.run(backend.store.days_to_fold(now_us, 1))]


def test_a_day_is_folded_once_it_is_closed_and_again_when_it_changed(backend: Backend) -> None:
    append(backend, on(DAY, "gen-1"), on(DAY + 1, "gen-2"))
    assert days(backend, (DAY + 1) * DAY_US + CLOSED_FOR_US - 1) == []
    assert days(backend, (DAY + 1) * DAY_US + CLOSED_FOR_US) == [DAY]
    later = (DAY + 9) * DAY_US
    assert days(backend, later) == [DAY + 1, DAY]
    assert fold(backend, later) == 2
    assert days(backend, later) == []
    append(backend, on(DAY + 5, "gen-3"))
    assert days(backend, later) == [DAY + 5]
    append(backend, on(DAY, "gen-4"))
    assert days(backend, later) == [DAY + 5, DAY]
    fold(backend, later)
    adjust(backend, adjustment("adj-1", "gen-2", 7))
    assert days(backend, later) == [DAY + 1]


def test_of_two_who_fold_a_day_one_does(backend: Backend) -> None:
    append(backend, *(on(DAY, f"gen-{number}", user=f"u{number}") for number in range(50)))
    store = backend.store
    assert isinstance(store, SqliteStore)
    later = (DAY + 9) * DAY_US
    (day,) = backend.run(store.days_to_fold(later, 1))

    async def both() -> list[bool]:
        return [*await asyncio.gather(store.fold(day, later), store.fold(day, later))]

    assert sorted(backend.run(both())) == [False, True]


def test_a_day_that_changes_while_it_is_folded_has_no_columns(backend: Backend) -> None:
    append(backend, on(DAY, "gen-1"))
    store = backend.store
    assert isinstance(store, SqliteStore)
    later = (DAY + 9) * DAY_US
    (day,) = backend.run(store.days_to_fold(later, 1))

    async def at_once() -> bool:
        folding = asyncio.ensure_future(store.fold(day, later))
        number = 0
        while not folding.done():
            await backend.ledger.close(on(DAY, f"late-{number}"))
            number += 1
        return folding.result()

    folded = backend.run(at_once())
    requests = backend.run(backend.ledger.summary(SummaryQuery(scope=SCOPE))).totals.requests
    append(backend, on(DAY, "gen-last"))
    assert backend.run(backend.ledger.summary(SummaryQuery(scope=SCOPE))).totals.requests == requests + 1
    assert days(backend, later) == [DAY]
    assert folded in (True, False)


def test_of_a_day_that_runs_what_is_closed_is_folded_when_it_is_much(backend: Backend) -> None:
    start_us = DAY * DAY_US
    append(
        backend,
        *(
            record(f"gen-{number}", opened={"created_at_us": start_us + number % 4 * SLOT_US, "user": f"u{number}"})
            for number in range(MANY_ROLLUPS)
        ),
    )
    assert isinstance(backend.store, SqliteStore)
    assert days(backend, start_us + 3 * SLOT_US + CLOSED_FOR_US) == []
    now_us = start_us + 4 * SLOT_US + CLOSED_FOR_US
    (day,) = backend.run(backend.store.days_to_fold(now_us, 1))
    assert (day.day, day.quarters) == (DAY, 4)
    assert backend.run(backend.store.fold(day, now_us))
    assert days(backend, now_us + SLOT_US) == []
    query = SummaryQuery(scope=SCOPE, group_by=(Dimension.USER, Dimension.DAY), limit=3)
    # What comes after the part that is folded changes nothing of it.
    append(backend, record("gen-x", opened={"created_at_us": start_us + 4 * SLOT_US, "user": "u1"}))
    assert days(backend, now_us + SLOT_US) == []
    answer = backend.run(backend.ledger.summary(replace(query, order=Order(by="requests", descending=True))))
    assert answer.rows[0].group[0] == "u1"
    assert (answer.groups, answer.totals.requests) == (MANY_ROLLUPS, MANY_ROLLUPS + 1)
    assert answer.other is not None
    assert answer.other.users == MANY_ROLLUPS - 3
    append(backend, record("gen-y", opened={"created_at_us": start_us, "user": "u1"}))
    assert days(backend, now_us) == [DAY]


def test_many_users_are_chosen_from_the_columns_of_all(backend: Backend) -> None:
    append(backend, *(on(DAY + n % 2, f"gen-{n}", user=f"u{n % 300}", requested_model="m") for n in range(900)))
    fold(backend)
    users = tuple(f"u{number}" for number in range(250))
    for group_by in ((), (Dimension.USER,), (Dimension.MODEL, Dimension.DAY), (Dimension.HOUR, Dimension.USER)):
        for models in ((), ("m",)):
            query = SummaryQuery(scope=SCOPE, filters=Filters(users=users, models=models), group_by=group_by)
            answer = backend.run(backend.ledger.summary(query))
            assert (answer.totals.requests, answer.totals.users) == (750, 250)


def test_a_user_that_nobody_knows_is_nobody(backend: Backend, tmp_path: Path) -> None:
    reference = memory(tmp_path)
    for each in (backend, reference):
        append(each, *(on(day, f"gen-{day}", user="a") for day in (DAY - 1, DAY, DAY + 1)))
    fold(backend)
    for group_by in ((), (Dimension.DAY,), (Dimension.USER,), (Dimension.MODEL, Dimension.HOUR)):
        query = SummaryQuery(scope=SCOPE, filters=Filters(users=("z",)), group_by=group_by)
        answer = backend.run(backend.ledger.summary(query))
        assert (answer.totals.requests, answer.totals.users) == (0, 0)
        assert answer == reference.run(reference.ledger.summary(query))
    reference.stop()


def test_a_user_of_several_models_is_one_user_of_an_hour(backend: Backend) -> None:
    asked = [(day, user, model) for day in (DAY - 1, DAY, DAY + 1) for user in ("a", "b", None) for model in "mnop"]
    append(backend, *(on(day, f"{day}{user}{model}", user=user, requested_model=model) for day, user, model in asked))
    assert fold(backend) == 3
    for group_by in ((Dimension.HOUR,), (Dimension.DAY,), (Dimension.WEEK, Dimension.HOUR)):
        query = SummaryQuery(scope=SCOPE, filters=Filters(models=("m", "n", "o")), group_by=group_by)
        answer = backend.run(backend.ledger.summary(query))
        assert [(row.totals.requests, row.totals.users) for row in answer.rows] == [(9, 2)] * 3


def test_columns_that_were_made_without_absences_count_the_same(backend: Backend) -> None:
    append(backend, *(on(DAY + n % 3, f"gen-{n}", user=f"u{n % 7}" if n % 7 else None) for n in range(90)))
    fold(backend)
    queries = [SummaryQuery(scope=SCOPE, group_by=(by,), timezone=zone) for by in TIME_DIMENSIONS for zone in ZONES]
    before = [backend.run(backend.ledger.summary(query)) for query in queries]
    assert isinstance(backend.store, SqliteStore)
    apsw.Connection(file_of(backend)).execute(f"DELETE FROM day_blocks WHERE kind = {int(Table.ABSENCES)}")
    assert [backend.run(backend.ledger.summary(query)) for query in queries] == before
    assert backend.run(backend.ledger.check()).problems == ()


def test_columns_are_made_anew_from_nothing(backend: Backend) -> None:
    append(backend, on(DAY, "gen-1"), on(DAY, "gen-2", organization_id="org_b"))
    assert fold(backend) == 2
    assert isinstance(backend.store, SqliteStore)
    backend.run(backend.store.unfold_all())
    assert fold(backend) == 2
    answer = backend.run(backend.ledger.summary(SummaryQuery(scope=SCOPE, group_by=tuple(TIME_DIMENSIONS)[:3])))
    assert answer.totals.requests == 1


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE rollups SET requests = requests + 1",
        "DELETE FROM day_blocks WHERE kind = 2",
        "UPDATE day_blocks SET data = (SELECT data FROM day_blocks AS other WHERE other.claim <> day_blocks.claim "
        "AND other.kind = 4) WHERE kind = 4",
        "UPDATE day_blocks SET data = (SELECT data FROM day_blocks AS other WHERE other.claim <> day_blocks.claim "
        "AND other.kind = day_blocks.kind)",
    ],
)
def test_the_check_tells_of_columns_that_differ(backend: Backend, tampering: str) -> None:
    append(backend, on(DAY, "gen-1"), on(DAY + 1, "gen-2"), on(DAY + 1, "gen-3", user="b"))
    fold(backend)
    assert backend.run(backend.ledger.check()).problems == ()
    assert isinstance(backend.store, SqliteStore)
    apsw.Connection(file_of(backend)).execute(tampering)
    assert "days have columns that differ" in "\n".join(backend.run(backend.ledger.check()).problems)
    apsw.Connection(file_of(backend)).execute("UPDATE rollups SET requests = 1 WHERE requests = 2")
    backend.run(backend.store.unfold_all())
    fold(backend)
    assert "columns" not in "\n".join(backend.run(backend.ledger.check()).problems)


def test_a_day_in_columns_is_not_counted_twice_at_the_edges(backend: Backend) -> None:
    append(backend, *(on(DAY + n, f"gen-{n}") for n in range(4)))
    fold(backend)
    filters = Filters(start_us=DAY * DAY_US + 1, end_us=(DAY + 3) * DAY_US + SLOT_US + 1)
    for users in ((), ("alice",)):
        query = SummaryQuery(scope=SCOPE, filters=replace(filters, users=users), group_by=(Dimension.DAY,))
        answer = backend.run(backend.ledger.summary(query))
        assert [row.totals.requests for row in answer.rows] == [1, 1, 1, 1]
        assert answer.totals.users == 1


def test_nothing_of_numpy_is_imported_before_there_are_columns() -> None:
    code = "import sys, arouter.wiring.gateway, arouter.cli.db; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ---------------------------------------------------------------- absences


@given(st.lists(st.sets(st.integers(0, SLOTS_OF_DAY - 1), min_size=1), min_size=1, max_size=12), st.booleans())
def test_absences_tell_who_is_there_between_any_two_quarters(there: list[set[int]], someone_is_nobody: bool) -> None:
    users = np.arange(len(there)) + (0 if someone_is_nobody else 1)
    masks = [sum(1 << slot for slot in slots) for slots in there]
    rows = {
        "user_no": users,
        "early": np.array([mask % 2**64 for mask in masks], dtype=np.uint64),
        "late": np.array([mask >> 64 for mask in masks], dtype=np.uint64),
    }
    counted = [slots for user, slots in zip(users.tolist(), there, strict=True) if user]
    present = present_between(unpack(pack(absences_of(rows), whole=True), ABSENCES), len(counted))
    for first in range(0, SLOTS_OF_DAY, 5):
        for beyond in range(first + 1, SLOTS_OF_DAY + 1):
            assert present[first, beyond] == sum(any(first <= slot < beyond for slot in slots) for slots in counted)


# ---------------------------------------------------------------- blocks

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 300)


@given(st.lists(NUMBERS, min_size=1, max_size=40), st.booleans())
def test_a_column_that_never_falls_is_what_it_was(numbers: list[int], whole: bool) -> None:
    values = np.array(sorted(numbers), dtype=np.int64)
    assert unpack(pack({"a": values}, whole=whole), {"a"})["a"].tolist() == values.tolist()


def test_users_in_their_order_take_no_more_than_a_byte_each() -> None:
    users = np.cumsum(np.random.default_rng(1).integers(1, 200, 5_000)) + 70_000
    block = pack({"user_no": users})
    assert len(block) < 1.1 * len(users)
    assert unpack(block, {"user_no"})["user_no"].tolist() == users.tolist()


@given(
    st.lists(st.tuples(NUMBERS, st.integers(0, 2**64 - 1), st.integers(0, 1), st.just(-7)), max_size=40), st.booleans()
)
def test_a_block_holds_its_columns(rows: list[tuple[int, int, int, int]], whole: bool) -> None:
    columns = {
        "a": np.array([row[0] for row in rows], dtype=np.int64),
        "b": np.array([row[1] for row in rows], dtype=np.uint64),
        "c": np.array([row[2] for row in rows], dtype=np.int64),
        "d": np.array([row[3] for row in rows], dtype=np.int64),
    }
    block = pack(columns, whole=whole)
    for names in ({"a", "b", "c", "d"}, {"b"}, {"d", "a"}, set[str]()):
        found = unpack(block, names)
        assert {name: column.tolist() for name, column in found.items()} == {
            name: columns[name].tolist() for name in names
        }


@given(
    st.lists(st.tuples(st.integers(0, 6) | st.integers(0, 2**40), NUMBERS, st.integers(0, 1)), min_size=1, max_size=40),
    st.booleans(),
)
def test_of_a_block_the_rows_of_one_user_can_be_read(rows: list[tuple[int, int, int]], whole: bool) -> None:
    columns = {
        name: np.array(values, dtype=np.int64)
        for name, values in zip(("user_no", "a", "b"), zip(*sorted(rows), strict=True), strict=True)
    }
    block = pack(columns | {"c": np.full(len(rows), 9, dtype=np.uint64)}, whole=whole)
    everything = unpack(block, {"user_no", "a", "b", "c"})
    for user in {user + more for user, _, _ in rows for more in (0, 1)}:
        mine = everything["user_no"] == user
        found = unpack(block, {"a", "b", "c"}, only=("user_no", user))
        assert {name: column.tolist() for name, column in found.items()} == {
            name: everything[name][mine].tolist() for name in ("a", "b", "c")
        }
