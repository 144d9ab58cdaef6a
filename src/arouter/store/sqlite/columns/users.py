"""Distinct users of groups, over days. A user of two days is one user: what is counted are sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from arouter.domain.errors import InvalidRequest
from arouter.store.buckets import SLOTS_OF_DAY
from arouter.store.sqlite.columns.absences import present_between
from arouter.store.sqlite.columns.blocks import Column
from arouter.store.sqlite.columns.folding import mask_of, starts_of
from arouter.store.sqlite.columns.tables import Rows

MOST_BYTES = 400_000_000
"""Of the sets that are held at once."""

Key = tuple[int, ...]
"""A bucket and the numbers of the other dimensions."""
Counted = tuple[Mapping[Key, int], int]
"""By group, and altogether."""


@dataclass(slots=True)
class PairCounter:
    """Of few users: the sets themselves."""

    _users: dict[Key, set[int]] = field(default_factory=dict)

    def add(self, keys: Sequence[Column], users: Column) -> None:
        if not len(users):
            return
        columns = [*keys, users]
        order = np.lexsort([column for column in reversed(columns) if column.strides != (0,)] or [users])
        columns = [column[order] for column in columns]
        starts = starts_of(columns)
        for *key, user in zip(*(column[starts].tolist() for column in columns), strict=True):
            self._add(tuple(key), user)

    def add_pairs(self, pairs: Sequence[tuple[Sequence[int], int]]) -> None:
        for key, user in pairs:
            self._add(tuple(key), user)

    def counted(self) -> Counted:
        everyone: set[int] = set().union(*self._users.values())
        return {key: len(users) for key, users in self._users.items()}, len(everyone)

    def _add(self, key: Key, user: int) -> None:
        if user:
            self._users.setdefault(key, set()).add(user)


class UserCounter:
    """Of any number: users that a bucket has in one day only are counted there; of the others there is a flag for
    each user, until the last day of the bucket.

    Days come in their order. InvalidRequest if there would be too many flags.
    """

    def __init__(self, beyond: int, buckets: Mapping[int, Column], elsewhere: set[int]) -> None:
        """`beyond` is greater than any user; `buckets` tell the bucket of each slot of each day; `elsewhere` are those
        that have users outside of these days."""
        self._beyond = beyond
        self._segments = {day: _segments(each) for day, each in buckets.items()}
        self._last: dict[int, int] = {}
        self._shared = {*elsewhere}
        for day, segments in self._segments.items():
            for bucket in {bucket for _, _, bucket in segments}:
                if bucket in self._last:
                    self._shared.add(bucket)
                self._last[bucket] = day
        self._flags: dict[Key, Column] = {}
        self._counts: dict[Key, int] = {}
        self._everyone = np.zeros(beyond, dtype=bool)

    def add_user(self, key: Key, user: int) -> None:
        self._of(key)[user] = True
        self._everyone[user] = True

    def add_day(self, day: int, keys: Sequence[Column], rows: Rows) -> None:
        """`keys` without the bucket; rows by user, with the two masks."""
        users = rows["user_no"]
        if not len(users):
            return
        self._everyone[users] = True
        varying = [column for column in keys if column.strides != (0,)]
        order = np.lexsort(varying[::-1]) if varying else None
        if order is not None:
            users = users[order]
            keys = [column[order] for column in keys]
        early, late = (rows[name] if order is None else rows[name][order] for name in ("early", "late"))
        starts = starts_of((varying and [column for column in keys if column.strides != (0,)]) or [users[:1]])
        ends = [*starts[1:].tolist(), len(users)]
        for start, end in zip(starts.tolist(), ends, strict=True):
            numbers = tuple(int(column[start]) for column in keys)
            part = slice(start, end)
            for first, beyond, bucket in self._segments[day]:
                self._add((bucket, *numbers), _present(users[part], early[part], late[part], first, beyond))
        self._finish(day)

    def has_shared_buckets(self, day: int) -> bool:
        """Whether the day has a bucket that others have too: then the masks are needed."""
        return any(bucket in self._shared for _, _, bucket in self._segments[day])

    def add_everybody(self, day: int, rows: Rows, absences: Rows) -> None:
        """A day without further keys: one row for each user, with the masks if buckets are shared."""
        users = rows["user_no"]
        if not len(users):
            return
        self._everyone[users] = True
        present = present_between(absences, len(users) - int(users[0] == 0))
        for first, beyond, bucket in self._segments[day]:
            if bucket in self._shared:
                self._add((bucket,), _present(users, rows["early"], rows["late"], first, beyond))
            elif present[first, beyond]:
                self._counts[bucket,] = self._counts.get((bucket,), 0) + int(present[first, beyond])
        self._finish(day)

    def counted(self) -> Counted:
        for key, flags in self._flags.items():
            self._counts[key] = self._counts.get(key, 0) + int(flags[1:].sum())
        self._flags = {}
        return self._counts, int(self._everyone[1:].sum())

    def _add(self, key: Key, users: Column) -> None:
        if not len(users):
            return
        if key[0] in self._shared:
            self._of(key)[users] = True
        else:
            # Of one user there may be several rows, one after the other; 0 is none.
            different = 1 + int(np.count_nonzero(users[1:] != users[:-1])) - int(users[0] == 0)
            self._counts[key] = self._counts.get(key, 0) + different

    def _of(self, key: Key) -> Column:
        flags = self._flags.get(key)
        if flags is None:
            if (len(self._flags) + 1) * self._beyond > MOST_BYTES:
                raise InvalidRequest(
                    "There are too many groups and users to count the users of each. Leave `users` out of `metrics`, "
                    "or ask for fewer dimensions in `group_by`.",
                    code="query_too_heavy",
                    param="metrics",
                )
            flags = self._flags[key] = np.zeros(self._beyond, dtype=bool)
        return flags

    def _finish(self, day: int) -> None:
        """Count what ends with a day."""
        for _, _, bucket in self._segments[day]:
            if bucket in self._shared and self._last[bucket] == day:
                for key in [key for key in self._flags if key[0] == bucket]:
                    self._counts[key] = int(self._flags.pop(key)[1:].sum())


def _segments(buckets: Column) -> list[tuple[int, int, int]]:
    """The slots of a day from one to before another, and their bucket."""
    starts = starts_of([buckets]).tolist()
    return [(start, end, int(buckets[start])) for start, end in zip(starts, [*starts[1:], SLOTS_OF_DAY], strict=True)]


def _present(users: Column, early: Column, late: Column, first: int, beyond: int) -> Column:
    """Those who are there in these slots."""
    present: Column = users if beyond - first == SLOTS_OF_DAY else users[_is_there(early, late, first, beyond)]
    return present


def _is_there(early: Column, late: Column, first: int, beyond: int) -> Column:
    of_early, of_late = mask_of(first, beyond)
    there: Column
    if not of_late:
        there = (early & of_early) != 0
    elif not of_early:
        there = (late & of_late) != 0
    else:
        there = ((early & of_early) != 0) | ((late & of_late) != 0)
    return there
