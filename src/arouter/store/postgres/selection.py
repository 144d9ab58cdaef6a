"""From a scope and filters to conditions in SQL, over records and over the sums of them: the columns have one name."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from arouter.domain.activity import Filters, Scope
from arouter.store.postgres.statements import queries
from arouter.store.postgres.texts import listed, to_stored

Value = int | str | Sequence[str] | Sequence[int] | None

_COLUMNS = (
    ("providers", "provider"),
    ("statuses", "status"),
    ("endpoints", "endpoint"),
    ("key_hashes", "key_hash"),
    ("workspace_ids", "workspace_id"),
    ("session_ids", "session_id"),
)


@dataclass(slots=True)
class Conditions:
    """Conditions, and the values of a statement by their places: `$1` is the first."""

    values: list[Value] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)

    def place(self, value: Value, of: str) -> str:
        """The place of a value of a type."""
        self.values.append(value)
        return f"${len(self.values)}::{of}"

    def texts(self, texts: Sequence[str]) -> str:
        return self.place(listed(text for text in texts if _is_unicode(text)), "text[]")

    def add(self, condition: str) -> None:
        self.conditions.append(condition)

    def equal(self, column: str, text: str | None) -> None:
        if text is not None:
            self.add(f"{column} = {self.place(text, 'text')}")

    def one_of(self, column: str, texts: Sequence[str]) -> None:
        if texts:
            self.add(f"{column} = ANY({self.texts(texts)})")

    @property
    def where(self) -> str:
        return " AND ".join(self.conditions)


def add_scope(made: Conditions, scope: Scope) -> None:
    """Every reading heeds it."""
    made.equal("organization_id", scope.organization_id)
    made.equal("workspace_id", scope.workspace_id)
    made.equal("key_hash", scope.key_hash)
    if scope.creator is not None:
        organization, creator = made.place(scope.organization_id, "text"), made.place(scope.creator, "text")
        made.add(queries("reading")["keys_of_creator"].format(organization=organization, creator=creator))


def add_filters(made: Conditions, filters: Filters) -> None:
    """Those that do not go by a time. Of tags and sessions only records know."""
    for name, column in _COLUMNS:
        made.one_of(column, getattr(filters, name))
    if filters.models:
        models = made.texts(filters.models)
        made.add(f"(model = ANY({models}) OR requested_model = ANY({models}))")
    if filters.tags:
        made.add(f"tags && {made.texts(filters.tags)}")
    add_users(made, filters)


def add_users(made: Conditions, filters: Filters) -> None:
    if not filters.users and not filters.unattributed:
        return
    alternatives = ["end_user IS NULL"] if filters.unattributed else []
    if len(filters.users) == 1 and _is_unicode(filters.users[0]):
        alternatives.append(f"end_user = {made.place(filters.users[0], 'text')}")
    elif filters.users:
        alternatives.append(f"end_user = ANY({made.texts(filters.users)})")
    made.add(f"({' OR '.join(alternatives)})")


def add_times(made: Conditions, start_us: int | None, end_us: int | None) -> None:
    """Of records."""
    if start_us is not None:
        made.add(f"created_at_us >= {made.place(start_us, 'bigint')}")
    if end_us is not None:
        made.add(f"created_at_us < {made.place(end_us, 'bigint')}")


def add_writing(made: Conditions, filters: Filters) -> None:
    """When records were written or adjusted: see the batches."""
    if filters.updated_since_us is not None:
        made.add(queries("reading")["updated_since"].format(since=made.place(filters.updated_since_us, "bigint")))
    if filters.written_until_us is not None:
        made.add(queries("reading")["written_by"].format(until=made.place(filters.written_until_us, "bigint")))


def of_records(scope: Scope, filters: Filters, made: Conditions | None = None) -> Conditions:
    """All that a scope and filters say of records."""
    made = Conditions() if made is None else made
    add_scope(made, scope)
    add_filters(made, filters)
    add_times(made, filters.start_us, filters.end_us)
    add_writing(made, filters)
    return made


def _is_unicode(text: str) -> bool:
    """What is not was never recorded."""
    try:
        to_stored(text)
    except UnicodeEncodeError:
        return False
    return True
