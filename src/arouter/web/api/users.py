"""`GET /v1/users` and `GET /v1/users/{user}`: the users of an organization, one by one.

A user is any text, so its name in a path is percent-encoded and read from the bytes of the request line: `/` in a name
is `%2F`. Some names no path can hold: the empty one, and `.` and `..`, which clients take for steps. Therefore every
user can be named in the query as well: `/v1/users/?user=`, and `/v1/users//limits?user=`.

What limits a user, and whether it is blocked, is told to who may do `users.read` in the organization; to others it is
null.
"""

from urllib.parse import unquote_to_bytes

import msgspec
from fastapi import Request, Response

from arouter.domain.errors import InvalidRequest, NotFound
from arouter.domain.keys import Key
from arouter.domain.principals import Principal
from arouter.domain.roles import Action
from arouter.domain.users import UserCursor, UserOrder, UsersQuery
from arouter.domain.visibility import visible_to
from arouter.store.buckets import time_zone
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.explaining import user_limits
from arouter.web.api.limit_settings import checked_user
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.ranges import RANGE, read_range, read_zone
from arouter.web.api.services import ApiServices
from arouter.web.api.user_report import Question, report
from arouter.wire.guardrails_json import UserLimitsAnswer
from arouter.wire.users_json import UserAnswer, UserList, blocked_list, encode, user_list

DEFAULT_LIMIT, MOST_LIMIT = 100, 1000
ORDERS = ("desc", "asc")
_BEFORE_USER = b"/users/"
_LIMITS = b"/limits"

LIST_PARAMETERS = (
    Parameter(name="q", description="Users whose name begins so, byte for byte."),
    Parameter(
        name="order_by",
        schema={"type": "string", "enum": [order.value for order in UserOrder], "default": UserOrder.LAST_SEEN.value},
        description="By the last request, the first one, or the name.",
    ),
    Parameter(
        name="order",
        schema={"type": "string", "enum": list(ORDERS)},
        description="Default: `desc` by time, `asc` by name.",
    ),
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many users at most.",
    ),
    Parameter(name="cursor", description="`next_cursor` of the page before. Keep the other parameters as they were."),
    Parameter(
        name="blocked",
        schema={"type": "boolean", "default": False},
        description="Only users that are blocked, by name, whether they were ever seen or not.",
    ),
)
USER_PARAMETERS = (
    Parameter(
        name="user",
        description="The user, where the path ends with `/users/`: `/v1/users/?user=` is the empty one.",
    ),
    *RANGE,
)
LIMITS_PARAMETERS = (
    Parameter(
        name="user", description="The user, where the path has none: `/v1/users//limits?user=` is the empty one."
    ),
)


