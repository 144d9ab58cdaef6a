"""`Counters` in PostgreSQL: leases are rows of a table that all gateways on the database share, each with its owner.

A renewal is one transaction that has the wanted counters to itself: it takes an advisory lock for each, in the order
of their numbers. Behind the locks leases are read before what is posted. What moves from the one to the other meanwhile
(the leases of a dead process) is then counted twice rather than never.
"""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import asyncpg

from arouter.domain.counters import Counter
from arouter.domain.errors import StorageUnavailable
from arouter.store.base import Leased, LeaseWanted, Standing
from arouter.store.leasing import Lease, Leases, Renewal, counter_of, posts, text_of, units_of
from arouter.store.postgres.leases import end_leases_of
from arouter.store.postgres.owners import Owner, living_owners
from arouter.store.postgres.pool import Pool
from arouter.store.postgres.statements import queries
from arouter.store.postgres.usage_days import usages_of

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_FORGET_EVERY_US: Final = 10_000_000
_FORGET_AFTER_US: Final = 60_000_000
"""How long after its window a lease may still be in the way: a request's time is older than that of its counting."""
_MOST_TRIES: Final = 5
"""Two that bury what dead processes left may wait for each other. The server ends one of them."""


class PostgresCounters:
    """Leases in transactions of their own, each behind the records that were closed before."""

    def __init__(self, pool: Pool, owner: Owner, behind: Callable[[], Awaitable[None]]) -> None:
        """`behind()` is done when the records that were closed before it was called are committed.

        StorageUnavailable if they are not.
        """
        self._pool = pool
        self._owner = owner
        self._behind = behind
        self._forgot_at_us = 0

    async def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Sequence[Leased]:
        await self._behind()
        await self._forget_ended(now_us)
        for attempt in range(_MOST_TRIES):
            try:
                async with self._pool.transaction() as connection:
                    return await self._renew(connection, wanted, now_us)
            except StorageUnavailable as exc:
                if not isinstance(exc.__cause__, asyncpg.DeadlockDetectedError) or attempt == _MOST_TRIES - 1:
                    raise
        raise AssertionError

    async def recalled(self) -> Sequence[tuple[Counter, int]]:
        owner_no = self._owner.number
        if owner_no is None:
            return ()
        async with self._pool.lend() as connection:
            rows = await connection.fetch(queries("counters")["recalled_leases"], owner_no)
        return [(counter_of(row["counter"]), row["most"]) for row in rows]

    async def standings(self, counters: Sequence[Counter]) -> Sequence[Standing]:
        async with self._pool.transaction("repeatable_read", readonly=True) as connection:
            leases = await _leases_of(connection, [text_of(counter) for counter in counters])
            posted = await _posted(connection, counters)
        return [
            Standing(posted=posted[counter], leased=units_of(leases.get(text_of(counter), {}))) for counter in counters
        ]

    async def end(self) -> None:
        """This process has no leases any more. What it leased of short windows counts as used."""
        owner_no = self._owner.number
        if owner_no is not None:
            async with self._pool.transaction() as connection:
                await end_leases_of(connection, owner_no)

    async def _renew(self, connection: "Connection", wanted: Sequence[LeaseWanted], now_us: int) -> Sequence[Leased]:
        texts = [text_of(one.counter) for one in wanted]
        await connection.execute(queries("counters")["lock_counters"], sorted({_lock_of(text) for text in texts}))
        owner_no = await self._owner.register(connection)
        await _add_uses(connection, wanted, texts)
        renewal = await _decide(connection, owner_no, wanted, texts, now_us)
        if renewal.in_the_way and await self._bury_the_dead(connection, renewal.in_the_way):
            renewal = await _decide(connection, owner_no, wanted, texts, now_us)
        await _write(connection, owner_no, renewal, now_us)
        return renewal.leased

    async def _bury_the_dead(self, connection: "Connection", suspects: set[int]) -> bool:
        """End the leases of those whose process is dead; whether there were any."""
        _, dead = await living_owners(connection, grace_s=self._owner.grace_s)
        for owner_no in sorted(suspects & dead):
            await end_leases_of(connection, owner_no)
        return bool(suspects & dead)

    async def _forget_ended(self, now_us: int) -> None:
        if now_us - self._forgot_at_us < _FORGET_EVERY_US:
            return
        self._forgot_at_us = now_us
        async with self._pool.lend() as connection:
            for name in ("forget_ended_leases", "forget_ended_uses"):
                await connection.execute(queries("counters")[name], now_us - _FORGET_AFTER_US)


def _lock_of(text: str) -> int:
    """The advisory lock of a counter. Two counters may have the same: then they wait for each other, no more."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)


async def _add_uses(connection: "Connection", wanted: Sequence[LeaseWanted], texts: Sequence[str]) -> None:
    uses = [
        (text, one.used, one.counter.end_us)
        for text, one in zip(texts, wanted, strict=True)
        if one.used and posts(one.counter)
    ]
    if uses:
        await connection.execute(queries("counters")["add_uses"], *map(list, zip(*uses, strict=True)))


async def _decide(
    connection: "Connection", owner_no: int, wanted: Sequence[LeaseWanted], texts: Sequence[str], now_us: int
) -> Renewal:
    leases = await _leases_of(connection, texts)
    by_counter = await _posted(connection, [one.counter for one in wanted])
    posted = {text: by_counter[one.counter] for text, one in zip(texts, wanted, strict=True)}
    return Renewal(owner_no, wanted, texts, posted=posted, leases=leases, now_us=now_us)


async def _write(connection: "Connection", owner_no: int, renewal: Renewal, now_us: int) -> None:
    if renewal.recalled:
        texts, limits = map(list, zip(*renewal.recalled, strict=True))
        await connection.execute(queries("counters")["recall_leases"], texts, limits, owner_no)
    if renewal.renewed:
        rows = [(one.counter, one.most, one.units, one.exact, one.posts, one.ends_at_us) for one in renewal.renewed]
        await connection.execute(
            queries("counters")["set_leases"], *map(list, zip(*rows, strict=True)), now_us, owner_no
        )
    if renewal.ended:
        texts, limits = map(list, zip(*renewal.ended, strict=True))
        await connection.execute(queries("counters")["end_leases"], texts, limits, owner_no)


async def _posted(connection: "Connection", counters: Sequence[Counter]) -> dict[Counter, int]:
    posted = dict.fromkeys(counters, 0)
    texts = {text_of(counter): counter for counter in posted if posts(counter)}
    posted |= await usages_of(connection, [one for one in posted if one.in_ledger])
    if texts:
        rows = await connection.fetch(queries("counters")["uses_of_counters"], list(texts))
        posted |= {texts[row["counter"]]: row["used"] for row in rows}
    return posted


async def _leases_of(connection: "Connection", texts: Sequence[str]) -> dict[str, Leases]:
    found: dict[str, Leases] = {}
    for row in await connection.fetch(queries("counters")["leases_of_counters"], list(texts)):
        lease = Lease(row["units"], row["exact"], row["recalled"], row["renewed_at_us"])
        found.setdefault(row["counter"], {})[row["owner_no"], row["most"]] = lease
    return found
