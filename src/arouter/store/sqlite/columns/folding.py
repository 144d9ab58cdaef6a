"""The roll-ups of one day of one organization as six tables of columns.

- `series`: by slot and everything but the user;
- `users`: by user alone, with the quarters of the day in which the user was there;
- `members`: by user and everything else but the slot, with those quarters;
- `rows`: the roll-ups themselves by user, in blocks, so that a few users are found without reading the others;
- `absences`: how many users were away for how long (`absences.py`);
- `shares`: the `members` once more, without the quarters and in small blocks, so that what a few users had of a day is
  found without reading the others, and without each of their roll-ups.

Slots are counted from the day's first. The quarters are two masks of 64 bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from arouter.store.buckets import SLOTS_OF_DAY
from arouter.store.sqlite.columns.absences import absences_of
from arouter.store.sqlite.columns.blocks import Column, pack
from arouter.store.sqlite.rollups import ROLLUP_KEY, ROLLUP_SUMS

DIMENSIONS = tuple(name for name in ROLLUP_KEY if name not in ("slot", "organization_no", "user_no"))
MASKS = ("early", "late")
_BITS = 64

ROWS_IN_BLOCK = 1_500
"""Of `rows`, at least; one user is never cut."""
SHARES_IN_BLOCK = 300
"""Of `shares`, in the same way."""
USERS_IN_BLOCK = 20_000
"""Of `users` and `members`: a block is written in one transaction."""


class Table(IntEnum):
    """As it is stored."""

    SERIES = 0
    USERS = 1
    MEMBERS = 2
    ROWS = 3
    ABSENCES = 4
    SHARES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    table: Table
    first_user_no: int
    """0 for `series` and `absences`."""
    data: bytes


def columns_of(rows: Sequence[Sequence[int]]) -> Mapping[str, Column]:
    """Rows of `ROLLUP_KEY` and `ROLLUP_SUMS` as columns."""
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(ROLLUP_KEY) + len(ROLLUP_SUMS))
    return {name: table[:, place] for place, name in enumerate(ROLLUP_KEY + ROLLUP_SUMS)}


def joined(parts: Sequence[Mapping[str, Column]]) -> Mapping[str, Column]:
    """Several pieces of one table as one."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def fold(rows: Mapping[str, Column]) -> Iterator[Block]:
    """The blocks of a day, from its roll-ups in any order. At least one."""
    slots = rows["slot"] % SLOTS_OF_DAY
    table = {name: rows[name] for name in (*DIMENSIONS, *ROLLUP_SUMS, "user_no")} | {"slot": slots}
    yield Block(table=Table.SERIES, first_user_no=0, data=pack(_grouped(table, ("slot", *DIMENSIONS))))
    table |= _masks(slots)
    users = _grouped(table, ("user_no",), masks=True)
    yield from _by_user(Table.USERS, users, USERS_IN_BLOCK)
    yield Block(table=Table.ABSENCES, first_user_no=0, data=pack(absences_of(users), whole=True))
    members = _grouped(table, ("user_no", *DIMENSIONS), masks=True)
    yield from _by_user(Table.MEMBERS, members, USERS_IN_BLOCK)
    shares = {name: column for name, column in members.items() if name not in MASKS}
    yield from _by_user(Table.SHARES, shares, SHARES_IN_BLOCK, whole=True)
    order = np.lexsort((slots, table["user_no"]))
    plain = {name: column[order] for name, column in table.items() if name not in MASKS}
    yield from _by_user(Table.ROWS, plain, ROWS_IN_BLOCK, whole=True)


def _grouped(table: Mapping[str, Column], key: Sequence[str], *, masks: bool = False) -> Mapping[str, Column]:
    """Rows of one key added up, in its order."""
    order = np.lexsort([table[name] for name in reversed(key)])
    keys = {name: table[name][order] for name in key}
    starts = starts_of([*keys.values()])
    grouped = {name: column[starts] for name, column in keys.items()}
    for name in ROLLUP_SUMS:
        grouped[name] = np.add.reduceat(table[name][order], starts)
    for name in MASKS if masks else ():
        grouped[name] = np.bitwise_or.reduceat(table[name][order], starts)
    return grouped


def starts_of(keys: Sequence[Column]) -> Column:
    """Where another key begins, of ordered ones; there is at least one row."""
    differs = np.zeros(len(keys[0]), dtype=bool)
    differs[0] = True
    for column in keys:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def _masks(slots: Column) -> dict[str, Column]:
    one, bit = np.uint64(1), slots.astype(np.uint64) % np.uint64(_BITS)
    early = slots < _BITS
    return {
        "early": np.where(early, one << bit, np.uint64(0)),
        "late": np.where(early, np.uint64(0), one << bit),
    }


def mask_of(first: int, beyond: int) -> tuple[np.uint64, np.uint64]:
    """The two masks of the slots from one to before another."""
    bits = (1 << beyond) - (1 << first)
    return np.uint64(bits & (1 << _BITS) - 1), np.uint64(bits >> _BITS)


def _by_user(table: Table, columns: Mapping[str, Column], rows: int, *, whole: bool = False) -> Iterator[Block]:
    """Cut into blocks of at least so many rows, unless it is the last, between users."""
    users = columns["user_no"]
    start = 0
    while start < len(users):
        end = start + rows
        end = len(users) if end >= len(users) else int(np.searchsorted(users, users[end - 1], side="right"))
        data = pack({name: column[start:end] for name, column in columns.items()}, whole=whole)
        yield Block(table=table, first_user_no=int(users[start]), data=data)
        start = end
