"""Spans of roll-ups and records as something that SQL can add up: all with the same columns in the same order.

Numbers of names and users stand for themselves, 0 for none. The times that a summary groups by come as one number, of
the combination of buckets that the row lies in: SQL is told where each begins and ends.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

import apsw

from arouter.domain.activity import TIME_DIMENSIONS, Dimension, Filters, SummaryQuery
from arouter.domain.record import Status
from arouter.store.buckets import SLOT_US, Bucket, bucket_ranges
from arouter.store.planning import Source, Span
from arouter.store.sqlite.names import fetch, numbers_of, to_json
from arouter.store.sqlite.rollups import ROLLUP_SUMS
from arouter.store.sqlite.selection import Value, keys_in, select
from arouter.store.sqlite.statements import queries, sums

COLUMNS = {
    Dimension.USER: "user_no",
    Dimension.MODEL: "model_no",
    Dimension.PROVIDER: "provider_no",
    Dimension.API_KEY: "key_no",
    Dimension.WORKSPACE: "workspace_no",
    Dimension.ORGANIZATION: "organization_no",
    Dimension.ENDPOINT: "endpoint_no",
    Dimension.STATUS: "status_no",
}
"""Of roll-ups."""
_RECORDS = {
    **{dimension: f"coalesce({column}, 0)" for dimension, column in COLUMNS.items()},
    Dimension.TAG: "coalesce(tagged.tag_no, 0)",
}
_IN_JSON = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One source, and what of it counts."""

    source: str
    where: str
    values: tuple[Value, ...]
    groups: tuple[str, ...]
    """The expressions of the grouping: of the times together, if there are any, then of the other dimensions."""
    sums: str
    user: str
    index: str = ""
    """Of the records, if it is those."""
    count_where: str = ""
    """Of the records, without what needs more than the index."""
    count_values: tuple[Value, ...] = ()


@dataclass(slots=True)
class Times:
    """The combinations of buckets that a summary groups by, numbered as they are met."""

    dimensions: tuple[Dimension, ...]
    zone: ZoneInfo
    buckets: list[Bucket] = field(default_factory=list)
    _numbers: dict[Bucket, int] = field(default_factory=dict)

    def ranges(self, days: Sequence[int], first: int, beyond: int) -> list[tuple[int, int, int]]:
        """Slots from the first to before the second, and the number of their buckets."""
        return [
            (start, end, self.number(bucket))
            for start, end, bucket in bucket_ranges(days, first, beyond, self.dimensions, self.zone)
        ]

    def number(self, bucket: Bucket) -> int:
        number = self._numbers.setdefault(bucket, len(self.buckets))
        if number == len(self.buckets):
            self.buckets.append(bucket)
        return number


def _go_on() -> None:
    """Nothing ends it."""


