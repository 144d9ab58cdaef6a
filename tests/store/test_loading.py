"""A day that was loaded as blocks is as if its records had been closed one by one, and the day sealed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import ActivityQuery, Dimension, SummaryQuery
from arouter.domain.record import Record, Status
from arouter.store.buckets import DAY_US
from arouter.store.feed import BEGINNING
from arouter.store.sqlite.archive.columns import SCHEMA, own_id
from arouter.store.sqlite.archive.grouping import in_order
from arouter.store.sqlite.rows import NAMED, PLAIN, values_of
from tests.conformance.backends import Backend, file_of, sqlite
from tests.conformance.samples import NOON_US, SCOPE, adjust, adjustment, append, record
from tests.store.test_sealing import DAY, at, problems, seal, store_of


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def some_records() -> list[Record]:
    models = ("openai/gpt-5.4", "anthropic/claude", None)
    made = [
        at(
            number,
            model=models[number % 3],
            status=(Status.SUCCESS, Status.REJECTED)[number % 5 == 0],
            is_byok=number % 4 == 0,
            latency_us=None if number % 6 == 0 else number,
            raw_usage=b'{"x":1}' if number % 2 else None,
            opened={"user": None if number % 7 == 0 else f"u{number % 70}", "tags": ("a", "b")[: number % 3]},
        )
        for number in range(5_000)
    ]
    return [*made, record("gen-foreign", opened={"created_at_us": NOON_US + 5})]


async def table_of(backend: Backend, records: list[Record]) -> Any:
    """The records as the contract of loading has them, in any order."""
    archive = store_of(backend).archive
    texts = {text for one in records for text in (*values_of(one)[2], *one.opening.tags) if text is not None}
    numbers = await archive.name_numbers(sorted(texts))
    users = sorted({one.opening.user for one in records if one.opening.user is not None})
    user_numbers = dict(zip(users, await archive.user_numbers("org_a", users), strict=True))
    rows = []
    for one in reversed(records):
        _, plain, named, _ = values_of(one)
        row: dict[str, Any] = dict(zip(PLAIN, plain, strict=True))
        row |= {name: None if text is None else numbers[text] for name, text in zip(NAMED, named, strict=True)}
        row["id_random"] = own_id(one.opening.created_at_us, row["id"])
        row["id_text"] = row["id"] if row["id_random"] is None else None
        row["user_no"] = None if one.opening.user is None else user_numbers[one.opening.user]
        row["tags"] = [numbers[tag] for tag in one.opening.tags] or None
        rows.append(row)
    wanted = [field for field in SCHEMA if field.name not in ("seq", "written_at_us", "organization_no")]
    return pa.table({field.name: pa.array([row[field.name] for row in rows], field.type) for field in wanted})


def load(backend: Backend, records: list[Record], day: int = DAY) -> None:
    async def run() -> None:
        table = await table_of(backend, records)
        await store_of(backend).archive.load(table, organization_id="org_a", day=day)

    backend.run(run())


def rows_of(backend: Backend, table: str) -> list[Any]:
    """With texts instead of numbers, which were given out in another order."""
    names = "(SELECT text FROM names WHERE no = key_no)"
    columns = {
        "rollups": f"slot, {names}, (SELECT name FROM end_users WHERE no = user_no), "
        "(SELECT text FROM names WHERE no = model_no), (SELECT text FROM names WHERE no = status_no), requests, "
        "errors, total_tokens, cost_units, cost_rest, latency_us, requests_with_latency, requests_without_price",
        "key_hours": f"{names}, hour, requests, cost_units, cost_rest, last_used_us",
        "own_key_hours": f"{names}, hour, cost_units, cost_rest",
    }[table]
    connection = apsw.Connection(file_of(backend))
    return sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)


def test_a_loaded_day_is_as_if_it_had_been_recorded_and_sealed(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    recorded = sqlite(tmp_path / "other")
    records = some_records()
    append(recorded, *records)
    seal(recorded)
    append(backend, at(2 * 86_400))
    append(recorded, at(2 * 86_400))
    load(backend, records)
    append(backend, at(86_400), records[0])
    append(recorded, at(86_400))
    for each in (backend, recorded):
        adjust(each, adjustment("adj-1", records[17].opening.id, 3))
        assert problems(each) == ()
    for name in ("rollups", "key_hours", "own_key_hours"):
        assert rows_of(backend, name) == rows_of(recorded, name)
    for question in (
        ActivityQuery(scope=SCOPE, limit=6_000),
        ActivityQuery(scope=SCOPE, limit=40, descending=False),
    ):
        pages = [each.run(each.ledger.page(question)) for each in (backend, recorded)]
        assert pages[0] == pages[1]
    asked = SummaryQuery(scope=SCOPE, group_by=(Dimension.TAG, Dimension.USER))
    sums = [each.run(each.ledger.summary(asked)) for each in (backend, recorded)]
    assert sums[0] == sums[1]
    connection = apsw.Connection(file_of(backend))
    connection.execute("UPDATE time_blocks SET data = zeroblob(length(data)) WHERE no = 1")
    assert "their hash differs" in "\n".join(problems(backend))
    recorded.stop()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"created_at_us": NOON_US + 86_400_000_000}, "created_at_us must be between"),
        ({"input_tokens": -1}, "input_tokens must be between"),
        ({"status_no": None}, "status_no must be known"),
        ({"model_no": 99_999}, "model_no has a number that no name has"),
        ({"user_no": 99_999}, "user_no has a number that no user"),
        ({"id_random": None}, "either id_random or id_text"),
    ],
)
def test_a_table_that_breaks_the_contract_is_refused_whole(
    backend: Backend, changes: dict[str, Any], told: str
) -> None:
    async def run() -> None:
        table = await table_of(backend, [at(1), at(2)])
        for name, value in changes.items():
            field = SCHEMA.field(name)
            column = pa.array([value, table.column(name)[1].as_py()], field.type)
            table = table.set_column(table.schema.get_field_index(name), field, column)
        await store_of(backend).archive.load(table, organization_id="org_a", day=DAY)

    with pytest.raises(ValueError, match=told):
        backend.run(run())
    assert problems(backend) == ()
    assert backend.run(store_of(backend).status()).records == 0


def test_a_day_that_has_records_is_not_loaded_over(backend: Backend) -> None:
    append(backend, at(1))
    with pytest.raises(ValueError, match="has records already"):
        load(backend, [at(2)])
    seal(backend)
    with pytest.raises(ValueError, match="is sealed or has expired"):
        load(backend, [at(2)])
    with pytest.raises(ValueError, match="comes twice"):
        load(backend, [at(86_401), at(86_401)], DAY + 1)
    assert problems(backend) == ()


NUMBER = st.integers(0, 3) | st.integers(-(2**62), 2**62)


@given(st.lists(st.tuples(*[NUMBER] * 5), min_size=1, max_size=60))
def test_keys_are_ordered_and_grouped_as_tuples_are(rows: list[tuple[int, ...]]) -> None:
    order, starts = in_order([np.array(column, np.int64) for column in zip(*rows, strict=True)])
    assert sorted(order.tolist()) == list(range(len(rows)))
    ordered = [rows[place] for place in order.tolist()]
    assert ordered == sorted(rows)
    assert [ordered[start] for start in starts.tolist()] == sorted({*rows})


def test_keys_that_do_not_fit_into_one_number_are_ordered_too() -> None:
    """Ten columns of 97 different values each, and more rows than one column has values."""
    numbers = np.random.default_rng(1).integers(0, 97, (10, 5_000))
    numbers = np.concatenate([numbers, numbers[:, :100]], axis=1)
    order, starts = in_order([*numbers])
    rows = list(map(tuple, numbers.T.tolist()))
    ordered = [rows[place] for place in order.tolist()]
    assert ordered == sorted(rows)
    assert [ordered[start] for start in starts.tolist()] == sorted({*rows})


def test_a_loaded_day_is_copied_in_parts(backend: Backend) -> None:
    """It is one transaction, and more than a stretch may hold."""
    records = some_records()
    before = record("gen-before", opened={"created_at_us": NOON_US - 3 * DAY_US})
    behind = record("gen-behind", opened={"created_at_us": NOON_US + 3 * DAY_US})
    append(backend, before)
    load(backend, records)
    append(backend, behind)
    adjust(backend, adjustment("adj-1", records[7].opening.id, 5))
    found: list[Record] = []
    after, sizes = BEGINNING, []
    while (stretch := backend.run(backend.store.feed.after(after, limit=2_000))) is not None:
        changes = backend.run(backend.store.feed.read(stretch))
        assert len(changes.records) + len(changes.adjustments) == stretch.size
        found += [one.record for one in changes.records]
        sizes.append(stretch.size)
        after = stretch.until
    assert max(sizes) <= 2_000
    assert len(sizes) > 3
    assert {one.opening.id: one for one in found} == {one.opening.id: one for one in (*records, before, behind)}
    assert len(found) == len(records) + 2
    assert changes.adjustments[-1].target.record == records[7]
    assert backend.run(backend.store.feed.size_after(after)) == 0
