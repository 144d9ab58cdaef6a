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
from arouter.store.sqlite.statements import queries

BY_TIME = "records_by_time"
BY_USER = "records_by_user"
BY_KEY = "records_by_key"

_IN_JSON = "IN (SELECT value FROM json_each(?))"

Value = int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Records of one organization."""

    index: str
    conditions: tuple[str, ...]
    values: tuple[Value, ...]
    users: tuple[int | None, ...] | None
    """Numbers of end users, None for records without one; or None altogether if users do not matter."""

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

    def add(self, condition: str, *values: Value) -> None:
        self.conditions.append(condition)
        self.values += values

    def one_of(self, column: str, texts: Sequence[str]) -> None:
        if texts:
            self.add(f"{column} {_IN_JSON}", self.known(texts))

    def known(self, texts: Sequence[str]) -> str:
        """The numbers of those of `texts` that were ever seen, as JSON."""
        return to_json([self._numbers[text] for text in texts if text in self._numbers])


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
    if scope.creator is not None:
        keys = fetch(connection, queries()["keys_of_creator"], scope.organization_id, scope.creator)
        if not keys:
            return None
        made.add(f"key_no {_IN_JSON}", to_json(keys))
    _add_filters(made, filters)
    if filters.updated_since_us is not None and not _add_updated_since(connection, made, filters.updated_since_us):
        return None
    users = _users(connection, organization_no, filters)
    return Selection(
        index=BY_USER if users is not None else BY_TIME if scope.key_hash is None and scope.creator is None else BY_KEY,
        conditions=tuple(made.conditions),
        values=tuple(made.values),
        users=users,
    )


def _add_filters(made: _Conditions, filters: Filters) -> None:
    made.one_of("provider_no", filters.providers)
    made.one_of("status_no", filters.statuses)
    made.one_of("endpoint_no", filters.endpoints)
    made.one_of("key_no", filters.key_hashes)
    made.one_of("workspace_no", filters.workspace_ids)
    if filters.models:
        known = made.known(filters.models)
        made.add(f"(model_no {_IN_JSON} OR requested_model_no {_IN_JSON})", known, known)
    if filters.session_ids:
        made.add(f"session_id {_IN_JSON}", to_json(filters.session_ids))
    if filters.tags:
        made.add(
            "tags > 0 AND EXISTS (SELECT 1 FROM record_tags WHERE record_tags.seq = records.seq "
            "AND tag_no IN (SELECT value FROM json_each(?)))",
            made.known(filters.tags),
        )
    if filters.start_us is not None:
        made.add("created_at_us >= ?", filters.start_us)
    if filters.end_us is not None:
        made.add("created_at_us < ?", filters.end_us)


def _add_updated_since(connection: apsw.Connection, made: _Conditions, since_us: int) -> bool:
    """Records are indexed by creation: what was written or adjusted since was created no earlier than the batches say.

    The condition needs the records joined with `adjusted`.
    """
    earliest_us = connection.execute(queries()["earliest_written_since"], (since_us,)).get
    if earliest_us is None:
        return False
    made.add("created_at_us >= ?", earliest_us)
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