@dataclass(slots=True)
class Pieces:
    """Makes the pieces of one summary."""

    connection: apsw.Connection
    query: SummaryQuery
    organization_no: int
    times: Times
    check: Callable[[], None] = _go_on
    """Called now and then: raises what ends the summary before its time."""
    dimensions: tuple[Dimension, ...] = field(init=False)
    """Those that are no times, in their order."""

    def __post_init__(self) -> None:
        self.dimensions = tuple(one for one in self.query.group_by if one not in TIME_DIMENSIONS)

    def of(self, span: Span) -> Piece | None:
        """None if nothing can match."""
        return self._rollups(span) if span.source is Source.ROLLUPS else self.records(span.first, span.beyond)

    def days(self, first: int, beyond: int) -> Sequence[int]:
        """The days of UTC with records between two slots."""
        return fetch(self.connection, queries()["occupied_days"], self.organization_no, first, beyond)

    def records(self, start_us: int | None, end_us: int | None) -> Piece | None:
        filters = replace(self.query.filters, start_us=start_us, end_us=end_us)
        selection = select(self.connection, self.query.scope, filters)
        if selection is None:
            return None
        where, values = selection.where()
        source = queries()["records_and_adjusted"].format(index=selection.index)
        counted = self._counted(start_us, end_us)
        if Dimension.TAG in self.query.group_by:
            source = f"{source} {queries()['each_tag']}"
        if self.times.dimensions:
            first, last = slots_of(self.connection, self.organization_no) or (0, -1)
            first = first if start_us is None else max(first, start_us // SLOT_US)
            beyond = last + 1 if end_us is None else min(last + 1, -(-end_us // SLOT_US))
            ranges = self.times.ranges(self.days(first, beyond), first, beyond)
            text = to_json([(start * SLOT_US, end * SLOT_US, number) for start, end, number in ranges])
            source, values = f"{queries()['ranges']} {source}", (text, *values)
            where = f"created_at_us >= first AND created_at_us < beyond AND {where}"
        statuses = numbers_of(self.connection, (Status.SUCCESS.value, Status.REJECTED.value))
        return Piece(
            source=source,
            where=where,
            values=values,
            groups=self._groups(_RECORDS),
            sums=sums(success=statuses.get(Status.SUCCESS.value, 0), rejected=statuses.get(Status.REJECTED.value, 0)),
            user="coalesce(user_no, 0)",
            index=selection.index,
            count_where=counted[0],
            count_values=counted[1],
        )

    def _counted(self, start_us: int | None, end_us: int | None) -> tuple[str, tuple[Value, ...]]:
        """The same without the filters that no index has."""
        filters = self.query.filters
        narrow = Filters(users=filters.users, unattributed=filters.unattributed, start_us=start_us, end_us=end_us)
        selection = select(self.connection, self.query.scope, narrow)
        assert selection is not None  # with more filters there is one
        return selection.where()

    def _rollups(self, span: Span) -> Piece | None:
        first, beyond = span.first, span.beyond
        assert first is not None
        assert beyond is not None
        chosen = self.conditions()
        if chosen is None:
            return None
        where, values, by_key = chosen
        source, bounds = "rollups", "slot >= ? AND slot < ?"
        if self.times.dimensions or by_key:
            ranges = self.times.ranges(self.days(first, beyond), first, beyond)
            bounds = "slot >= first AND slot < beyond"
            if by_key:
                # Within one slot the rows are in the order of keys: those of others are not even looked at.
                ranges = [(slot, slot + 1, number) for start, end, number in ranges for slot in range(start, end)]
                bounds = "slot = first"
            source, values = f"{queries()['ranges']} rollups", (to_json(ranges), *values)
        else:
            values = (*values, first, beyond)
        return Piece(
            source=source,
            where=f"{where} AND {bounds}",
            values=values,
            groups=self._groups(COLUMNS),
            sums=", ".join(f"coalesce(sum({column}), 0)" for column in ROLLUP_SUMS),
            user="user_no",
        )

    def conditions(self) -> tuple[str, tuple[Value, ...], bool] | None:
        """What the scope and the filters say of roll-ups, but for the time; whether keys are chosen.

        None if nothing can match.
        """
        chosen = self.numbers()
        if chosen is None:
            return None
        conditions = ["organization_no = ?"]
        texts: list[Value] = [self.organization_no]
        users = self.users()
        if users is not None:
            conditions.append(f"user_no {_IN_JSON}")
            texts.append(to_json(users))
        for column, numbers in chosen.items():
            if column == "model_no":
                conditions.append(f"(model_no {_IN_JSON} OR requested_model_no {_IN_JSON})")
                texts += [to_json(numbers)] * 2
            else:
                conditions.append(f"{column} {_IN_JSON}")
                texts.append(to_json(numbers))
        return " AND ".join(conditions), tuple(texts), "key_no" in chosen

    def numbers(self) -> Mapping[str, Sequence[int]] | None:
        """By column, the numbers that are wanted; those of models are the routed or the requested one's.

        None if nothing can match.
        """
        scope, filters = self.query.scope, self.query.filters
        wanted: dict[str, set[str]] = {}
        for column, texts in (
            ("model_no", filters.models),
            ("provider_no", filters.providers),
            ("status_no", filters.statuses),
            ("endpoint_no", filters.endpoints),
            ("key_no", filters.key_hashes),
            ("workspace_no", filters.workspace_ids),
        ):
            if texts:
                wanted[column] = {*texts}
        for column, text in (("workspace_no", scope.workspace_id), ("key_no", scope.key_hash)):
            if text is not None:
                wanted[column] = wanted.get(column, {text}) & {text}
        known = numbers_of(self.connection, (text for texts in wanted.values() for text in texts))
        numbers = {column: sorted(known[text] for text in texts if text in known) for column, texts in wanted.items()}
        keys = keys_in(self.connection, scope)
        if keys is not None:
            numbers["key_no"] = sorted(keys.intersection(numbers.get("key_no", keys)))
        return numbers if all(numbers.values()) else None

    def users(self) -> Sequence[int] | None:
        """The users that are asked for, 0 for none; None if they do not matter."""
        filters = self.query.filters
        if not filters.users and not filters.unattributed:
            return None
        found: list[int] = fetch(
            self.connection, queries()["users_of_texts"], self.organization_no, to_json(filters.users)
        )
        return [0, *found] if filters.unattributed else found

    def count(self, piece: Piece, most: int) -> int:
        """How many records have to be read for a piece, as far as the index tells; no more than `most` are counted."""
        if not piece.index:
            return 0
        sql = queries()["count_up_to"].format(index=piece.index, where=piece.count_where)
        return int(self.connection.execute(sql, (*piece.count_values, most)).get)

    def _groups(self, columns: Mapping[Dimension, str]) -> tuple[str, ...]:
        of_time = ("bucket",) if self.times.dimensions else ()
        return (*of_time, *(columns[dimension] for dimension in self.dimensions))


def slots_of(connection: apsw.Connection, organization_no: int) -> tuple[int, int] | None:
    """The first and the last quarter of an hour in which the organization has records."""
    row = connection.execute(queries()["slots_of_organization"], (organization_no,)).fetchone()
    if row is None or row[0] is None or row[1] is None:
        return None
    return int(row[0]), int(row[1])
