"""`Counters` in SQLite: leases are rows of a table that all processes on the file share, each with its owner."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Final

import apsw
import msgspec

from arouter.domain.counters import FRESH_US, Counter, Meter, granted
from arouter.domain.guardrails import Target
from arouter.domain.value import constructor
from arouter.store.base import Leased, LeaseWanted, Standing
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


_new_leased = constructor(Leased)

_USE_COLUMNS = ("counter", "used", "ends_at_us")
_LEASE_COLUMNS = ("counter", "most", "owner_no", "units", "exact", "recalled", "posts", "ends_at_us", "renewed_at_us")


Leases = dict[tuple[int, int], tuple[int, bool, bool, int]]
"""By owner and limit: the units, whether all of them were held, whether somebody asked for them, and when the lease was
renewed."""


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
            return _Renewal(connection, self._path, owner_no, wanted, now_us).run()

        return self._writer.command(run)

    async def recalled(self) -> Sequence[tuple[Counter, int]]:
        owner_no = self._writer.owner.number
        if owner_no is None:
            return ()
        rows = await self._readers.read(lambda connection: fetch(connection, queries()["recalled_leases"], owner_no))
        return [(counter_of(text), int(limit)) for text, limit in rows]

    async def standings(self, counters: Sequence[Counter]) -> Sequence[Standing]:
        def read(connection: apsw.Connection) -> Sequence[Standing]:
            texts = [text_of(counter) for counter in counters]
            leases = _leases_of(connection, texts)
            posted = _posted(connection, dict(zip(texts, counters, strict=True)))
            return [Standing(posted=posted.get(text, 0), leased=_units(leases.get(text, {}))) for text in texts]

        return await self._readers.read(read)

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


class _Renewal:
    """The renewal of some leases of one process, in one transaction: read together, decided one after the other,
    written together."""

    def __init__(
        self, connection: apsw.Connection, path: str, owner_no: int, wanted: Sequence[LeaseWanted], now_us: int
    ) -> None:
        self._connection = connection
        self._path = path
        self._owner_no = owner_no
        self._wanted = wanted
        self._now_us = now_us
        self._texts = texts = [text_of(one.counter) for one in wanted]
        uses = [
            (text, one.used, one.counter.end_us)
            for text, one in zip(texts, wanted, strict=True)
            if one.used and _posts(one.counter)
        ]
        insert_rows(connection, "add_use", _USE_COLUMNS, uses)
        counters = {text: one.counter for text, one in zip(texts, wanted, strict=True)}
        self._posted = _posted(connection, counters)
        self._leases = _leases_of(connection, [*counters])
        self._set: dict[tuple[str, int], tuple[object, ...]] = {}
        self._ended: dict[tuple[str, int], None] = {}

    def run(self) -> Sequence[Leased]:
        leased = [self._lease(text, one) for text, one in zip(self._texts, self._wanted, strict=True)]
        insert_rows(self._connection, "set_lease", _LEASE_COLUMNS, list(self._set.values()))
        if self._ended:
            self._connection.execute(queries()["end_leases"], (self._owner_no, to_json([*self._ended])))
        return leased

    def _lease(self, text: str, wanted: LeaseWanted) -> Leased:
        counter, limit, keep, need = wanted.counter, wanted.limit, wanted.keep, wanted.need
        mine = (self._owner_no, limit)
        leases = self._leases.get(text)
        if leases is None:
            leases = self._leases[text] = {}
        had = leases.pop(mine, None)
        posted = self._posted.get(text, 0)
        others = _units(leases) if leases else 0
        room = limit - posted - keep - others
        if leases and (room < need or wanted.recall) and self._bury_the_dead(leases):
            posted = _posted(self._connection, {text: counter}).get(text, 0)
            self._posted[text] = posted
            others = _units(leases)
            room = limit - posted - keep - others
        given = granted(room=room, need=need, greedy=wanted.greedy, alone=not leases)
        pending = bool(leases) and self._is_pending(wanted, given, leases)
        if leases and (given < need or wanted.recall):
            self._connection.execute(queries()["recall_leases"], (text, *mine))
        units = keep + given
        if self._set or self._ended:
            self._set.pop((text, limit), None)
            self._ended.pop((text, limit), None)
        if units > 0:
            # What was needed is held at once. Whoever still has something else has not answered.
            exact = given in (0, need)
            leases[mine] = units, exact, False, self._now_us
            self._set[text, limit] = (
                *(text, limit, self._owner_no, units, int(exact), 0),
                *(int(_posts(counter)), counter.end_us, self._now_us),
            )
        elif had is not None:
            self._ended[text, limit] = None
        return _new_leased(granted=given, posted=posted, others=others, pending=pending)

    def _is_pending(self, wanted: LeaseWanted, given: int, others: Leases) -> bool:
        if wanted.need:
            fresh_us = self._now_us - FRESH_US
            return given < wanted.need and any(
                not exact or renewed_at_us < fresh_us for _, exact, _, renewed_at_us in others.values()
            )
        return any(wanted.recall or recalled for _, _, recalled, _ in others.values())

    def _bury_the_dead(self, leases: Leases) -> bool:
        """End the leases of those owners whose process is dead; whether there were any among these."""
        alive, _ = living_owners(self._connection, self._path)
        dead = {owner_no for owner_no, _ in leases} - alive
        for owner_no in dead:
            end_leases_of(self._connection, owner_no)
        for one in [one for one in leases if one[0] in dead]:
            del leases[one]
        return bool(dead)


def _posted(connection: apsw.Connection, counters: Mapping[str, Counter]) -> dict[str, int]:
    """What is posted of counters, by their names; 0 is left out."""
    in_ledger = {counter: text for text, counter in counters.items() if counter.in_ledger}
    posted = {in_ledger[counter]: used for counter, used in usages_of(connection, [*in_ledger]).items()}
    texts = [text for text, counter in counters.items() if _posts(counter)]
    if texts:
        posted |= fetch(connection, queries()["uses_of_counters"], to_json(texts))
    return posted


def _leases_of(connection: apsw.Connection, texts: Sequence[str]) -> dict[str, Leases]:
    found: dict[str, Leases] = {}
    rows = fetch(connection, queries()["leases_of_counters"], to_json(texts))
    for text, owner_no, limit, units, exact, recalled, renewed_at_us in rows:
        found.setdefault(text, {})[owner_no, limit] = units, exact == 1, recalled == 1, renewed_at_us
    return found


def _units(leases: Leases) -> int:
    return sum([lease[0] for lease in leases.values()])
