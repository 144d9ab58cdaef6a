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
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.money import LARGEST
from arouter.domain.record import Status
from arouter.domain.usage import METERS
from arouter.store.limits import LATEST_US, MOST
from arouter.store.sqlite.appender import Appender, already_there, last_batch
from arouter.store.sqlite.archive.blocks import (
    ROWS_BY_TIME,
    TIME_COLUMNS,
    Cuts,
    Numbers,
    cut_by_user,
    cuts_of,
    numbers,
)
from arouter.store.sqlite.archive.columns import SCHEMA, id_text
from arouter.store.sqlite.archive.loaded_sums import Sums, insert_numbers, sums_of
from arouter.store.sqlite.archive.sums import Grouping
from arouter.store.sqlite.archive.writer import Step, by_time, in_steps
from arouter.store.sqlite.folded import unfold
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, ROLLUP_SUMS, add_key_sums
from arouter.store.sqlite.rows import NAMED
from arouter.store.sqlite.sealed import DAY_US, Day, DayState
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.usage_days import set_usage_days
from arouter.store.sqlite.users import add_spans

_THREADS: Final = min(4, os.cpu_count() or 1)
"""That make blocks. Arrow takes and compresses without the interpreter's lock."""
_BLOCKS_IN_PIECE: Final = 8
"""Blocks by time that one job makes, or as many records by user."""
_PIECES_AHEAD: Final = _THREADS + 2
_GIVEN_HERE: Final = ("seq", "written_at_us", "organization_no")
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
    """A day's records that may be written."""

    organization_no: int
    day: int
    records: pa.RecordBatch
    """In any order; the columns of `SCHEMA`, in its order, that hold anything but unknown values and are not given
    here."""
    order: Numbers
    """Their places in the order of (created_at_us, id)."""


def prepare(table: pa.Table, organization_no: int, day: int) -> Prepared:
    """What can be done without the database. ValueError for a table that breaks the contract."""
    if not table.num_rows:
        raise ValueError("there are no records")
    columns: dict[str, pa.Array] = {}
    for field in SCHEMA:
        if field.name in table.schema.names and field.name not in _GIVEN_HERE:
            column = table.column(field.name)
            if column.null_count < len(column):
                columns[field.name] = column if column.type == field.type else column.cast(field.type)
    whole = pa.table(columns)
    _check_values(whole, day)
    # One piece: where it is one already nothing is copied.
    records = whole.combine_chunks().to_batches()[0]
    return Prepared(organization_no, day, records, _order_of(records))


def load(connection: apsw.Connection, appender: Appender, prepared: Prepared, now_us: int) -> None:
    """Write it within the caller's transaction. ValueError if the database has anything that stands against it."""
    _check_database(connection, prepared)
    last = last_batch(connection)
    first_seq, last_seq = last.last_seq + 1, last.last_seq + prepared.records.num_rows
    written_at_us = max(now_us, last.written_at_us)
    success, rejected = (appender.numbers.name(connection, each.value) for each in (Status.SUCCESS, Status.REJECTED))
    grouping = Grouping(ranges=None, columns=(), success=success, rejected=rejected)
    pieces = _Pieces(prepared, _add_day(connection, prepared, last_seq), first_seq, written_at_us)
    chain = hashlib.sha256(last.hash)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger-loading") as pool:
        # Only this thread writes, while the others make what comes next.
        sums = pool.submit(sums_of, prepared.records, prepared.organization_no, grouping)
        for step in _in_turn(pool, pieces.by_time()):
            step.write(connection)
            for block in step.blocks:
                data = block[_DATA]
                assert isinstance(data, bytes)
                chain.update(data)
        for step in _in_turn(pool, pieces.by_user()):
            step.write(connection)
        _add_sums(connection, sums.result())
    day = pieces.day
    set_usage_days(connection, appender.numbers, day.organization_no, day.day)
    batch = (last.no + 1, first_seq, last_seq, written_at_us, day.start_us, chain.digest(), day.no)
    connection.execute(queries()["add_batch_of_blocks"], batch)


# ---------------------------------------------------------------- checks


def _check_values(table: pa.Table, day: int) -> None:
    there = {*table.schema.names}
    for name in _NEVER_UNKNOWN:
        if name not in there or table.column(name).null_count:
            raise ValueError(f"{name} must be known of every record")
    ids = [table.column(name).is_valid() for name in ("id_random", "id_text") if name in there]
    if not ids or not pc.all(ids[0] if len(ids) == 1 else pc.xor(*ids)).as_py():
        raise ValueError("each record must have either id_random or id_text")
    _check_range(table, "created_at_us", day * DAY_US, (day + 1) * DAY_US - 1)
    _check_range(table, "completed_at_us", 0, LATEST_US)
    for name in _COUNTS:
        if name in there:
            _check_range(table, name, 0, MOST)
    for name in _COSTS:
        if name in there:
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
    records, there = prepared.records, {*prepared.records.schema.names}
    if "id_text" in there:
        found = already_there(connection, records.column("id_text").drop_null().to_pylist())
        if found:
            raise ValueError(f"{min(found)} is there already")
    for name in NAMED:
        if name in there and name not in _GIVEN_HERE:
            known = pc.unique(records.column(name)).drop_null().to_pylist()
            if len(fetch(connection, queries()["texts_of_names"], to_json(known))) != len(known):
                raise ValueError(f"{name} has a number that no name has")
    if "user_no" in there:
        users = pc.unique(records.column("user_no")).drop_null().to_pylist()
        if connection.execute(queries()["count_users"], (prepared.organization_no, to_json(users))).get != len(users):
            raise ValueError("user_no has a number that no user of the organization has")


