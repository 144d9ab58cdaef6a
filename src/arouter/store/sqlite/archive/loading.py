"""A day of records loaded as blocks at once: for histories that are made, and for copies of ledgers.

The contract:

- The table has the columns of `columns.SCHEMA`, in any order; those that are missing are unknown for every record.
  `seq`, `written_at_us` and `organization_no` are given here, whatever the table says.
- All records were created on the one day of UTC, and of the organization there is neither a row nor a sealed or expired
  day for it yet. Texts and users are numbers that `Archivist.name_numbers` and `Archivist.user_numbers` gave.
- Afterwards the ledger is as if each record had been closed, in the order of (created_at_us, id), and the day sealed:
  names, roll-ups, what keys spent and the chain of hashes are right, and the check proves it. The one difference is
  that the day is one batch whose hash covers the bytes of its blocks, since to write every record out takes longer than
  everything else.
- It is one transaction, that takes as long as the day is large: about 6 µs a record. Meanwhile nothing else is written.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.money import LARGEST
from arouter.domain.record import Status
from arouter.domain.usage import METERS
from arouter.store.limits import LATEST_US, MOST
from arouter.store.sqlite.appender import Appender, already_there, last_batch
from arouter.store.sqlite.archive.blocks import ROWS_BY_TIME, TIME_COLUMNS, Numbers, numbers, user_blocks
from arouter.store.sqlite.archive.columns import SCHEMA, id_text
from arouter.store.sqlite.archive.sums import Grouping, rollups_of
from arouter.store.sqlite.archive.writer import ROWS_IN_PASS, by_time, in_steps
from arouter.store.sqlite.folded import unfold
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, ROLLUP_SUMS, add_key_sums
from arouter.store.sqlite.rows import NAMED
from arouter.store.sqlite.sealed import DAY_US, Day, DayState
from arouter.store.sqlite.statements import insert_rows, queries
from arouter.store.sqlite.usage_days import set_usage_days
from arouter.store.sqlite.users import add_spans

_NEVER_UNKNOWN: Final = (
    "request_id",
    "created_at_us",
    "completed_at_us",
    "streamed",
    "is_byok",
    "attempts",
    "workspace_no",
    "key_no",
    "endpoint_no",
    "status_no",
    "usage_source_no",
)
_COUNTS: Final = (*METERS, "reasoning_tokens", "latency_us", "time_to_first_token_us", "attempts")
_COSTS: Final = ("cost", "rated_cost", "reported_cost")
_DATA = TIME_COLUMNS.index("data")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A day's records in the order of (created_at_us, id), that may be written."""

    organization_no: int
    day: int
    records: pa.Table


def prepare(table: pa.Table, organization_no: int, day: int) -> Prepared:
    """What can be done without the database. ValueError for a table that breaks the contract."""
    columns = []
    for field in SCHEMA:
        if field.name in table.schema.names:
            column = table.column(field.name)
            columns.append(column if column.type == field.type else column.cast(field.type))
        elif field.name == "organization_no":
            columns.append(pa.chunked_array([pa.repeat(pa.scalar(organization_no, field.type), table.num_rows)]))
        else:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
    whole = pa.table(columns, schema=SCHEMA)
    whole = whole.set_column(
        SCHEMA.get_field_index("organization_no"),
        SCHEMA.field("organization_no"),
        pa.chunked_array([pa.repeat(pa.scalar(organization_no, pa.int32()), table.num_rows)]),
    )
    _check_values(whole, day)
    return Prepared(organization_no, day, _in_order(whole))


