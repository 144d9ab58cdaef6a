"""Sealed records read back as columns, as long as no row lies between them."""

from dataclasses import replace

import apsw

from arouter.domain.activity import ActivityQuery, Cursor
from arouter.store.base import ColumnPage
from arouter.store.sqlite.names import Texts, fetch
from arouter.store.sqlite.pages import page_statements, sealed_bounds
from arouter.store.sqlite.sealed import archive, sealed_range
from arouter.store.sqlite.selection import Selection, select


def read_columns(connection: apsw.Connection, texts: Texts, query: ActivityQuery) -> ColumnPage | None:
    """The next records, if they are sealed: up to the first row. None where a row comes next, or nothing."""
    selection = select(connection, query.scope, query.filters)
    if selection is None:
        return None
    bounds = sealed_bounds(connection, selection, query)
    if bounds is None or _has_rows_before(connection, selection, query):
        return None
    wanted = replace(selection.wanted, start_us=bounds[0], end_us=bounds[1])
    stretch = archive("stretches").read(
        connection, wanted, descending=query.descending, limit=query.limit, after=query.after
    )
    if not stretch.records:
        return None
    row = _first_row(connection, selection, query, None if stretch.is_last else stretch.last)
    if row is not None:
        stretch.cut(row)
        if not stretch.records:
            return None
    batch = archive("exported").exported(connection, texts, stretch.batch)
    return ColumnPage(batch=batch, next_cursor=None if row is None and stretch.is_last else stretch.last)


def _has_rows_before(connection: apsw.Connection, selection: Selection, query: ActivityQuery) -> bool:
    """Whether rows come before every sealed day: then no block need be looked at."""
    days = sealed_range(connection, selection.wanted.organization_no)
    assert days is not None
    edge = Cursor(days[1] if query.descending else days[0], "")
    if query.after is not None and (query.after.created_at_us < edge.created_at_us) == query.descending:
        return False
    return _first_row(connection, selection, query, edge) is not None


def _first_row(
    connection: apsw.Connection, selection: Selection, query: ActivityQuery, before: Cursor | None
) -> Cursor | None:
    """The place of the first row that matches, if it comes before that place."""
    found: list[tuple[int, str]] = []
    for sql, values in page_statements(selection, replace(query, limit=0), columns="created_at_us, id", before=before):
        found += [(created_at_us, record_id) for created_at_us, record_id in fetch(connection, sql, *values)]
    if not found:
        return None
    return Cursor(*(max(found) if query.descending else min(found)))
