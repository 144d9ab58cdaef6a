"""Sealed records added up by group and user, without making a record of any."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.usage import INPUT_METERS, METERS, OUTPUT_METERS
from arouter.store.buckets import SLOT_US
from arouter.store.sqlite.archive.blocks import Numbers, numbers
from arouter.store.sqlite.archive.reader import adjusted_in, scan
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, ROLLUP_KEY, ROLLUP_SUMS
from arouter.store.sqlite.selection import Wanted

_MICRO: Final = 1_000_000
_ROWS_AT_ONCE: Final = 200_000
_COUNTED = tuple(meter for meter in METERS if meter in INPUT_METERS + OUTPUT_METERS)
_USER = "user"
TAG: Final = "tag"

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """What records are grouped by, in this order."""

    ranges: Sequence[tuple[int, int, int]] | None
    """Quarters of an hour, from one to before another, and the number of their bucket; rising. None without times."""
    columns: tuple[str, ...]
    """Columns of numbers, or `TAG`: a record is in the group of each of its tags, and in that of 0 if it has none."""
    success: int
    rejected: int
    """The numbers of the two statuses."""


def grouped(
    connection: apsw.Connection, wanted: Wanted, grouping: Grouping, check: Callable[[], None]
) -> list[list[int]]:
    """For each group and each of its users: the numbers of the group, the user or 0, the values of `ROLLUP_SUMS`.

    `check` is called for each block, and raises what ends it early.
    """
    names = [f"group{place}" for place in range((grouping.ranges is not None) + len(grouping.columns))] + [_USER]
    waiting: list[pa.Table] = []
    rows = 0
    for batch in scan(connection, wanted):
        check()
        keys, places = _keys(batch, grouping)
        sums = [each[places] for each in measures(connection, batch, grouping)]
        columns = [*keys, numbers(batch, "user_no")[places], *sums]
        waiting.append(pa.table([pa.array(each) for each in columns], names=[*names, *ROLLUP_SUMS]))
        rows += len(places)
        if rows > _ROWS_AT_ONCE:
            waiting = [_added(waiting, names)]
            # As long as there are many groups, twice as many records are waited for as there are of those.
            rows = min(_ROWS_AT_ONCE // 2, waiting[0].num_rows)
    if not waiting:
        return []
    added = _added(waiting, names)
    return [list(row) for row in zip(*(column.to_pylist() for column in added.columns), strict=True)]


def rollups_of(connection: apsw.Connection, batches: Iterable[pa.RecordBatch], grouping: Grouping) -> pa.Table:
    """The roll-ups that records make: the columns of `ROLLUP_COLUMNS`. `grouping` tells the statuses only."""
    waiting: list[pa.Table] = []
    rows = 0
    for batch in batches:
        keys = [
            numbers(batch, "created_at_us") // SLOT_US if name == "slot" else numbers(batch, name)
            for name in ROLLUP_KEY
        ]
        columns = [*keys, *measures(connection, batch, grouping)]
        waiting.append(pa.table([pa.array(each) for each in columns], names=[*ROLLUP_COLUMNS]))
        rows += batch.num_rows
        if rows > 5 * _ROWS_AT_ONCE:
            waiting = [_added(waiting, ROLLUP_KEY)]
            rows = 0
    return _added(waiting or [pa.table({name: pa.array([], pa.int64()) for name in ROLLUP_COLUMNS})], ROLLUP_KEY)


def latencies(
    connection: apsw.Connection, wanted: Wanted, grouping: Grouping, check: Callable[[], None]
) -> Iterator[list[int]]:
    """For each record with a latency and each of its groups: the numbers of the group, the latency, `seq`."""
    for batch in scan(connection, wanted):
        check()
        keys, places = _keys(batch, grouping)
        known = _known(batch, "latency_us")[places]
        columns = [*keys, numbers(batch, "latency_us")[places], numbers(batch, "seq")[places]]
        yield from map(list, zip(*(column[known].tolist() for column in columns), strict=True))


def measures(connection: apsw.Connection, batch: pa.RecordBatch, grouping: Grouping) -> list[Numbers]:
    """What each record adds to each of `ROLLUP_SUMS`, by the cost that holds."""
    cost, priced = numbers(batch, "cost").copy(), _known(batch, "cost")
    adjusted = adjusted_in(connection, batch)
    if len(adjusted.places):
        cost[adjusted.places] = [0 if each is None else each for each in adjusted.costs]
        priced[adjusted.places] = [each is not None for each in adjusted.costs]
    return _measures(batch, grouping, cost, priced)


def first_measures(batch: pa.RecordBatch, grouping: Grouping) -> list[Numbers]:
    """The same of records that nobody can have adjusted yet."""
    return _measures(batch, grouping, numbers(batch, "cost"), _known(batch, "cost"))


def _measures(batch: pa.RecordBatch, grouping: Grouping, cost: Numbers, priced: Mask) -> list[Numbers]:
    status = numbers(batch, "status_no")
    prompt, completion = (_sum(batch, meters) for meters in (INPUT_METERS, OUTPUT_METERS))
    counted = np.zeros(batch.num_rows, np.bool_)
    for meter in _COUNTED:
        counted |= _known(batch, meter)
    units = np.sign(cost) * (np.abs(cost) // _MICRO)
    return [
        np.ones(batch.num_rows, np.int64),
        _number(status != grouping.success),
        prompt,
        completion,
        _sum(batch, ("cache_read_tokens", "cache_read_audio_tokens")),
        numbers(batch, "reasoning_tokens"),
        prompt + completion,
        units,
        cost - units * _MICRO,
        _number(~counted & (status != grouping.rejected)),
        _number(~priced & (prompt + completion > 0)),
        numbers(batch, "latency_us"),
        _number(_known(batch, "latency_us")),
    ]


def _keys(batch: pa.RecordBatch, grouping: Grouping) -> tuple[list[Numbers], Numbers]:
    """The numbers of the groups, and of which record each is: one that has several tags comes several times."""
    places: Numbers = np.arange(batch.num_rows)
    tags = None
    if TAG in grouping.columns:
        places, tags = _each_tag(batch)
    keys: list[Numbers] = []
    if grouping.ranges is not None:
        slots = numbers(batch, "created_at_us")[places] // SLOT_US
        starts, ends, buckets = (np.array(each, np.int64) for each in zip(*grouping.ranges, strict=True))
        found = np.searchsorted(starts, slots, side="right") - 1
        within = (found >= 0) & (slots < ends[found])
        places, found = places[within], found[within]
        tags = None if tags is None else tags[within]
        keys.append(buckets[found])
    for column in grouping.columns:
        keys.append(tags if column == TAG and tags is not None else numbers(batch, column)[places])
    return keys, places


def _each_tag(batch: pa.RecordBatch) -> tuple[Numbers, Numbers]:
    """The places of records, once for each of their different tags, and the tags."""
    place = batch.schema.get_field_index("tags")
    if place < 0:
        return np.arange(batch.num_rows), np.zeros(batch.num_rows, np.int64)
    lists = batch.column(place)
    parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    tags = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
    pairs = np.unique(np.stack([parents, tags], axis=1).astype(np.int64), axis=0)
    without = np.setdiff1d(np.arange(batch.num_rows), pairs[:, 0])
    return np.concatenate([pairs[:, 0], without]), np.concatenate([pairs[:, 1], np.zeros(len(without), np.int64)])


def _added(tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
    added = (
        pa.concat_tables(tables)
        .group_by([*names], use_threads=False)
        .aggregate([(name, "sum") for name in ROLLUP_SUMS])
    )
    return added.select([*names, *(f"{name}_sum" for name in ROLLUP_SUMS)]).rename_columns([*names, *ROLLUP_SUMS])


def _sum(batch: pa.RecordBatch, columns: Sequence[str]) -> Numbers:
    made: Numbers = np.zeros(batch.num_rows, np.int64)
    for column in columns:
        if batch.schema.get_field_index(column) >= 0:
            made = made + numbers(batch, column)
    return made


def _known(batch: pa.RecordBatch, column: str) -> Mask:
    place = batch.schema.get_field_index(column)
    if place < 0:
        return np.zeros(batch.num_rows, np.bool_)
    values = batch.column(place)
    if not values.null_count:
        return np.ones(batch.num_rows, np.bool_)
    made: Mask = values.is_valid().to_numpy(zero_copy_only=False).copy()
    return made


def _number(mask: Mask) -> Numbers:
    return mask.astype(np.int64)
