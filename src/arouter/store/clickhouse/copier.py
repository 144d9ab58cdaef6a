"""Keeps the copy up to date: stretch by stretch of the ledger, each exactly once, whoever dies and however many copy.

1. A stretch is written into the table of places before it is inserted, and once more behind it. The first of several
   who plan the same number wins, since the insert bears the number as its token; the others read what won.
2. The rows of a stretch bear the number, too: whoever inserts them again changes nothing. So a stretch that was planned
   and is not done is simply inserted again, by whoever comes next.
3. A stretch is one block of one part: it is seen whole or not at all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

from arouter.store.buckets import DAY_US
from arouter.store.clickhouse.conditions import text
from arouter.store.clickhouse.connections import Client, Connections, CopyGone
from arouter.store.clickhouse.rows import COLUMNS, columns_of
from arouter.store.clickhouse.schema import (
    Place,
    Tables,
    create_statements,
    drop_statements,
    generation_of,
    number_of,
)
from arouter.store.feed import BEGINNING, Changes, Feed, Position, Stretch

AT_ONCE: Final = 50_000
"""Records in one stretch, about."""
_MOST_MEMORY_BYTES: Final = 4_000_000_000
"""For one insert, which needs far less: a server has other work, too."""
_PLACE_COLUMNS: Final[Mapping[str, str]] = {
    "no": "UInt64",
    "done": "UInt8",
    "after_transaction": "UInt64",
    "after_record": "UInt64",
    "after_mark": "String",
    "until_transaction": "UInt64",
    "until_record": "UInt64",
    "until_mark": "String",
    "size": "UInt64",
    "as_of_us": "Int64",
    "owner": "String",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stretch that was planned, with its number, from 1 on."""

    no: int
    stretch: Stretch
    owner: str
    """Who planned it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far a copy is."""

    tables: Tables
    done: Step | None
    """The last stretch that is there; None in an empty copy."""
    planned: Step | None
    """The one behind it, if somebody has begun with it."""

    @property
    def position(self) -> Position:
        return BEGINNING if self.done is None else self.done.stretch.until

    @property
    def as_of_us(self) -> int | None:
        """Nothing that was written before is missing; None for an empty copy."""
        return None if self.done is None else self.done.stretch.as_of_us


class Copier:
    """Writes the copy of one feed."""

    def __init__(
        self,
        connections: Connections,
        place: Place,
        feed: Feed,
        *,
        at_once: int = AT_ONCE,
        patience_s: float = 0.0,
    ) -> None:
        """`patience_s` is how long a stretch that another one planned is left to it."""
        self._connections = connections
        self._place = place
        self._feed = feed
        self._at_once = at_once
        self._patience_s = patience_s
        self._owner = uuid4().hex
        self._waiting: tuple[Step, float] | None = None
        self._tables: Tables | None = None

    async def state(self) -> State:
        """How far the copy is now. CopyGone if there is none, StorageUnavailable if ClickHouse does not answer."""
        if self._tables is None:
            self._tables = await self._connections.run(self._find_tables)
        tables = self._tables
        if tables is None:
            raise CopyGone("There is no copy in ClickHouse yet.")
        try:
            return await self._connections.run(partial(_read_state, tables=tables))
        except CopyGone:
            # It was made anew: the next call finds the new one.
            self._tables = None
            raise

    async def prepare(self) -> State:
        """The copy, made if there is none: empty then."""
        try:
            return await self.state()
        except CopyGone:
            self._tables = await self._connections.run(lambda client: self._create(client, anew=False))
            return await self.state()

    async def make_anew(self) -> State:
        """Drop what there is. The copy is empty then."""
        self._tables = await self._connections.run(lambda client: self._create(client, anew=True))
        return await self.state()

    async def step(self, on_copied: Callable[[int], None] = lambda size: None) -> State | None:
        """Copy one stretch; how far the copy is then, None if nothing is left, or left to another copier.

        ForeignPosition if what the copy holds is not of this ledger.
        """
        state = await self.prepare()
        planned = state.planned
        if planned is None:
            stretch = await self._feed.after(state.position, limit=self._at_once)
            if stretch is None:
                return None
            number = 1 if state.done is None else state.done.no + 1
            planned = await self._connections.run(
                partial(self._plan, tables=state.tables, step=Step(no=number, stretch=stretch, owner=self._owner))
            )
        if planned.owner != self._owner and not self._is_abandoned(planned):
            return None
        changes = await self._feed.read(planned.stretch)
        await self._connections.run(partial(self._insert, tables=state.tables, step=planned, changes=changes))
        on_copied(planned.stretch.size)
        return State(tables=state.tables, done=planned, planned=None)

    def _is_abandoned(self, planned: Step) -> bool:
        """Whether another one's stretch was not done for as long as it is left to it."""
        now_s = time.monotonic()
        if self._waiting is None or self._waiting[0] != planned:
            self._waiting = planned, now_s
        return now_s >= self._waiting[1] + self._patience_s

    async def forget_expired(self) -> int:
        """Delete the records of days that expired in the ledger from the copy; how many days those were."""
        expired = {(one.organization_id, one.day) for one in await self._feed.expired_days()}
        if not expired:
            return 0
        tables = (await self.prepare()).tables
        return await self._connections.run(lambda client: _forget(client, tables, sorted(expired)))

    # ---------------------------------------------------------------- on a thread

    def _find_tables(self, client: Client) -> Tables | None:
        sql = f"SELECT name FROM system.tables WHERE database = {text(self._place.database)}"
        found = [generation_of(name) for (name,) in client.query(sql, {})]
        known = [number for number in found if number is not None]
        return Tables(place=self._place, generation=max(known)) if known else None

    def _create(self, client: Client, *, anew: bool) -> Tables:
        known = self._find_tables(client)
        if known is not None and not anew:
            tables = known
        else:
            tables = Tables(place=self._place, generation=1 if known is None else known.generation + 1)
        for sql in create_statements(tables):
            client.command(sql, {})
        if known is not None and anew:
            # Only now: whoever finds no table at all makes the first one.
            for number in range(1, tables.generation):
                for sql in drop_statements(Tables(place=self._place, generation=number)):
                    client.command(sql, {})
        return tables

    def _plan(self, client: Client, *, tables: Tables, step: Step) -> Step:
        """The stretch of that number: this one, or what somebody else planned first."""
        self._note(client, tables, step, done=False)
        where = f"WHERE no = {step.no} AND done = 0"
        (row,) = client.query(_places_sql(tables, where), _reading(tables))
        return _step(row)

    def _insert(self, client: Client, *, tables: Tables, step: Step, changes: Changes) -> None:
        columns = columns_of(changes)
        if columns:
            table = f"{self._place.database}.{tables.records}"
            client.insert(table, [*COLUMNS], [*COLUMNS.values()], columns, _writing(tables, f"records-{step.no}"))
        self._note(client, tables, step, done=True)

    def _note(self, client: Client, tables: Tables, step: Step, *, done: bool) -> None:
        after, until = step.stretch.after, step.stretch.until
        values = (
            *(step.no, int(done)),
            *(after.transaction, after.record, after.mark),
            *(until.transaction, until.record, until.mark),
            *(step.stretch.size, step.stretch.as_of_us, step.owner),
        )
        client.insert(
            f"{self._place.database}.{tables.copied}",
            [*_PLACE_COLUMNS],
            [*_PLACE_COLUMNS.values()],
            [[value] for value in values],
            _writing(tables, f"{'done' if done else 'planned'}-{step.no}"),
        )


