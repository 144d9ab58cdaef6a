"""`Movable` for a file: a connection of its own on a thread of its own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.store.base import CheckReport
from arouter.store.migrate import migrations
from arouter.store.moving import (
    AT_ONCE,
    BIG_NUMBERS,
    LEFT_BEHIND,
    MOVED,
    CopyState,
    Held,
    Piece,
    Row,
    Rows,
    Value,
    fitting,
)
from arouter.store.sqlite.adjuster import adjust
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.arrivals import book_all, has_arrivals
from arouter.store.sqlite.changes import count_change
from arouter.store.sqlite.checks import check_ledger
from arouter.store.sqlite.connections import (
    Durability,
    connect_reader,
    connect_writer,
    migrate,
    prepare_file,
    require_sound_library,
    schema_version,
    storage_errors,
    transaction,
)
from arouter.store.sqlite.left_behind import LeftBehind, sums_of
from arouter.store.sqlite.moved_records import WrittenReader, moving, read_copy_state
from arouter.store.sqlite.owners import living_owners
from arouter.store.sqlite.statements import ENGINE, queries

OF_A_NEW_DATABASE: Final = {"organizations": 1, "workspaces": 1, "home": 1, "audit": 2}
_WAL_PAGES: Final = 20_000
"""After so many pages the log of the target is moved into the database."""

Result = TypeVar("Result")


class SqliteMovable:
    """A file to read from, or one to write to, which is made or migrated where needed."""

    def __init__(self, path: str, *, is_target: bool) -> None:
        self._path = path
        self._is_target = is_target
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="moving")
        self._connection: apsw.Connection | None = None
        self._reader = WrittenReader()
        self._appender = Appender()

    async def start(self) -> None:
        await self._run(self._connect)

    async def close(self) -> None:
        await self._run(self._disconnect)
        self._thread.shutdown()

    def _connect(self) -> None:
        require_sound_library(apsw.sqlite_lib_version())
        if self._is_target:
            prepare_file(self._path)
            self._connection = connect_writer(self._path, Durability.STRICT)
            self._connection.wal_autocheckpoint(_WAL_PAGES)
            migrate(self._connection)
            return
        self._connection = connect_reader(self._path)
        version, known = schema_version(self._connection), len(migrations(ENGINE))
        if version != known:
            raise StorageUnavailable(
                f"The database has schema version {version}, and this program version {known}: "
                "`arouter db migrate` brings it there."
            )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def identity(self) -> str | None:
        def read(connection: apsw.Connection) -> str | None:
            secret = connection.execute(moving()["secret_of_home"]).get
            if secret is None:
                return None
            assert isinstance(secret, bytes)
            expired = connection.execute(queries()["expired_records"]).get
            return f"{hashlib.sha256(secret).hexdigest()}-{expired}"

        return await self._read(read)

    async def held(self) -> Held:
        def read(connection: apsw.Connection) -> Held:
            counts = {table: _count(connection, table) for table in (*MOVED, "rollups") if _columns(connection, table)}
            others = [table for table, count in counts.items() if count > OF_A_NEW_DATABASE.get(table, 0)]
            records = int(connection.execute(queries()["count_records"]).get)
            return Held(records=records, adjustments=_count(connection, "adjustments"), others=others)

        return await self._read(read)

    async def living(self) -> int:
        return await self._read(lambda connection: len(living_owners(connection, self._path)[0]))

    # ------------------------------------------------------------ the source

    async def written(self, after: str) -> AsyncIterator[Piece]:
        while True:
            position = after
            piece = await self._read(lambda connection, position=position: self._reader.read(connection, position))  # type: ignore[misc]
            if piece is None:
                return
            yield piece
            after = piece.position

    async def rows(self, table: str) -> AsyncIterator[Rows]:
        columns, found = await self._run(lambda: self._open_rows(table))
        while rows := await self._run(lambda: _some(found)):
            yield Rows(table=table, columns=columns, rows=rows)

    def _open_rows(self, table: str) -> tuple[Sequence[str], Iterator[Row]]:
        connection = self._opened()
        self._book(connection)
        if table not in MOVED:
            return sums_of(connection, table)
        columns = _columns(connection, table)
        if not columns:
            return (), iter(())
        sql = moving()["rows"].format(columns=", ".join(columns), table=table)
        decimals = _decimals(table, columns)
        found: Iterator[Row] = connection.execute(sql)
        return columns, (_turned(row, decimals, int) for row in found) if decimals else found

    # ------------------------------------------------------------ the target

    async def copy_state(self) -> CopyState | None:
        return await self._read(read_copy_state)

    async def begin_copy(self, source: str) -> None:
        await self._write(lambda connection: connection.execute(moving()["begin_copy"], (source,)).get)

    async def end_copy(self) -> None:
        await self._write(lambda connection: connection.execute(moving()["end_copy"]).get)

    async def load(self, piece: Piece) -> None:
        await self._write(lambda connection: self._load(connection, piece))

    def _load(self, connection: apsw.Connection, piece: Piece) -> None:
        for one in piece.written:
            if one.records:
                problems = self._appender.append(connection, one.records, one.written_at_us, new=True)
                for problem in filter(None, problems):
                    raise StorageUnavailable("A record cannot be stored.", detail=str(problem))
            if one.adjustments:
                numbers = self._appender.numbers
                count = adjust(connection, numbers, one.adjustments, one.written_at_us, is_noted=False)
                if count != len(one.adjustments):
                    raise StorageUnavailable("An adjustment is there already, or its record is not.")
                self._appender.forget_last()
        connection.execute(moving()["set_position"], (piece.position,))

    async def replace(self, rows: AsyncIterator[Rows]) -> None:
        left = LeftBehind(self._appender)
        await self._run(self._begin_replacing)
        try:
            async for some in rows:
                await self._run(lambda some=some: self._put(left, some))  # type: ignore[misc]
            await self._run(lambda: self._end_replacing(left))
        except BaseException:
            await self._run(self._roll_back)
            raise

    def _begin_replacing(self) -> None:
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        for table in reversed(MOVED):
            if _columns(connection, table):
                connection.execute(moving()["empty"].format(table=table))

    def _put(self, left: LeftBehind, rows: Rows) -> None:
        connection = self._opened()
        if rows.table in LEFT_BEHIND:
            left.put(connection, rows)
            return
        columns, values = fitting(rows, _columns(connection, rows.table))
        sql = moving()["add_row"].format(
            table=rows.table, columns=", ".join(columns), places=", ".join("?" * len(columns))
        )
        decimals = _decimals(rows.table, columns)
        connection.executemany(sql, [_turned(row, decimals, str) for row in values] if decimals else values)

    def _end_replacing(self, left: LeftBehind) -> None:
        connection = self._opened()
        left.finish(connection)
        count_change(connection)
        connection.execute("COMMIT")

    def _roll_back(self) -> None:
        self._appender.forget()
        with suppress(apsw.Error):
            self._opened().execute("ROLLBACK")

    async def check(self) -> CheckReport:
        return await self._read(lambda connection: check_ledger(connection, self._path))

    # ------------------------------------------------------------ the thread

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            raise StorageUnavailable("The storage is closed.")
        return self._connection

    async def _read(self, read: Callable[[apsw.Connection], Result]) -> Result:
        """In one transaction."""

        def run() -> Result:
            connection = self._opened()
            self._book(connection)
            with transaction(connection, "DEFERRED"):
                return read(connection)

        return await self._run(run)

    def _book(self, connection: apsw.Connection) -> None:
        """What a process that was killed left, and what one that is no gateway writes meanwhile."""
        if not has_arrivals(connection):
            return
        writing = connection if self._is_target else connect_writer(self._path, Durability.STRICT)
        try:
            with transaction(writing):
                book_all(writing)
        finally:
            if not self._is_target:
                writing.close()
        self._appender.forget()

    async def _write(self, write: Callable[[apsw.Connection], Any]) -> None:
        def run() -> None:
            connection = self._opened()
            try:
                with transaction(connection):
                    write(connection)
            except BaseException:
                self._appender.forget()
                raise

        await self._run(run)

    async def _run(self, run: Callable[[], Result]) -> Result:
        def guarded() -> Result:
            with storage_errors():
                return run()

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)


def _columns(connection: apsw.Connection, table: str) -> Sequence[str]:
    """None for a table that is not there."""
    return [str(name) for (name,) in connection.execute(moving()["columns_of"], (table,)).fetchall()]


def _decimals(table: str, columns: Sequence[str]) -> Sequence[int]:
    """The places of the columns that are numbers, and decimal text here."""
    return [place for place, column in enumerate(columns) if f"{table}.{column}" in BIG_NUMBERS]


def _turned(row: Row, places: Sequence[int], turn: Callable[[Any], Value]) -> Row:
    values = [*row]
    for place in places:
        values[place] = None if values[place] is None else turn(values[place])
    return tuple(values)


def _count(connection: apsw.Connection, table: str) -> int:
    return int(connection.execute(moving()["count"].format(table=table)).get)


def _some(rows: Iterator[Row]) -> Sequence[Row]:
    found = []
    for row in rows:
        found.append(tuple(row))
        if len(found) == AT_ONCE:
            break
    return found
