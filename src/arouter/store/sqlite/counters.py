"""`Counters` in SQLite: leases are rows of a table that all processes on the file share, each with its owner."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Final

import apsw

from arouter.domain.counters import Counter
from arouter.store.base import Leased, LeaseWanted, Standing
from arouter.store.leasing import Lease, Leases, Renewal, counter_of, posts, text_of, units_of
from arouter.store.sqlite.lasting import Lasting
from arouter.store.sqlite.leases import end_leases_of
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.owners import living_owners
from arouter.store.sqlite.readers import Readers
from arouter.store.sqlite.statements import insert_rows, queries
from arouter.store.sqlite.usage_days import usages_of
from arouter.store.sqlite.writer import Writer

_FORGET_EVERY_US: Final = 10_000_000
_FORGET_AFTER_US: Final = 60_000_000
"""How long after its window a lease may still be in the way: a request's time is older than that of its counting."""


_USE_COLUMNS = ("counter", "used", "ends_at_us")
_LEASE_COLUMNS = ("counter", "most", "owner_no", "units", "exact", "recalled", "posts", "ends_at_us", "renewed_at_us")


class SqliteCounters:
    """Leases in the writer's transactions, behind the records that were closed before; reads in the readers'."""

    def __init__(self, path: str, writer: Writer, readers: Readers) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._forgot_at_us = 0
        self._recalled = Lasting(readers, self._read_recalled)

    def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Awaitable[Sequence[Leased]]:
        def run(connection: apsw.Connection) -> Sequence[Leased]:
            texts = [text_of(one.counter) for one in wanted]
            owner_no = self._writer.owner.register(connection)
            self._forget_ended(connection, now_us)
            _add_uses(connection, wanted, texts)
            renewal = _decide(connection, owner_no, wanted, texts, now_us)
            if renewal.in_the_way and self._bury_the_dead(connection, renewal.in_the_way):
                renewal = _decide(connection, owner_no, wanted, texts, now_us)
            _write(connection, owner_no, renewal)
            return renewal.leased

        # Of the others nothing is in the records.
        return self._writer.command(run, apart=not any(one.counter.in_ledger for one in wanted))

    async def recalled(self) -> Sequence[tuple[Counter, int]]:
        return () if self._writer.owner.number is None else await self._recalled.read()

    def _read_recalled(self, connection: apsw.Connection) -> Sequence[tuple[Counter, int]]:
        rows = fetch(connection, queries()["recalled_leases"], self._writer.owner.number)
        return [(counter_of(text), int(limit)) for text, limit in rows]

    async def standings(self, counters: Sequence[Counter]) -> Sequence[Standing]:
        def read(connection: apsw.Connection) -> Sequence[Standing]:
            texts = [text_of(counter) for counter in counters]
            leases = _leases_of(connection, texts)
            posted = _posted(connection, dict(zip(texts, counters, strict=True)))
            return [Standing(posted=posted.get(text, 0), leased=units_of(leases.get(text, {}))) for text in texts]

        return await self._readers.read(read, apart=not any(counter.in_ledger for counter in counters))

    def _forget_ended(self, connection: apsw.Connection, now_us: int) -> None:
        if now_us - self._forgot_at_us >= _FORGET_EVERY_US:
            for name in ("forget_ended_leases", "forget_ended_uses"):
                connection.execute(queries()[name], (now_us - _FORGET_AFTER_US,))
            self._forgot_at_us = now_us

    def _bury_the_dead(self, connection: apsw.Connection, suspects: set[int]) -> bool:
        """End the leases of those whose process is dead; whether there were any."""
        alive, _ = living_owners(connection, self._path)
        dead = suspects - alive
        if dead:
            # One that has died since this command began may have used more of its lease than was booked then.
            self._writer.book_again(connection)
        for owner_no in dead:
            end_leases_of(connection, owner_no)
        return bool(dead)


def _add_uses(connection: apsw.Connection, wanted: Sequence[LeaseWanted], texts: Sequence[str]) -> None:
    uses = [
        (text, one.used, one.counter.end_us)
        for text, one in zip(texts, wanted, strict=True)
        if one.used and posts(one.counter)
    ]
    insert_rows(connection, "add_use", _USE_COLUMNS, uses)


def _decide(
    connection: apsw.Connection, owner_no: int, wanted: Sequence[LeaseWanted], texts: Sequence[str], now_us: int
) -> Renewal:
    return Renewal(
        *(owner_no, wanted, texts),
        posted=_posted(connection, {text: one.counter for text, one in zip(texts, wanted, strict=True)}),
        leases=_leases_of(connection, texts),
        now_us=now_us,
    )


def _write(connection: apsw.Connection, owner_no: int, renewal: Renewal) -> None:
    for text, limit in renewal.recalled:
        connection.execute(queries()["recall_leases"], (text, owner_no, limit))
    rows = [
        (*(one.counter, one.most, one.owner_no, one.units, one.exact, 0), one.posts, one.ends_at_us, one.renewed_at_us)
        for one in renewal.renewed
    ]
    insert_rows(connection, "set_lease", _LEASE_COLUMNS, rows)
    if renewal.ended:
        connection.execute(queries()["end_leases"], (owner_no, to_json(renewal.ended)))


def _posted(connection: apsw.Connection, counters: Mapping[str, Counter]) -> dict[str, int]:
    """What is posted of counters, by their names; 0 is left out."""
    in_ledger = {counter: text for text, counter in counters.items() if counter.in_ledger}
    posted = {in_ledger[counter]: used for counter, used in usages_of(connection, [*in_ledger]).items()}
    texts = [text for text, counter in counters.items() if posts(counter)]
    if texts:
        posted |= fetch(connection, queries()["uses_of_counters"], to_json(texts))
    return posted


def _leases_of(connection: apsw.Connection, texts: Sequence[str]) -> dict[str, Leases]:
    found: dict[str, Leases] = {}
    rows = fetch(connection, queries()["leases_of_counters"], to_json(texts))
    for text, owner_no, limit, units, exact, recalled, renewed_at_us in rows:
        found.setdefault(text, {})[owner_no, limit] = Lease(units, exact == 1, recalled == 1, renewed_at_us)
    return found
