"""A ledger in front of another one, which goes on for a while when that is away.

    present    records go to the ledger. One that it cannot take, or has not taken after `SLOW_S`, goes to the journal,
               and the storage counts as away. Whether the ledger took it after all does not matter: it is delivered
               again, and an id that is there changes nothing.
    away       records and openings go to the journal at once. Delivery is tried again and again. No request may begin
               once this has lasted for too long, or the journal is full; those that run are still recorded.
    back       the ledger took a record of the journal: new ones go to it again, while the rest is delivered.

Questions and adjustments go to the ledger as they are: what waits is in no answer until it is delivered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from arouter.domain.activity import ActivityQuery, ActivityRow, Filters, Page, Scope, Summary, SummaryQuery
from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.domain.users import UsersPage, UserSpan, UsersQuery
from arouter.store.base import CheckReport, Ledger, Spending
from arouter.store.intents import Intents
from arouter.store.journal.delivery import TIMEOUT_S, Delivery, as_future, as_unavailable
from arouter.store.journal.file import Entry, Held, JournalFile, SetAside, write_record
from arouter.store.journal.folder import Claim, Folder
from arouter.store.journal.orphan import Orphan
from arouter.store.journal.outage import Observer, Outage
from arouter.store.journal.writer import Journal
from arouter.store.limits import check_numbers

SLOW_S: Final = 2.0
"""How long the ledger may take for a record before that goes to the journal: far longer than any commit of a healthy
database, and what a client waits at most when a server vanishes without a word."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
"""Between two tries to deliver; it doubles. An outage is over at most so long after the storage is back."""
MOST_KEPT: Final = 100_000
"""Records of requests that cost nothing which are kept in memory while the journal refuses them, too."""


class _Pending:
    """A record that the ledger was given."""

    __slots__ = ("deadline_s", "done", "known", "record")

    def __init__(self, record: Record, done: "asyncio.Future[None]", deadline_s: float, *, known: bool) -> None:
        self.record = record
        self.done = done
        self.deadline_s = deadline_s
        self.known = known


