"""Rows of whole numbers, added up by their keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from arouter.domain.errors import InvalidRequest
from arouter.store.sqlite.columns.blocks import Column
from arouter.store.sqlite.columns.folding import starts_of
from arouter.store.sqlite.rollups import ROLLUP_SUMS

MOST_GROUPS = 2_000_000
"""More than these are not held in memory."""
_FEW_ROWS = 500
"""So few of a day are grouped with those of other days: each step costs by the column, however few rows there are."""
_WIDTH = len(ROLLUP_SUMS)


@dataclass(frozen=True, slots=True)
class Added:
    """One row for each group; the columns of keys, and of `ROLLUP_SUMS`."""

    keys: Sequence[Column]
    sums: Sequence[Column]
    user: int | None
    """Which of the keys is the user."""

    def __len__(self) -> int:
        return len(self.keys[0])

    @property
    def total(self) -> Sequence[int]:
        return [int(column.sum(dtype=np.int64)) for column in self.sums]

    def columns(self, chosen: Column) -> tuple[Sequence[list[int]], Sequence[list[int]]]:
        """Keys and sums of some rows."""
        return [column[chosen].tolist() for column in self.keys], [column[chosen].tolist() for column in self.sums]

    def users(self) -> int:
        """How many there are."""
        assert self.user is not None
        users = self.keys[self.user]
        if not _is_rising(users):
            users = np.sort(users)
            users = users[starts_of([users])] if len(users) else users
        return int(np.count_nonzero(users))

    def users_besides(self, shown: Sequence[int]) -> int:
        """How many users have a group besides these, one of which each of `shown` stands for."""
        assert self.user is not None
        ordered = self.keys[self.user]
        if not _is_rising(ordered):
            ordered = np.sort(ordered)
        starts = starts_of([ordered])
        found, left = ordered[starts], np.diff(np.append(starts, len(ordered)))
        users, groups = np.unique(np.array(shown, dtype=np.int64), return_counts=True)
        left[np.searchsorted(found, users)] -= groups
        return int(np.count_nonzero((left > 0) & (found > 0)))


@dataclass(slots=True)
class Adder:
    """Takes rows day by day. InvalidRequest if they have too many groups."""

    keys: int
    user: int | None
    """Which of them is the user."""
    _parts: list[tuple[list[Column], list[Column]]] = field(default_factory=list)
    _rows: int = 0

    def add(self, keys: Sequence[Column], sums: Sequence[Column]) -> None:
        if not len(sums[0]):
            return
        if len(sums[0]) <= _FEW_ROWS:
            self._keep([*keys], [*sums])
        else:
            self._keep(*_grouped(keys, sums))

    def add_rows(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
        if rows:
            table = np.array([(*key, *sums) for key, sums in rows], dtype=np.int64)
            columns = [table[:, place] for place in range(table.shape[1])]
            self._keep(columns[: self.keys], columns[self.keys :])

    def added(self) -> Added:
        """Everything."""
        self._compact()
        if not self._parts:
            nothing = np.zeros(0, dtype=np.int64)
            return Added([nothing] * self.keys, [nothing] * _WIDTH, self.user)
        keys, sums = self._parts[0]
        return Added(keys, sums, self.user)

    def _keep(self, keys: list[Column], sums: list[Column]) -> None:
        self._parts.append((keys, sums))
        self._rows += len(keys[0])
        if self._rows > MOST_GROUPS:
            self._compact()
            if self._rows > MOST_GROUPS:
                raise InvalidRequest(
                    f"The summary has more than {MOST_GROUPS:,} groups. Ask for a shorter range, for fewer dimensions "
                    "in `group_by`, or for some users.",
                    code="query_too_heavy",
                    param="group_by",
                )

    def _compact(self) -> None:
        if self._parts:
            keys = [_joined(each) for each in zip(*(keys for keys, _ in self._parts), strict=True)]
            sums = [_joined(each) for each in zip(*(sums for _, sums in self._parts), strict=True)]
            self._parts = [_grouped(keys, sums)]
            self._rows = len(self._parts[0][0][0])


def _grouped(keys: Sequence[Column], sums: Sequence[Column]) -> tuple[list[Column], list[Column]]:
    """One row for each key, in the order of keys."""
    varying = [column for column in keys if not _is_one(column)]
    if not varying:
        return [column[:1].astype(np.int64) for column in keys], [
            column.sum(dtype=np.int64, keepdims=True) for column in sums
        ]
    if not _is_ordered(varying):
        order = np.lexsort(varying[::-1])
        keys = [column if _is_one(column) else column[order] for column in keys]
        sums = [column if _is_one(column) else column[order] for column in sums]
        varying = [column for column in keys if not _is_one(column)]
    starts = starts_of(varying)
    if len(starts) == len(keys[0]):
        return [column.astype(np.int64) for column in keys], [column.astype(np.int64) for column in sums]
    return (
        [column[starts].astype(np.int64) for column in keys],
        [np.add.reduceat(column, starts, dtype=np.int64) for column in sums],
    )


def _joined(parts: Sequence[Column]) -> Column:
    """One after the other, in 64 bits: they have different types."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, dtype=np.int64)


def _is_one(column: Column) -> bool:
    """Whether it has one value by its make."""
    return column.strides == (0,) or len(column) == 1


def _is_rising(column: Column) -> bool:
    return bool((column[1:] > column[:-1]).all())


def _is_ordered(keys: Sequence[Column]) -> bool:
    """Whether the rows are in the order of their keys already, as far as that is quickly told."""
    if len(keys) == 1:
        return bool((keys[0][1:] >= keys[0][:-1]).all())
    # The last that differs decides; from the last key to the first.
    fine = np.ones(len(keys[0]) - 1, dtype=bool)
    for column in reversed(keys):
        left, right = column[:-1], column[1:]
        fine = (left < right) | ((left == right) & fine)
    return bool(fine.all())
