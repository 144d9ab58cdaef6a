"""Users and when they were seen: from `user_spans`, one row for each user of a key, whatever became of the records."""

from typing import TYPE_CHECKING

from arouter.domain.activity import Scope
from arouter.domain.users import UserOrder, UsersPage, UserSpan, UsersQuery, end_of_prefix, place_of
from arouter.store.postgres.rows import decode_row
from arouter.store.postgres.selection import Conditions, add_scope
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_AT = {UserOrder.LAST_SEEN: "last", UserOrder.FIRST_SEEN: "first"}


async def read_span(connection: "Connection", scope: Scope, user: str) -> UserSpan | None:
    """When a user was seen within a scope."""
    made = Conditions()
    add_scope(made, scope)
    made.equal("end_user", user)
    row = await connection.fetchrow(queries("reading")["user_span"].format(where=made.where), *made.values)
    if row is None or row[0] is None:
        return None
    return UserSpan(user=user, first_seen_us=row[0], last_seen_us=row[1])


async def read_users(connection: "Connection", query: UsersQuery) -> UsersPage:
    made = Conditions()
    add_scope(made, query.scope)
    made.add(f"end_user >= {made.place(query.prefix, 'text')}")
    end = end_of_prefix(query.prefix)
    if end is not None:
        made.add(f"end_user < {made.place(end, 'text')}")
    direction = "DESC" if query.descending else "ASC"
    columns = ["end_user"] if query.order is UserOrder.NAME else [_AT[query.order], "end_user"]
    behind = "true"
    if query.after is not None:
        places = [made.place(query.after.user, "text")]
        if query.order is not UserOrder.NAME:
            places.insert(0, made.place(query.after.at_us, "bigint"))
        behind = f"({', '.join(columns)}) {'<' if query.descending else '>'} ({', '.join(places)})"
    sql = queries("reading")["users"].format(
        where=made.where,
        behind=behind,
        order=", ".join(f"{column} {direction}" for column in columns),
        limit=made.place(query.limit + 1, "bigint"),
    )
    rows = [decode_row(row[0]) for row in await connection.fetch(sql, *made.values)]
    spans = [UserSpan(user=name, first_seen_us=first, last_seen_us=last) for name, first, last in rows[: query.limit]]
    more = spans and len(rows) > len(spans)
    return UsersPage(users=tuple(spans), next_cursor=place_of(spans[-1], query.order) if more else None)
