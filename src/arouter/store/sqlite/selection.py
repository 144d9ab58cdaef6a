"""From a scope and filters to conditions in SQL, and to the index that serves them.

The index is named in the statement (`INDEXED BY`): which one is right follows from the question, and must not
change with what the planner believes about the data. A page for several users is read user by user, each in the
order of its index, and merged: one condition for all of them would have to sort everything they ever did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import apsw
import msgspec

from arouter.domain.activity import Filters, Scope
from arouter.store.sqlite.names import fetch, numbers_of, to_json
from arouter.store.sqlite.sealed import hidden_rows
from arouter.store.sqlite.statements import queries

BY_TIME = "records_by_time"
BY_USER = "records_by_user"
BY_KEY = "records_by_key"

_IN_JSON = "IN (SELECT value FROM json_each(?))"

Value = int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a selection says, for records that are no rows."""

    organization_no: int
    one_of: tuple[tuple[str, frozenset[int]], ...]
    """Columns of numbers, and the numbers that each may have."""
    models: frozenset[int] | None
    """Of the routed model or the requested one; None for any."""
    sessions: tuple[str, ...]
    tags: frozenset[int] | None
    """None for any, and for none."""
    users: tuple[int | None, ...] | None
    start_us: int
    end_us: int
    updated_since_us: int | None
    written_until_us: int | None

    @property
    def has_conditions(self) -> bool:
        """Whether more is wanted than users and times."""
        return bool(
            self.one_of
            or self.sessions
            or self.models is not None
            or self.tags is not None
            or self.updated_since_us is not None
            or self.written_until_us is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Records of one organization."""

    index: str
    conditions: tuple[str, ...]
    values: tuple[Value, ...]
    users: tuple[int | None, ...] | None
    """Numbers of end users, None for records without one; or None altogether if users do not matter."""
    wanted: Wanted
    """The same for sealed records. The conditions leave out the rows of records that are sealed."""

    def where(self) -> tuple[str, tuple[Value, ...]]:
        """For all users at once."""
        if self.users is None:
            return " AND ".join(self.conditions), self.values
        if len(self.users) == 1:
            return self.where_each()[0]
        known = [user for user in self.users if user is not None]
        condition = f"user_no {_IN_JSON}"
        if len(known) < len(self.users):
            condition = f"({condition} OR user_no IS NULL)"
        return " AND ".join((*self.conditions, condition)), (*self.values, to_json(known))

    def where_each(self) -> Sequence[tuple[str, tuple[Value, ...]]]:
        """For one user after the other."""
        if self.users is None:
            return [self.where()]
        where = " AND ".join((*self.conditions, "user_no IS ?"))
        return [(where, (*self.values, user)) for user in self.users]


class _Conditions:
    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._numbers = numbers
        self.conditions: list[str] = []
        self.values: list[Value] = []
        self.columns: list[tuple[str, frozenset[int]]] = []
        self.earliest_us = 0

    def add(self, condition: str, *values: Value) -> None:
        self.conditions.append(condition)
        self.values += values

    def one_of(self, column: str, texts: Sequence[str]) -> None:
        if texts:
            known = self.known(texts)
            self.add(f"{column} {_IN_JSON}", to_json(known))
            self.columns.append((column, frozenset(known)))

    def known(self, texts: Sequence[str]) -> list[int]:
        """The numbers of those of `texts` that were ever seen."""
        return [self._numbers[text] for text in texts if text in self._numbers]


def keys_in(connection: apsw.Connection, scope: Scope) -> frozenset[int] | None:
    """The numbers of the keys that a scope is bound to because of who made them, deleted ones too; None: to none.

    Every reading heeds it, beside the other parts of the scope and the filters: of no keys there is nothing to read.
    """
    if scope.creator is None:
        return None
    return frozenset(fetch(connection, queries()["keys_of_creator"], scope.organization_id, scope.creator))


def select(connection: apsw.Connection, scope: Scope, filters: Filters) -> Selection | None:
    """None if nothing can match, because nothing of that name was ever recorded."""
    numbers = numbers_of(connection, _texts(scope, filters))
    organization_no = numbers.get(scope.organization_id)
    if organization_no is None:
        return None
    made = _Conditions(numbers)
    made.add("organization_no = ?", organization_no)
    for column, text in (("workspace_no", scope.workspace_id), ("key_no", scope.key_hash)):
        if text is not None:
            if text not in numbers:
                return None
            made.add(f"{column} = ?", numbers[text])
            made.columns.append((column, frozenset((numbers[text],))))
    keys = keys_in(connection, scope)
    if keys is not None:
        if not keys:
            return None
        made.add(f"key_no {_IN_JSON}", to_json(sorted(keys)))
        made.columns.append(("key_no", keys))
    _add_filters(made, filters)
    if filters.updated_since_us is not None and not _add_updated_since(connection, made, filters.updated_since_us):
        return None
    users = _users(connection, organization_no, filters)
    for start_us, end_us, last_seq in hidden_rows(connection, organization_no):
        made.add("NOT (created_at_us >= ? AND created_at_us < ? AND seq <= ?)", start_us, end_us, last_seq)
    return Selection(
        index=BY_USER if users is not None else BY_TIME if scope.key_hash is None and scope.creator is None else BY_KEY,
        conditions=tuple(made.conditions),
        values=tuple(made.values),
        users=users,
        wanted=_wanted(organization_no, made, filters, users),
    )


def _wanted(organization_no: int, made: _Conditions, filters: Filters, users: tuple[int | None, ...] | None) -> Wanted:
    return Wanted(
        organization_no=organization_no,
        one_of=tuple(made.columns),
        models=frozenset(made.known(filters.models)) if filters.models else None,
        sessions=filters.session_ids,
        tags=frozenset(made.known(filters.tags)) if filters.tags else None,
        users=users,
        start_us=max(made.earliest_us, filters.start_us or 0),
        end_us=2**63 - 1 if filters.end_us is None else filters.end_us,
        updated_since_us=filters.updated_since_us,
        written_until_us=filters.written_until_us,
    )


def _add_filters(made: _Conditions, filters: Filters) -> None:
    made.one_of("provider_no", filters.providers)
    made.one_of("status_no", filters.statuses)
    made.one_of("endpoint_no", filters.endpoints)
    made.one_of("key_no", filters.key_hashes)
    made.one_of("workspace_no", filters.workspace_ids)
    if filters.models:
        known = to_json(made.known(filters.models))
        made.add(f"(model_no {_IN_JSON} OR requested_model_no {_IN_JSON})", known, known)
    if filters.session_ids:
        made.add(f"session_id {_IN_JSON}", to_json(filters.session_ids))
    if filters.tags:
        made.add(
            "tags > 0 AND EXISTS (SELECT 1 FROM record_tags WHERE record_tags.seq = records.seq "
            "AND tag_no IN (SELECT value FROM json_each(?)))",
            to_json(made.known(filters.tags)),
        )
    if filters.start_us is not None:
        made.add("created_at_us >= ?", filters.start_us)
    if filters.end_us is not None:
        made.add("created_at_us < ?", filters.end_us)
    if filters.written_until_us is not None:
        made.add("written_at_us <= ?", filters.written_until_us)


def _add_updated_since(connection: apsw.Connection, made: _Conditions, since_us: int) -> bool:
    """Records are indexed by creation: what was written or adjusted since was created no earlier than the batches say.

    The condition needs the records joined with `adjusted`.
    """
    earliest_us = connection.execute(queries()["earliest_written_since"], (since_us,)).get
    if earliest_us is None:
        return False
    made.add("created_at_us >= ?", earliest_us)
    made.earliest_us = int(earliest_us)
    made.add("(written_at_us >= ? OR adjusted_at_us >= ?)", since_us, since_us)
    return True


def _users(connection: apsw.Connection, organization_no: int, filters: Filters) -> tuple[int | None, ...] | None:
    if not filters.users and not filters.unattributed:
        return None
    sql = queries()["users_of_texts"]
    text = connection.execute(sql, (organization_no, to_json(filters.users))).get
    users: list[int | None] = [*msgspec.json.decode(text, type=list[int])]
    if filters.unattributed:
        users.append(None)
    return tuple(users)


def _texts(scope: Scope, filters: Filters) -> list[str]:
    texts = [text for text in (scope.organization_id, scope.workspace_id, scope.key_hash) if text is not None]
    for more in (
        filters.models,
        filters.providers,
        filters.statuses,
        filters.endpoints,
        filters.key_hashes,
        filters.workspace_ids,
        filters.tags,
    ):
        texts += more
    return texts
