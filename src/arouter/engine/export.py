"""Every record that matches a query, encoded: read and written a piece at a time, so that memory does not grow.

Who takes the pieces slowly is read for slowly, who stops taking them ends the reading. Rows are not read before they
are asked for; while columns are encoded, the page behind them is read, and no more than that. Encoding happens on a
thread, in pieces that are small because another thread must get its turn meanwhile.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from arouter.domain.activity import ActivityQuery, ActivityRow, Cursor, Page
from arouter.store.base import ColumnarLedger, ColumnPage, Ledger
from arouter.wire.export_forms import Form, Piece

ROWS_AT_ONCE = 200
COLUMNS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A part of an export."""

    data: Piece
    records: int
    """How many were read for it."""
    last: Cursor | None
    """The place of the last one; None for what comes before and behind the records."""


async def exported(
    ledger: Ledger, query: ActivityQuery, form: Form, first: Page | None = None
) -> AsyncIterator[Exported]:
    """Every record that `query` matches, whatever its limit; or only those of the page `first`, which was read."""
    yield Exported(data=form.start(), records=0, last=None)
    if first is not None:
        if first.rows:
            data = await asyncio.to_thread(_encoded, form, first.rows)
            yield Exported(data=data, records=len(first.rows), last=first.rows[-1].cursor)
    else:
        async for piece in records_of(ledger, query, form):
            yield piece
            del piece
    yield Exported(data=await asyncio.to_thread(form.end), records=0, last=None)


async def records_of(ledger: Ledger, query: ActivityQuery, form: Form) -> AsyncIterator[Exported]:
    """The same without what comes before and behind the records."""
    read = await _next(ledger, query)
    while True:
        ahead = None
        after = read.next_cursor
        if isinstance(read, ColumnPage):
            count, last = read.batch.num_rows, _last(read)
            encoding = asyncio.to_thread(form.columns, read.batch)
            if after is None:
                data = await encoding
            else:
                data, ahead = await asyncio.gather(encoding, _next(ledger, replace(query, after=after)))
        elif read.rows:
            count, last = len(read.rows), read.rows[-1].cursor
            data = await asyncio.to_thread(_encoded, form, read.rows)
        else:
            return
        made = Exported(data=data, records=count, last=last)
        del data
        yield made
        # What was taken is not held while the next is made.
        del made
        if after is None:
            return
        read = ahead or await _next(ledger, replace(query, after=after))


def _encoded(form: Form, rows: Sequence[ActivityRow]) -> Piece:
    pieces = []
    for start in range(0, len(rows), form.turn):
        pieces.append(form.rows(rows[start : start + form.turn]))
        time.sleep(0)  # Gives the interpreter's lock away: by force another thread gets it only after 5 ms.
    return b"".join(pieces)


async def _next(ledger: Ledger, query: ActivityQuery) -> ColumnPage | Page:
    if isinstance(ledger, ColumnarLedger):
        read = await ledger.columns(replace(query, limit=COLUMNS_AT_ONCE))
        if read is not None:
            return read
    return await ledger.page(replace(query, limit=ROWS_AT_ONCE))


def _last(read: ColumnPage) -> Cursor:
    ids, times = read.batch.column("id"), read.batch.column("created_at")
    return Cursor(times[-1].value, ids[-1].as_py())
