"""What records do not tell any more, and the sums that two databases are compared by: read and written by text.

Sums of expired records are written as what is missing from those that are there: to write them again changes nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw

from arouter.store.buckets import SLOTS_OF_DAY
from arouter.store.moving import ROLLUP_KEY, Row, Rows, Sums
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.folded import unfold
from arouter.store.sqlite.moved_records import moving
from arouter.store.sqlite.rollups import (
    ROLLUP_KEY as NUMBERED_KEY,
)
from arouter.store.sqlite.rollups import (
    ROLLUP_SUMS,
    RollupKey,
    add_to_rollups,
    cost_parts,
    stored,
    whole_cost,
)
from arouter.store.sqlite.sealed import DAY_US
from arouter.store.sqlite.statements import insert_rows, queries
from arouter.store.sqlite.usage_days import set_usage_days
from arouter.store.tally import MEASURES, Measures

_SCOPES: Final = {1: "organization", 2: "workspace", 3: "key", 4: "user"}
_SPAN_COLUMNS: Final = ("organization_no", "user_no", "key_no", "workspace_no", "first_seen_us", "last_seen_us")
_OWN_KEY_COLUMNS: Final = ("key_no", "hour", "cost_units", "cost_rest")
_COST: Final = ROLLUP_SUMS.index("cost_units")
_NUMBERED: Final = {
    "organization_no": "organization_id",
    "workspace_no": "workspace_id",
    "key_no": "key_hash",
    "model_no": "model",
    "requested_model_no": "requested_model",
    "provider_no": "provider",
    "endpoint_no": "endpoint",
    "status_no": "status",
}
_COLUMNS: Final = {
    Sums.SPANS: ("organization_id", "end_user", "key_hash", "workspace_id", "first_seen_us", "last_seen_us"),
    Sums.EXPIRED_DAYS: ("organization_id", "day", *MEASURES),
    Sums.ROLLUPS: (*ROLLUP_KEY, *MEASURES),
    Sums.KEY_HOURS: ("key_hash", "hour", "cost", "own_key_cost"),
    Sums.EXPIRED_KEY_HOURS: ("key_hash", "hour", "cost", "own_key_cost", "last_used_us"),
    Sums.USAGE_DAYS: ("scope", "organization_id", "scope_id", "day", "requests", "tokens", "cost"),
}


def sums_of(connection: apsw.Connection, name: str) -> tuple[Sequence[str], Iterator[Row]]:
    """The columns and the rows of a stream of `Sums`."""
    table, condition = name, "true"
    if name == Sums.EXPIRED_ROLLUPS:
        table, condition = Sums.ROLLUPS, moving()["of_expired_days"]
    found = connection.execute(moving()[table].format(where=condition))
    return _COLUMNS[table], (_told(table, row) for row in found)


def _told(table: str, row: Sequence[Any]) -> Row:
    if table == Sums.EXPIRED_DAYS:
        return (*row[:2], *_whole(row[2:]))
    if table == Sums.ROLLUPS:
        return (*row[: len(ROLLUP_KEY)], *_whole(row[len(ROLLUP_KEY) :]))
    if table in (Sums.KEY_HOURS, Sums.EXPIRED_KEY_HOURS):
        return (*row[:2], whole_cost(*row[2:4]), whole_cost(*row[4:6]), *row[6:])
    if table == Sums.USAGE_DAYS:
        return (_SCOPES[row[0]], *row[1:6], whole_cost(*row[6:8]))
    return tuple(row)


def _whole(sums: Sequence[int]) -> Measures:
    """Sums as they are kept, with the cost as one number."""
    return (*sums[:_COST], whole_cost(*sums[_COST : _COST + 2]), *sums[_COST + 2 :])


class LeftBehind:
    """Writes within the caller's transaction; `finish` is the last step."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self._days: set[tuple[int, int]] = set()
        self._missing = 0
        self._earliest_us: int | None = None

    def put(self, connection: apsw.Connection, rows: Rows) -> None:
        """Rows of one of `LEFT_BEHIND`."""
        writing = {
            Sums.SPANS: self._widen_spans,
            Sums.EXPIRED_DAYS: self._add_days,
            Sums.EXPIRED_ROLLUPS: self._add_rollups,
            Sums.EXPIRED_KEY_HOURS: self._add_own_keys,
        }
        writing[rows.table](connection, rows.rows)

    def finish(self, connection: apsw.Connection) -> None:
        for organization_no, day in sorted(self._days):
            set_usage_days(connection, self._appender.numbers, organization_no, day)
        if self._missing:
            assert self._earliest_us is not None
            # The chain of hashes passes over records that have expired: they have numbers, too.
            self._appender.pass_over(connection, self._missing, self._earliest_us)

    def _widen_spans(self, connection: apsw.Connection, rows: Sequence[Row]) -> None:
        users = self._users(connection, {(str(row[0]), str(row[1])) for row in rows})
        numbered = [
            (
                self._number(connection, organization_id),
                users[str(organization_id), str(user)],
                self._number(connection, key_hash),
                self._number(connection, workspace_id),
                first_us,
                last_us,
            )
            for organization_id, user, key_hash, workspace_id, first_us, last_us in rows
        ]
        insert_rows(connection, "add_user_spans", _SPAN_COLUMNS, numbered)

    def _add_days(self, connection: apsw.Connection, rows: Sequence[Row]) -> None:
        columns = ("organization_no", "day", *ROLLUP_SUMS)
        sql = queries()["note_expired"].format(columns=", ".join(columns), places=", ".join("?" * len(columns)))
        for organization_id, day, *sums in rows:
            assert isinstance(day, int)
            place = (self._number(connection, organization_id), day)
            known = connection.execute(queries()["expired_requests"], place).get or 0
            measures: Any = sums
            self._missing += measures[0] - known
            at_us = day * DAY_US
            self._earliest_us = at_us if self._earliest_us is None else min(self._earliest_us, at_us)
            connection.execute(sql, (*place, *stored(tuple(measures))))

    def _add_rollups(self, connection: apsw.Connection, rows: Sequence[Row]) -> None:
        width = len(ROLLUP_KEY)
        named = [dict(zip(ROLLUP_KEY, row[:width], strict=True)) for row in rows]
        users = self._users(
            connection,
            {(str(one["organization_id"]), str(one["end_user"])) for one in named if one["end_user"] is not None},
        )
        sql = moving()["sums_of_rollup"].format(
            sums=", ".join(ROLLUP_SUMS), where=" AND ".join(f"{column} = ?" for column in NUMBERED_KEY)
        )
        missing: dict[RollupKey, tuple[int, ...]] = {}
        for one, row in zip(named, rows, strict=True):
            user = one["end_user"]
            values: dict[str, Any] = {
                column: 0 if one[name] is None else self._number(connection, one[name])
                for column, name in _NUMBERED.items()
            }
            values["slot"] = one["slot"]
            values["user_no"] = 0 if user is None else users[str(one["organization_id"]), str(user)]
            key = tuple(values[column] for column in NUMBERED_KEY)
            found: Any = connection.execute(sql, key).fetchone()
            known = (0,) * len(MEASURES) if found is None else _whole(found)
            wanted: Any = row[width:]
            difference = tuple(want - have for want, have in zip(wanted, known, strict=True))
            if any(difference) or found is None:
                missing[key] = stored(difference)
                self._days.add((values["organization_no"], values["slot"] // SLOTS_OF_DAY))
        add_to_rollups(connection, missing)
        unfold(connection, missing)

    def _add_own_keys(self, connection: apsw.Connection, rows: Sequence[Row]) -> None:
        missing = []
        for key_hash, hour, _, own_key_cost, last_used_us in rows:
            place = (self._number(connection, key_hash), hour)
            if last_used_us is not None:
                connection.execute(moving()["use_key"], (last_used_us, *place))
            found: Any = connection.execute(moving()["own_key_hour"], place).fetchone()
            difference = int(own_key_cost or 0) - (0 if found is None else whole_cost(*found))
            if difference:
                missing.append((*place, *cost_parts(difference)))
        insert_rows(connection, "add_own_key_hours", _OWN_KEY_COLUMNS, missing)

    def _number(self, connection: apsw.Connection, text: object) -> int:
        return self._appender.numbers.name(connection, str(text))

    def _users(self, connection: apsw.Connection, users: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The numbers of users, by organization and name."""
        wanted = sorted(users)
        keys = [(self._number(connection, organization_id), name) for organization_id, name in wanted]
        return dict(zip(wanted, self._appender.numbers.users(connection, keys), strict=True))
