"""The ledger of a PostgreSQL database in the order of writing, to be moved: in one transaction, by cursors."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from arouter.domain.adjustment import Adjustment
from arouter.domain.record import Record
from arouter.store.moving import AT_ONCE, START, CopyState, Piece, Written
from arouter.store.postgres.pages import ADJUSTMENT_COLUMNS, adjustment_of
from arouter.store.postgres.rows import COLUMNS, as_json, decode_record_row, decode_row, record_of
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

T = TypeVar("T")


async def read_copy_state(connection: "Connection") -> CopyState | None:
    row = await connection.fetchrow(queries("moving")["copy_state"])
    return None if row is None else CopyState(source=row[0], position=row[1], complete=row[2])


async def written_behind(connection: "Connection", after: str) -> AsyncIterator[Piece]:
    """The pieces behind a position, which is the number of a batch."""
    last = int(after) if after != START else 0
    records = _Rows(connection, "records", COLUMNS, last, _record)
    adjustments = _Rows(connection, "adjustments", ADJUSTMENT_COLUMNS, last, _adjustment)
    written: list[Written] = []
    size = 0
    async for no, written_at_us, count in connection.cursor(queries("moving")["batches_behind"], last):
        if count:
            one = Written(written_at_us=written_at_us, records=await records.of(no))
        else:
            one = Written(written_at_us=written_at_us, adjustments=await adjustments.of(no))
        last = no
        if not one.records and not one.adjustments:
            continue  # of records that have expired
        written.append(one)
        size += len(one.records) + len(one.adjustments)
        if size >= AT_ONCE:
            yield Piece(written=written, position=str(last))
            written, size = [], 0
    if written:
        yield Piece(written=written, position=str(last))


class _Rows(Generic[T]):
    """The rows of batches, which are asked for in their order."""

    def __init__(
        self, connection: "Connection", table: str, columns: Sequence[str], after: int, read: Callable[[str], T]
    ) -> None:
        told = as_json([f"{table}.{column}" for column in columns])
        self._sql = queries("moving")[f"{table}_behind"].format(columns=told)
        self._connection = connection
        self._after = after
        self._read = read
        self._cursor: Any = None
        self._there: deque[tuple[int, T]] = deque()
        self._is_all = False

    async def of(self, no: int) -> Sequence[T]:
        while not self._is_all and (not self._there or self._there[-1][0] <= no):
            await self._fetch()
        found = []
        while self._there and self._there[0][0] <= no:
            found.append(self._there.popleft()[1])
        return found

    async def _fetch(self) -> None:
        if self._cursor is None:
            self._cursor = await self._connection.cursor(self._sql, self._after)
        rows = await self._cursor.fetch(AT_ONCE)
        self._is_all = not rows
        self._there += await asyncio.to_thread(lambda: [(no, self._read(text)) for no, text in rows])


def _record(text: str) -> Record:
    return record_of(decode_record_row(text))


def _adjustment(text: str) -> Adjustment:
    return adjustment_of(decode_row(text))
