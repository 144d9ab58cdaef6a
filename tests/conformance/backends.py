"""The backends that the conformance suites run against, each behind the same few handles."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from arouter.store.base import Counters, Directory, Ledger
from arouter.store.clickhouse.connections import Address, Connections, load_driver
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.clickhouse.schema import Place
from arouter.store.feed import Feed
from arouter.store.memory import MemoryStore
from arouter.store.postgres.database import PostgresStore
from arouter.store.routed import RoutedLedger
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Store
from tests.postgres_server import fresh_database
from tests.sqlite_file import open_store

Result = TypeVar("Result")


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now_us: int = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now_us


@dataclass
class Backend:
    """A store that is running, and its event loop."""

    make: Callable[[Clock, Store | None], Store]
    clock: Clock = field(default_factory=Clock)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = self.make(self.clock, None)
        self.run(self.store.start())

    @property
    def ledger(self) -> Ledger:
        return self.store.ledger

    @property
    def directory(self) -> Directory:
        return self.store.directory

    @property
    def counters(self) -> Counters:
        return self.store.counters

    def beside(self) -> Store:
        """The store of another process on the same data, running; for the caller to close."""
        store = (
            self.store.beside() if isinstance(self.store, MemoryStore | CopiedStore) else self.make(self.clock, None)
        )
        self.run(store.start())
        return store

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(coroutine)

    def restart(self) -> None:
        """End this process's store, whatever is open, and start that of the next one on the same data."""
        self.run(self.store.close())
        self.store = self.make(self.clock, self.store)
        self.run(self.store.start())

    def stop(self) -> None:
        self.run(self.store.close())
        self.runner.close()


def memory(folder: Path) -> Backend:
    def make(clock: Clock, before: Store | None) -> Store:
        return before.reopened() if isinstance(before, MemoryStore) else MemoryStore(clock=clock)

    return Backend(make)


def sqlite(folder: Path) -> Backend:
    return Backend(lambda clock, _: open_store(folder / "arouter.db", clock))


def file_of(backend: Backend) -> str:
    """The path of a SQLite backend's file, for a look into its tables: all that has arrived is booked."""
    assert isinstance(backend.store, SqliteStore)
    backend.run(backend.store.ledger.behind_all_writes())
    return backend.store.path


class SealedStore:
    """SQLite whose days are sealed whenever something is asked: what was recorded until then is found in blocks."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.directory: Directory = store.directory
        self.ledger: Any = SealedFirst(store, store.ledger, ASKING)
        self.counters: Counters = store.counters
        self.feed: Any = SealedFirst(store, store.feed, frozenset({"read"}))

    async def start(self) -> None:
        await self.store.start()

    async def close(self) -> None:
        await self.store.close()


ASKING = frozenset(
    {"get", "page", "summary", "summaries", "adjustments_of", "spending", "byok_spending", "last_used"}
    | {"check", "user_span", "list_users", "user_costs"}
)


class SealedFirst:
    """Seals before each answer."""

    def __init__(self, store: SqliteStore, asked: object, asking: frozenset[str]) -> None:
        self._store = store
        self._asked = asked
        self._asking = asking

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._asked, name)
        if name not in self._asking:
            return method

        async def ask(*arguments: Any, **named: Any) -> Any:
            await self._store.archive.seal(before_us=2**62)
            return await method(*arguments, **named)

        return ask


def sealed(folder: Path) -> Backend:
    return Backend(lambda clock, _: SealedStore(open_store(folder / "arouter.db", clock)))


def postgres(folder: Path) -> Backend:
    url = fresh_database()
    return Backend(lambda clock, _: PostgresStore.open(url, clock=clock))


@cache
def inside() -> Connections:
    """To ClickHouse's engine in this process, which there can be one of; each store has a database of its own there."""
    _engine()
    return Connections(Address(url="chdb:"), threads=1)


@cache
def _engine() -> object:
    """A connection that stays: with the last one the engine ends, and all that is in it."""
    return load_driver().connect_inside(":memory:")


class CopiedStore:
    """Memory with a copy in ClickHouse's engine, which is brought up to date whenever something is asked."""

    def __init__(self, store: MemoryStore, clock: Clock, database: str) -> None:
        self.store = store
        self.clock = clock
        self.database = database
        self.copier = Copier(inside(), Place(database=database), store.feed)
        self.directory: Directory = store.directory
        self.routed = RoutedLedger(
            store.ledger,
            store.feed,
            ClickHouseReader(inside(), self.copier, store.directory),
            now_us=clock,
            most_lag_us=0,
            on_failure=_fail,
        )
        self.ledger: Any = CopiedFirst(self.routed, self.copier)
        self.counters: Counters = store.counters
        self.feed: Feed = store.feed

    def reopened(self) -> "CopiedStore":
        return CopiedStore(self.store.reopened(), self.clock, self.database)

    def beside(self) -> "CopiedStore":
        return CopiedStore(self.store.beside(), self.clock, self.database)

    async def start(self) -> None:
        await self.store.start()

    async def close(self) -> None:
        await self.store.close()


def _fail(message: str, detail: str | None) -> None:
    raise AssertionError(f"the copy does not answer: {message} {detail}")


OF_THE_COPY = frozenset({"page", "summary", "summaries", "user_span", "list_users", "user_costs"})


class CopiedFirst:
    """Copies before each answer, and sees to it that the copy gives it, but where only the ledger knows."""

    def __init__(self, ledger: RoutedLedger[Any], copier: Copier) -> None:
        self._ledger = ledger
        self._copier = copier

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)
        if name not in OF_THE_COPY:
            return method

        async def ask(*arguments: Any, **named: Any) -> Any:
            await self._copier.prepare()
            while await self._copier.step() is not None:
                pass
            before = self._ledger.answered_by_copy
            answer = await method(*arguments, **named)
            if name != "summaries" and getattr(arguments[0], "scope", arguments[0]).creator is None:
                assert self._ledger.answered_by_copy == before + 1
            return answer

        return ask


def clickhouse(folder: Path) -> Backend:
    database = f"arouter_{uuid4().hex}"

    def make(clock: Clock, before: Store | None) -> Store:
        if isinstance(before, CopiedStore):
            return before.reopened()
        return CopiedStore(MemoryStore(clock=clock), clock, database)

    return Backend(make)


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "clickhouse": clickhouse,
    "memory": memory,
    "postgres": postgres,
    "sealed": sealed,
    "sqlite": sqlite,
}
