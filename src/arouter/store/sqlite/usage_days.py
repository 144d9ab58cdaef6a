"""What budgets and daily limits go by: sums by UTC day of organizations, workspaces, keys and end users.

As the other sums they change in the transaction of what changes them, and `arouter db check` compares them with the
records. A member's are those of the keys that it made.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import apsw

from arouter.domain.counters import Counter, Meter
from arouter.domain.guardrails import Target
from arouter.domain.record import Status
from arouter.domain.windows import DAY_US
from arouter.store.buckets import SLOTS_OF_DAY
from arouter.store.sqlite.names import Numbers, fetch, to_json
from arouter.store.sqlite.rollups import ROLLUP_KEY, ROLLUP_SUMS, OfKeys, RollupKey, StoredSums, whole_cost
from arouter.store.sqlite.statements import adding, insert_rows, queries, used_tokens
from arouter.store.tally import added

_SUMS = ("requests", "tokens", "cost_units", "cost_rest")
_COLUMNS = ("scope", "scope_no", "day", *_SUMS)
_SCOPES = {Target.ORGANIZATION: 1, Target.WORKSPACE: 2, Target.KEY: 3, Target.USER: 4}
_QUERIES = {Target.USER: "usages_of_users", Target.MEMBER: "usages_of_members"}
_SCOPE_COLUMNS = ("organization_no", "workspace_no", "key_no", "user_no")

DayKey = tuple[int, int, int]
"""A scope, its number, a day."""


def raise_usage_days(
    connection: apsw.Connection, numbers: Numbers, of_keys: OfKeys, first_seq: int, last_seq: int
) -> None:
    """Add the records from one to another, both included, and what they add to the sums of their keys."""
    rejected = numbers.name(connection, Status.REJECTED._value_)
    connection.execute(_raising("raise_usage_days_of_keys"), (of_keys,))
    connection.execute(_raising("raise_usage_days_of_users"), (first_seq, last_seq, rejected))


def add_costs_to_usage_days(connection: apsw.Connection, rollups: Mapping[RollupKey, StoredSums]) -> None:
    """Add the costs of what is added to the roll-ups, which may be negative."""
    days: dict[DayKey, tuple[int, ...]] = {}
    for key, sums in rollups.items():
        named = dict(zip(ROLLUP_SUMS, sums, strict=True))
        adding = (0, 0, named["cost_units"], named["cost_rest"])
        for day_key in _day_keys(key):
            before = days.get(day_key)
            days[day_key] = adding if before is None else added(before, adding)
    insert_rows(connection, "add_usage_days", _COLUMNS, [(*key, *sums) for key, sums in sorted(days.items())], _SUMS)


def set_usage_days(connection: apsw.Connection, numbers: Numbers, organization_no: int, day: int) -> None:
    """Make those of an organization's day what its roll-ups say: records were added to these by other ways."""
    rejected = numbers.name(connection, Status.REJECTED._value_)
    slots = (day * SLOTS_OF_DAY, (day + 1) * SLOTS_OF_DAY)
    connection.execute(queries()["set_usage_days"], (organization_no, *slots, rejected))


def usages_of(connection: apsw.Connection, counters: Sequence[Counter]) -> dict[Counter, int]:
    """What the records say of counters that are in the ledger, each in its units; those without any are left out."""
    kinds: dict[str, list[Counter]] = {}
    for counter in counters:
        kinds.setdefault(_QUERIES.get(counter.scope, "usages_of"), []).append(counter)
    found: dict[Counter, int] = {}
    for name, ones in kinds.items():
        asked = to_json([_asked(counter) for counter in ones])
        for place, requests, tokens, units, rest in fetch(connection, queries()[name], asked):
            meter = ones[place].meter
            if meter is Meter.COST:
                found[ones[place]] = whole_cost(units, rest)
            else:
                found[ones[place]] = requests if meter is Meter.REQUESTS else tokens
    return found


def _asked(counter: Counter) -> tuple[object, ...]:
    days = (counter.start_us // DAY_US, counter.end_us // DAY_US)
    if counter.scope in _QUERIES:
        return (*days, counter.organization_id, counter.scope_id)
    return (*days, _SCOPES[counter.scope], counter.scope_id)


@cache
def _raising(name: str) -> str:
    return queries()[name].format(used=used_tokens(), sums=adding(_SUMS))


def _day_keys(key: RollupKey) -> Iterator[DayKey]:
    named = dict(zip(ROLLUP_KEY, key, strict=True))
    day = named["slot"] // SLOTS_OF_DAY
    for scope, column in enumerate(_SCOPE_COLUMNS, 1):
        if named[column]:
            yield scope, named[column], day
