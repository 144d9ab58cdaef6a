"""Records read back: one, or a page of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import apsw

from arouter.domain.activity import ActivityQuery, ActivityRow, Cursor, Page
from arouter.domain.adjustment import adjusted
from arouter.store.sqlite.adjuster import StoredAdjustment, read_adjustments
from arouter.store.sqlite.names import Texts, fetch, to_json
from arouter.store.sqlite.rows import ADJUSTMENT, COLUMNS, READ_ADJUSTED_SQL, Row, name_numbers, read_record
from arouter.store.sqlite.sealed import archive, has_sealed_days, sealed_range
from arouter.store.sqlite.selection import Selection, Value, select
from arouter.store.sqlite.statements import queries

_SEQ = COLUMNS.index("seq")
_ID = COLUMNS.index("id")
_CREATED_AT = COLUMNS.index("created_at_us")
_WRITTEN_AT = COLUMNS.index("written_at_us")
_USER = COLUMNS.index("user_no")
_TAGS = COLUMNS.index("tags")
SealedTags = Mapping[object, Sequence[int]]
"""The numbers of tags of records that are no rows, by `seq`."""
_EMPTY = Page(rows=(), next_cursor=None)


def read_one(connection: apsw.Connection, texts: Texts, organization_id: str, record_id: str) -> ActivityRow | None:
    rows, tags = _rows_of(connection, record_id)
    for row in assemble(connection, texts, rows, tags):
        if row.record.opening.organization_id == organization_id:
            return row
    return None


def find_row(connection: apsw.Connection, record_id: str) -> Row | None:
    """The row of a record, or what would be its row if it were not sealed."""
    rows, _ = _rows_of(connection, record_id)
    return rows[0] if rows else None


def _rows_of(connection: apsw.Connection, record_id: str) -> tuple[Sequence[Row], SealedTags]:
    sql = queries()["record"].format(columns=READ_ADJUSTED_SQL)
    rows: list[Row] = fetch(connection, sql, record_id)
    if rows or not has_sealed_days(connection):
        return rows, {}
    found = archive("reader").find(connection, [record_id])
    return found.rows, found.tags


def read_page(connection: apsw.Connection, texts: Texts, query: ActivityQuery) -> Page:
    selection = select(connection, query.scope, query.filters)
    if selection is None:
        return _EMPTY
    rows: list[Row] = []
    for sql, values in page_statements(selection, query):
        rows += fetch(connection, sql, *values)
    sealed, tags = _sealed_rows(connection, selection, query, rows)
    rows += sealed
    rows.sort(key=lambda row: (row[_CREATED_AT], row[_ID]), reverse=query.descending)
    page = assemble(connection, texts, rows[: query.limit], tags)
    return Page(rows=page, next_cursor=page[-1].cursor if page and len(rows) > len(page) else None)


def _sealed_rows(
    connection: apsw.Connection, selection: Selection, query: ActivityQuery, rows: Sequence[Row]
) -> tuple[Sequence[Row], SealedTags]:
    """What sealed days add to `rows`, which are what the others have."""
    bounds = sealed_bounds(connection, selection, query)
    if bounds is None:
        return (), {}
    start_us, end_us = bounds
    if len(rows) > query.limit:
        # Of what lies beyond the page nothing is needed.
        times = sorted([_created_at(row) for row in rows], reverse=query.descending)
        if query.descending:
            start_us = max(start_us, times[query.limit])
        else:
            end_us = min(end_us, times[query.limit] + 1)
    if start_us >= end_us:
        return (), {}
    found = archive("reader").page(
        connection,
        replace(selection.wanted, start_us=start_us, end_us=end_us),
        descending=query.descending,
        limit=query.limit + 1,
        after=query.after,
    )
    return found.rows, found.tags


def sealed_bounds(connection: apsw.Connection, selection: Selection, query: ActivityQuery) -> tuple[int, int] | None:
    """From where to where sealed records may come next, in microseconds, the second not included; None if nowhere."""
    days = sealed_range(connection, selection.wanted.organization_no)
    if days is None:
        return None
    start_us, end_us = max(days[0], selection.wanted.start_us), min(days[1], selection.wanted.end_us)
    if query.after is not None:
        # A record of the cursor's own microsecond may stand behind it.
        if query.descending:
            end_us = min(end_us, query.after.created_at_us + 1)
        else:
            start_us = max(start_us, query.after.created_at_us)
    return (start_us, end_us) if start_us < end_us else None


def _created_at(row: Row) -> int:
    created_at_us = row[_CREATED_AT]
    assert isinstance(created_at_us, int)
    return created_at_us


def page_statements(
    selection: Selection, query: ActivityQuery, *, columns: str = READ_ADJUSTED_SQL, before: Cursor | None = None
) -> Sequence[tuple[str, tuple[Value, ...]]]:
    """What is asked for a page, with one row more than it holds: whether there is a next one.

    With `before` only of rows that come before that place in the query's order.
    """
    more = ""
    places: tuple[Value, ...] = ()
    behind, ahead = ("<", ">") if query.descending else (">", "<")
    for operator, place in ((behind, query.after), (ahead, before)):
        if place is not None:
            more += f" AND (created_at_us, id) {operator} (?, ?)"
            places = (*places, place.created_at_us, place.id)
    statements = []
    for where, values in selection.where_each():
        sql = queries()["page"].format(
            columns=columns,
            index=selection.index,
            where=where + more,
            direction="DESC" if query.descending else "ASC",
        )
        statements.append((sql, (*values, *places, query.limit + 1)))
    return statements


def assemble(
    connection: apsw.Connection, texts: Texts, rows: Sequence[Row], sealed_tags: SealedTags
) -> tuple[ActivityRow, ...]:
    """Rows with the texts, users, tags and keys that they name, by number; sealed records' tags are `sealed_tags`."""
    numbers: set[int | None] = set()
    for row in rows:
        numbers.update(name_numbers(row))
    names = texts.of(connection, numbers)
    users: dict[object, str] = dict(
        fetch(connection, queries()["texts_of_users"], to_json([*{row[_USER] for row in rows}]))
    )
    tags = tags_of(connection, texts, rows, sealed_tags)
    hashes = {text for row in rows if (text := names[name_numbers(row)[2]]) is not None}
    keys = {key_hash: (name, creator) for key_hash, name, creator in _keys(connection, hashes)}
    adjustments = _adjustments(connection, rows)
    answer = []
    for row in rows:
        record = read_record(row, names, users.get(row[_USER]), tags.get(row[_SEQ], ()))
        key_name, creator = keys.get(record.opening.key_hash, ("", None))
        written_at_us = row[_WRITTEN_AT]
        assert isinstance(written_at_us, int)
        made = ActivityRow(
            record=record,
            written_at_us=written_at_us,
            original_cost=record.cost,
            key_name=key_name,
            creator=creator,
        )
        latest = adjustments.get(row[ADJUSTMENT])
        answer.append(made if latest is None else _with_adjustment(made, latest))
    return tuple(answer)


