"""This process's leases of counters: taken from without asking, renewed when they run out, given back when nobody
needs them.

A request takes from its share in memory. Only where that is not enough the store is asked, once for all requests that
wait at that moment. While others want what is left of a counter (`contended`), nothing is kept back here for later: a
share takes what it needs, and gives back what is free four times a second.

While the ledger is `behind`, nobody is asked: what records that wait elsewhere have used is not posted yet, so that a
renewal would lease it once more. What is leased stays leased and is taken from, to its end.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from arouter.domain.counters import Allotment, Counter
from arouter.domain.errors import StorageUnavailable
from arouter.domain.value import constructor
from arouter.engine.tasks import Tasks
from arouter.store.base import Counters, Leased, LeaseWanted

EVERY_S: Final = 0.25
"""How often others' wishes are looked after."""
CONTENDED_US: Final = 1_000_000
"""How long others are thought to want more after they said so: longer than anybody waits for what is given back, so
that whoever waits gets it, and no longer, since all ask for each request meanwhile."""
REFUSED_US: Final = 100_000
"""How long a refusal holds for those who come next, unless something becomes free here."""
_PAUSE_S: Final = 0.05
_TRIES: Final = 15
"""How often, and after which pauses at the mean, what others were asked for is looked for: longer than `EVERY_S`."""
_LOOKS: Final = 30
"""How often others' answers are looked for by whoever only looks."""
TURNS_OF_A_LOOK: Final = 40
"""In so many turns each share is looked at once: whoever was not asked for two times is given back and forgotten."""
_BATCH: Final = 500
LOOK_AFTER_S: Final = 0.05
"""After so long of a request the standing of its rates is as of a look that is no older than `EVERY_S`."""
_STALE_US: Final = int((EVERY_S - LOOK_AFTER_S) * 1_000_000)

_new_lease_wanted = constructor(LeaseWanted)


class Share(Allotment):
    """What this process has of one counter under one limit."""

    __slots__ = (
        *("contended_until_us", "counter", "doubtful", "ended", "limit", "others", "outside", "pending", "posted"),
        *(
            "known_at_us",
            "refused_units",
            "refused_until_us",
            "renewals",
            "settled_before",
            "takers",
            "touched",
            "waiting",
        ),
    )

    def __init__(self, counter: Counter, limit: int) -> None:
        super().__init__()
        self.counter = counter
        self.limit = limit
        self.posted = 0
        """As of the last renewal, like `others`, what the leases of others held."""
        self.others = 0
        self.outside = limit
        """What nobody had, as of the last renewal or look, which was at `known_at_us`."""
        self.known_at_us = 0
        self.settled_before = 0
        """What was settled at the last look, and has its records by the next one."""
        self.renewals = 0
        """How many have begun and ended: an odd number while one runs."""
        self.pending = False
        """Others may still give something back."""
        self.contended_until_us = 0
        self.refused_until_us = 0
        self.refused_units = 0
        """The least that was refused: for less than that the refusal does not hold."""
        self.touched = True
        """It was taken from lately."""
        self.takers = 0
        """Requests that ask for more than is free here."""
        self.doubtful = False
        """A renewal failed, and may have been made all the same: the store may know of a lease that this does not."""
        self.ended = False
        """Forgotten; whoever still has it finds another one."""
        self.waiting: list[_Waiting] = []

    @property
    def remaining(self) -> int:
        """What may still be taken: what is free here, and what was nobody's at the last look. More than that others
        cannot have left; less is left by what they took since."""
        return max(0, self.free + self.outside)


class _Ticket:
    """What one request waits for: units of some shares, asked for together."""

    __slots__ = ("answers", "left", "told")

    def __init__(self, count: int) -> None:
        self.answers: list[bool | None] = [None] * count
        """For each share whether its units are held; None if others may give some back, or it was not answered yet."""
        self.left = count
        self.told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, place: int, taken: bool | None) -> None:
        self.answers[place] = taken
        self.left -= 1
        if not self.left:
            self.told.set_result(None)


_Waiting = tuple[int, _Ticket, int]
"""Units, and the place of the answer on a ticket."""


