"""Users and when they were seen: from `user_spans`, one row for each user of a key, whatever became of the records.

By name a page is read along the index of names. By time all users of the organization are looked at, and the first of
them kept: an index by the last time would have to move at every record.
"""

from collections.abc import Sequence

import apsw

from arouter.domain.activity import Scope
from arouter.domain.users import UserOrder, UsersPage, UserSpan, UsersQuery, end_of_prefix, place_of
from arouter.store.sqlite.names import fetch, numbers_of, to_json
from arouter.store.sqlite.selection import keys_in
from arouter.store.sqlite.statements import insert_rows, queries

_COLUMNS = ("organization_no", "user_no", "key_no", "workspace_no", "first_seen_us", "last_seen_us")
_EMPTY = UsersPage(users=(), next_cursor=None)
_AT = {UserOrder.LAST_SEEN: "last_seen_us", UserOrder.FIRST_SEEN: "first_seen_us"}

Value = int | str


def add_spans(connection: apsw.Connection, spans: Sequence[tuple[int, ...]]) -> None:
    """Widen what is there by rows of `user_spans`."""
    insert_rows(connection, "add_user_spans", _COLUMNS, spans)


def read_span(connection: apsw.Connection, scope: Scope, user: str) -> UserSpan | None:
    """When a user was seen within a scope."""
    narrow = _narrowed(connection, scope)
    if narrow is None:
        return None
    where, values = narrow
    sql = queries()["user_span"].format(where=where)
    row = connection.execute(sql, (*values, values[0], user)).fetchone()
    if row is None or row[0] is None:
        return None
    first_seen_us, last_seen_us = row
    return UserSpan(user=user, first_seen_us=first_seen_us, last_seen_us=last_seen_us)


def read_users(connection: apsw.Connection, query: UsersQuery) -> UsersPage:
    statement = users_statement(connection, query)
    if statement is None:
        return _EMPTY
    sql, values = statement
    rows = fetch(connection, sql, *values)
    spans = [UserSpan(user=name, first_seen_us=first, last_seen_us=last) for name, first, last in rows[: query.limit]]
    more = spans and len(rows) > len(spans)
    return UsersPage(users=tuple(spans), next_cursor=place_of(spans[-1], query.order) if more else None)


def users_statement(connection: apsw.Connection, query: UsersQuery) -> tuple[str, Sequence[Value]] | None:
    """What is asked for a page, with one row more than it holds; None if there is nobody."""
    narrow = _narrowed(connection, query.scope)
    if narrow is None:
        return None
    where, narrowed = narrow
    named, values = _named(query)
    direction = "DESC" if query.descending else "ASC"
    if query.order is UserOrder.NAME:
        sql = queries()["users_by_name"].format(where=where, named=named, direction=direction)
        return sql, (narrowed[0], *values, *narrowed, query.limit + 1)
    at = _AT[query.order]
    if query.after is not None:
        named += f" AND ({at}, name) {_behind(query)} (?, ?)"
        values += [query.after.at_us, query.after.user]
    sql = queries()["users_by_time"].format(where=where, named=named, at=at, direction=direction)
    return sql, (*narrowed, *values, query.limit + 1)


def _named(query: UsersQuery) -> tuple[str, list[Value]]:
    """The condition on names."""
    conditions = ["name >= ?"]
    values: list[Value] = [query.prefix]
    end = end_of_prefix(query.prefix)
    if end is not None:
        conditions.append("name < ?")
        values.append(end)
    if query.order is UserOrder.NAME and query.after is not None:
        conditions.append(f"name {_behind(query)} ?")
        values.append(query.after.user)
    return " AND ".join(conditions), values


def _behind(query: UsersQuery) -> str:
    return "<" if query.descending else ">"


def _narrowed(connection: apsw.Connection, scope: Scope) -> tuple[str, tuple[Value, ...]] | None:
    """The condition on spans, its first value the organization's number; None if nothing of the name was recorded."""
    columns = (
        ("organization_no", scope.organization_id),
        ("key_no", scope.key_hash),
        ("workspace_no", scope.workspace_id),
    )
    wanted = [(column, text) for column, text in columns if text is not None]
    numbers = numbers_of(connection, [text for _, text in wanted])
    if any(text not in numbers for _, text in wanted):
        return None
    conditions = [f"user_spans.{column} = ?" for column, _ in wanted]
    values: list[Value] = [numbers[text] for _, text in wanted]
    keys = keys_in(connection, scope)
    if keys is not None:
        if not keys:
            return None
        conditions.append("user_spans.key_no IN (SELECT value FROM json_each(?))")
        values.append(to_json(sorted(keys)))
    return " AND ".join(conditions), tuple(values)
