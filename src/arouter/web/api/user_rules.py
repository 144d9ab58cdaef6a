"""`PATCH /v1/users/{user}` for management keys: the limits of one end user, and whether it is blocked."""

from urllib.parse import unquote_to_bytes

from fastapi import Request, Response

from arouter.domain.errors import InvalidRequest
from arouter.domain.guardrails import UserRules
from arouter.domain.principals import Principal
from arouter.domain.roles import Action
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.limit_settings import changed_user, checked_user
from arouter.web.api.parameters import Parameter, Parameters
from arouter.web.api.services import ApiServices, not_allowed
from arouter.wire.guardrails_json import UpdateUser, UserRulesAnswer, encode_user_rules

TAG = "Users"

USER_PARAMETERS = (
    Parameter(name="user", description="The end user, byte for byte, also the empty one.", required=True),
)


class UserRulesApi:
    """Says it."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="PATCH",
                path="/users",
                handler=self.update_named,
                operation_id="updateUser",
                summary="Limit, block or unblock an end user, whatever its name",
                tag=TAG,
                parameters=USER_PARAMETERS,
                body=UpdateUser,
                answers={JSON: UserRulesAnswer},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="PATCH",
                path="/users/{user:path}",
                handler=self.update,
                operation_id="updateUserByPath",
                summary="Limit, block or unblock an end user",
                tag=TAG,
                body=UpdateUser,
                answers={JSON: UserRulesAnswer},
                errors=(400, 401, 403),
            ),
        )

    async def update(self, request: Request) -> Response:
        """The name is percent-encoded in the path. Absent fields stay; an empty body tells what is said so far."""
        manager = await self._services.manager(request, Action.READ_USERS, Action.WRITE_USERS)
        Parameters(request.scope["query_string"], ())
        return await self._update(request, manager, _user_in_path(request))

    async def update_named(self, request: Request) -> Response:
        """The same with the name in the query string: for names such as the empty one."""
        manager = await self._services.manager(request, Action.READ_USERS, Action.WRITE_USERS)
        user = Parameters(request.scope["query_string"], USER_PARAMETERS).one("user")
        if user is None:
            raise InvalidRequest(
                "`user` is required: the end user to change.", code="missing_required_parameter", param="user"
            )
        return await self._update(request, manager, user)

    async def _update(self, request: Request, manager: Principal, user: str) -> Response:
        checked_user("user", user)
        wanted = await read_struct(request, UpdateUser)
        if wanted != UpdateUser() and not manager.may(Action.WRITE_USERS):
            raise not_allowed(manager)
        directory = self._services.noting(manager, request)
        known = await directory.get_user_rules(manager.organization_id, user)
        if known is None:
            known = UserRules(organization_id=manager.organization_id, user=user)
        if wanted == UpdateUser():
            return answer_json(encode_user_rules(known))
        changed = changed_user(known, wanted, now_us=self._services.now_us())
        await directory.put_user_rules(changed)
        await self._services.directory_changed()
        return answer_json(encode_user_rules(changed))


def _user_in_path(request: Request) -> str:
    """From the path as it came: a server decodes it, and may mend what is not UTF-8."""
    raw: bytes = request.scope.get("raw_path") or b""
    marker = b"/users/"
    at = raw.find(marker)
    if at < 0:
        return str(request.path_params["user"])
    try:
        return unquote_to_bytes(raw[at + len(marker) :].partition(b"?")[0]).decode()
    except UnicodeDecodeError as exc:
        raise InvalidRequest("`user` is not UTF-8.", code="invalid_parameter", param="user") from exc
