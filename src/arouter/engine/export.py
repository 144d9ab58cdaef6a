"""Every record that matches a query, encoded: read and written a piece at a time, so that memory does not grow.

Nothing is read before it is asked for: who takes the pieces slowly is read for slowly, who stops taking them ends the
reading. Encoding happens on a thread, in pieces that are small because another thread must get its turn meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from arouter.domain.activity import ActivityQuery, Cursor, Page
from arouter.store.base import ColumnarLedger, ColumnPage, Ledger
from arouter.wire.export_forms import Form, Piece

ROWS_AT_ONCE = 500
COLUMNS_AT_ONCE = 8192


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
            data = await asyncio.to_thread(form.rows, first.rows)
            yield Exported(data=data, records=len(first.rows), last=first.rows[-1].cursor)
    else:
        async for piece in _all(ledger, query, form):
            yield piece
    yield Exported(data=await asyncio.to_thread(form.end), records=0, last=None)


async def _all(ledger: Ledger, query: ActivityQuery, form: Form) -> AsyncIterator[Exported]:
    after = query.after
    while True:
        read = await _next(ledger, replace(query, after=after))
        if isinstance(read, ColumnPage):
            data, count = await asyncio.to_thread(form.columns, read.batch), read.batch.num_rows
            last = _last(read)
        elif read.rows:
            data, count = await asyncio.to_thread(form.rows, read.rows), len(read.rows)
            last = read.rows[-1].cursor
        else:
            return
        yield Exported(data=data, records=count, last=last)
        after = read.next_cursor
        if after is None:
            return


async def _next(ledger: Ledger, query: ActivityQuery) -> ColumnPage | Page:
    if isinstance(ledger, ColumnarLedger):
        read = await ledger.columns(replace(query, limit=COLUMNS_AT_ONCE))
        if read is not None:
            return read
    return await ledger.page(replace(query, limit=ROWS_AT_ONCE))


def _last(read: ColumnPage) -> Cursor:
    ids, times = read.batch.column("id"), read.batch.column("created_at")
    return Cursor(times[-1].value, ids[-1].as_py())
