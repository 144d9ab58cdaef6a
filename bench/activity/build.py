"""The database with the history: built day by day, with the memory of a day or two, and gone on with where it ended."""

import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from arouter.domain.keys import Key, KeyKind, digest
from arouter.domain.windows import DAY_US
from arouter.engine.clock import SystemClock
from arouter.sandbox.history.columns import UNKNOWN, Day, History
from arouter.sandbox.history.population import APPLICATIONS, WORKSPACES, Owner
from arouter.sandbox.history.records import records_of
from arouter.store.sqlite import SqliteStore
from arouter.wiring.storage import find_home, make_key
from bench.activity.world import DATABASE, NOTE, Size, Tenant, World, listed_prices, today_us, write_world

ROW_BYTES = 460
"""What a record takes as a row, with its indexes and sums."""
_AT_ONCE = 5_000

OnRecords = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A day, as it was generated."""

    records: int
    """Of all tenants."""
    cost: int
    """Of the first tenant, in picodollars."""

    @classmethod
    def of(cls, days: Sequence[Day]) -> "Loaded":
        """One day of each tenant."""
        known = days[0].cost[days[0].cost != UNKNOWN]
        return cls(records=sum(map(len, days)), cost=int(known.sum()))


class Loader(Protocol):
    """Puts days into the database. One for a building, closed at its end."""

    name: str
    bytes_per_record: int
    """What it takes on the disk, about."""

    async def load(self, store: SqliteStore, day: int, on_records: OnRecords) -> "Loaded":
        """All tenants' records of one day. What is there already is not doubled."""

    def close(self) -> None: ...


class RowLoader:
    """Each record through `close`, as a gateway does it: slow, and for small databases."""

    name = "rows"
    bytes_per_record = ROW_BYTES

    def __init__(self, world: World) -> None:
        card_of = listed_prices()
        self._histories = [History(plan, card_of) for plan in world.plans]
        self._owners: list[Owner] = [tenant.owner() for tenant in world.tenants]

    async def load(self, store: SqliteStore, day: int, on_records: OnRecords) -> Loaded:
        days = [history.day(day) for history in self._histories]
        waiting: deque[Awaitable[None]] = deque()
        for history, made, owner in zip(self._histories, days, self._owners, strict=True):
            for record in records_of(history, made, owner):
                waiting.append(store.ledger.close(record))
                if len(waiting) > 2 * _AT_ONCE:
                    for _ in range(_AT_ONCE):
                        await waiting.popleft()
                    on_records(_AT_ONCE)
        on_records(len(waiting))
        while waiting:
            await waiting.popleft()
        return Loaded.of(days)

    def close(self) -> None:
        pass


def clear(folder: Path) -> None:
    """Make the folder, or remove what an earlier building left in it, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*folder.glob(f"{DATABASE}*"), *folder.glob(f"{NOTE}*")):
        file.unlink()


async def found_world(folder: Path, size: Size) -> World:
    """An empty database with the keys of both organizations, in an empty folder."""
    clock = SystemClock()
    store = SqliteStore.open(str(folder / DATABASE), clock=clock.now_us)
    await store.start()
    home = await find_home(store, clock)
    start_us = today_us() - size.days * DAY_US
    tenants = []
    for organization_id in (home.organization_id, f"org_{secrets.token_hex(8)}"):
        workspaces = tuple(f"ws_{secrets.token_hex(8)}" for _ in range(WORKSPACES))
        keys = [
            _key(organization_id, workspaces[application.workspace], application.name, start_us)
            for application in APPLICATIONS
        ]
        for key in keys:
            await store.directory.add_key(key, secret=key.hash)
        tenants.append(
            Tenant(
                organization_id=organization_id,
                workspace_ids=workspaces,
                key_hashes=tuple(key.hash for key in keys),
            )
        )
    management, plaintext = make_key(home, KeyKind.MANAGEMENT, "bench", now_us=clock.now_us())
    await store.directory.add_key(management, secret=management.hash)
    await store.close()
    world = World(size=size, start_us=start_us, tenants=tuple(tenants), management_key=plaintext)
    write_world(folder, world)
    return world


def _key(organization_id: str, workspace_id: str, name: str, created_at_us: int) -> Key:
    return Key(
        hash=digest(secrets.token_hex()),
        name=name,
        kind=KeyKind.TEST,
        label="bench",
        organization_id=organization_id,
        workspace_id=workspace_id,
        creator=None,
        created_at_us=created_at_us,
    )


async def build(folder: Path, world: World, loader: Loader, on_records: OnRecords) -> None:
    """Load the days that are not there yet; the world is noted after each."""
    world.loader = loader.name
    store = SqliteStore.open(str(folder / DATABASE), clock=SystemClock().now_us, durability="relaxed")
    await store.start()
    try:
        while not world.whole:
            started = time.monotonic()
            loaded = await loader.load(store, world.days_done, on_records)
            world.records += loaded.records
            world.cost += loaded.cost
            world.days_done += 1
            world.seconds += time.monotonic() - started
            world.bytes = database_bytes(folder)
            write_world(folder, world)
    finally:
        loader.close()
        await store.close()
    world.bytes = database_bytes(folder)
    write_world(folder, world)


async def fold(folder: Path, world: World, on_days: Callable[[int, int], None]) -> None:
    """Make the columns of every day that has none, as a gateway does beside its requests. `on_days` is told how many
    are done, and of how many."""
    clock = SystemClock()
    store = SqliteStore.open(str(folder / DATABASE), clock=clock.now_us, durability="relaxed")
    await store.start()
    started = time.monotonic()
    try:
        days = await store.days_to_fold(clock.now_us())
        for done, day in enumerate(days):
            on_days(done, len(days))
            await store.fold(day, clock.now_us())
    finally:
        await store.close()
    if days:
        world.fold_seconds += time.monotonic() - started
        world.bytes = database_bytes(folder)
        write_world(folder, world)


def database_bytes(folder: Path) -> int:
    """Of the database and its log."""
    return sum(file.stat().st_size for file in folder.glob(f"{DATABASE}*"))
