"""`GET /v1/users` and `GET /v1/users/{user}`: the users of an organization, one by one.

A user is any text, so its name in a path is percent-encoded and read from the bytes of the request line: `/` in a name
is `%2F`. Some names no path can hold: the empty one, and `.` and `..`, which clients take for steps. Therefore every
user can be named in the query as well: `/v1/users/?user=`.
"""

from urllib.parse import unquote_to_bytes

from fastapi import Request, Response

from arouter.domain.errors import InvalidRequest, NotFound
from arouter.domain.users import UserCursor, UserOrder, UsersQuery
from arouter.domain.visibility import visible_to
from arouter.store.buckets import time_zone
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.ranges import RANGE, read_range, read_zone
from arouter.web.api.services import ApiServices
from arouter.web.api.user_report import Question, report
from arouter.wire.users_json import UserAnswer, UserList, encode, user_list

DEFAULT_LIMIT, MOST_LIMIT = 100, 1000
ORDERS = ("desc", "asc")
_BEFORE_USER = b"/users/"

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
)
USER_PARAMETERS = (
    Parameter(
        name="user",
        description="The user, where the path ends with `/users/`: `/v1/users/?user=` is the empty one.",
    ),
    *RANGE,
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
        return answer_json(encode(user_list(await self._services.ledger.list_users(query))))

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
        return answer_json(
            encode(await report(self._services.ledger, self._services.directory, question, span, wanted))
        )


def _named_user(request: Request, in_query: str | None) -> str:
    """The user that a path or a query names, byte for byte."""
    raw = request.scope["raw_path"].partition(b"?")[0].partition(_BEFORE_USER)[2]
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