class UsersApi:
    """Tells of users, as far as the key may see."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/users",
                handler=self.page,
                operation_id="listUsers",
                summary="Users, and when each was seen first and last",
                tag="Users",
                parameters=LIST_PARAMETERS,
                answers={JSON: UserList},
                errors=(400, 401),
            ),
            Endpoint(
                method="GET",
                path="/users/{user:path}/limits",
                handler=self.limits,
                operation_id="getUserLimits",
                summary="What limits one user, who says so, and how it stands",
                tag="Users",
                parameters=LIMITS_PARAMETERS,
                answers={JSON: UserLimitsAnswer},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/users/{user:path}",
                handler=self.user,
                operation_id="getUser",
                summary="One user: totals, days, models, keys, standing, where the month is heading",
                tag="Users",
                parameters=USER_PARAMETERS,
                answers={JSON: UserAnswer},
                errors=(400, 401, 404),
            ),
        )

    async def page(self, request: Request) -> Response:
        """A key sees the users of its own requests, or what its `activity_scope` says; a management key those of its
        organization."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], LIST_PARAMETERS)
        if parameters.flag("blocked"):
            return await self._blocked(request, parameters)
        by = UserOrder(parameters.choice("order_by", [order.value for order in UserOrder]) or UserOrder.LAST_SEEN)
        direction = parameters.choice("order", ORDERS)
        limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
        prefix = parameters.one("q")
        query = UsersQuery(
            scope=visible_to(key),
            prefix="" if prefix is None else prefix,
            order=by,
            descending=by is not UserOrder.NAME if direction is None else direction == "desc",
            limit=DEFAULT_LIMIT if limit is None else limit,
            after=_read_cursor(parameters.one("cursor")),
        )
        page = await self._services.ledger.list_users(query)
        rules = None
        if _may_know(key):
            names = [span.user for span in page.users]
            rules = await self._services.directory.user_rules_of(key.organization_id, names)
        return answer_json(encode(user_list(page, rules)))

    async def _blocked(self, request: Request, parameters: Parameters) -> Response:
        """By name alone: who is blocked may never have been seen."""
        manager = await self._services.manager(request, Action.READ_USERS)
        if parameters.choice("order_by", [order.value for order in UserOrder]) not in (None, UserOrder.NAME.value):
            raise invalid("order_by", "must be `name` with `blocked`: who is blocked may never have been seen")
        limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
        size = DEFAULT_LIMIT if limit is None else limit
        prefix = parameters.one("q")
        after = _read_cursor(parameters.one("cursor"))
        found = await self._services.directory.list_blocked_users(
            manager.organization_id,
            prefix="" if prefix is None else prefix,
            after=None if after is None else after.user,
            descending=parameters.choice("order", ORDERS) == "desc",
            limit=size + 1,
        )
        shown = found[:size]
        scope = visible_to(manager)
        seen = [(rules, await self._services.ledger.user_span(scope, rules.user)) for rules in shown]
        cursor = UserCursor(at_us=0, user=shown[-1].user) if len(found) > size else None
        return answer_json(encode(blocked_list(seen, cursor)))

    async def limits(self, request: Request) -> Response:
        """Also of a user that was never seen. A key's own limits for each user come on top: see
        `GET /v1/guardrails/explain`."""
        if not _path_of(request).endswith(_LIMITS):
            # `a%2Flimits` is a user's name.
            return await self.user(request)
        manager = await self._services.manager(request, Action.READ_USERS)
        parameters = Parameters(request.scope["query_string"], LIMITS_PARAMETERS)
        user = checked_user("user", _named_user(request, parameters.one("user"), behind=_LIMITS))
        found = await user_limits(
            self._services.guardian, manager.organization_id, user, now_us=self._services.now_us()
        )
        return answer_json(msgspec.json.encode(UserLimitsAnswer(found)))

    async def user(self, request: Request) -> Response:
        """The figures are those of the summary, filtered by this user."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        parameters = Parameters(request.scope["query_string"], USER_PARAMETERS)
        user = _named_user(request, parameters.one("user"))
        zone_name, zone = read_zone(parameters)
        now_us = self._services.now_us()
        wanted = read_range(parameters, zone, now_us=now_us)
        scope = visible_to(key)
        span = await self._services.ledger.user_span(scope, user)
        if span is None:
            raise NotFound("There is no such user, or this key may not see it.", code="user_not_found", param="user")
        question = Question(scope=scope, user=user, zone=time_zone(zone_name), now_us=now_us)
        limits = None
        if _may_know(key):
            limits = await user_limits(self._services.guardian, key.organization_id, user, now_us=now_us)
        return answer_json(
            encode(await report(self._services.ledger, self._services.directory, question, span, wanted, limits))
        )


def _may_know(key: Key) -> bool:
    """Whether a key is told what limits the organization's users."""
    return isinstance(key, Principal) and key.may(Action.READ_USERS)


def _path_of(request: Request) -> bytes:
    """As it came: a server decodes it."""
    path: bytes = request.scope["raw_path"].partition(b"?")[0]
    return path


def _named_user(request: Request, in_query: str | None, *, behind: bytes = b"") -> str:
    """The user that a path or a query names, byte for byte; `behind` is what comes after it in the path."""
    raw = _path_of(request).removesuffix(behind).partition(_BEFORE_USER)[2]
    if not raw:
        if in_query is None:
            raise InvalidRequest(
                "Name the user: /v1/users/<user>, percent-encoded, or /v1/users/?user=<user>. /v1/users lists all.",
                code="missing_required_parameter",
                param="user",
            )
        return in_query
    if in_query is not None:
        raise invalid("user", "is given in the path and in the query")
    if b"/" in raw:
        raise NotFound("There is nothing at this path. A `/` in a user's name is written %2F.")
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as exc:
        raise invalid("user", "is not percent-encoded UTF-8") from exc


def _read_cursor(text: str | None) -> UserCursor | None:
    if text is None:
        return None
    try:
        return UserCursor.from_text(text)
    except ValueError as exc:
        raise invalid("cursor", "is not a cursor; send `next_cursor` as it came") from exc