def _read_state(client: Client, *, tables: Tables) -> State:
    rows = client.query(_places_sql(tables, "ORDER BY no DESC, done DESC LIMIT 3"), _reading(tables))
    done = next((_step(row) for row in rows if row[1]), None)
    latest = _step(rows[0]) if rows else None
    planned = latest if latest is not None and (done is None or latest.no > done.no) else None
    return State(tables=tables, done=done, planned=planned)


def _places_sql(tables: Tables, rest: str) -> str:
    return f"SELECT {', '.join(_PLACE_COLUMNS)} FROM {tables.place.database}.{tables.copied} {rest}"


def _step(row: Sequence[Any]) -> Step:
    value = dict(zip(_PLACE_COLUMNS, row, strict=True))
    return Step(
        no=value["no"],
        stretch=Stretch(
            after=Position(
                transaction=value["after_transaction"], record=value["after_record"], mark=value["after_mark"]
            ),
            until=Position(
                transaction=value["until_transaction"], record=value["until_record"], mark=value["until_mark"]
            ),
            size=value["size"],
            as_of_us=value["as_of_us"],
        ),
        owner=value["owner"],
    )


def _writing(tables: Tables, token: str) -> Mapping[str, Any]:
    """An insert is there when it returns, on most servers of a cluster, and only once for each token."""
    settings: dict[str, Any] = {
        "async_insert": 0,
        "insert_deduplicate": 1,
        "insert_deduplication_token": f"{tables.records}-{token}",
        "max_memory_usage": _MOST_MEMORY_BYTES,
    }
    if tables.place.cluster:
        settings |= {"insert_quorum": "auto", "insert_quorum_parallel": 0, "distributed_foreground_insert": 1}
    return settings


def _reading(tables: Tables) -> Mapping[str, Any]:
    return {"select_sequential_consistency": 1} if tables.place.cluster else {}


def _forget(client: Client, tables: Tables, days: Sequence[tuple[str, int]]) -> int:
    place = tables.place
    day = number_of(DAY_US)
    sql = (
        f"SELECT organization_id, {day} AS day FROM {place.database}.{tables.records} "
        f"WHERE (organization_id, {day}) IN ({_pairs(days)}) GROUP BY organization_id, day"
    )
    found = [(organization_id, int(day)) for organization_id, day in client.query(sql, {})]
    if found:
        on_cluster = f" ON CLUSTER {place.cluster}" if place.cluster else ""
        condition = f"(organization_id, intDiv(created_at_us, 86400000000)) IN ({_pairs(found)})"
        client.command(
            f"ALTER TABLE {place.database}.{tables.local_records}{on_cluster} DELETE WHERE {condition}",
            {"mutations_sync": 2},
        )
    return len(found)


def _pairs(days: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"({text(organization_id)}, {day})" for organization_id, day in days)