def _with_adjustment(row: ActivityRow, stored: StoredAdjustment) -> ActivityRow:
    latest = replace(stored.adjustment, record_id=row.record.opening.id)
    return replace(
        row,
        record=adjusted(row.record, latest),
        adjustment=latest,
        adjusted_at_us=stored.written_at_us,
    )


def _adjustments(connection: apsw.Connection, rows: Sequence[Row]) -> Mapping[object, StoredAdjustment]:
    """The adjustments that hold for those of `rows` that have any, by their numbers."""
    numbers = [row[ADJUSTMENT] for row in rows if row[ADJUSTMENT] is not None]
    if not numbers:
        return {}
    found = read_adjustments(connection, "adjustments.no IN (SELECT value FROM json_each(?))", to_json(numbers))
    return {one.no: one for one in found}


def tags_of(
    connection: apsw.Connection, texts: Texts, rows: Sequence[Row], sealed_tags: SealedTags
) -> Mapping[object, tuple[str, ...]]:
    """The tags of those of `rows` that have any, in their order, by `seq`."""
    tagged = [row[_SEQ] for row in rows if row[_TAGS] and row[_SEQ] not in sealed_tags]
    numbers: dict[object, Sequence[int]] = {
        row[_SEQ]: sealed_tags[row[_SEQ]] for row in rows if row[_SEQ] in sealed_tags
    }
    if tagged:
        for seq, _, tag_no in sorted(fetch(connection, queries()["tags_of_records"], to_json(tagged))):
            numbers[seq] = (*numbers.get(seq, ()), tag_no)
    names = texts.of(connection, {number for each in numbers.values() for number in each})
    return {seq: tuple(text for number in each if (text := names[number]) is not None) for seq, each in numbers.items()}


def _keys(connection: apsw.Connection, hashes: set[str]) -> Sequence[tuple[str, str, str | None]]:
    return fetch(connection, queries()["keys_of_hashes"], to_json(sorted(hashes)))
