"""Rows of whole numbers, added up by their keys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from arouter.domain.errors import InvalidRequest
from arouter.store.sqlite.columns.blocks import Column
from arouter.store.sqlite.columns.folding import starts_of
from arouter.store.sqlite.rollups import ROLLUP_SUMS

MOST_GROUPS = 2_000_000
"""More than these are not held in memory."""
_MOST_DENSE = 3_000_000
"""Users up to this number are added up in place."""
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

    def rows(self, chosen: Column) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
        """Key and sums of some rows."""
        columns = [column[chosen].tolist() for column in (*self.keys, *self.sums)]
        size = len(self.keys)
        for row in zip(*columns, strict=True):
            yield row[:size], row[size:]

    def users(self) -> int:
        """How many there are."""
        assert self.user is not None
        found = np.unique(self.keys[self.user])
        return int(np.count_nonzero(found))

    def users_besides(self, shown: Sequence[int]) -> int:
        """How many users have a group besides these, one of which each of `shown` stands for."""
        assert self.user is not None
        found, counts = np.unique(self.keys[self.user], return_counts=True)
        users, groups = np.unique(np.array(shown, dtype=np.int64), return_counts=True)
        left = counts.copy()
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
    _dense: Column | None = None
    _bucket: int = 0

    def add(self, keys: Sequence[Column], sums: Sequence[Column]) -> None:
        if not len(sums[0]):
            return
        if self.keys == 2 and self.user == 1 and self._fits(keys[1]) and _is_one(keys[0]) and _is_rising(keys[1]):
            self._add_in_place(int(keys[0][0]), keys[1], sums)
            return
        self._keep(*_grouped(keys, sums))

    def add_rows(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
        if rows:
            table = np.array([(*key, *sums) for key, sums in rows], dtype=np.int64)
            columns = [table[:, place] for place in range(table.shape[1])]
            self._keep(*_grouped(columns[: self.keys], columns[self.keys :]))

    def added(self) -> Added:
        """Everything."""
        self._settle()
        self._compact()
        if not self._parts:
            nothing = np.zeros(0, dtype=np.int64)
            return Added([nothing] * self.keys, [nothing] * _WIDTH, self.user)
        keys, sums = self._parts[0]
        return Added(keys, sums, self.user)

    # ------------------------------------------------------------ users alone

    def _fits(self, users: Column) -> bool:
        return int(users[-1]) < _MOST_DENSE

    def _add_in_place(self, bucket: int, users: Column, sums: Sequence[Column]) -> None:
        """Each user comes once, so that adding at their places is exact."""
        if self._dense is not None and self._bucket != bucket:
            self._settle()
        size = int(users[-1]) + 1
        if self._dense is None:
            self._dense = np.zeros((_WIDTH, size), dtype=np.int64)
            self._bucket = bucket
        elif self._dense.shape[1] < size:
            wider = np.zeros((_WIDTH, size + size // 4), dtype=np.int64)
            wider[:, : self._dense.shape[1]] = self._dense
            self._dense = wider
        for place, column in enumerate(sums):
            if _is_one(column):
                value = column[0]
                if value:
                    self._dense[place][users] += value
            else:
                self._dense[place][users] += column

    def _settle(self) -> None:
        if self._dense is not None:
            dense, self._dense = self._dense, None
            users = np.flatnonzero(dense[0])
            buckets = np.full(len(users), self._bucket)
            self._keep([buckets, users], [column[users] for column in dense])

    # ------------------------------------------------------------ anything

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
        if len(self._parts) > 1:
            keys = [np.concatenate(each) for each in zip(*(keys for keys, _ in self._parts), strict=True)]
            sums = [np.concatenate(each) for each in zip(*(sums for _, sums in self._parts), strict=True)]
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
