"""A pretend past for the demo's database: asked for, found again, put beside nothing real."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import quote

from arouter.cli.output import Failure
from arouter.domain.activity import Dimension, Filters, Scope, SummaryQuery
from arouter.domain.keys import Key, KeyKind, digest
from arouter.domain.windows import DAY_US
from arouter.engine.admission import SANDBOX
from arouter.sandbox.history.population import APPLICATIONS, WORKSPACES, Owner, Plan
from arouter.settings import Settings
from arouter.store.base import Home
from arouter.store.stores import Store
from arouter.wire import extras
from arouter.wire.instants import write_instant
from arouter.wiring.storage import database_name

_COMMAND = "arouter demo --history"
_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a history is made from, but for its time: its last day is the one before the day on which it is made."""

    days: int
    users: int
    records: int
    seed: int

    @property
    def command(self) -> str:
        """What makes it. It is the creator of its keys, by which it is found again."""
        return f"{_COMMAND} --days {self.days} --users {self.users} --records {self.records} --seed {self.seed}"

    def plan(self, start_us: int) -> Plan:
        return Plan(seed=self.seed, start_us=start_us, days=self.days, users=self.users, records=self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A history in the database. Times as RFC 3339."""

    start: str
    end: str
    records: int
    added: int
    """Those that were not there before."""
    user: str
    """Somebody who asked much."""


class Filling(Protocol):
    """The module that needs numpy."""

    async def fill(self, settings: Settings, store: Store, plan: Plan, owner: Owner) -> None:
        """Append what is not there yet, with a progress bar."""


def filling() -> Filling:
    """Failure if numpy is not installed."""
    try:
        return cast(Filling, extras.analytics("arouter.cli.demo_filling"))
    except extras.ExtraMissing as missing:
        raise Failure(f"a history is made with numpy: {missing}") from missing


async def add_history(
    settings: Settings, store: Store, home: Home, wanted: Wanted, *, now_us: int, sure: bool
) -> History:
    """Put the history into the database, or finish it if it was cut short; nothing if it is there already.

    Failure if the database has another one, or real records and nobody is `sure`.
    """
    made = filling()
    name = database_name(settings)
    found = await _earlier_keys(store, home)
    if any(key.creator != wanted.command for key in found):
        other = next(key.creator for key in found if key.creator != wanted.command)
        raise Failure(
            f"{name} has another history, that of `{other}`: ask for the same one, or name another --database"
        )
    # Its days stay those of the first time.
    start_us = found[0].created_at_us if found else now_us // DAY_US * DAY_US - wanted.days * DAY_US
    plan = wanted.plan(start_us)
    keys = _keys(home, wanted, start_us)
    real = 0 if found or sure else await _real_records(store, home)
    if real:
        raise Failure(
            f"{name} holds {real:,} records that are not the sandbox's. A ledger forgets nothing: pretend users and "
            "costs would stand among real ones for good. Name another --database, or say --yes"
        )
    there = {key.hash for key in found}
    for key in keys:
        if key.hash not in there:
            await store.directory.add_key(key, secret=key.hash)
    before = await _count(store, home, keys)
    if before < plan.records:
        owner = Owner(
            organization_id=home.organization_id,
            workspace_ids=_workspaces(home),
            key_hashes=tuple(key.hash for key in keys),
        )
        await made.fill(settings, store, plan, owner)
    return History(
        start=write_instant(plan.start_us),
        end=write_instant(plan.end_us),
        records=await _count(store, home, keys),
        added=plan.records - before,
        user=await _dearest(store, home, keys),
    )


def history_lines(past: History, database: str, key: str, url: str) -> Iterator[str]:
    """Commands that show something of a history, to be copied. `database` is its URL."""
    of_database = f"AROUTER_STORAGE__URL={shlex.quote(database)}"
    bearer = f'-H "Authorization: Bearer {key}"'
    yield f"{of_database} arouter activity summary --group-by model --start {past.start[:10]}"
    yield f"{of_database} arouter activity summary --group-by user --limit 20 --end {past.end[:10]}"
    yield f"curl '{url}/v1/activity/summary?group_by=day,model&end={past.end[:10]}' {bearer}"
    yield f"curl '{url}/v1/activity?user={quote(past.user, safe='')}&limit=10' {bearer}"


def _keys(home: Home, wanted: Wanted, created_at_us: int) -> list[Key]:
    """One for each application. No plaintext has these hashes that would be taken for a key: nobody can ask with
    them, and they are the same for the same history."""
    workspaces = _workspaces(home)
    return [
        Key(
            hash=digest(f"{wanted.command} {home.organization_id} {application.name}"),
            name=application.name,
            kind=KeyKind.TEST,
            label="pretend",
            organization_id=home.organization_id,
            workspace_id=workspaces[application.workspace],
            creator=wanted.command,
            created_at_us=created_at_us,
        )
        for application in APPLICATIONS
    ]


def _workspaces(home: Home) -> tuple[str, ...]:
    """The database's own, and some of the same name with a number."""
    own = home.workspace_id
    return (own, *(f"{own}-{number}" for number in range(2, WORKSPACES + 1)))


async def _earlier_keys(store: Store, home: Home) -> Sequence[Key]:
    """The keys of any history that the database has."""
    found: list[Key] = []
    offset = 0
    while page := await store.directory.list_keys(home.organization_id, offset=offset, limit=_KEYS_AT_ONCE):
        found += [key for key in page if key.creator is not None and key.creator.startswith(_COMMAND)]
        offset += len(page)
    return found


async def _real_records(store: Store, home: Home) -> int:
    """How many records are not the sandbox's."""
    sums = await store.ledger.summary(SummaryQuery(scope=_scope(home), group_by=(Dimension.PROVIDER,)))
    return sum(row.totals.requests for row in sums.rows if row.group != (SANDBOX,))


async def _count(store: Store, home: Home, keys: Sequence[Key]) -> int:
    return (await store.ledger.summary(SummaryQuery(scope=_scope(home), filters=_of(keys)))).totals.requests


async def _dearest(store: Store, home: Home, keys: Sequence[Key]) -> str:
    query = SummaryQuery(scope=_scope(home), filters=_of(keys), group_by=(Dimension.USER,))
    named = [row for row in (await store.ledger.summary(query)).rows if row.group[0] is not None]
    dearest = max(named, key=lambda row: row.totals.cost, default=None)
    return "" if dearest is None or dearest.group[0] is None else dearest.group[0]


def _scope(home: Home) -> Scope:
    return Scope(organization_id=home.organization_id)


def _of(keys: Sequence[Key]) -> Filters:
    return Filters(key_hashes=tuple(key.hash for key in keys))
