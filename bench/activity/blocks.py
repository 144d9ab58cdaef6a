"""Days loaded as sealed blocks at once, made by another process meanwhile: the way for many records."""

import asyncio
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.windows import DAY_US
from arouter.sandbox.history.columns import Day, History
from arouter.store.sqlite import SqliteStore
from bench.activity.build import Loaded, OnRecords
from bench.activity.tables import Tables
from bench.activity.world import World, listed_prices

ID_RANDOM_BYTES = 9
NAMED = {
    "workspace_id": "workspace_no",
    "key_hash": "key_no",
    **{
        name: f"{name}_no"
        for name in (
            *("endpoint", "status", "usage_source", "requested_model", "model", "provider", "upstream_model"),
            *("finish_reason", "error_code", "price_source", "price_version", "app_url", "app_title"),
        )
    },
}
"""Dictionary columns, and what the archive calls the numbers of their texts."""


class BlockLoader:
    """Each day through `SqliteStore.archive.load`."""

    name = "sealed blocks"
    bytes_per_record = 340

    def __init__(self, world: World) -> None:
        self._world = world
        self._first_day = world.start_us // DAY_US
        self._names: dict[str, int] = {}
        self._users = [np.zeros(plan.users, dtype=np.int32) for plan in world.plans]
        """The number of each user in the database; 0 for one who has none yet."""
        # A process of its own from the start: a fork would take the store's threads for its own.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(world,))
        self._made: dict[int, Future[tuple[Loaded, list[pa.Table]]]] = {}

    async def load(self, store: SqliteStore, day: int, on_records: OnRecords) -> Loaded:
        for number in (day, day + 1):
            if number < self._world.size.days and number not in self._made:
                self._made[number] = self._pool.submit(_make, number)
        loaded, tables = await asyncio.wrap_future(self._made.pop(day))
        for number, table in enumerate(tables):
            if table.num_rows:
                await self._load(store, number, day, table)
                on_records(table.num_rows)
        return loaded

    async def _load(self, store: SqliteStore, tenant: int, day: int, table: pa.Table) -> None:
        organization_id = self._world.tenants[tenant].organization_id
        await self._number_names(store, table)
        await self._number_users(store, tenant, table)
        records = numbered(table, self._names, self._users[tenant])
        try:
            await store.archive.load(records, organization_id=organization_id, day=self._first_day + day)
        except ValueError as refused:
            # A building that was cut short before it noted the day.
            if "is sealed" not in str(refused):
                raise

    async def _number_names(self, store: SqliteStore, table: pa.Table) -> None:
        texts = {text for name in NAMED for text in _dictionary(table, name).to_pylist()}
        texts |= set(pc.unique(pc.list_flatten(table.column("tags"))).to_pylist())
        if new := sorted(texts - self._names.keys()):
            self._names |= await store.archive.name_numbers(new)

    async def _number_users(self, store: SqliteStore, tenant: int, table: pa.Table) -> None:
        known = self._users[tenant]
        places = _indices(table, "user").drop_null().unique().to_numpy()
        new = places[known[places] == 0]
        if len(new):
            names = _dictionary(table, "user").take(pa.array(new)).to_pylist()
            organization_id = self._world.tenants[tenant].organization_id
            known[new] = await store.archive.user_numbers(organization_id, names)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def numbered(table: pa.Table, names: Mapping[str, int], users: np.ndarray[Any, np.dtype[np.int32]]) -> pa.Table:
    """The same with numbers for texts and users, by the names that the archive gives its columns."""
    columns: dict[str, Any] = {}
    for name in table.schema.names:
        if name in NAMED:
            numbers = [names.get(text, 0) for text in _dictionary(table, name).to_pylist()]
            columns[NAMED[name]] = pa.array(numbers, pa.int32()).take(_indices(table, name))
        elif name == "user":
            columns["user_no"] = pa.array(users).take(_indices(table, name))
        elif name == "tags":
            columns["tags"] = _numbered_tags(table.column("tags").combine_chunks(), names)
        elif name not in ("id", "organization_id"):
            columns[name] = table.column(name)
    return pa.table(columns)


def _numbered_tags(tags: Any, names: Mapping[str, int]) -> pa.Array:
    tags = tags.chunk(0) if isinstance(tags, pa.ChunkedArray) else tags
    values = tags.values.dictionary_encode()
    numbers = pa.array([names[text] for text in values.dictionary.to_pylist()], pa.int32()).take(values.indices)
    return pa.ListArray.from_arrays(tags.offsets, numbers, mask=tags.is_null())


def _chunk(table: pa.Table, name: str) -> Any:
    made = table.column(name).combine_chunks()
    return made.chunk(0) if isinstance(made, pa.ChunkedArray) else made


def _dictionary(table: pa.Table, name: str) -> Any:
    return _chunk(table, name).dictionary


def _indices(table: pa.Table, name: str) -> Any:
    return _chunk(table, name).indices


def id_randoms(day: Day) -> pa.Array:
    """The random parts of the day's ids: half a byte of zero, half a byte of the first word, the second word."""
    made = np.empty((len(day), ID_RANDOM_BYTES), dtype=np.uint8)
    made[:, 0] = (day.id_high & np.uint64(15)).astype(np.uint8)
    made[:, 1:] = day.id_low.astype(">u8").view(np.uint8).reshape(-1, 8)
    return pa.Array.from_buffers(pa.binary(ID_RANDOM_BYTES), len(day), [None, pa.py_buffer(made)])


# ---------------------------------------------------------------- in the other process


class _Maker:
    """What the process keeps between days."""

    histories: list[History]
    tables: list[Tables]


def _begin(world: World) -> None:
    card_of = listed_prices()
    _Maker.histories = [History(plan, card_of) for plan in world.plans]
    _Maker.tables = [
        Tables(history, tenant.owner()) for history, tenant in zip(_Maker.histories, world.tenants, strict=True)
    ]


def _make(number: int) -> tuple[Loaded, list[pa.Table]]:
    """A day of each tenant."""
    days = [history.day(number) for history in _Maker.histories]
    made = [
        tables.of(day).append_column("id_random", id_randoms(day))
        for tables, day in zip(_Maker.tables, days, strict=True)
    ]
    return Loaded.of(days), made
