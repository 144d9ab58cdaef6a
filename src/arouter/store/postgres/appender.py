"""The one task of a process that appends, with group commit.

What is asked for gathers while a transaction runs; the next one takes all of it, up to a bound. Everybody who waits is
told when it is committed. What became of a transaction whose connection broke is not known: it is tried again, which
changes nothing where it was committed, since a record is appended once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol, cast

import asyncpg
import msgspec

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.store.intents import Intents
from arouter.store.limits import check_numbers
from arouter.store.postgres.batch import Batch, prepared, write
from arouter.store.postgres.errors import FAILURES, unavailable
from arouter.store.postgres.partitions import Month, make_partitions
from arouter.store.postgres.pool import CONNECT_TIMEOUT_S, STATEMENT_TIMEOUT_S, Pool, connect
from arouter.store.postgres.statements import queries
from arouter.store.stores import OnCommit

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

MOST_IN_ONE: Final = 500
"""Records of one transaction: a bound on its time."""
AHEAD_FROM: Final = 250
"""So many records that wait are prepared for the next transaction while one runs."""
MOST_WAITING: Final = 100_000
"""Records that wait to be written; whoever comes then is refused."""
RETRY_S: Final = 1.0
"""Between two looks whether the storage is back."""
TRIES: Final = 2
"""Of a transaction whose connection broke, before everybody is told that it could not be written."""
_TRIES_OF_CONFLICTS: Final = 20
_PREPARED_ASIDE: Final = 32
"""More records than these are prepared on a thread."""
_IDLE_IN_TRANSACTION = "SET idle_in_transaction_session_timeout = '10s'"
"""A machine that vanished must not keep the head of the chain from everybody else."""

CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_OUR_FAULT = (
    ValueError,  # among them what the driver says of a value that is none of its type
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""What is wrong with the values, not with the storage: it would fail again for ever."""

Durability = Literal["strict", "relaxed"]


class Registering(Protocol):
    """This process's place among those that may have something open."""

    async def register(self, connection: "Connection") -> int: ...


@dataclass(slots=True)
class _Waiting:
    record: Record
    done: "asyncio.Future[None]"
    noted: bool
    """Whether its intent may have been written."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What one transaction does."""

    records: Sequence[_Waiting]
    openings: Sequence[Opening]
    batch: "asyncio.Task[Batch | None] | None" = None
    """What is being made of the records already."""


