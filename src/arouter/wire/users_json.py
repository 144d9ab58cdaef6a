"""Users as JSON: what `GET /v1/users`, `/v1/users/{user}` and `/v1/users/me/usage` answer, and signed user tokens."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.guardrails import UserRules
from arouter.domain.projection import CONFIDENCE_PERCENT, Projection
from arouter.domain.users import UserCursor, UsersPage, UserSpan
from arouter.wire.guardrails_json import LimitStanding
from arouter.wire.high_usage import RestUsage
from arouter.wire.instants import write_instant
from arouter.wire.limits_json import AllLimitsObject
from arouter.wire.numbers import Dollars, exact_dollars
from arouter.wire.summary import Metrics


class UserSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and when it was seen first and last."""

    object: Literal["user"] = "user"
    user: str
    first_seen: str
    last_seen: str


class UserListed(msgspec.Struct, frozen=True, kw_only=True):
    """A user in a list. `first_seen` and `last_seen` are null for one that is blocked and was never seen; `blocked` is
    null for who may not know."""

    object: Literal["user"] = "user"
    user: str
    first_seen: str | None
    last_seen: str | None
    blocked: bool | None
    block_reason: str | None
    blocked_at: str | None


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"]
    data: list[UserListed]
    has_more: bool
    next_cursor: str | None


class Day(Metrics, frozen=True, kw_only=True):
    """A day, by the instant at which it begins in the zone that was asked for."""

    day: str


class ModelUsage(Metrics, frozen=True, kw_only=True):
    """`model` is null for requests that were never routed."""

    model: str | None


class KeyUsage(Metrics, frozen=True, kw_only=True):
    """`api_key_name` is null for a key that was deleted."""

    api_key_hash: str
    api_key_name: str | None


class UserTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Since ever, since the 1st, and since midnight."""

    all_time: Metrics
    this_month: Metrics
    today: Metrics


class RangeUsage(RestUsage, frozen=True, kw_only=True):
    """The user in the range: what it cost beside the range before, and where it stands among all users of the range.

    `share` is of the cost of all requests that the key may see. `percentile` is how many percent of the other users
    cost less; it and `rank` are null for a user that made no request in the range.
    """

    start: str
    end: str
    previous_start: str
    previous_end: str
    rank: int | None
    of_users: int
    percentile: float | None


class ProjectionObject(msgspec.Struct, frozen=True, kw_only=True):
    """What the current month will cost, in dollars, from what was seen. `low` and `high` hold it with a probability of
    `confidence` if days go on as the last `days` whole days did, each on its own."""

    cost: Dollars
    low: Dollars
    high: Dollars
    confidence: float
    days: int
    by_weekday: bool


class UserAnswer(UserSeen, frozen=True, kw_only=True):
    """All that is known of a user. `limits` are said of the user itself, `applied_limits` hold for it whichever key it
    comes with. Both, and `blocked`, are null for who may not know; `anomalies` is null: nothing tells of them yet."""

    totals: UserTotals
    range: RangeUsage
    projection: ProjectionObject | None
    days: list[Day]
    models: list[ModelUsage]
    keys: list[KeyUsage]
    limits: AllLimitsObject | None
    applied_limits: list[LimitStanding] | None
    blocked: bool | None
    block_reason: str | None
    blocked_at: str | None
    anomalies: None = None
    timezone: str
    currency: Literal["USD"] = "USD"
    as_of: str


class OwnUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What an end user is told of itself. `limits` and `remaining` are null: it is not told what limits it."""

    object: Literal["user.usage"] = "user.usage"
    user: str
    start: str
    end: str
    totals: Metrics
    this_month: Metrics
    today: Metrics
    days: list[Day]
    models: list[ModelUsage]
    limits: None = None
    remaining: None = None
    timezone: str
    currency: Literal["USD"] = "USD"
    as_of: str


class CreateUserToken(msgspec.Struct, frozen=True, kw_only=True):
    """For whom, and for how many seconds."""

    user: str
    expires_in: int | UnsetType = UNSET


class UserToken(msgspec.Struct, frozen=True, kw_only=True):
    """A signed user token; `token` is shown this once, and kept nowhere."""

    object: Literal["user_token"] = "user_token"
    id: str
    user: str
    token: str
    created_at: str
    expires_at: str
    expires_in: int
    api_key_hash: str


def user_list(page: UsersPage, rules: Mapping[str, UserRules] | None) -> UserList:
    """A page of users. `rules` are what is said of them; None for who may not know."""
    return _list([user_listed(span.user, span, rules) for span in page.users], page.next_cursor)


def blocked_list(blocked: Sequence[tuple[UserRules, UserSpan | None]], cursor: UserCursor | None) -> UserList:
    """A page of users that are blocked, each with when it was seen."""
    return _list([user_listed(rules.user, span, {rules.user: rules}) for rules, span in blocked], cursor)


def user_listed(user: str, span: UserSpan | None, rules: Mapping[str, UserRules] | None) -> UserListed:
    """A user in a list; `span` None for one that was never seen."""
    said = None if rules is None else rules.get(user)
    return UserListed(
        user=user,
        first_seen=None if span is None else write_instant(span.first_seen_us),
        last_seen=None if span is None else write_instant(span.last_seen_us),
        blocked=None if rules is None else said is not None and said.blocked,
        block_reason=None if said is None else said.reason,
        blocked_at=None if said is None or said.blocked_at_us is None else write_instant(said.blocked_at_us),
    )


def _list(users: list[UserListed], cursor: UserCursor | None) -> UserList:
    return UserList(
        object="list",
        data=users,
        has_more=cursor is not None,
        next_cursor=None if cursor is None else cursor.to_text(),
    )


def user_seen(span: UserSpan) -> UserSeen:
    return UserSeen(
        user=span.user, first_seen=write_instant(span.first_seen_us), last_seen=write_instant(span.last_seen_us)
    )


def projection_object(found: Projection | None) -> ProjectionObject | None:
    """A projection of picodollars, in dollars."""
    if found is None:
        return None
    return ProjectionObject(
        cost=exact_dollars(found.amount),
        low=exact_dollars(found.low),
        high=exact_dollars(found.high),
        confidence=CONFIDENCE_PERCENT / 100,
        days=found.days,
        by_weekday=found.by_weekday,
    )


def encode(value: UserAnswer | OwnUsage | UserList | UserToken) -> bytes:
    return msgspec.json.encode(value)
