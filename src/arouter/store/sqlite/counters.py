"""`Counters` in SQLite: leases are rows of a table that all processes on the file share, each with its owner."""

from collections.abc import Awaitable, Sequence, Set
from typing import Final

import apsw
import msgspec

from arouter.domain.counters import Counter, Meter, granted
from arouter.domain.guardrails import Target
from arouter.store.base import Leased, LeaseWanted, Standing
from arouter.store.sqlite.leases import end_leases_of
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.owners import living_owners
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.usage_days import usage_of
from arouter.store.sqlite.writer import Writer

_FORGET_EVERY_US: Final = 10_000_000
_FORGET_AFTER_US: Final = 60_000_000
"""How long after its window a lease may still be in the way: a request's time is older than that of its counting."""


class SqliteCounters:
    """Leases in the writer's transactions, behind the records that were closed before; reads in the readers'."""

    def __init__(self, path: str, writer: Writer, readers: Readers) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._forgot_at_us = 0

    def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Awaitable[Sequence[Leased]]:
        def run(connection: apsw.Connection) -> Sequence[Leased]:
            owner_no = self._writer.owner.register(connection)
            self._forget_ended(connection, now_us)
            return [self._lease(connection, owner_no, one) for one in wanted]

        return self._writer.command(run)

    async def recalled(self) -> Sequence[tuple[Counter, int]]:
        owner_no = self._writer.owner.number
        if owner_no is None:
            return ()
        rows = await self._readers.read(lambda connection: fetch(connection, queries()["recalled_leases"], owner_no))
        return [(counter_of(text), int(limit)) for text, limit in rows]

    async def standings(self, counters: Sequence[Counter]) -> Sequence[Standing]:
        return await self._readers.read(
            lambda connection: [
                Standing(
                    posted=_posted(connection, counter, text_of(counter)),
                    leased=sum(units for _, _, units, _ in _leases(connection, text_of(counter))),
                )
                for counter in counters
            ]
        )

    def _lease(self, connection: apsw.Connection, owner_no: int, wanted: LeaseWanted) -> Leased:
        counter, limit = wanted.counter, wanted.limit
        text = text_of(counter)
        if wanted.used and _posts(counter):
            connection.execute(queries()["add_use"], (text, wanted.used, counter.end_us))
        others = _others(connection, text, owner_no, limit)
        posted = _posted(connection, counter, text)
        room = limit - posted - wanted.keep - sum(units for _, _, units, _ in others)
        if room < wanted.need and others and self._bury_the_dead(connection, {one[0] for one in others}):
            others = _others(connection, text, owner_no, limit)
            posted = _posted(connection, counter, text)
            room = limit - posted - wanted.keep - sum(units for _, _, units, _ in others)
        given = granted(room=room, need=wanted.need, greedy=wanted.greedy, alone=not others)
        pending = given < wanted.need and any(not exact for _, _, _, exact in others)
        if (given < wanted.need or wanted.recall) and others:
            connection.execute(queries()["recall_leases"], (text, owner_no, limit))
        if wanted.keep + given > 0:
            values = (text, limit, owner_no, wanted.keep + given, given == 0, _posts(counter), counter.end_us)
            connection.execute(queries()["set_lease"], values)
        else:
            connection.execute(queries()["end_lease"], (text, limit, owner_no))
        return Leased(granted=given, posted=posted, others=sum(units for _, _, units, _ in others), pending=pending)

    def _bury_the_dead(self, connection: apsw.Connection, owners: Set[int]) -> bool:
        """End the leases of those owners whose process is dead; whether there were any."""
        alive, _ = living_owners(connection, self._path)
        dead = owners - alive
        for owner_no in dead:
            end_leases_of(connection, owner_no)
        return bool(dead)

    def _forget_ended(self, connection: apsw.Connection, now_us: int) -> None:
        if now_us - self._forgot_at_us >= _FORGET_EVERY_US:
            for name in ("forget_ended_leases", "forget_ended_uses"):
                connection.execute(queries()[name], (now_us - _FORGET_AFTER_US,))
            self._forgot_at_us = now_us


def text_of(counter: Counter) -> str:
    """A counter's name in the tables."""
    return msgspec.json.encode(
        (counter.meter, counter.scope, counter.organization_id, counter.scope_id, counter.start_us, counter.end_us)
    ).decode()


def counter_of(text: str) -> Counter:
    """The counter of that name."""
    meter, scope, organization_id, scope_id, start_us, end_us = msgspec.json.decode(text, type=list)
    return Counter(
        meter=Meter(meter),
        scope=Target(scope),
        organization_id=organization_id,
        scope_id=scope_id,
        start_us=start_us,
        end_us=end_us,
    )


def _posts(counter: Counter) -> bool:
    """Whether what is used of it is kept here."""
    return counter.meter is not Meter.CONCURRENT and not counter.in_ledger


def _posted(connection: apsw.Connection, counter: Counter, text: str) -> int:
    if counter.in_ledger:
        return usage_of(connection, counter)
    return int(connection.execute(queries()["use_of_counter"], (text,)).get) if _posts(counter) else 0


def _others(connection: apsw.Connection, text: str, owner_no: int, limit: int) -> list[tuple[int, int, int, int]]:
    return [one for one in _leases(connection, text) if one[:2] != (owner_no, limit)]


def _leases(connection: apsw.Connection, text: str) -> list[tuple[int, int, int, int]]:
    """Owner, limit, units, whether all of them are held."""
    return connection.execute(queries()["leases_of"], (text,)).fetchall()  # type: ignore[return-value]