def _order_of(records: pa.RecordBatch) -> Numbers:
    """By (created_at_us, id); ValueError for an id that comes twice."""
    created = numbers(records, "created_at_us")
    if "id_text" not in records.schema.names:
        order: Numbers = np.arange(len(created))
        if not (np.diff(created) > 0).all():
            keys = [("created_at_us", "ascending"), ("id_random", "ascending")]
            order = pc.sort_indices(records, sort_keys=keys).to_numpy().astype(np.int64)
            created = created[order]
            behind = np.flatnonzero(created[1:] == created[:-1]) + 1
            ids = records.column("id_random")
            if pc.any(pc.equal(ids.take(pa.array(order[behind])), ids.take(pa.array(order[behind - 1])))).as_py():
                raise ValueError("an id comes twice")
        return order
    texts = records.column("id_text").to_pylist()
    there = "id_random" in records.schema.names
    randoms = records.column("id_random").to_pylist() if there else [None] * len(texts)
    times = created.tolist()
    written = [id_text(at, own) if text is None else text for at, own, text in zip(times, randoms, texts, strict=True)]
    if len({*written}) < len(written):
        raise ValueError("an id comes twice")
    return np.array(sorted(range(len(written)), key=lambda place: (times[place], written[place])), np.int64)


# ---------------------------------------------------------------- writing


def _add_day(connection: apsw.Connection, prepared: Prepared, last_seq: int) -> Day:
    values = (prepared.organization_no, prepared.day, int(DayState.SEALED), last_seq, prepared.records.num_rows)
    connection.execute(queries()["add_sealed_day"], values)
    no = connection.last_insert_rowid()
    return Day(no=no, organization_no=prepared.organization_no, day=prepared.day, last_seq=last_seq)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The records in pieces, each with what is given here; a piece is made where its job runs."""

    prepared: Prepared
    day: Day
    first_seq: int
    written_at_us: int

    def by_time(self) -> Iterator[Callable[[], Sequence[Step]]]:
        for start in range(0, len(self.prepared.order), ROWS_BY_TIME * _BLOCKS_IN_PIECE):
            places = np.arange(start, min(start + ROWS_BY_TIME * _BLOCKS_IN_PIECE, len(self.prepared.order)))
            yield partial(self._blocks_by_time, places)

    def by_user(self) -> Iterator[Callable[[], Sequence[Step]]]:
        users = numbers(self.prepared.records, "user_no")[self.prepared.order]
        # Of one user the order of time is kept.
        order = np.argsort(users, kind="stable")
        cuts = cuts_of(users[order])
        first = 0
        for number, edge in enumerate(cuts.edges):
            if edge - cuts.edges[first] >= ROWS_BY_TIME * _BLOCKS_IN_PIECE or edge == len(order):
                places = order[cuts.edges[first] : edge]
                yield partial(self._blocks_by_user, places, cuts.some(first, number))
                first = number

    def _blocks_by_time(self, places: Numbers) -> Sequence[Step]:
        return [*by_time([self._piece(places)], self.day)]

    def _blocks_by_user(self, places: Numbers, cuts: Cuts) -> Sequence[Step]:
        day = self.day
        return [*in_steps(cut_by_user(self._piece(places), cuts, day.no, day.organization_no, day.day))]

    def _piece(self, places: Numbers) -> pa.RecordBatch:
        """The records in some places of the order of time."""
        records = self.prepared.records
        found = records.take(pa.array(self.prepared.order[places]))
        columns = dict(zip(records.schema.names, found.columns, strict=True))
        columns["seq"] = pa.array(self.first_seq + places)
        columns["written_at_us"] = pa.repeat(pa.scalar(self.written_at_us, pa.int64()), len(places))
        columns["organization_no"] = pa.repeat(pa.scalar(self.prepared.organization_no, pa.int32()), len(places))
        fields = [field for field in SCHEMA if field.name in columns]
        return pa.RecordBatch.from_arrays([columns[field.name] for field in fields], schema=pa.schema(fields))


def _in_turn(pool: ThreadPoolExecutor, jobs: Iterator[Callable[[], Sequence[Step]]]) -> Iterator[Step]:
    """What the jobs make, in their order; a few are ahead, so that memory is bounded."""
    waiting: deque[Future[Sequence[Step]]] = deque()
    for job in jobs:
        waiting.append(pool.submit(job))
        if len(waiting) > _PIECES_AHEAD:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _add_sums(connection: apsw.Connection, sums: Sums) -> None:
    insert_numbers(connection, "add_rollups", ROLLUP_COLUMNS, sums.rollups, ROLLUP_SUMS)
    add_key_sums(connection, sums.by_key, sums.by_own_key)
    add_spans(connection, sums.spans)
    unfold(connection, [tuple(sums.rollups[0].tolist())])
