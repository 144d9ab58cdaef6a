"""The backends that the conformance suites run against, each behind the same few handles."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from arouter.store.base import Counters, Directory, Ledger
from arouter.store.memory import MemoryStore
from arouter.store.postgres.database import PostgresStore
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Store
from tests.postgres_server import fresh_database

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
        store = self.store.beside() if isinstance(self.store, MemoryStore) else self.make(self.clock, None)
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
    return Backend(lambda clock, _: SqliteStore.open(str(folder / "arouter.db"), clock=clock))


class SealedStore:
    """SQLite whose days are sealed whenever something is asked: what was recorded until then is found in blocks."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.directory: Directory = store.directory
        self.ledger: Any = SealedLedger(store)
        self.counters: Counters = store.counters

    async def start(self) -> None:
        await self.store.start()

    async def close(self) -> None:
        await self.store.close()


ASKING = frozenset(
    {"get", "page", "summary", "summaries", "adjustments_of", "spending", "byok_spending", "last_used"}
    | {"check", "user_span", "list_users", "user_costs"}
)


class SealedLedger:
    """Seals before each answer."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store.ledger, name)
        if name not in ASKING:
            return method

        async def ask(*arguments: Any, **named: Any) -> Any:
            await self._store.archive.seal(before_us=2**62)
            return await method(*arguments, **named)

        return ask


def sealed(folder: Path) -> Backend:
    return Backend(lambda clock, _: SealedStore(SqliteStore.open(str(folder / "arouter.db"), clock=clock)))


def postgres(folder: Path) -> Backend:
    url = fresh_database()
    return Backend(lambda clock, _: PostgresStore.open(url, clock=clock))


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": memory,
    "postgres": postgres,
    "sealed": sealed,
    "sqlite": sqlite,
}
