"""What becomes of leases that are renewed, decided without I/O for every backend whose processes share a table of them.

The backend reads how the counters stand, has a `Renewal` decide, looks whether the owners that are in the way are dead,
decides again without those, and writes what came out, all in one transaction: see `Counters`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from arouter.domain.counters import FRESH_US, Counter, Meter, granted
from arouter.domain.guardrails import Target
from arouter.domain.value import constructor
from arouter.store.base import Leased, LeaseWanted

_new_leased = constructor(Leased)


class Lease(NamedTuple):
    """A lease as it is stored."""

    units: int
    exact: bool
    """Whether all of it was held by running requests."""
    recalled: bool
    """Whether others have asked for it."""
    renewed_at_us: int


Leases = dict[tuple[int, int], Lease]
"""The leases of one counter, by owner and limit."""


class LeaseRow(NamedTuple):
    """A lease to be stored, in place of the one with its counter, limit and owner. It stays recalled if it was, unless
    it is exact."""

    counter: str
    most: int
    owner_no: int
    units: int
    exact: bool
    posts: bool
    ends_at_us: int
    renewed_at_us: int


def text_of(counter: Counter) -> str:
    """A counter's name in the tables. It is JSON: no control character is in it as it is."""
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


def posts(counter: Counter) -> bool:
    """Whether what is used of it is kept beside its leases."""
    return counter.meter is not Meter.CONCURRENT and not counter.in_ledger


def units_of(leases: Leases) -> int:
    """What all of them hold."""
    return sum([lease.units for lease in leases.values()])


class Renewal:
    """The renewal of some leases of one process, decided one after the other. What came out is in the attributes, and
    to be written in the order `recalled`, `renewed`, `ended`."""

    def __init__(
        self,
        owner_no: int,
        wanted: Sequence[LeaseWanted],
        texts: Sequence[str],
        *,
        posted: Mapping[str, int],
        leases: dict[str, Leases],
        now_us: int,
    ) -> None:
        """`texts` are the names of the wanted counters; `posted` and `leases` tell by them how they stand, 0 and none
        where a name is missing, and the renewal changes `leases`. What was used since the last time is posted."""
        self._owner_no = owner_no
        self._posted = posted
        self._leases = leases
        self._now_us = now_us
        self._renewed: dict[tuple[str, int], LeaseRow] = {}
        self._ended: dict[tuple[str, int], None] = {}
        self.in_the_way: set[int] = set()
        """The other owners whose leases leave too little room, or were to be recalled."""
        self.recalled: list[tuple[str, int]] = []
        """Counters whose leases are recalled, but the one of this process under this limit."""
        self.leased = [self._lease(text, one) for text, one in zip(texts, wanted, strict=True)]

    @property
    def renewed(self) -> Sequence[LeaseRow]:
        return list(self._renewed.values())

    @property
    def ended(self) -> Sequence[tuple[str, int]]:
        """The counters and limits of the leases that this process has no more."""
        return list(self._ended)

    def _lease(self, text: str, wanted: LeaseWanted) -> Leased:
        limit, keep, need = wanted.limit, wanted.keep, wanted.need
        mine = (self._owner_no, limit)
        others = self._leases.get(text)
        if others is None:
            others = self._leases[text] = {}
        had = others.pop(mine, None)
        posted = self._posted.get(text, 0)
        held = units_of(others) if others else 0
        room = limit - posted - keep - held
        if others and (room < need or wanted.recall):
            self.in_the_way.update(owner_no for owner_no, _ in others if owner_no != self._owner_no)
        given = granted(room=room, need=need, least=wanted.least, greedy=wanted.greedy, others=len(others))
        pending = bool(others) and self._is_pending(wanted, given, others)
        if others and (given < need or wanted.recall):
            self.recalled.append((text, limit))
        units = keep + given
        if units > 0:
            if self._ended:
                self._ended.pop((text, limit), None)
            # What was needed is held at once. Whoever still has something else has not answered.
            exact = given in (0, need)
            others[mine] = Lease(units, exact, False, self._now_us)
            counter = wanted.counter
            self._renewed[text, limit] = LeaseRow(
                *(text, limit, self._owner_no, units, exact, posts(counter), counter.end_us, self._now_us)
            )
        elif had is not None:
            if self._renewed:
                self._renewed.pop((text, limit), None)
            self._ended[text, limit] = None
        return _new_leased(granted=given, posted=posted, others=held, pending=pending)

    def _is_pending(self, wanted: LeaseWanted, given: int, others: Leases) -> bool:
        if wanted.need:
            fresh_us = self._now_us - FRESH_US
            return given < wanted.need and any(
                not lease.exact or lease.renewed_at_us < fresh_us for lease in others.values()
            )
        return any(wanted.recall or lease.recalled for lease in others.values())
