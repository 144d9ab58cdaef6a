"""Sealed records by their numbers, for a copy of the ledger."""

from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np

from arouter.store.sqlite.archive.blocks import numbers
from arouter.store.sqlite.archive.columns import to_rows, unpack
from arouter.store.sqlite.archive.reader import Found
from arouter.store.sqlite.names import to_json
from arouter.store.sqlite.statements import queries


def between(connection: apsw.Connection, first: int, last: int) -> Found:
    """Those from one number to another, both included. Their adjustments are not told."""
    sql = queries()["time_blocks_between"].format(unseen=queries()["unseen_days"])
    return _found(connection, sql, (first, last), lambda seqs: (seqs >= first) & (seqs <= last))


def of_seqs(connection: apsw.Connection, wanted: Sequence[int]) -> Found:
    """Those of these numbers that are sealed."""
    sql = queries()["time_blocks_of_seqs"].format(unseen=queries()["unseen_days"])
    chosen = np.array(wanted, np.int64)
    return _found(connection, sql, (to_json([*wanted]),), lambda seqs: np.isin(seqs, chosen))


def _found(connection: apsw.Connection, sql: str, values: tuple[object, ...], is_wanted: Any) -> Found:
    rows: list[list[Any]] = []
    tags: dict[object, Sequence[int]] = {}
    for present, size, data in connection.execute(sql, values):
        batch = unpack(present, size, data)
        mask = is_wanted(numbers(batch, "seq"))
        if mask.any():
            some, theirs = to_rows(batch.take(np.flatnonzero(mask)))
            rows += some
            tags |= theirs
    return Found(rows, tags)
