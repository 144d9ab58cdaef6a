"""Pages of records out of the copy."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from arouter.domain.activity import ActivityQuery, Cursor
from arouter.store.clickhouse.conditions import all_conditions, text
from arouter.store.clickhouse.connections import Client
from arouter.store.clickhouse.rows import READ_ADJUSTMENT, READ_RECORD, read_columns

_USER: Final = READ_RECORD.index("user")
_CREATED_AT: Final = READ_RECORD.index("created_at_us")
_ID: Final = READ_RECORD.index("id")
_NO: Final = READ_ADJUSTMENT.index("adjustment_no")

Row = Sequence[Any]


def read_page(client: Client, table: str, query: ActivityQuery, settings: Mapping[str, Any]) -> Sequence[Row]:
    """The values of `READ_RECORD` of up to one record more than the page holds, in the order of the query."""
    conditions = [*all_conditions(query.scope, query.filters, table), "adjustment_no = 0", *_behind(query)]
    direction = "DESC" if query.descending else "ASC"
    where = f"WHERE {' AND '.join(conditions)} ORDER BY created_at_us {direction}, id {direction} LIMIT "
    filters = query.filters
    if len(filters.users) + filters.unattributed == 1:
        # Of one user they stand one behind the other.
        return client.query(
            f"SELECT {read_columns(READ_RECORD)} FROM {table} {where}{query.limit + 1}",
            settings,
        )
    places = client.query(
        f"SELECT user, created_at_us, id FROM {table} {where}{query.limit + 1}",
        settings,
    )
    if not places:
        return ()
    rows = client.query(_whole_rows(table, query, places), settings)
    return sorted(rows, key=lambda row: (row[_CREATED_AT], row[_ID]), reverse=query.descending)


def read_adjustments(
    client: Client, table: str, organization_id: str, rows: Sequence[Row], settings: Mapping[str, Any]
) -> Mapping[str, Row]:
    """The values of `READ_ADJUSTMENT` of the adjustments that hold for records of the organization, by their ids."""
    if not rows:
        return {}
    users = {row[_USER] for row in rows}
    times = [row[_CREATED_AT] for row in rows]
    conditions = (
        f"organization_id = {text(organization_id)}",
        _one_of_users(users),
        f"created_at_us BETWEEN {min(times)} AND {max(times)}",
        "adjustment_no > 0",
        f"id IN ({', '.join(text(row[_ID]) for row in rows)})",
    )
    found = client.query(
        f"SELECT {read_columns(READ_ADJUSTMENT)} FROM {table} WHERE {' AND '.join(conditions)} ORDER BY adjustment_no",
        settings,
    )
    return {row[0]: row for row in sorted(found, key=lambda row: int(row[_NO]))}


def _behind(query: ActivityQuery) -> list[str]:
    place: Cursor | None = query.after
    if place is None:
        return []
    operator = "<" if query.descending else ">"
    return [
        f"created_at_us {operator}= {place.created_at_us}",
        f"(created_at_us {operator} {place.created_at_us} OR id {operator} {text(place.id)})",
    ]


def _whole_rows(table: str, query: ActivityQuery, places: Sequence[Row]) -> str:
    """The same records with all that is known of them."""
    times = [created_at_us for _, created_at_us, _ in places]
    conditions = (
        f"organization_id = {text(query.scope.organization_id)}",
        _one_of_users({user for user, _, _ in places}),
        f"created_at_us IN ({', '.join(map(str, sorted(set(times))))})",
        f"id IN ({', '.join(text(record_id) for _, _, record_id in places)})",
        "adjustment_no = 0",
    )
    return f"SELECT {read_columns(READ_RECORD)} FROM {table} WHERE {' AND '.join(conditions)}"


def _one_of_users(users: set[str | None]) -> str:
    named = [text(user) for user in sorted(user for user in users if user is not None)]
    conditions = [f"user IN ({', '.join(named)})"] if named else []
    if None in users:
        conditions.append("user IS NULL")
    return f"({' OR '.join(conditions)})"
