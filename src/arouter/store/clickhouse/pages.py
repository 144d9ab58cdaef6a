"""Pages of records out of the copy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from arouter.domain.activity import ActivityQuery, Cursor
from arouter.store.buckets import DAY_US, SLOT_US
from arouter.store.clickhouse.conditions import all_conditions, range_conditions, scope_conditions, text
from arouter.store.clickhouse.connections import Client
from arouter.store.clickhouse.rows import READ_ADJUSTMENT, READ_RECORD, read_columns

_USER: Final = READ_RECORD.index("user")
_CREATED_AT: Final = READ_RECORD.index("created_at_us")
_ID: Final = READ_RECORD.index("id")
_NO: Final = READ_ADJUSTMENT.index("adjustment_no")
_LENGTHS_US: Final = (SLOT_US, 16 * SLOT_US, 3 * DAY_US, 40 * DAY_US)

Row = Sequence[Any]


def read_page(
    client: Client, table: str, query: ActivityQuery, settings: Mapping[str, Any], as_of_us: int | None
) -> Sequence[Row]:
    """The values of `READ_RECORD` of up to one record more than the page holds, in the order of the query.

    `as_of_us` is about where the newest records are.
    """
    filters = query.filters
    if len(filters.users) + filters.unattributed == 1:
        # Of one user they stand one behind the other.
        return client.query(_sorted(read_columns(READ_RECORD), table, query, (), query.limit + 1), settings)
    places: list[Row] = []
    for first_us, beyond_us in _stretches(query, _start(client, table, query, settings, as_of_us)):
        within = range_conditions(first_us, beyond_us)
        lacking = query.limit + 1 - len(places)
        places += client.query(_sorted("user, created_at_us, id", table, query, within, lacking), settings)
        if len(places) > query.limit:
            break
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


def _sorted(columns: str, table: str, query: ActivityQuery, within: Sequence[str], limit: int) -> str:
    conditions = [*all_conditions(query.scope, query.filters, table), "adjustment_no = 0", *_behind(query), *within]
    direction = "DESC" if query.descending else "ASC"
    order = f"ORDER BY created_at_us {direction}, id {direction} LIMIT {limit}"
    return f"SELECT {columns} FROM {table} WHERE {' AND '.join(conditions)} {order}"


def _start(
    client: Client, table: str, query: ActivityQuery, settings: Mapping[str, Any], as_of_us: int | None
) -> int | None:
    """About where the first of the records is; None if nothing is known of it."""
    after, filters = query.after, query.filters
    if query.descending:
        end_us = None if filters.end_us is None else filters.end_us - 1
        known = (as_of_us, end_us, None if after is None else after.created_at_us)
        return min((at_us for at_us in known if at_us is not None), default=None)
    if after is not None:
        return after.created_at_us
    if filters.start_us is not None:
        return filters.start_us
    condition = scope_conditions(query.scope)[0]
    ((count, oldest_us),) = client.query(f"SELECT count(), min(created_at_us) FROM {table} WHERE {condition}", settings)
    return int(oldest_us) if count else None


def _stretches(query: ActivityQuery, start_us: int | None) -> Iterator[tuple[int | None, int | None]]:
    """All of time in the order of the query, in longer and longer stretches: half-open, None is open.

    A page of the newest records of all needs the last few minutes, and one that few records are on all of them.
    """
    filters = query.filters
    edge_us = None
    for length_us in _LENGTHS_US if start_us is not None else ():
        assert start_us is not None
        if query.descending:
            first_us = start_us - length_us
            yield first_us, edge_us
            if filters.start_us is not None and first_us <= filters.start_us:
                return
            edge_us = first_us
        else:
            beyond_us = start_us + length_us
            yield edge_us, beyond_us
            if filters.end_us is not None and beyond_us >= filters.end_us:
                return
            edge_us = beyond_us
    yield (None, edge_us) if query.descending else (edge_us, None)


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