class Appender:
    """Belongs to the event loop's thread."""

    def __init__(
        self,
        pool: Pool,
        owner: Registering,
        *,
        clock: Callable[[], int],
        durability: Durability = "strict",
        on_commit: OnCommit = lambda records, seconds: None,
    ) -> None:
        self._pool = pool
        self._owner = owner
        self._clock = clock
        self._durability = durability
        self._on_commit = on_commit
        self._waiting: deque[_Waiting] = deque()
        self._openings: dict[str, Opening] = {}
        self._intents = Intents(self._note)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._months: set[Month] = set()
        self._last_error: StorageUnavailable | None = None
        self._stopped = False
        self._at_work: Sequence[_Waiting] = ()
        self._ahead: _Work | None = None
        self._appended = 0
        """How many records ever came, and of how many the end is known."""
        self._ended = 0
        self._settling: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._lost = 0

    @property
    def last_error(self) -> StorageUnavailable | None:
        """Why the last transaction failed; None if it did not."""
        return self._last_error

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._waiting)

    @property
    def lost(self) -> int:
        """Records that cannot be stored, since the start."""
        return self._lost

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._intents.start(loop)
        self._task = loop.create_task(self._run(), name="ledger-appender")

    async def stop(self) -> None:
        """Write what waits, then end."""
        if self._task is None or self._stopped:
            return
        self._intents.flush()
        self._stopped = True
        self._wake.set()
        await self._task

    def open(self, opening: Opening) -> None:
        """StorageUnavailable while nothing can be written."""
        failure = self._last_error
        if failure is not None:
            raise StorageUnavailable(failure.message, detail=failure.detail)
        self._intents.add(opening)

    def append(self, record: Record) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        noted = not self._intents.drop(record.opening.id)
        self._openings.pop(record.opening.id, None)
        if self._stopped:
            done.set_exception(StorageUnavailable("The storage is closed."))
        elif len(self._waiting) >= MOST_WAITING:
            done.set_exception(StorageUnavailable("Too many records wait to be written."))
        else:
            self._waiting.append(_Waiting(record, done, noted))
            self._appended += 1
            self._wake.set()
        return done

    async def settled(self) -> None:
        """Done when the records that were appended before this are committed, or cannot be stored at all.

        StorageUnavailable if the last of them could not be written: then nobody knows what is posted.
        """
        if self._ended == self._appended:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settling.append((self._appended, done))
        await done

    def _note(self, openings: Sequence[Opening]) -> None:
        for opening in openings:
            with suppress(UnicodeEncodeError):  # it cannot be kept, and its record neither
                msgspec.json.encode(opening)
                self._openings.setdefault(opening.id, opening)
        self._wake.set()

    # ------------------------------------------------------------ the task

    async def _run(self) -> None:
        try:
            while await self._something_to_do():
                work = self._take()
                self._at_work = work.records
                await self._work(work)
                self._settle(len(work.records))
                if self._stopped and self._last_error is not None:
                    break
        finally:
            if not self._stopped:
                # After a programming error nothing more may be spent.
                self._last_error = StorageUnavailable("The storage's appender has died.")
            self._stopped = True
            self._give_up()
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(*FAILURES):
                    await connection.close(timeout=CONNECT_TIMEOUT_S)

    async def _something_to_do(self) -> bool:
        """False when all is done for good."""
        while (
            self._ahead is None
            and not self._stopped
            and not self._waiting
            and (not self._openings or self._last_error is not None)
        ):
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), None if self._last_error is None else RETRY_S)
            except TimeoutError:
                return True  # an empty transaction finds out whether the storage is back
        return self._ahead is not None or bool(self._waiting or self._openings)

    def _take(self) -> _Work:
        ahead, self._ahead = self._ahead, None
        return self._gathered() if ahead is None else ahead

    def _look_ahead(self) -> None:
        """Prepare the next transaction beside the one that runs, if there is enough for it."""
        if self._ahead is None and len(self._waiting) >= AHEAD_FROM:
            work = self._gathered()
            self._ahead = replace(work, batch=asyncio.get_running_loop().create_task(self._prepared(work)))

    def _gathered(self) -> _Work:
        records = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_ONE))]
        openings, self._openings = [*self._openings.values()], {}
        return _Work(records, openings)

    async def _work(self, work: _Work) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            await self._insist(work)
        except _OUR_FAULT as exc:
            await self._work_in_parts(work, exc)
        except StorageUnavailable as failure:
            self._fail(work, failure)
        except Exception as exc:  # noqa: BLE001  whatever it is, the next transaction may go well
            self._disconnect()
            self._fail(work, unavailable(exc))
        else:
            self._last_error = None
            for one in work.records:
                if not one.done.done():
                    one.done.set_result(None)
            if work.records:
                self._on_commit(len(work.records), loop.time() - started_s)

    async def _work_in_parts(self, work: _Work, exc: BaseException) -> None:
        """Something cannot be stored: in two halves, until it is alone."""
        records = work.records
        if work.openings and records:
            await self._work(_Work(records, ()))
            await self._work(_Work((), work.openings))
        elif len(records) > 1:
            middle = len(records) // 2
            await self._work(_Work(records[:middle], ()))
            await self._work(_Work(records[middle:], ()))
        elif len(work.openings) > 1:
            for opening in work.openings:
                await self._work(_Work((), [opening]))
        elif records:
            await self._refuse(records[0], exc if isinstance(exc, ValueError) else ValueError(str(exc)))

    async def _refuse(self, one: _Waiting, problem: ValueError) -> None:
        """A record that cannot be stored. Of one that is there nothing is wrong: it changes nothing."""
        told: ValueError | None = problem
        with suppress(UnicodeEncodeError, *FAILURES):
            connection = await self._connected()
            if await connection.fetchval(queries("ledger")["is_there"], one.record.opening.id):
                told = None
        if told is not None:
            self._lost += 1
        if one.done.done():
            return
        if told is None:
            one.done.set_result(None)
        else:
            one.done.set_exception(told)

    async def _insist(self, work: _Work) -> None:
        """One transaction, tried again where that may help. StorageUnavailable if it cannot be done now."""
        batch = await (self._prepared(work) if work.batch is None else work.batch)
        self._look_ahead()
        broken = conflicts = 0
        while True:
            try:
                return await self._transact(work, batch)
            except CONFLICTS as exc:
                conflicts += 1
                if conflicts == _TRIES_OF_CONFLICTS:
                    raise unavailable(exc) from exc
            except asyncpg.CheckViolationError as exc:
                if exc.constraint_name is not None:
                    raise
                # A partition that was there was empty, and was dropped.
                conflicts += 1
                if conflicts == _TRIES_OF_CONFLICTS:
                    raise unavailable(exc) from exc
                self._months.clear()
            except _OUR_FAULT:
                raise
            except FAILURES as exc:
                self._disconnect()
                broken += 1
                if broken == TRIES or isinstance(exc, TimeoutError):
                    raise unavailable(exc) from exc

    async def _prepared(self, work: _Work) -> Batch | None:
        records = [one.record for one in work.records]
        if not records:
            return None
        if len(records) <= _PREPARED_ASIDE:
            return _checked(records)
        return await asyncio.to_thread(_checked, records)

    async def _transact(self, work: _Work, batch: Batch | None) -> None:
        connection = await self._connected()
        if batch is not None and not batch.months <= self._months:
            await make_partitions(connection, batch.months - self._months)
            self._months |= batch.months
        async with connection.transaction():
            if batch is None and not work.openings:
                await connection.execute(queries("ledger")["probe"])
                return
            owner = await self._owner.register(connection) if work.openings else 0
            noted = [one.record.opening.id for one in work.records if one.noted]
            await write(connection, batch, self._clock(), forgotten=noted, openings=work.openings, owner=owner)

    async def _connected(self) -> "Connection":
        """A connection of its own, which is kept for as long as it works."""
        if self._connection is None or self._connection.is_closed():
            self._disconnect()
            self._connection = await connect(self._pool.url, statement_timeout_s=STATEMENT_TIMEOUT_S)
            await self._connection.execute(_IDLE_IN_TRANSACTION)
            if self._durability == "relaxed":
                await self._connection.execute("SET synchronous_commit = off")
        return cast("Connection", self._connection)

    def _disconnect(self) -> None:
        """What it was about to do the server undoes."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _fail(self, work: _Work, failure: StorageUnavailable) -> None:
        """Everybody is told; intents are kept for as long as their requests run."""
        self._last_error = failure
        for opening in work.openings:
            self._openings.setdefault(opening.id, opening)
        for one in work.records:
            if not one.done.done():
                one.done.set_exception(StorageUnavailable(failure.message, detail=failure.detail))

    def _settle(self, records: int) -> None:
        """The end of so many more records is known."""
        self._ended += records
        while self._settling and self._settling[0][0] <= self._ended:
            _, done = self._settling.popleft()
            if done.done():
                continue
            failure = self._last_error
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(StorageUnavailable(failure.message, detail=failure.detail))

    def _give_up(self) -> None:
        """Nobody may wait for ever."""
        ahead = () if self._ahead is None else self._ahead.records
        waiting = (one.done for one in (*self._at_work, *ahead, *self._waiting))
        for done in (*waiting, *(done for _, done in self._settling)):
            if not done.done():
                done.set_exception(StorageUnavailable("The storage is closed."))


def _checked(records: Sequence[Record]) -> Batch:
    """ValueError if one of them can never be stored."""
    for record in records:
        check_numbers(record)
    return prepared(records)
