"""`POST /v1/user_tokens` for applications, and `GET /v1/users/me/usage` for the users that they made tokens for."""

from fastapi import Request, Response

from arouter.domain.errors import NotAuthenticated, NotPermitted
from arouter.domain.keys import has_key_shape
from arouter.domain.principals import Principal
from arouter.domain.visibility import visible_to
from arouter.domain.windows import DAY_US
from arouter.engine.admission import check_user
from arouter.store.buckets import time_zone
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameters, invalid
from arouter.web.api.ranges import RANGE, read_range, read_zone
from arouter.web.api.services import ApiServices
from arouter.web.api.user_report import Question, own_usage
from arouter.web.api.users import UsersApi
from arouter.web.auth import find_credentials
from arouter.web.user_tokens import DEFAULT_LIFETIME_S, MOST_LIFETIME_S
from arouter.wire.instants import write_instant
from arouter.wire.users_json import CreateUserToken, OwnUsage, UserToken, encode

MOST_DAYS = 366
_ME = b"/users/me/usage"


class UserTokensApi:
    """Mints signed user tokens, and shows their bearers what they used."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._tokens = services.user_tokens()
        self._users = UsersApi(services)

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="POST",
                path="/user_tokens",
                handler=self.create,
                operation_id="createUserToken",
                summary="A short-lived token for an end user; shown this once",
                tag="Users",
                body=CreateUserToken,
                answers={JSON: UserToken},
                status=201,
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/users/me/usage",
                handler=self.own,
                operation_id="getOwnUsage",
                summary="What the bearer of a user token used",
                tag="Users",
                parameters=RANGE,
                answers={JSON: OwnUsage},
                errors=(400, 401, 403),
            ),
        )

    async def create(self, request: Request) -> Response:
        """The token ends with its time, or with the key that made it, whichever comes first."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        Parameters(request.scope["query_string"], ())
        if isinstance(key, Principal) and key.session_id is not None:
            raise NotPermitted("User tokens are made with a key: a session makes none.")
        wanted = await read_struct(request, CreateUserToken)
        check_user(wanted.user)
        lifetime_s = wanted.expires_in if isinstance(wanted.expires_in, int) else DEFAULT_LIFETIME_S
        if not 1 <= lifetime_s <= MOST_LIFETIME_S:
            raise invalid("expires_in", f"must be from 1 to {MOST_LIFETIME_S} seconds")
        token, claims = await self._tokens.mint(key, wanted.user, lifetime_s=lifetime_s)
        made = UserToken(
            id=claims.id,
            user=claims.user,
            token=token,
            created_at=write_instant(claims.issued_at_s * 1_000_000),
            expires_at=write_instant(claims.expires_at_s * 1_000_000),
            expires_in=claims.expires_at_s - claims.issued_at_s,
            api_key_hash=claims.key_hash,
        )
        return answer_json(encode(made), 201)

    async def own(self, request: Request) -> Response:
        """What the key that made the token sees of its user."""
        if not request.scope["raw_path"].partition(b"?")[0].endswith(_ME):
            # `me%2Fusage` is a user's name.
            return await self._users.user(request)
        credentials = find_credentials(dict(request.scope["headers"]), request.scope["query_string"])
        if has_key_shape(credentials.plaintext):
            await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
            raise NotPermitted(
                "This path is for the bearer of a user token (POST /v1/user_tokens). A key reads /v1/users/<user>.",
                code="wrong_key_type",
            )
        if not credentials.plaintext.isascii():
            raise NotAuthenticated("invalid user token.", code="invalid_user_token")
        signed = await self._tokens.check(credentials.plaintext)
        parameters = Parameters(request.scope["query_string"], RANGE)
        zone_name, zone = read_zone(parameters)
        now_us = self._services.now_us()
        wanted = read_range(parameters, zone, now_us=now_us)
        if wanted.end_us - wanted.start_us > MOST_DAYS * DAY_US:
            raise invalid("start", f"lies more than {MOST_DAYS} days before `end`")
        question = Question(scope=visible_to(signed.key), user=signed.user, zone=time_zone(zone_name), now_us=now_us)
        return answer_json(encode(await own_usage(self._services.ledger, question, wanted)))
