"""The sums that the records of a loaded day make, all at once and in the order of their tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import apsw
import numpy as np
import pyarrow as pa

from arouter.store.buckets import SLOT_US
from arouter.store.sqlite.archive.blocks import Numbers, numbers
from arouter.store.sqlite.archive.grouping import in_order
from arouter.store.sqlite.archive.sums import Grouping, first_measures
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, ROLLUP_KEY, ROLLUP_SUMS, SLOTS_OF_HOUR
from arouter.store.sqlite.statements import CHUNKS, insert

_STORED_ORDER = (
    "slot",
    "key_no",
    "user_no",
    "model_no",
    "requested_model_no",
    "provider_no",
    "endpoint_no",
    "status_no",
    "workspace_no",
)
"""Of the table of roll-ups within an organization, so that its rows are appended."""
_BY_KEY = ("requests", "cost_units", "cost_rest")


@dataclass(frozen=True, slots=True)
class Sums:
    """What is added to the tables of sums."""

    rollups: Numbers
    """A row for each, the columns of `ROLLUP_COLUMNS`."""
    by_key: Sequence[tuple[int, ...]]
    """Key, hour, requests, units and rest of the cost, when the last of the requests began."""
    by_own_key: Sequence[tuple[int, ...]]
    """The same of requests on own keys."""
    spans: Sequence[tuple[int, ...]]
    """Organization, user, key, workspace, when they were seen first and last."""


def sums_of(records: pa.RecordBatch, organization_no: int, grouping: Grouping) -> Sums:
    """Of the records of one organization in any order, which have columns of `columns.SCHEMA`; at least one.

    `grouping` tells the statuses only. Nothing of them is adjusted.
    """
    columns = {name: numbers(records, name) for name in _STORED_ORDER if name != "slot"}
    created = numbers(records, "created_at_us")
    columns["slot"] = created // SLOT_US
    measures = dict(zip(ROLLUP_SUMS, first_measures(records, grouping), strict=True))
    own = np.flatnonzero(numbers(records, "is_byok") == 1)
    rollups, last = _rollups(columns, measures, created, organization_no)
    of_rollups = {name: rollups[:, place] for place, name in enumerate(ROLLUP_COLUMNS)}
    of_own = {name: (columns | measures)[name][own] for name in ("key_no", "slot", *_BY_KEY)}
    return Sums(
        rollups,
        _by_key_and_hour(of_rollups, last),
        _by_key_and_hour(of_own, created[own]),
        _spans(columns, created, organization_no),
    )


def insert_numbers(
    connection: apsw.Connection, name: str, columns: tuple[str, ...], rows: Numbers, sums: tuple[str, ...]
) -> None:
    """As `statements.insert_rows`, of whole numbers in two dimensions."""
    start = 0
    for size in CHUNKS:
        sql = insert(name, columns, sums, size)
        while len(rows) - start >= size:
            connection.execute(sql, rows[start : start + size].ravel().tolist())
            start += size


def _rollups(
    columns: dict[str, Numbers], measures: dict[str, Numbers], created: Numbers, organization_no: int
) -> tuple[Numbers, Numbers]:
    """The rows, and of each when the last of its requests began."""
    order, starts = in_order([columns[name] for name in _STORED_ORDER])
    firsts = order[starts]
    made = np.empty((len(starts), len(ROLLUP_COLUMNS)), np.int64)
    for place, name in enumerate(ROLLUP_KEY):
        made[:, place] = organization_no if name == "organization_no" else columns[name][firsts]
    for place, name in enumerate(ROLLUP_SUMS, len(ROLLUP_KEY)):
        made[:, place] = np.add.reduceat(measures[name][order], starts)
    return made, np.maximum.reduceat(created[order], starts)


def _by_key_and_hour(columns: dict[str, Numbers], last: Numbers) -> Sequence[tuple[int, ...]]:
    keys = columns["key_no"], columns["slot"] // SLOTS_OF_HOUR
    if not len(keys[0]):
        return []
    order, starts = in_order(keys)
    added = [np.add.reduceat(columns[name][order], starts) for name in _BY_KEY]
    return _tuples([*(key[order[starts]] for key in keys), *added, np.maximum.reduceat(last[order], starts)])


def _spans(columns: dict[str, Numbers], created: Numbers, organization_no: int) -> Sequence[tuple[int, ...]]:
    known = np.flatnonzero(columns["user_no"])
    if not len(known):
        return []
    keys = [columns[name][known] for name in ("user_no", "key_no", "workspace_no")]
    order, starts = in_order(keys)
    times = created[known][order]
    seen = [np.minimum.reduceat(times, starts), np.maximum.reduceat(times, starts)]
    return _tuples([np.full(len(starts), organization_no), *(key[order[starts]] for key in keys), *seen])


def _tuples(columns: Sequence[Numbers]) -> Sequence[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))
