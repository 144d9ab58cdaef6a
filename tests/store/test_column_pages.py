"""Sealed records exported as columns are to the byte what the same records give as rows."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityQuery, Filters, Scope
from arouter.domain.record import Record
from arouter.engine.export import exported
from arouter.store.sqlite.sealed import DAY_US
from arouter.wire import export_forms
from arouter.wire.export_forms import Form
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import BARE, FULL, NOON_US, SCOPE, ZEROS, adjust, adjustment, append, key
from tests.store.test_retention import expire, organization
from tests.store.test_sealing import DAY, at, seal, store_of
from tests.store.test_sqlite_stateful import ADJUSTMENTS, CURSORS, FILTERS, RECORDS, SCOPES

LINES = (export_forms.ndjson, export_forms.csv, export_forms.JsonArray)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def export(backend: Backend, query: ActivityQuery, form: Form) -> bytes:
    async def run() -> bytes:
        return b"".join([bytes(piece.data) async for piece in exported(backend.ledger, query, form)])

    return backend.run(run())


def exports(backend: Backend, query: ActivityQuery) -> list[Any]:
    """In all formats; of Parquet what it holds, since where its groups of rows end is not told."""
    made: list[Any] = [export(backend, query, form()) for form in LINES]
    if not query.descending:
        made.append(export(backend, query, export_forms.FocusCsv()))
    file = export(backend, query, export_forms.Parquet({}))
    return [*made, pq.read_table(pa.BufferReader(file)).to_pylist()]


def columns_read(backend: Backend, query: ActivityQuery) -> int:
    """How many records come as columns."""

    class Counted(export_forms.Lines):
        records = 0

        def columns(self, batch: pa.RecordBatch) -> bytes:
            Counted.records += batch.num_rows
            return b""

    export(backend, query, Counted(b"", lambda _: b"", "encode_lines"))
    return Counted.records


QUERIES = st.builds(ActivityQuery, scope=SCOPES, filters=FILTERS, descending=st.booleans(), after=CURSORS)


def on_day(records: list[Record], days: list[int]) -> list[Record]:
    """The records spread over days, which the strategies put on the first."""
    spread = zip(records, days * len(records), strict=False)
    return [
        replace(one, opening=replace(one.opening, created_at_us=one.opening.created_at_us + day * DAY_US))
        for one, day in spread
    ]


@settings(max_examples=30, deadline=None)
@given(
    records=st.lists(RECORDS, min_size=1, max_size=25),
    later=st.lists(RECORDS, max_size=6),
    days=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    sealed_days=st.integers(1, 4),
    adjustments=st.lists(ADJUSTMENTS, max_size=8),
    questions=st.lists(QUERIES, min_size=2, max_size=4),
)
def test_an_export_of_sealed_days_is_that_of_rows(
    records: list[Record],
    later: list[Record],
    days: list[int],
    sealed_days: int,
    adjustments: list[Any],
    questions: list[ActivityQuery],
) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        plain, sealed = sqlite(Path(one)), sqlite(Path(other))
        for each in (plain, sealed):
            each.clock.now_us = 5
            append(each, *on_day(records, days))
        seal(sealed, sealed_days * DAY_US)
        for each in (plain, sealed):
            each.clock.now_us = 10
            adjust(each, *adjustments)
            append(each, *on_day(later, days))
        for question in questions:
            assert exports(sealed, question) == exports(plain, question)
        for each in (plain, sealed):
            each.stop()


EVERYTHING = ActivityQuery(scope=SCOPE)
BOTH_ORDERS = (EVERYTHING, replace(EVERYTHING, descending=False))


def twice(records: list[Record], tmp_path: Path) -> tuple[Backend, Backend]:
    """Two ledgers with the same records."""
    made = []
    for name in ("rows", "sealed"):
        (tmp_path / name).mkdir()
        made.append(sqlite(tmp_path / name))
        append(made[-1], *records)
    return made[0], made[1]


def test_every_field_comes_through_the_columns(tmp_path: Path) -> None:
    plain, sealed = twice([FULL, BARE, ZEROS, at(1), at(2)], tmp_path)
    for each in (plain, sealed):
        each.run(each.store.directory.add_key(key("prod", creator="carol"), secret="ab" * 32))
        adjust(each, adjustment("adj-1", FULL.opening.id, 7, price_source="invoice", price_version="v9"))
        adjust(each, adjustment("adj-2", BARE.opening.id, 5), adjustment("adj-3", ZEROS.opening.id, None))
    seal(sealed)
    for query in BOTH_ORDERS:
        assert columns_read(sealed, query) == 5
        assert columns_read(plain, query) == 0
        assert exports(sealed, query) == exports(plain, query)
    for each in (plain, sealed):
        each.stop()


def test_many_blocks_are_exported_in_both_orders_with_any_filter(tmp_path: Path) -> None:
    users = ("alice", "bob", None)
    records = [at(number, opened={"user": users[number % 3]}) for number in range(9_000)]
    # A microsecond that lies on the border of two blocks, with ids that tell no time.
    records += [
        replace(one, opening=replace(one.opening, id=f"twin-{number}"))
        for number, one in enumerate(records[4_090:4_100])
    ]
    plain, sealed = twice(records, tmp_path)
    seal(sealed)
    narrow = (
        Filters(),
        Filters(users=("bob",)),
        Filters(users=("bob", "alice"), unattributed=True),
        Filters(start_us=NOON_US + 100_000_000, end_us=NOON_US + 8_000_000_000),
    )
    for query in BOTH_ORDERS:
        for filters in narrow:
            asked = replace(query, filters=filters)
            assert columns_read(sealed, asked) > 1_000
            assert export(sealed, asked, export_forms.ndjson()) == export(plain, asked, export_forms.ndjson())
    for each in (plain, sealed):
        each.stop()


def test_rows_between_sealed_records_come_in_their_place(tmp_path: Path) -> None:
    records = [at(number) for number in range(0, 100, 2)]
    plain, sealed = twice(records, tmp_path)
    seal(sealed)
    for each in (plain, sealed):
        append(each, at(31), at(77))
    for query in BOTH_ORDERS:
        # What comes with a page of rows is as many records as that has room for.
        assert columns_read(sealed, query) > 0
        assert exports(sealed, query) == exports(plain, query)
    for each in (plain, sealed):
        each.stop()


def columns(backend: Backend, query: ActivityQuery) -> Any:
    return backend.run(store_of(backend).ledger.columns(query))


def test_a_page_of_columns_is_as_long_as_was_asked_for_and_leads_to_the_next(backend: Backend) -> None:
    append(backend, *(at(number) for number in range(10)))
    seal(backend)
    for query in BOTH_ORDERS:
        found: list[str] = []
        after = None
        while True:
            page = columns(backend, replace(query, limit=4, after=after))
            assert 1 <= page.batch.num_rows <= 4
            found += page.batch.column("id").to_pylist()
            after = page.next_cursor
            if after is None:
                break
            assert after.id == found[-1]
        assert found == sorted((at(number).opening.id for number in range(10)), reverse=query.descending)


def test_the_last_page_of_columns_leads_to_the_rows_behind_it(backend: Backend) -> None:
    append(backend, at(0), at(1))
    seal(backend)
    append(backend, at(2))
    page = columns(backend, replace(EVERYTHING, descending=False))
    assert page.batch.num_rows == 2
    assert page.next_cursor is not None
    assert columns(backend, replace(EVERYTHING, descending=False, after=page.next_cursor)) is None
    assert columns(backend, EVERYTHING) is None, "a row comes first"


def test_without_sealed_records_there_are_no_columns(backend: Backend) -> None:
    append(backend, at(0))
    assert columns(backend, EVERYTHING) is None
    seal(backend)
    assert columns(backend, replace(EVERYTHING, scope=Scope(organization_id="org_b"))) is None
    assert columns(backend, replace(EVERYTHING, filters=Filters(users=("nobody",)))) is None
    assert columns(backend, replace(EVERYTHING, filters=Filters(end_us=NOON_US))) is None
    assert columns(backend, replace(EVERYTHING, filters=Filters(written_until_us=0))) is None


def test_expired_days_are_not_exported(backend: Backend) -> None:
    organization(backend)
    append(backend, at(0), at(86_400), at(2 * 86_400))
    seal(backend)
    assert expire(backend, 1, (DAY + 2) * DAY_US) == (1, 1)
    page = columns(backend, replace(EVERYTHING, descending=False))
    assert page.batch.column("id").to_pylist() == [at(86_400).opening.id, at(2 * 86_400).opening.id]
