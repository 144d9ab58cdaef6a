"""From a scope and filters to conditions in ClickHouse's SQL. They hold for a record and for its adjustments alike."""

from collections.abc import Sequence

from arouter.domain.activity import Filters, Scope
from arouter.store.clickhouse.schema import USER_HASH

LATEST_US = 2**63 - 1


def text(value: str) -> str:
    """A text in SQL. In hexadecimal: whatever is in it, it stays a text. ValueError if it is not Unicode."""
    return f"unhex('{value.encode().hex()}')"


def texts(values: Sequence[str]) -> str:
    """Several, for `IN` or an array."""
    return ", ".join(text(value) for value in values)


def scope_conditions(scope: Scope) -> list[str]:
    """Whose records. Who made a key is known to the ledger only: ValueError for a scope that goes by that."""
    if scope.creator is not None:
        raise ValueError("the copy does not know who made a key")
    made = [f"organization_id = {text(scope.organization_id)}"]
    if scope.workspace_id is not None:
        made.append(f"workspace_id = {text(scope.workspace_id)}")
    if scope.key_hash is not None:
        made.append(f"key_hash = {text(scope.key_hash)}")
    return made


def filter_conditions(filters: Filters) -> list[str]:
    """Which of them, but for the range and for what was updated since."""
    return [*user_conditions(filters), *other_conditions(filters)]


def other_conditions(filters: Filters) -> list[str]:
    """`filter_conditions` without whose they are."""
    made = []
    for column, values in (
        ("provider", filters.providers),
        ("status", filters.statuses),
        ("endpoint", filters.endpoints),
        ("key_hash", filters.key_hashes),
        ("workspace_id", filters.workspace_ids),
        ("session_id", filters.session_ids),
    ):
        if values:
            made.append(f"{column} IN ({texts(values)})")
    if filters.models:
        names = texts(filters.models)
        made.append(f"(model IN ({names}) OR requested_model IN ({names}))")
    if filters.tags:
        made.append(f"hasAny(tags, [{texts(filters.tags)}])")
    if filters.written_until_us is not None:
        made.append(f"written_at_us <= {filters.written_until_us}")
    return made


def updated_since(filters: Filters, scope: Scope, table: str) -> list[str]:
    """Written or adjusted since. An adjusted record counts with all its rows."""
    since_us = filters.updated_since_us
    if since_us is None:
        return []
    adjusted = (
        f"SELECT created_at_us, id FROM {table} "
        f"WHERE {' AND '.join(scope_conditions(scope))} AND adjustment_no > 0 AND adjusted_at_us >= {since_us}"
    )
    return [f"(written_at_us >= {since_us} OR (created_at_us, id) IN ({adjusted}))"]


def range_conditions(start_us: int | None, end_us: int | None) -> list[str]:
    made = []
    if start_us is not None:
        made.append(f"created_at_us >= {start_us}")
    if end_us is not None:
        made.append(f"created_at_us < {end_us}")
    return made


def all_conditions(scope: Scope, filters: Filters, table: str) -> list[str]:
    """Everything that is asked for."""
    return [
        *scope_conditions(scope),
        *filter_conditions(filters),
        *range_conditions(filters.start_us, filters.end_us),
        *updated_since(filters, scope, table),
    ]


def user_conditions(filters: Filters) -> list[str]:
    """Whose they are."""
    alternatives = []
    if len(filters.users) == 1:
        alternatives.append(f"user = {text(filters.users[0])}")
    elif filters.users:
        alternatives.append(f"user IN ({texts(filters.users)})")
    if filters.unattributed:
        alternatives.append("user IS NULL")
    if not alternatives:
        return []
    return [alternatives[0] if len(alternatives) == 1 else f"({' OR '.join(alternatives)})"]


def hash_conditions(filters: Filters) -> list[str]:
    """What finds the rows of the users in `schema.USER_HASH`'s order. Another's row may be among them."""
    names = [*filters.users, *([""] if filters.unattributed else [])]
    return [f"{USER_HASH} IN ({', '.join(f'sipHash64({text(name)})' for name in names)})"] if names else []