class Leasing:
    """All of them. Belongs to one event loop."""

    def __init__(
        self,
        counters: Counters,
        *,
        now_us: Callable[[], int],
        tasks: Tasks,
        behind: Callable[[], bool] = lambda: False,
    ) -> None:
        """`behind` tells whether the ledger lacks records of this process that others, or the disk, still have."""
        self.now_us = now_us
        self.told: dict[Share, None] = {}
        """Those whose standing a client is going to be told, of requests that began lately."""
        self._watched: dict[Share, None] = {}
        """The same, of requests that run on."""
        self._looking = False
        self._counters = counters
        self._behind = behind
        self._tasks = tasks
        self._shares: dict[tuple[Counter, int], Share] = {}
        self._turns: dict[Share, None] = {}
        """In the order in which they are looked at."""
        self._turn = 0
        """Of `TURNS_OF_A_LOOK`, the next one."""
        self._round = 0
        """How many there were at the first one, and are looked at until the last one: be they few or many, each is
        looked at once. So who asks every second is not leased to anew each time, and has something in hand when the
        storage goes away."""
        self._contended: dict[Share, None] = {}
        self._due: dict[Share, None] = {}
        self._renewing = False
        self._one_at_a_time = asyncio.Lock()
        """What is kept and what is granted must belong together."""

    def __len__(self) -> int:
        return len(self._shares)

    @property
    def held(self) -> int:
        """Holds that are open: 0 when no request runs."""
        return sum(1 for share in self._shares.values() if share.held)

    def share(self, counter: Counter, limit: int) -> Share:
        """The one of a counter under a limit."""
        known = self._shares.get((counter, limit))
        if known is None:
            known = self._shares[counter, limit] = Share(counter, limit)
            self._turns[known] = None
        return known

    async def take(self, wanted: Sequence[tuple[Share, int]]) -> int | None:
        """Hold units of shares that have not enough free, of different counters: of all of them, then None is returned;
        or of none, then the place of the first one that has not so much left. StorageUnavailable if nobody can be
        asked; then nothing is held either.

        All of it is asked for at once, so that who needs leases of many counters waits for one transaction.
        """
        for share, _ in wanted:
            share.takers += 1
        answers: list[bool | None] = [None] * len(wanted)
        refused: int | None = 0
        try:
            refused = await self._take(wanted, answers)
        finally:
            for share, _ in wanted:
                share.takers -= 1
            if refused is not None:
                for (share, units), taken in zip(wanted, answers, strict=True):
                    if taken:
                        share.give_back(units)
        return refused

    async def _take(self, wanted: Sequence[tuple[Share, int]], answers: list[bool | None]) -> int | None:
        """As `take`. What is held, also when this ends in an error, is marked in `answers`."""
        places = range(len(wanted))
        for turn in range(_TRIES):
            if turn:
                await _next_moment()
            open_places = []
            for place in places:
                share, units = wanted[place]
                if answers[place] or share.take(units):
                    answers[place] = True
                elif units >= share.refused_units and self.now_us() < share.refused_until_us:
                    return place
                else:
                    open_places.append(place)
            if open_places:
                await self._wait(wanted, open_places, answers)
                for place in open_places:
                    if answers[place] is False:
                        return place
            if all(answers):
                return None
        for place in places:
            share, units = wanted[place]
            if not answers[place]:
                answers[place] = share.take(units)
                if not answers[place]:
                    return place
        return None

    async def look(self, shares: Sequence[Share]) -> None:
        """Renew them, so that what they know is true now. Others are given a moment to give back what they do not need,
        so that what they have is what their requests hold; nothing is free here afterwards either."""
        await self._renew(shares, at_once=True, recall=True)
        for _ in range(_LOOKS):
            if not any(share.pending for share in shares):
                return
            await asyncio.sleep(_PAUSE_S)
            await self._renew(shares, at_once=True)

    async def run(self, every_s: float = EVERY_S) -> None:
        """Give back what others want, and what nobody needs any more, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.turn()
            except StorageUnavailable:
                continue  # The storage tells of itself; what is leased stays leased.

    async def turn(self) -> None:
        """Once."""
        if not self._shares or self._behind():
            return
        now_us = self.now_us()
        wanted: dict[Share, None] = {}
        for counter, limit in await self._counters.recalled():
            share = self.share(counter, limit)
            share.contended_until_us = now_us + CONTENDED_US
            self._contended[share] = wanted[share] = None
        for share in list(self._contended):
            if share.contended_until_us <= now_us:
                del self._contended[share]
            elif share.free or share.settled:
                wanted[share] = None
        idle = self._idle(now_us)
        await self._renew([*wanted, *(share for share in idle if share.lease or share.doubtful)], at_once=True)
        for share in idle:
            self._forget(share)
        await self._watch()

    # ---------------------------------------------------------------- what clients are told

    def will_tell(self, share: Share) -> None:
        """Its standing will be told when an answer begins: by then it is to be known what others took."""
        self.told[share] = None
        if not self._looking:
            self._looking = True
            self._tasks.start("look at counters", self._look_while_told())

    async def _look_while_told(self) -> None:
        """Not at once: those that are told of within a moment are looked at together."""
        try:
            while self.told:
                await asyncio.sleep(LOOK_AFTER_S)
                shares = list(islice(self.told, _BATCH))
                stale_us = self.now_us() - _STALE_US
                with suppress(StorageUnavailable):  # It tells of itself.
                    await self._look_outside([share for share in shares if share.known_at_us <= stale_us])
                for share in shares:
                    self.told.pop(share, None)
                    if share.held:
                        self._watched[share] = None
        finally:
            self._looking = False

    async def _watch(self) -> None:
        """Look again at those whose requests run."""
        shares = list(islice(self._watched, _BATCH))
        for share in shares:
            del self._watched[share]
        shares = [share for share in shares if share.held]
        self._watched.update(dict.fromkeys(shares))
        await self._look_outside(shares)

    async def _look_outside(self, shares: Sequence[Share]) -> None:
        """See what others took."""
        shares = [share for share in shares if not share.ended and not share.renewals % 2]
        if not shares:
            return
        before = [(share.renewals, share.settled) for share in shares]
        now_us = self.now_us()
        standings = await self._counters.standings([share.counter for share in shares])
        for share, (renewals, settled), standing in zip(shares, before, standings, strict=True):
            if share.renewals != renewals:
                continue  # It knows better now.
            share.known_at_us = now_us
            share.outside = share.limit - standing.posted - standing.leased
            if share.counter.in_ledger:
                # That is posted, and in the lease still.
                share.outside += min(share.settled_before, settled)
                share.settled_before = settled

    def _idle(self, now_us: int) -> list[Share]:
        """Those of a part of all that nobody has asked for since their last turn, or that are over."""
        idle = []
        if not self._turn:
            self._round = len(self._turns)
        first, end = (self._round * turn // TURNS_OF_A_LOOK for turn in (self._turn, self._turn + 1))
        self._turn = (self._turn + 1) % TURNS_OF_A_LOOK
        for share in list(islice(self._turns, end - first)):
            del self._turns[share]
            self._turns[share] = None
            if self._is_unused(share) and (not share.touched or share.counter.end_us <= now_us):
                idle.append(share)
            share.touched = False
        return idle

    async def close(self) -> None:
        """Post what was used of windows that the ledger does not know. The leases end with the process."""
        await self._renew([share for share in self._shares.values() if share.settled], at_once=True)

    # ---------------------------------------------------------------- renewing

    async def _wait(
        self, wanted: Sequence[tuple[Share, int]], places: Sequence[int], answers: list[bool | None]
    ) -> None:
        """Ask for what is wanted at these places, and write down what is held, also if the wait is cancelled."""
        ticket = _Ticket(len(places))
        for at, place in enumerate(places):
            share, units = wanted[place]
            share.waiting.append((units, ticket, at))
            self._due[share] = None
        if not self._renewing:
            self._renewing = True
            self._tasks.start("renew leases", self._renew_due())
        try:
            await ticket.told
        finally:
            for at, place in enumerate(places):
                answers[place] = ticket.answers[at]

    async def _renew_due(self) -> None:
        """All that wait now, and all that came to wait meanwhile."""
        try:
            while self._due:
                due, self._due = list(self._due), {}
                try:
                    await self._renew(due, at_once=False)
                except StorageUnavailable as failure:
                    for share in due:
                        _tell_all(share, failure)
        finally:
            self._renewing = False

    async def _renew(self, shares: Iterable[Share], *, at_once: bool, recall: bool = False) -> None:
        """`at_once`: nobody who waits is served by this."""
        every = list(dict.fromkeys(shares))  # Twice in one batch, what was used would be posted twice.
        for start in range(0, len(every), _BATCH):
            async with self._one_at_a_time:
                await self._renew_some(every[start : start + _BATCH], serve=not at_once, recall=recall)

    async def _renew_some(self, shares: Sequence[Share], *, serve: bool, recall: bool) -> None:
        if self._behind():
            # Before anything is surrendered: it would be gone until the ledger is back.
            raise StorageUnavailable("The storage is away, or does not have every record yet. Ask again in a moment.")
        now_us = self.now_us()
        wanted = []
        waiting = []
        for share in shares:
            waiters = share.waiting if serve else []
            if serve:
                share.waiting = []
            waiting.append(waiters)
            share.renewals += 1
            keep, used = share.surrender()
            needs = [units for units, ticket, _ in waiters if not ticket.told.done()]
            need = sum(needs)
            wanted.append(
                _new_lease_wanted(
                    counter=share.counter,
                    limit=share.limit,
                    keep=keep,
                    used=used,
                    need=need,
                    least=min(needs, default=0),
                    greedy=bool(need) and share.contended_until_us <= now_us,
                    recall=recall,
                )
            )
        try:
            answers = await self._counters.lease(wanted, now_us=now_us)
        except BaseException:
            for share, waiters in zip(shares, waiting, strict=True):
                share.renewals += 1
                share.doubtful = True
                share.waiting = [*waiters, *share.waiting]
            raise
        for share, one, leased, waiters in zip(shares, wanted, answers, waiting, strict=True):
            _renewed(share, one, leased)
            share.known_at_us = now_us
            self._serve(share, leased, waiters)

    def _serve(self, share: Share, leased: Leased, waiters: Sequence[_Waiting]) -> None:
        refused: list[int] = []
        for units, ticket, place in waiters:
            if ticket.told.done():
                continue  # Cancelled.
            if share.take(units):
                ticket.answer(place, True)
            else:
                ticket.answer(place, None if leased.pending else False)
                refused.append(units)
        if refused and not leased.pending:
            share.refused_units = min(refused)
            share.refused_until_us = self.now_us() + REFUSED_US

    def _is_unused(self, share: Share) -> bool:
        return not (share.held or share.takers or share in self._due)

    def _forget(self, share: Share) -> None:
        """Unless somebody took from it meanwhile."""
        if not (share.lease or share.doubtful) and self._is_unused(share):
            share.ended = True
            self._contended.pop(share, None)
            self._turns.pop(share, None)
            del self._shares[share.counter, share.limit]


async def _next_moment() -> None:
    """Until all who wait ask again, together, in half a pause at the least and one and a half at the most: however many
    requests wait, they are one question."""
    now_s = asyncio.get_running_loop().time()
    await asyncio.sleep((int(now_s / _PAUSE_S + 0.5) + 1) * _PAUSE_S - now_s)


def _renewed(share: Share, wanted: LeaseWanted, leased: Leased) -> None:
    share.renewals += 1
    share.renew(leased.granted, wanted.used)
    share.settled_before = 0
    share.posted = leased.posted
    share.others = leased.others
    share.pending = leased.pending
    share.doubtful = False
    share.refused_until_us = 0
    share.outside = share.limit - leased.posted - leased.others - wanted.keep - leased.granted


def _tell_all(share: Share, failure: StorageUnavailable) -> None:
    waiting, share.waiting = share.waiting, []
    for _, ticket, _ in waiting:
        if not ticket.told.done():
            ticket.told.set_exception(StorageUnavailable(failure.message, detail=failure.detail))