def load(connection: apsw.Connection, appender: Appender, prepared: Prepared, now_us: int) -> None:
    """Write it within the caller's transaction. ValueError if the database has anything that stands against it."""
    _check_database(connection, prepared)
    last = last_batch(connection)
    written_at_us = max(now_us, last.written_at_us)
    count = prepared.records.num_rows
    seqs = np.arange(last.last_seq + 1, last.last_seq + 1 + count, dtype=np.int64)
    records = prepared.records.set_column(SCHEMA.get_field_index("seq"), SCHEMA.field("seq"), pa.array(seqs))
    records = records.set_column(
        SCHEMA.get_field_index("written_at_us"),
        SCHEMA.field("written_at_us"),
        pa.repeat(pa.scalar(written_at_us, pa.int64()), count),
    )
    day = _add_day(connection, prepared, int(seqs[-1]))
    batches = records.combine_chunks().to_batches()
    chain = hashlib.sha256(last.hash)
    for step in by_time(_pieces(batches, ROWS_BY_TIME), day):
        step.write(connection)
        for block in step.blocks:
            data = block[_DATA]
            assert isinstance(data, bytes)
            chain.update(data)
    for step in in_steps(_blocks_by_user(records, day)):
        step.write(connection)
    _add_sums(connection, appender, batches, day)
    set_usage_days(connection, appender.numbers, day.organization_no, day.day)
    add_spans(connection, _spans(records))
    batch = (last.no + 1, last.last_seq + 1, int(seqs[-1]), written_at_us, day.start_us, chain.digest(), day.no)
    connection.execute(queries()["add_batch_of_blocks"], batch)


# ---------------------------------------------------------------- checks


def _check_values(table: pa.Table, day: int) -> None:
    if not table.num_rows:
        raise ValueError("there are no records")
    for name in _NEVER_UNKNOWN:
        if table.column(name).null_count:
            raise ValueError(f"{name} must be known of every record")
    if pc.any(pc.equal(pc.is_valid(table.column("id_random")), pc.is_valid(table.column("id_text")))).as_py():
        raise ValueError("each record must have either id_random or id_text")
    _check_range(table, "created_at_us", day * DAY_US, (day + 1) * DAY_US - 1)
    _check_range(table, "completed_at_us", 0, LATEST_US)
    for name in _COUNTS:
        _check_range(table, name, 0, MOST)
    for name in _COSTS:
        _check_range(table, name, -LARGEST, LARGEST)


def _check_range(table: pa.Table, name: str, least: int, most: int) -> None:
    found = pc.min_max(table.column(name)).as_py()
    if found["min"] is not None and not least <= found["min"] <= found["max"] <= most:
        raise ValueError(f"{name} must be between {least} and {most}")


def _check_database(connection: apsw.Connection, prepared: Prepared) -> None:
    day = (prepared.organization_no, prepared.day)
    place = (prepared.organization_no, prepared.day * DAY_US, (prepared.day + 1) * DAY_US)
    if connection.execute(queries()["is_known_day"], (*day, *day)).get:
        raise ValueError(f"day {prepared.day} is sealed or has expired")
    if connection.execute(queries()["next_day"], place).get is not None:
        raise ValueError(f"day {prepared.day} has records already")
    texts = prepared.records.column("id_text")
    if texts.null_count < len(texts):
        there = already_there(connection, texts.drop_null().to_pylist())
        if there:
            raise ValueError(f"{min(there)} is there already")
    for name in NAMED:
        known = [number for number in pc.unique(prepared.records.column(name)).to_pylist() if number is not None]
        if len(fetch(connection, queries()["texts_of_names"], to_json(known))) != len(known):
            raise ValueError(f"{name} has a number that no name has")
    users = pc.unique(prepared.records.column("user_no")).drop_null().to_pylist()
    if connection.execute(queries()["count_users"], (prepared.organization_no, to_json(users))).get != len(users):
        raise ValueError("user_no has a number that no user of the organization has")


def _in_order(table: pa.Table) -> pa.Table:
    """By (created_at_us, id); ValueError for an id that comes twice."""
    created = numbers(table, "created_at_us")
    if table.column("id_text").null_count == table.num_rows:
        if not (np.diff(created) > 0).all():
            order = pc.sort_indices(table, sort_keys=[("created_at_us", "ascending"), ("id_random", "ascending")])
            table = table.take(order)
        times, ids = table.column("created_at_us"), table.column("id_random")
        same = pc.and_(pc.equal(times[1:], times[:-1]), pc.equal(ids[1:], ids[:-1]))
        if pc.any(same).as_py():
            raise ValueError("an id comes twice")
        return table
    randoms, texts = table.column("id_random").to_pylist(), table.column("id_text").to_pylist()
    times = created.tolist()
    ids = [id_text(at, own) if text is None else text for at, own, text in zip(times, randoms, texts, strict=True)]
    if len({*ids}) < len(ids):
        raise ValueError("an id comes twice")
    return table.take(pa.array(sorted(range(len(ids)), key=lambda place: (times[place], ids[place]))))


