"""The sums that are kept beside the records: by quarter of an hour and everything that a summary
groups or filters by, and by key and hour, of requests on own keys once more.

They change in the transaction of what changes them, by what is added to them.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import apsw

from arouter.domain.record import Status
from arouter.store.buckets import HOUR_US, SLOT_US
from arouter.store.sqlite.names import Numbers
from arouter.store.sqlite.statements import adding, insert_rows, measures, queries, token_sums, used_tokens
from arouter.store.tally import Measures, added

ROLLUP_KEY = (
    "slot",
    "organization_no",
    "workspace_no",
    "key_no",
    "user_no",
    "model_no",
    "requested_model_no",
    "provider_no",
    "endpoint_no",
    "status_no",
)
ROLLUP_SUMS = (
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_units",
    "cost_rest",
    "requests_without_usage",
    "requests_without_price",
    "latency_us",
    "requests_with_latency",
)
ROLLUP_COLUMNS = ROLLUP_KEY + ROLLUP_SUMS
_KEY_HOUR_COLUMNS = ("key_no", "hour", "requests", "cost_units", "cost_rest", "last_used_us")
_NOT_USED = 0
"""When a key was used last by what is no request: before any."""
_OWN_KEY_COLUMNS = ("key_no", "hour", "cost_units", "cost_rest")
_COST = 7
"""The place of the cost in `tally.MEASURES`."""
_KEY = ROLLUP_KEY.index("key_no")
_MICRO = 1_000_000
_ADDED_UP = {"prompt": "prompt", "completion": "completion", "known": "known"}
"""The names of the columns that `raise_rollups` adds tokens up in."""
SLOTS_OF_HOUR = HOUR_US // SLOT_US


RollupKey = tuple[int, ...]
"""The values of `ROLLUP_KEY`; 0 stands for none."""
StoredSums = tuple[int, ...]
"""Those of `ROLLUP_SUMS`."""


OfKeys = str
"""What records add to the sums of keys, workspaces and organizations: JSON, which nobody reads but SQL."""


def sums_of_keys(connection: apsw.Connection, numbers: Numbers, first_seq: int, last_seq: int) -> OfKeys:
    """Those of the records from one to another, both included."""
    rejected = numbers.name(connection, Status.REJECTED._value_)
    sums: OfKeys = connection.execute(_sums_of_keys(), (first_seq, last_seq, rejected)).get
    return sums


def raise_rollups(
    connection: apsw.Connection, numbers: Numbers, of_keys: OfKeys, first_seq: int, last_seq: int, *, own_keys: bool
) -> None:
    """Add the records from one to another, both included, to both kinds of sums; whether any ran on an own key."""
    success = numbers.name(connection, Status.SUCCESS._value_)
    rejected = numbers.name(connection, Status.REJECTED._value_)
    connection.execute(_raise_rollups(), (first_seq, last_seq, success, rejected))
    connection.execute(queries()["raise_key_hours"], (of_keys,))
    if own_keys:
        connection.execute(queries()["raise_own_key_hours"], (first_seq, last_seq))


def add_to_rollups(connection: apsw.Connection, rollups: Mapping[RollupKey, StoredSums]) -> None:
    """Add what is given to both kinds of sums. It is no request that was not there before."""
    rows = [(*key, *sums) for key, sums in sorted(rollups.items())]
    insert_rows(connection, "add_rollups", ROLLUP_COLUMNS, rows, ROLLUP_SUMS)
    insert_rows(connection, "add_key_hours", _KEY_HOUR_COLUMNS, _key_hours(rollups))


def add_to_own_keys(connection: apsw.Connection, sums: Sequence[tuple[RollupKey, StoredSums]]) -> None:
    """Add what is given of requests on own keys to what each key spent on those."""
    hours: dict[tuple[int, int], Measures] = {}
    for key, each in sums:
        place = (key[_KEY], key[0] // SLOTS_OF_HOUR)
        hours[place] = added(hours.get(place, (0, 0)), each[_COST : _COST + 2])
    rows = [(*place, *each) for place, each in sorted(hours.items())]
    insert_rows(connection, "add_own_key_hours", _OWN_KEY_COLUMNS, rows)


def add_key_sums(
    connection: apsw.Connection, sums: Sequence[tuple[int, ...]], own_keys: Sequence[tuple[int, ...]]
) -> None:
    """Add what keys spent in hours, altogether and on own keys: key, hour, requests, units and rest of the cost, and
    when the last of the requests began."""
    insert_rows(connection, "add_key_hours", _KEY_HOUR_COLUMNS, sums)
    insert_rows(connection, "add_own_key_hours", _OWN_KEY_COLUMNS, [(*row[:2], *row[3:5]) for row in own_keys])


@cache
def _sums_of_keys() -> str:
    return queries()["sums_of_keys"].format(used=used_tokens())


@cache
def _raise_rollups() -> str:
    return queries()["raise_rollups"].format(
        columns=", ".join(ROLLUP_COLUMNS),
        measures=", ".join(measures(success="?3", rejected="?4", cost="cost", tokens=_ADDED_UP)),
        sums=adding(ROLLUP_SUMS),
        **token_sums(),
    )


def stored(sums: Measures) -> StoredSums:
    """Sums as they are kept, the cost as two."""
    return (*sums[:_COST], *cost_parts(sums[_COST]), *sums[_COST + 1 :])


def _key_hours(rollups: Mapping[RollupKey, StoredSums]) -> list[tuple[object, ...]]:
    hours: dict[tuple[int, int], Measures] = {}
    for (slot, _, _, key_no, *_), sums in rollups.items():
        hour = slot // SLOTS_OF_HOUR
        adding = (sums[0], *sums[_COST : _COST + 2])
        before = hours.get((key_no, hour))
        hours[key_no, hour] = adding if before is None else added(before, adding)
    return [(*key, *sums, _NOT_USED) for key, sums in sorted(hours.items())]


def cost_parts(cost: int) -> tuple[int, int]:
    """A sum of costs as units of a million picodollars and the rest, as SQLite divides: towards zero."""
    units, rest = divmod(abs(cost), _MICRO)
    return (-units, -rest) if cost < 0 else (units, rest)


def whole_cost(units: int, rest: int) -> int:
    return units * _MICRO + rest
