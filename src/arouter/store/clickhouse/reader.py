"""What the copy answers: the part of `Ledger` that reads records and sums, each answer from one state of it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from arouter.domain.activity import ActivityQuery, ActivityRow, Filters, Page, Scope, Summary, SummaryQuery
from arouter.domain.users import UsersPage, UserSpan, UsersQuery, place_of
from arouter.store.base import Directory
from arouter.store.clickhouse.connections import Client, Connections
from arouter.store.clickhouse.copier import Copier, State
from arouter.store.clickhouse.pages import read_adjustments, read_page
from arouter.store.clickhouse.rows import READ_RECORD, read_row
from arouter.store.clickhouse.schema import Tables
from arouter.store.clickhouse.summaries import answers, firsts_of, size_of, times_of
from arouter.store.clickhouse.sums import (
    First,
    Times,
    days_statement,
    first_statement,
    is_found_first,
    needs_times,
    statement,
)
from arouter.store.clickhouse.users import costs_query, span_sql, users_sql

MOST_MEMORY_BYTES: Final = 4_000_000_000
"""For one question, unless the settings say otherwise."""
_PAGE_TIMEOUT_S: Final = 15.0
_TRIES: Final = 3
"""How often the first users are looked for before all sums of all users are asked for at once."""
_KEY: Final = READ_RECORD.index("key_hash")
_ID: Final = READ_RECORD.index("id")
_MANY: Final = 100_000_000
"""Of characters and of places in one statement: times of years are long lists of numbers."""


class ClickHouseReader:
    """Asks the tables that a state names. Each method raises InvalidRequest `query_too_heavy` for a question that costs
    more than it may, StorageUnavailable if ClickHouse cannot answer, ValueError for what only the ledger knows."""

    def __init__(
        self,
        connections: Connections,
        copier: Copier,
        directory: Directory,
        *,
        most_memory_bytes: int = MOST_MEMORY_BYTES,
    ) -> None:
        self._connections = connections
        self._copier = copier
        self._directory = directory
        self._most_memory_bytes = most_memory_bytes

    async def state(self) -> State:
        """How far the copy is. CopyGone if there is none."""
        return await self._copier.state()

    async def page(self, state: State, query: ActivityQuery) -> Page:
        """Records in the order of (created_at_us, id)."""
        table, settings = _table(state.tables), self._settings(_PAGE_TIMEOUT_S)

        def read(client: Client) -> tuple[Sequence[Any], Mapping[str, Any]]:
            rows = read_page(client, table, query, settings, state.as_of_us)
            return rows, read_adjustments(client, table, query.scope.organization_id, rows, settings)

        rows, adjustments = await self._connections.run(read, timeout_s=_PAGE_TIMEOUT_S)
        shown = rows[: query.limit]
        hashes = sorted({row[_KEY] for row in shown})
        labels = await self._directory.label_keys(query.scope.organization_id, hashes) if hashes else {}
        made: list[ActivityRow] = []
        for row in shown:
            label = labels.get(row[_KEY])
            key = ("", None) if label is None else (label.name, label.creator)
            made.append(read_row(row, adjustments.get(row[_ID]), key))
        return Page(rows=tuple(made), next_cursor=made[-1].cursor if made and len(rows) > len(made) else None)

    async def summaries(self, state: State, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        """Exact sums, all of one state, without `as_of_us`. The first one's time is that of all."""
        if not queries:
            return ()
        for query in queries:
            times_of(query, ())  # a time zone that does not exist fails here
        timeout_s = queries[0].bounds.timeout_s
        read = partial(_read_summaries, table=_table(state.tables), queries=queries, settings=self._settings(timeout_s))
        rows, firsts = await self._connections.run(read, timeout_s=timeout_s)
        return answers(queries, rows, firsts)

    async def user_costs(self, state: State, scope: Scope, filters: Filters) -> Sequence[int]:
        """What each user cost, greatest first."""
        (found,) = await self.summaries(state, [costs_query(scope, filters)])
        return sorted((row.totals.cost for row in found.rows if row.group[0] is not None), reverse=True)

    async def user_span(self, state: State, scope: Scope, user: str) -> UserSpan | None:
        rows = await self._rows(span_sql(_table(state.tables), scope, user))
        return _span(rows[0]) if rows else None

    async def list_users(self, state: State, query: UsersQuery) -> UsersPage:
        rows = await self._rows(users_sql(_table(state.tables), query))
        spans = tuple(map(_span, rows[: query.limit]))
        more = spans and len(rows) > len(spans)
        return UsersPage(users=spans, next_cursor=place_of(spans[-1], query.order) if more else None)

    async def _rows(self, sql: str) -> Sequence[Any]:
        settings = self._settings(_PAGE_TIMEOUT_S)
        return await self._connections.run(lambda client: client.query(sql, settings), timeout_s=_PAGE_TIMEOUT_S)

    def _settings(self, timeout_s: float | None) -> Mapping[str, Any]:
        settings: dict[str, Any] = {
            "max_memory_usage": self._most_memory_bytes,
            # Rather slower, on the disk, than refused.
            "max_bytes_before_external_group_by": self._most_memory_bytes // 2,
            "max_bytes_before_external_sort": self._most_memory_bytes // 2,
            "max_query_size": _MANY,
            "max_ast_elements": _MANY,
            "max_expanded_ast_elements": _MANY,
        }
        if timeout_s is not None:
            settings["max_execution_time"] = timeout_s
        return settings


def _table(tables: Tables) -> str:
    return f"{tables.place.database}.{tables.records}"


def _span(row: Sequence[Any]) -> UserSpan:
    user, first, last = row
    return UserSpan(user=user, first_seen_us=first, last_seen_us=last)


def _read_summaries(
    client: Client, *, table: str, queries: Sequence[SummaryQuery], settings: Mapping[str, Any]
) -> tuple[Sequence[tuple[Any, ...]], Mapping[int, First]]:
    """The rows of `sums.statement`, and what was found first."""
    days: Sequence[int] = ()
    if any(map(needs_times, queries)):
        asked = {days_statement(table, query) for query in queries if needs_times(query)}
        days = sorted({int(day) for sql in asked for (day,) in client.query(sql, settings)})
    times: list[Times | None] = [times_of(query, days) for query in queries]
    for _ in range(_TRIES if any(map(is_found_first, queries)) else 0):
        firsts, size = firsts_of(queries, client.query(first_statement(table, queries), settings))
        if not firsts:
            break
        rows = client.query(statement(table, queries, times, firsts), settings)
        if size_of(queries, rows) == size:
            return rows, firsts
        # Something was copied between the two.
    return client.query(statement(table, queries, times), settings), {}