# ---------------------------------------------------------------- writing


def _add_day(connection: apsw.Connection, prepared: Prepared, last_seq: int) -> Day:
    values = (prepared.organization_no, prepared.day, int(DayState.SEALED), last_seq, prepared.records.num_rows)
    connection.execute(queries()["add_sealed_day"], values)
    no = connection.last_insert_rowid()
    return Day(no=no, organization_no=prepared.organization_no, day=prepared.day, last_seq=last_seq)


def _pieces(batches: Sequence[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


def _blocks_by_user(records: pa.Table, day: Day) -> Iterator[tuple[object, ...]]:
    """In the order of users, as many at once as memory is to take."""
    users: Numbers = numbers(records, "user_no")
    order = np.argsort(users, kind="stable")
    buckets = users[order] // 64
    starts = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist()]
    edges = [0]
    for start in starts:
        if start - edges[-1] > ROWS_IN_PASS:
            edges.append(start)
    edges.append(len(users))
    for start, end in pairwise(edges):
        # Within a user the order of time is kept: places rise.
        chosen = records.take(pa.array(order[start:end])).combine_chunks().to_batches()
        for batch in chosen:
            yield from user_blocks(batch, day.no, day.organization_no, day.day)


def _add_sums(connection: apsw.Connection, appender: Appender, batches: Sequence[pa.RecordBatch], day: Day) -> None:
    success, rejected = (appender.numbers.name(connection, each.value) for each in (Status.SUCCESS, Status.REJECTED))
    grouping = Grouping(ranges=None, columns=(), success=success, rejected=rejected)
    sums = rollups_of(connection, batches, grouping)
    # In the order of the table, so that its rows are appended.
    order = ("slot", "key_no", "user_no", "model_no", "requested_model_no", "provider_no", "endpoint_no", "status_no")
    sums = sums.take(pc.sort_indices(sums, sort_keys=[(name, "ascending") for name in (*order, "workspace_no")]))
    columns: list[list[Any]] = [column.to_pylist() for column in sums.columns]
    insert_rows(connection, "add_rollups", ROLLUP_COLUMNS, list(zip(*columns, strict=True)), ROLLUP_SUMS)
    own = [batch.filter(pc.equal(batch.column(batch.schema.get_field_index("is_byok")), 1)) for batch in batches]
    add_key_sums(connection, _by_key_and_hour(sums), _by_key_and_hour(rollups_of(connection, own, grouping)))
    unfold(connection, [tuple(column[0] for column in columns)])


def _spans(records: pa.Table) -> list[tuple[int, ...]]:
    """When each user was seen, by key and workspace."""
    seen = records.filter(pc.is_valid(records.column("user_no")))
    keys = ["organization_no", "user_no", "key_no", "workspace_no"]
    spans = seen.group_by(keys, use_threads=False).aggregate([("created_at_us", "min"), ("created_at_us", "max")])
    columns = [spans.column(name).to_pylist() for name in (*keys, "created_at_us_min", "created_at_us_max")]
    return sorted(zip(*columns, strict=True))


def _by_key_and_hour(sums: pa.Table) -> Sequence[tuple[int, ...]]:
    """Key, hour, requests, units and rest of the cost."""
    hours = pa.array(numbers(sums, "slot") // 4)
    added = (
        sums.append_column("hour", hours)
        .group_by(["key_no", "hour"], use_threads=False)
        .aggregate([(name, "sum") for name in ("requests", "cost_units", "cost_rest")])
    )
    names = ("key_no", "hour", "requests_sum", "cost_units_sum", "cost_rest_sum")
    return list(zip(*(added.column(name).to_pylist() for name in names), strict=True))
