"""Users out of the copy: when they were seen, and what each cost."""

from arouter.domain.activity import Dimension, Filters, Scope, SummaryQuery
from arouter.domain.users import UserOrder, UsersQuery, end_of_prefix
from arouter.store.clickhouse.conditions import scope_conditions, text

_AT = {UserOrder.LAST_SEEN: "last", UserOrder.FIRST_SEEN: "first"}


def users_sql(table: str, query: UsersQuery) -> str:
    """`user, first, last` of up to one user more than the page holds, in its order."""
    conditions = [*scope_conditions(query.scope), "user IS NOT NULL"]
    if query.prefix:
        conditions.append(f"user >= {text(query.prefix)}")
        end = end_of_prefix(query.prefix)
        if end is not None:
            conditions.append(f"user < {text(end)}")
    direction, operator = ("DESC", "<") if query.descending else ("ASC", ">")
    by = [*([_AT[query.order]] if query.order in _AT else []), "user"]
    having = ""
    if query.after is not None:
        name = text(query.after.user)
        having = f" HAVING user {operator} {name}"
        if query.order in _AT:
            at = _AT[query.order]
            having = (
                f" HAVING {at} {operator} {query.after.at_us} "
                f"OR ({at} = {query.after.at_us} AND user {operator} {name})"
            )
    order = ", ".join(f"{column} {direction}" for column in by)
    return f"{_spans(table, conditions)}{having} ORDER BY {order} LIMIT {query.limit + 1}"


def span_sql(table: str, scope: Scope, user: str) -> str:
    """The same of one user; no row if it was never seen."""
    return _spans(table, [*scope_conditions(scope), f"user = {text(user)}"])


def costs_query(scope: Scope, filters: Filters) -> SummaryQuery:
    """What is asked to know what each user cost."""
    return SummaryQuery(scope=scope, filters=filters, group_by=(Dimension.USER,), metrics=frozenset({"cost"}))


def _spans(table: str, conditions: list[str]) -> str:
    return (
        f"SELECT user, min(created_at_us) AS first, max(created_at_us) AS last FROM {table} "
        f"WHERE {' AND '.join(conditions)} GROUP BY user"
    )
