"""`Movable` for a PostgreSQL database: sessions of its own, which may take as long as they need."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg

from arouter.domain.errors import StorageUnavailable
from arouter.store.base import CheckReport
from arouter.store.migrate import migrations
from arouter.store.moving import AT_ONCE, LEFT_BEHIND, MOVED, CopyState, Held, Piece, Row, Rows, Value, Written, fitting
from arouter.store.postgres.adjuster import write_adjustments
from arouter.store.postgres.changes import count_change
from arouter.store.postgres.checks import check_ledger
from arouter.store.postgres.errors import refusals, storage_errors
from arouter.store.postgres.left_behind import put, sums_of
from arouter.store.postgres.loading import Batches, prepared_batches, write_batches
from arouter.store.postgres.migrating import ENGINE, migrate
from arouter.store.postgres.moved_records import read_copy_state, written_behind
from arouter.store.postgres.owners import living_owners
from arouter.store.postgres.partitions import make_partitions
from arouter.store.postgres.pool import OLDEST_SERVER, connect
from arouter.store.postgres.raised import columns_of
from arouter.store.postgres.statements import queries
from arouter.store.stores import without_password

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

AREA: Final = "moving"
STATEMENT_TIMEOUT_S: Final = 24 * 3600.0
"""To sort a ledger takes as long as it is large."""
OF_A_NEW_DATABASE: Final = {"organizations": 1, "workspaces": 1, "home": 1, "audit": 2}
_NO_LIMITS: Final = "SET idle_in_transaction_session_timeout = 0"


class PostgresMovable:
    """A database to read from, or one to write to, whose tables are made or migrated where needed."""

    def __init__(self, url: str, *, is_target: bool) -> None:
        self._url = url
        self._is_target = is_target
        self._session: Connection | None = None

    async def start(self) -> None:
        try:
            with storage_errors():
                session = await self._connected()
        except StorageUnavailable as failure:
            raise StorageUnavailable(
                f"The PostgreSQL database at {without_password(self._url)} cannot be used.", detail=failure.detail
            ) from failure
        self._session = session
        with storage_errors():
            version = session.get_server_version().major
            if version < OLDEST_SERVER:
                raise StorageUnavailable(f"PostgreSQL {version} is too old; use {OLDEST_SERVER} or later.")
            if self._is_target:
                await migrate(session)
                return
            found = await session.fetchval(queries(AREA)["schema_there"])
            version, known = (
                found and await session.fetchval(queries("database")["schema_version"]),
                len(migrations(ENGINE)),
            )
            if version != known:
                raise StorageUnavailable(
                    f"The database has schema version {version or 0}, and this program version {known}: "
                    "`arouter db migrate` brings it there."
                )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def identity(self) -> str | None:
        with storage_errors():
            secret = await self._opened().fetchval(queries(AREA)["secret_of_home"])
            if secret is None:
                return None
            expired = await self._opened().fetchval(queries(AREA)["expired_requests"])
            return f"{hashlib.sha256(secret).hexdigest()}-{expired}"

    async def held(self) -> Held:
        with storage_errors():
            counts = {table: await self._count(table) for table in (*MOVED, "rollups") if await self._columns(table)}
            return Held(
                records=await self._count("records"),
                adjustments=await self._count("adjustments"),
                others=[table for table, count in counts.items() if count > OF_A_NEW_DATABASE.get(table, 0)],
            )

    async def living(self) -> int:
        async with self._transaction() as session:
            alive, _ = await living_owners(session)
        return len(alive)

    # ------------------------------------------------------------ the source

    async def written(self, after: str) -> AsyncIterator[Piece]:
        async with self._reading() as session:
            async for piece in written_behind(session, after):
                yield piece

    async def rows(self, table: str) -> AsyncIterator[Rows]:
        async with self._reading() as session:
            if table in MOVED:
                columns: Sequence[str] = [name for name, _ in await self._columns(table)]
                sql = queries(AREA)["rows"].format(columns=", ".join(columns), table=table)
            else:
                columns, sql = sums_of(table)
            if not columns:
                return
            cursor = await session.cursor(sql)
            while found := await cursor.fetch(AT_ONCE):
                yield Rows(table=table, columns=columns, rows=await asyncio.to_thread(_told, found))

    # ------------------------------------------------------------ the target

    async def copy_state(self) -> CopyState | None:
        with storage_errors():
            return await read_copy_state(self._opened())

    async def begin_copy(self, source: str) -> None:
        with storage_errors():
            await self._opened().execute(queries(AREA)["begin_copy"], source)

    async def end_copy(self) -> None:
        with storage_errors():
            await self._opened().execute(queries(AREA)["end_copy"])

    async def load(self, piece: Piece) -> None:
        parts = await asyncio.to_thread(_parts, piece)
        with storage_errors():
            await make_partitions(
                self._opened(), {month for part in parts if part.batches for month in part.batches.months}
            )
        async with self._transaction() as session:
            for part in parts:
                if part.batches is not None:
                    await write_batches(session, part.batches)
                else:
                    await _adjust(session, part.written)
            await session.execute(queries(AREA)["set_position"], piece.position)

    async def replace(self, rows: AsyncIterator[Rows]) -> None:
        async with self._transaction() as session:
            await session.execute(queries(AREA)["empty_ends"])
            for table in reversed(MOVED):
                if await self._columns(table):
                    await session.execute(queries(AREA)["empty"].format(table=table))
            async for some in rows:
                if some.table in LEFT_BEHIND:
                    await put(session, some)
                else:
                    await self._insert(session, some)
            await session.execute(queries(AREA)["set_ends"])
            await count_change(session)
            await session.execute(queries(AREA)["number_user_rules"])

    async def _insert(self, session: "Connection", rows: Rows) -> None:
        types = dict(await self._columns(rows.table))
        columns, values = fitting(rows, [*types])
        if not columns or not values:
            return
        chosen = [types[column] for column in columns]
        flags = [place for place, of in enumerate(chosen) if of == "boolean"]
        given = await asyncio.to_thread(lambda: columns_of([_with_flags(row, flags) for row in values], chosen))
        arrays = ", ".join(f"${place}::{of}[]" for place, of in enumerate(chosen, 1))
        sql = queries(AREA)["add_rows"].format(table=rows.table, columns=", ".join(columns), arrays=arrays)
        with refusals():
            await session.execute(sql, *given)

    async def check(self) -> CheckReport:
        async with self._transaction() as session:
            _, dead = await living_owners(session)
        async with self._reading() as session:
            return await check_ledger(session, sorted(dead))

    # ------------------------------------------------------------ sessions

    def _opened(self) -> "Connection":
        if self._session is None:
            raise StorageUnavailable("The storage is closed.")
        return self._session

    async def _connected(self) -> "Connection":
        session = cast("Connection", await connect(self._url, statement_timeout_s=STATEMENT_TIMEOUT_S))
        await session.execute(_NO_LIMITS)
        return session

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator["Connection"]:
        session = self._opened()
        with storage_errors():
            async with session.transaction():
                yield session

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator["Connection"]:
        """One state of the database, on a session of its own."""
        with storage_errors():
            session = await self._connected()
            try:
                async with session.transaction(isolation="repeatable_read", readonly=True):
                    yield session
            finally:
                await session.close()

    async def _columns(self, table: str) -> Sequence[tuple[str, str]]:
        """Names and types; none for a table that is not there."""
        rows = await self._opened().fetch(queries(AREA)["columns_of"], table)
        return [(row["name"], row["type"]) for row in rows]

    async def _count(self, table: str) -> int:
        return int(await self._opened().fetchval(queries(AREA)["count"].format(table=table)))


@dataclass(frozen=True, slots=True)
class _Part:
    """What was written one after the other, all of it records, or all of it adjustments."""

    written: Sequence[Written]
    batches: Batches | None


def _parts(piece: Piece) -> Sequence[_Part]:
    grouped = groupby(piece.written, key=lambda one: bool(one.records))
    runs = [(are_records, list(some)) for are_records, some in grouped]
    return [_Part(some, prepared_batches(some) if are_records else None) for are_records, some in runs]


async def _adjust(session: "Connection", written: Sequence[Written]) -> None:
    for one in written:
        count = await write_adjustments(session, one.adjustments, one.written_at_us, is_noted=False)
        if count != len(one.adjustments):
            raise StorageUnavailable("An adjustment is there already, or its record is not.")


def _told(rows: Sequence["asyncpg.Record"]) -> Sequence[Row]:
    return [tuple(_value(value) for value in row) for row in rows]


def _value(value: Any) -> Value:
    return int(value) if isinstance(value, bool | Decimal) else cast(Value, value)


def _with_flags(row: Row, flags: Sequence[int]) -> tuple[Any, ...]:
    values: list[Any] = [*row]
    for place in flags:
        values[place] = None if values[place] is None else bool(values[place])
    return tuple(values)
