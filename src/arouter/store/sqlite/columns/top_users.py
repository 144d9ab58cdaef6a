"""The first users of many, over many days, without adding up everything of everybody.

First what is ordered by is added up for all users, in one array. That tells who may be among the first. Of the other
columns the totals are taken, and the values of those few.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from arouter.store.sqlite.columns.adding import Added
from arouter.store.sqlite.columns.blocks import Column
from arouter.store.sqlite.columns.tables import Rows
from arouter.store.sqlite.rollups import ROLLUP_SUMS

MOST_USERS = 5_000_000
"""The greatest number of a user with which that is done."""
_ORDERED_BY: Mapping[str, tuple[str, ...]] = {
    "cost": ("cost_units", "cost_rest"),
    "mean_latency_ms": ("latency_us", "requests_with_latency"),
    "users": (),
}

Read = Callable[[frozenset[str]], Iterable[Rows]]
"""The columns, in pieces with at most one row for each user, in their order."""
Choose = Callable[[Added], Column]
"""The places of those that may be among the first."""


def ordering_columns(metric: str) -> tuple[str, ...]:
    """What is needed to order by a metric, and to know who is there."""
    return tuple(dict.fromkeys(("requests", *_ORDERED_BY.get(metric, (metric,)))))


def top_users(
    read: Read, metric: str, besides: Sequence[tuple[int, Sequence[int]]], beyond: int, choose: Choose
) -> tuple[Added, Added]:
    """Those that `choose` chooses with all sums, and everybody with what is ordered by.

    `besides` are sums of users that are in no column; `beyond` is greater than any user. The total of the second is
    that of everything.
    """
    first = ordering_columns(metric)
    sums = {name: np.zeros(beyond, dtype=np.int64) for name in first}
    for rows in read(frozenset(first)):
        users = rows["user_no"]
        for name in first:
            sums[name][users] += rows[name]
    others = _columns_of(besides)
    for name in first:
        np.add.at(sums[name], others["user_no"], others[name])
    there = np.flatnonzero(sums["requests"])
    nothing = np.zeros(len(there), dtype=np.int64)
    everybody = Added(
        [np.broadcast_to(np.int64(0), (len(there),)), there],
        [sums[name][there] if name in sums else nothing for name in ROLLUP_SUMS],
        1,
    )
    chosen = there[choose(everybody)]
    return _sums_of(chosen, read, others, everybody, frozenset(ROLLUP_SUMS) - {*first})


def _columns_of(besides: Sequence[tuple[int, Sequence[int]]]) -> Rows:
    """The same as columns; a user may be there several times."""
    table = np.array([(user, *stored) for user, stored in besides], dtype=np.int64).reshape(-1, 1 + len(ROLLUP_SUMS))
    return {name: table[:, place] for place, name in enumerate(("user_no", *ROLLUP_SUMS))}


def _sums_of(
    chosen: Column,
    read: Read,
    others: Rows,
    everybody: Added,
    missing: frozenset[str],
) -> tuple[Added, Added]:
    known = dict(zip(ROLLUP_SUMS, everybody.sums, strict=True))
    places = np.searchsorted(everybody.keys[1], chosen)
    sums = {name: np.zeros(len(chosen), dtype=np.int64) if name in missing else known[name][places] for name in known}
    totals = dict.fromkeys(missing, 0)
    for rows in read(missing):
        users = rows["user_no"]
        if not len(users):
            continue
        first, beyond = np.searchsorted(chosen, (users[0], users[-1] + np.int64(1)))
        here = np.arange(first, beyond)
        found = np.searchsorted(users, chosen[here])
        is_there = users[found] == chosen[here]
        here, found = here[is_there], found[is_there]
        for name in missing:
            column = rows[name]
            totals[name] += int(column[0]) * len(column) if column.strides == (0,) else int(column.sum(dtype=np.int64))
            sums[name][here] += column[found]
    users = others["user_no"]
    found = np.flatnonzero(np.isin(users, chosen))
    here = np.searchsorted(chosen, users[found])
    for name in missing:
        totals[name] += int(others[name].sum(dtype=np.int64))
        np.add.at(sums[name], here, others[name][found])
    everything = [
        np.array([totals[name]], dtype=np.int64) if name in missing else column for name, column in known.items()
    ]
    keys = [np.broadcast_to(np.int64(0), (len(chosen),)), chosen]
    return Added(keys, [sums[name] for name in ROLLUP_SUMS], 1), Added(everybody.keys, everything, 1)
