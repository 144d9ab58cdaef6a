"""The reference of `Counters`: the leases of all processes in one dictionary, what is posted counted anew each time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from arouter.domain.counters import FRESH_US, Counter, Meter, granted
from arouter.domain.guardrails import Target
from arouter.domain.keys import Key
from arouter.domain.record import Record, Status
from arouter.store.base import Leased, LeaseWanted, Standing
from arouter.store.leasing import posts

LeaseKey = tuple[Counter, int, int]
"""The counter, the limit, the owner."""


@dataclass(slots=True)
class _Lease:
    units: int
    exact: bool
    """All of it is held by running requests."""
    recalled: bool = False
    renewed_at_us: int = 0

    def may_give(self, now_us: int) -> bool:
        """Whether some of it may not be held, as far as is known."""
        return not self.exact or self.renewed_at_us < now_us - FRESH_US


@dataclass(slots=True)
class CounterData:
    """What would be on disk."""

    owners: int = 0
    leases: dict[LeaseKey, _Lease] = field(default_factory=dict)
    uses: dict[Counter, int] = field(default_factory=dict)

    def recall_every_lease(self) -> None:
        """What is posted has changed behind their backs."""
        for lease in self.leases.values():
            lease.recalled = True


class MemoryCounters:
    """`Counters` over dictionaries."""

    def __init__(
        self, data: CounterData, records: Callable[[], Sequence[Record]], key: Callable[[str], Key | None]
    ) -> None:
        """`records` tells all that there are, `key` a key by its hash, also a deleted one."""
        self._data = data
        self._records = records
        self._key = key
        data.owners += 1
        self._owner = data.owners

    def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Awaitable[Sequence[Leased]]:
        done: asyncio.Future[Sequence[Leased]] = asyncio.get_running_loop().create_future()
        done.set_result([self._lease(one, now_us) for one in wanted])
        return done

    async def recalled(self) -> Sequence[tuple[Counter, int]]:
        return [
            (counter, limit)
            for (counter, limit, owner), lease in self._data.leases.items()
            if owner == self._owner and lease.recalled
        ]

    async def standings(self, counters: Sequence[Counter]) -> Sequence[Standing]:
        return [Standing(posted=self._posted(one), leased=sum(self._leases(one).values())) for one in counters]

    def end(self) -> None:
        """This process is no more, and so are its leases."""
        for lease_key in [one for one in self._data.leases if one[2] == self._owner]:
            lease = self._data.leases.pop(lease_key)
            if posts(lease_key[0]):
                self._use(lease_key[0], lease.units)

    def _lease(self, wanted: LeaseWanted, now_us: int) -> Leased:
        counter, limit = wanted.counter, wanted.limit
        mine: LeaseKey = (counter, limit, self._owner)
        if posts(counter):
            self._use(counter, wanted.used)
        others = self._leases(counter)
        others.pop(mine, None)
        posted = self._posted(counter)
        room = limit - posted - wanted.keep - sum(others.values())
        need, greedy = wanted.need, wanted.greedy
        given = granted(room=room, need=need, least=wanted.least, greedy=greedy, others=len(others))
        lacking = given < wanted.need
        pending = lacking and any(self._data.leases[one].may_give(now_us) for one in others)
        if not wanted.need:
            pending = any(wanted.recall or self._data.leases[one].recalled for one in others)
        if lacking or wanted.recall:
            for one in others:
                self._data.leases[one].recalled = True
        before = self._data.leases.pop(mine, None)
        # What was needed is held at once. Whoever still has something else has not answered.
        if wanted.keep + given > 0:
            exact = given in (0, wanted.need)
            recalled = before is not None and before.recalled and not exact
            self._data.leases[mine] = _Lease(
                units=wanted.keep + given, exact=exact, recalled=recalled, renewed_at_us=now_us
            )
        return Leased(granted=given, posted=posted, others=sum(others.values()), pending=pending)

    def _leases(self, counter: Counter) -> dict[LeaseKey, int]:
        return {one: lease.units for one, lease in self._data.leases.items() if one[0] == counter}

    def _use(self, counter: Counter, units: int) -> None:
        if units:
            self._data.uses[counter] = self._data.uses.get(counter, 0) + units

    def _posted(self, counter: Counter) -> int:
        if not counter.in_ledger:
            return self._data.uses.get(counter, 0)
        return sum(_units(record, counter.meter) for record in self._records() if self._is_in(record, counter))

    def _is_in(self, record: Record, counter: Counter) -> bool:
        opening = record.opening
        if not counter.start_us <= opening.created_at_us < counter.end_us:
            return False
        if counter.scope is Target.MEMBER:
            key = self._key(opening.key_hash)
            return key is not None and (key.organization_id, key.creator) == (counter.organization_id, counter.scope_id)
        scope_id = {
            Target.ORGANIZATION: opening.organization_id,
            Target.WORKSPACE: opening.workspace_id,
            Target.KEY: opening.key_hash,
            Target.USER: opening.user,
        }[counter.scope]
        return scope_id == counter.scope_id and opening.organization_id == counter.organization_id


def _units(record: Record, meter: Meter) -> int:
    if meter is Meter.REQUESTS:
        return int(record.status is not Status.REJECTED)
    amount = record.cost if meter is Meter.COST else record.usage.total_tokens
    return 0 if amount is None else amount