class JournaledLedger:
    """`Ledger`. Belongs to one event loop: `start` it there."""

    def __init__(
        self,
        ledger: Ledger,
        folder: Folder,
        outage: Outage,
        *,
        now_us: Callable[[], int],
        observer: Observer,
        name: str = "",
        slow_s: float = SLOW_S,
        first_pause_s: float = FIRST_PAUSE_S,
        delivery_timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._outage = outage
        self._now_us = now_us
        self._observer = observer
        self._name = name
        self._slow_s = slow_s
        self._first_pause_s = first_pause_s
        self._delivery = Delivery(ledger, now_us=now_us, observer=observer, timeout_s=delivery_timeout_s)
        self._running: dict[str, Opening] = {}
        """Requests that the ledger knows of."""
        self._noted: set[str] = set()
        """Requests that the journal knows of, or is about to."""
        self._pending: dict[_Pending, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._kept: dict[str, tuple[Record, str, bool]] = {}
        self._writing = 0
        """Records on their way into the journal."""
        self._lost = 0
        self._wake = asyncio.Event()
        self._claim: Claim | None = None
        self._journal: Journal | None = None
        self._closing: set[asyncio.Future[None]] = set()
        self._told: set[str] = set()
        self._dead: set[str] = set()
        """Names of processes whose journals were delivered wholly after their death."""

    # ---------------------------------------------------------------- start and stop

    async def start(self) -> None:
        """Make a journal. StorageUnavailable, with a text for the operator, if that cannot be."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._claim = await loop.run_in_executor(None, self._folder.claim, self._name)
        self._journal = await loop.run_in_executor(None, Journal, self._claim.path)
        self._journal.start(loop)
        self._intents = Intents(self._journal.open)
        self._intents.start(loop)

    async def stop(self) -> None:
        """What was given to the ledger is in it or in the journal afterwards. The journal stays if it holds anything:
        whoever starts next in this folder delivers it. `deliver` has ended by now."""
        if self._journal is None or self._claim is None:
            return
        while self._pending:
            await asyncio.wait(self._closing, timeout=self._slow_s)
        with suppress(StorageUnavailable):
            await self._keep_again()
            if not self._outage.is_on and self._journal.held.records:
                await self._delivery.all_of(self)
        await self._loop.run_in_executor(None, self._journal.stop)
        held = self._journal.held
        claim, self._claim = self._claim, None
        await self._loop.run_in_executor(None, partial(claim.release, delete=held.is_empty))

    # ---------------------------------------------------------------- how it stands

    @property
    def is_away(self) -> bool:
        """Whether records go to the journal."""
        return self._outage.is_on

    @property
    def held(self) -> Held:
        """What waits in this process's journal."""
        return Held() if self._journal is None else self._journal.held

    @property
    def is_behind(self) -> bool:
        """Whether the ledger lacks records of this process: its sums are not yet what was used."""
        return self._outage.is_on or bool(self._writing or self._kept) or self.held.records > 0

    @property
    def delivery(self) -> Delivery:
        """What was delivered, counted."""
        return self._delivery

    @property
    def unwritten(self) -> int:
        """Records that neither the ledger nor the journal takes now; they are tried again."""
        return len(self._kept)

    @property
    def lost(self) -> int:
        """Records that were given up: too many waited."""
        return self._lost

    @property
    def refusal(self) -> StorageUnavailable | None:
        """Why no request may begin now; None if it may."""
        assert self._journal is not None  # it has started
        return self._outage.refusal(self._journal.held, self._journal.last_error, self._loop.time())

    # ---------------------------------------------------------------- records

    def open(self, opening: Opening) -> None:
        refusal = self.refusal
        if refusal is not None:
            raise refusal
        if not self._outage.is_on:
            try:
                self._ledger.open(opening)
            except StorageUnavailable as failure:
                self._begin(failure)
            else:
                self._running[opening.id] = opening
                return
        self._noted.add(opening.id)
        self._intents.add(opening)

    def close(self, record: Record) -> Awaitable[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        known = self._running.pop(record.opening.id, None) is not None
        if self._outage.is_on:
            self._write_down(record, done, known=known)
            return done
        pending = _Pending(record, done, self._loop.time() + self._slow_s, known=known)
        self._pending[pending] = None
        if self._timer is None:
            self._timer = self._loop.call_at(pending.deadline_s, self._look_for_slow_ones)
        closing = as_future(self._ledger.close(record))
        self._closing.add(closing)
        closing.add_done_callback(partial(self._closed, pending))
        return done

    def _closed(self, pending: _Pending, closed: "asyncio.Future[None]") -> None:
        """The ledger has taken a record, or has not."""
        self._closing.discard(closed)
        failure = StorageUnavailable("The storage is closed.") if closed.cancelled() else closed.exception()
        in_time = pending in self._pending
        self._pending.pop(pending, None)
        if not in_time:
            if failure is None and not pending.done.done():
                pending.done.set_result(None)
            return
        if failure is not None and not isinstance(failure, ValueError):
            self._begin(as_unavailable(failure))
            self._write_down(pending.record, pending.done, known=pending.known)
            return
        if self._forget_opening(pending.record.opening.id) and self._journal is not None:
            self._journal.close_openings([pending.record.opening.id])
        _tell(pending.done, failure)

    def _look_for_slow_ones(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        for pending in [*self._pending]:
            if pending.deadline_s > now_s:
                self._timer = self._loop.call_at(pending.deadline_s, self._look_for_slow_ones)
                return
            del self._pending[pending]
            self._begin(StorageUnavailable(f"The storage took longer than {self._slow_s:g} seconds for a record."))
            self._write_down(pending.record, pending.done, known=pending.known)

    def _write_down(self, record: Record, done: "asyncio.Future[None]", *, known: bool) -> None:
        """Into the journal; `done` when it is on disk there."""
        self._forget_opening(record.opening.id)
        try:
            check_numbers(record)
            body = write_record(record)
        except ValueError as problem:
            _tell(done, problem)
            return
        assert self._journal is not None
        self._writing += 1
        written = self._journal.append(record.opening.id, body, closed_at_us=self._now_us(), known=known)
        written.add_done_callback(partial(self._written_down, record, body, known, done))
        self._wake.set()

    def _written_down(
        self, record: Record, body: str, known: bool, done: "asyncio.Future[None]", written: "asyncio.Future[None]"
    ) -> None:
        self._writing -= 1
        failure = written.exception()
        if failure is not None:
            self._keep(record, body, known=known)
        _tell(done, failure)

    def _keep(self, record: Record, body: str, *, known: bool) -> None:
        """In memory, to be tried again. Of records that cost nothing only so many."""
        if not record.attempts and len(self._kept) >= MOST_KEPT:
            self._lost += 1
        else:
            self._kept[record.opening.id] = record, body, known
            self._wake.set()

    def _forget_opening(self, record_id: str) -> bool:
        """Its record comes. Whether the journal was given its opening."""
        if record_id not in self._noted:
            return False
        self._noted.discard(record_id)
        return not self._intents.drop(record_id)

    # ---------------------------------------------------------------- away and back

    def _begin(self, failure: StorageUnavailable) -> None:
        """The storage is away. What runs is noted in the journal, too: what the ledger was told last may be lost."""
        self._wake.set()
        if not self._outage.begin(self._loop.time()):
            return
        self._observer.away(failure)
        running = list(self._running.values())
        if running and self._journal is not None:
            self._noted.update(self._running)
            self._journal.open(running)

    def _end(self) -> None:
        seconds = self._outage.end(self._loop.time())
        if seconds is not None:
            self._observer.back(seconds, self.held.records)

    async def deliver(self) -> None:
        """While anything waits, or the storage is away: see to it. Until cancelled."""
        pause_s = self._first_pause_s
        while True:
            await self._wake.wait()
            try:
                await self._try()
            except (StorageUnavailable, TimeoutError):
                self._wake.set()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                pause_s = self._first_pause_s

    async def _try(self) -> None:
        """Deliver all that waits. StorageUnavailable if not all of it could be."""
        self._wake.clear()
        assert self._journal is not None
        await self._keep_again()
        if self._journal.last_error is not None:
            # The next transaction shows whether the disk is back, whatever it is for.
            await self._journal.command(lambda file: None)
        if not await self._delivery.all_of(self, self._end) and self._outage.is_on:
            # Nothing waits that could show whether it is back.
            async with asyncio.timeout(self._slow_s):
                await self._ledger.written_until()
            self._end()

    async def _keep_again(self) -> None:
        """Write down what the journal refused."""
        assert self._journal is not None
        for record_id, (_, body, known) in [*self._kept.items()]:
            await self._journal.append(record_id, body, closed_at_us=self._now_us(), known=known)
            self._kept.pop(record_id, None)

    # As a `Source`: this process's own journal.

    async def take(self, limit: int, after: int) -> Sequence[Entry]:
        assert self._journal is not None
        return await self._journal.command(lambda file: file.take(limit, after=after))

    async def settle(self, delivered: Sequence[int], refused: Sequence[SetAside]) -> None:
        def run(file: JournalFile) -> None:
            file.set_aside(refused)
            file.remove(delivered)

        assert self._journal is not None
        await self._journal.command(run)

    # ---------------------------------------------------------------- the dead

    async def recover(self, *, now_us: int, dead: Collection[str] = ()) -> int:
        """First what the dead wrote into their journals, then what they opened: of a request whose record waits,
        nothing is to be guessed. Whose lock is free and whose journal is delivered need not be waited for."""
        if self._outage.is_on:
            raise StorageUnavailable("The storage is away.")
        try:
            with self._folder.recovering() as alone:
                if not alone:
                    return 0
                interrupted = 0
                for claim in self._folder.orphans():
                    interrupted += await self._deliver_orphan(claim, now_us)
                interrupted += await self._ledger.recover(now_us=now_us, dead={*dead, *self._dead})
                self._dead.clear()
                return interrupted
        except OSError as exc:
            raise StorageUnavailable("The folder of journals cannot be used.", detail=str(exc)) from exc

    async def _deliver_orphan(self, claim: Claim, now_us: int) -> int:
        assert self._journal is not None
        orphan = Orphan(claim, self._journal)
        try:
            interrupted = await self._opened(orphan, claim.path, now_us)
            if interrupted is not None:
                await self._delivery.all_of(orphan)
                self._dead.add(claim.owner)
        finally:
            await orphan.close()
        return 0 if interrupted is None else interrupted

    async def _opened(self, orphan: Orphan, path: str, now_us: int) -> int | None:
        """How many requests its process left open; None if it cannot be read, which is told once."""
        try:
            return await orphan.open(now_us=now_us)
        except StorageUnavailable as failure:
            if path not in self._told:
                self._told.add(path)
                self._observer.unreadable(path, failure.detail or failure.message)
            return None

    # ---------------------------------------------------------------- as the ledger itself

    def adjust(
        self, adjustments: Sequence[Adjustment], *, seen: Mapping[str, str | None] | None = None
    ) -> Awaitable[int]:
        return self._ledger.adjust(adjustments, seen=seen)

    async def adjustments_of(self, organization_id: str, record_id: str) -> Sequence[Adjustment]:
        return await self._ledger.adjustments_of(organization_id, record_id)

    async def get(self, organization_id: str, record_id: str) -> ActivityRow | None:
        return await self._ledger.get(organization_id, record_id)

    async def page(self, query: ActivityQuery) -> Page:
        return await self._ledger.page(query)

    async def written_until(self) -> int | None:
        return await self._ledger.written_until()

    async def summary(self, query: SummaryQuery) -> Summary:
        return await self._ledger.summary(query)

    async def summaries(self, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        return await self._ledger.summaries(queries)

    async def user_span(self, scope: Scope, user: str) -> UserSpan | None:
        return await self._ledger.user_span(scope, user)

    async def list_users(self, query: UsersQuery) -> UsersPage:
        return await self._ledger.list_users(query)

    async def user_costs(self, scope: Scope, filters: Filters) -> Sequence[int]:
        return await self._ledger.user_costs(scope, filters)

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._ledger.spending(key_hash, day_us=day_us, week_us=week_us, month_us=month_us)

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._ledger.byok_spending(key_hash, day_us=day_us, week_us=week_us, month_us=month_us)

    async def last_used(self, key_hashes: Sequence[str]) -> Mapping[str, int]:
        return await self._ledger.last_used(key_hashes)

    async def check(self) -> CheckReport:
        return await self._ledger.check()


def _tell(done: "asyncio.Future[None]", failure: BaseException | None) -> None:
    """Unless whoever asked has left."""
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
