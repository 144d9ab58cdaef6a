"""Records read back: one, or a page of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import apsw

from arouter.domain.activity import ActivityQuery, ActivityRow, Page
from arouter.domain.adjustment import adjusted
from arouter.store.sqlite.adjuster import StoredAdjustment, read_adjustments
from arouter.store.sqlite.names import Texts, fetch, to_json
from arouter.store.sqlite.rows import ADJUSTMENT, COLUMNS, READ_ADJUSTED_SQL, Row, name_numbers, read_record
from arouter.store.sqlite.selection import Selection, Value, select
from arouter.store.sqlite.statements import queries

_SEQ = COLUMNS.index("seq")
_ID = COLUMNS.index("id")
_CREATED_AT = COLUMNS.index("created_at_us")
_WRITTEN_AT = COLUMNS.index("written_at_us")
_USER = COLUMNS.index("user_no")
_TAGS = COLUMNS.index("tags")
_EMPTY = Page(rows=(), next_cursor=None)


def read_one(connection: apsw.Connection, texts: Texts, organization_id: str, record_id: str) -> ActivityRow | None:
    sql = queries()["record"].format(columns=READ_ADJUSTED_SQL)
    rows: list[Row] = fetch(connection, sql, record_id)
    for row in assemble(connection, texts, rows):
        if row.record.opening.organization_id == organization_id:
            return row
    return None


def read_page(connection: apsw.Connection, texts: Texts, query: ActivityQuery) -> Page:
    selection = select(connection, query.scope, query.filters)
    if selection is None:
        return _EMPTY
    rows: list[Row] = []
    for sql, values in page_statements(selection, query):
        rows += fetch(connection, sql, *values)
    rows.sort(key=lambda row: (row[_CREATED_AT], row[_ID]), reverse=query.descending)
    page = assemble(connection, texts, rows[: query.limit])
    return Page(rows=page, next_cursor=page[-1].cursor if page and len(rows) > len(page) else None)


def page_statements(selection: Selection, query: ActivityQuery) -> Sequence[tuple[str, tuple[Value, ...]]]:
    """What is asked for a page, with one row more than it holds: whether there is a next one."""
    after = ""
    place: tuple[Value, ...] = ()
    if query.after is not None:
        after = f" AND (created_at_us, id) {'<' if query.descending else '>'} (?, ?)"
        place = (query.after.created_at_us, query.after.id)
    statements = []
    for where, values in selection.where_each():
        sql = queries()["page"].format(
            columns=READ_ADJUSTED_SQL,
            index=selection.index,
            where=where + after,
            direction="DESC" if query.descending else "ASC",
        )
        statements.append((sql, (*values, *place, query.limit + 1)))
    return statements


def assemble(connection: apsw.Connection, texts: Texts, rows: Sequence[Row]) -> tuple[ActivityRow, ...]:
    """Rows with the texts, users, tags and keys that they name."""
    numbers: set[int | None] = set()
    for row in rows:
        numbers.update(name_numbers(row))
    names = texts.of(connection, numbers)
    users: dict[object, str] = dict(
        fetch(connection, queries()["texts_of_users"], to_json([*{row[_USER] for row in rows}]))
    )
    tags = tags_of(connection, texts, rows)
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


def _with_adjustment(row: ActivityRow, latest: StoredAdjustment) -> ActivityRow:
    return replace(
        row,
        record=adjusted(row.record, latest.adjustment),
        adjustment=latest.adjustment,
        adjusted_at_us=latest.written_at_us,
    )


def _adjustments(connection: apsw.Connection, rows: Sequence[Row]) -> Mapping[object, StoredAdjustment]:
    """The adjustments that hold for those of `rows` that have any, by their numbers."""
    numbers = [row[ADJUSTMENT] for row in rows if row[ADJUSTMENT] is not None]
    if not numbers:
        return {}
    found = read_adjustments(connection, "adjustments.no IN (SELECT value FROM json_each(?))", to_json(numbers))
    return {one.no: one for one in found}


def tags_of(connection: apsw.Connection, texts: Texts, rows: Sequence[Row]) -> Mapping[object, tuple[str, ...]]:
    """The tags of those of `rows` that have any, in their order, by `seq`."""
    tagged = [row[_SEQ] for row in rows if row[_TAGS]]
    if not tagged:
        return {}
    found = fetch(connection, queries()["tags_of_records"], to_json(tagged))
    names = texts.of(connection, {tag_no for _, _, tag_no in found})
    tags: dict[object, tuple[str, ...]] = {}
    for seq, _, tag_no in sorted(found):
        tag = names[tag_no]
        assert tag is not None
        tags[seq] = (*tags.get(seq, ()), tag)
    return tags


def _keys(connection: apsw.Connection, hashes: set[str]) -> Sequence[tuple[str, str, str | None]]:
    return fetch(connection, queries()["keys_of_hashes"], to_json(sorted(hashes)))
