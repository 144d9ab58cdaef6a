"""`/v1/guardrails` for management keys: what an organization allows, and what applies to a request."""

from fastapi import Request, Response

from arouter.domain.errors import InvalidRequest, NotFound
from arouter.domain.guardrails import ID_BYTES, Guardrail, Target
from arouter.domain.keys import Key, has_key_shape
from arouter.domain.roles import Action
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.explaining import explain
from arouter.web.api.limit_settings import changed_guardrail, new_guardrail
from arouter.web.api.paging import LIST_PARAMETERS, read_page
from arouter.web.api.parameters import KEY_PARAMETER, Parameter, Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.guardrails_json import (
    CreateGuardrail,
    ExplanationAnswer,
    GuardrailAnswer,
    GuardrailList,
    UpdateGuardrail,
    encode_guardrail,
    encode_guardrails,
)
from arouter.wire.keys_json import DeletedAnswer, encode_deleted
from arouter.wire.query_string import read_query_string

TAG = "Guardrails"

EXPLAIN_PARAMETERS = (
    Parameter(name="api_key_hash", description="The key, by its hash. `key` is another name of it."),
    Parameter(name="user", description="The end user, byte for byte; without it, nobody."),
)


class GuardrailsApi:
    """Makes, shows, changes, deletes and explains them."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/guardrails",
                handler=self.page,
                operation_id="listGuardrails",
                summary="The organization's guardrails, newest first",
                tag=TAG,
                parameters=LIST_PARAMETERS,
                answers={JSON: GuardrailList},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="POST",
                path="/guardrails",
                handler=self.create,
                operation_id="createGuardrail",
                summary="Limit the organization, a workspace, a member, a key, a user or every user",
                tag=TAG,
                body=CreateGuardrail,
                answers={JSON: GuardrailAnswer},
                status=201,
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/guardrails/explain",
                handler=self.explain,
                operation_id="explainGuardrails",
                summary="What limits the requests of a key for a user, and how each limit stands",
                tag=TAG,
                parameters=EXPLAIN_PARAMETERS,
                answers={JSON: ExplanationAnswer},
                errors=(400, 401, 403, 404),
            ),
            *self._of_one(),
        )

    def _of_one(self) -> tuple[Endpoint, ...]:
        errors = (400, 401, 403, 404)
        return (
            Endpoint(
                method="GET",
                path="/guardrails/{id}",
                handler=self.show,
                operation_id="getGuardrail",
                summary="One guardrail",
                tag=TAG,
                answers={JSON: GuardrailAnswer},
                errors=errors,
            ),
            Endpoint(
                method="PATCH",
                path="/guardrails/{id}",
                handler=self.update,
                operation_id="updateGuardrail",
                summary="Change a guardrail",
                tag=TAG,
                body=UpdateGuardrail,
                answers={JSON: GuardrailAnswer},
                errors=errors,
            ),
            Endpoint(
                method="DELETE",
                path="/guardrails/{id}",
                handler=self.delete,
                operation_id="deleteGuardrail",
                summary="Delete a guardrail",
                tag=TAG,
                answers={JSON: DeletedAnswer},
                errors=errors,
            ),
        )

    async def page(self, request: Request) -> Response:
        """Pages follow each other by `next_page_token`, which is null on the last."""
        manager = await self._services.manager(request, Action.READ_GUARDRAILS)
        parameters = Parameters(request.scope["query_string"], LIST_PARAMETERS)
        page = read_page(parameters)
        found = await self._services.directory.list_guardrails(
            manager.organization_id,
            offset=page.offset,
            limit=page.size + 1,
            include_disabled=parameters.flag("include_disabled"),
        )
        shown, token = page.cut(found)
        return answer_json(encode_guardrails(shown, token))

    async def create(self, request: Request) -> Response:
        """It holds for every request that begins from now on, in every process within a second."""
        manager = await self._services.manager(request, Action.WRITE_GUARDRAILS)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, CreateGuardrail)
        guardrail = new_guardrail(
            wanted,
            organization_id=manager.organization_id,
            creator=manager.creator,
            now_us=self._services.now_us(),
            entropy=self._services.entropy(ID_BYTES),
        )
        await self._check_target(manager, guardrail)
        await self._services.noting(manager, request).add_guardrail(guardrail)
        await self._services.directory_changed()
        return answer_json(encode_guardrail(guardrail), 201)

    async def show(self, request: Request) -> Response:
        """One of the organization's own."""
        manager = await self._services.manager(request, Action.READ_GUARDRAILS)
        Parameters(request.scope["query_string"], ())
        return answer_json(encode_guardrail(await self._named(manager, request)))

    async def update(self, request: Request) -> Response:
        """Fields that are absent stay as they are; null clears a limit or a list."""
        manager = await self._services.manager(request, Action.WRITE_GUARDRAILS)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, UpdateGuardrail)
        changed = changed_guardrail(await self._named(manager, request), wanted, now_us=self._services.now_us())
        if not await self._services.noting(manager, request).replace_guardrail(changed):
            raise _no_such_guardrail()
        await self._services.directory_changed()
        return answer_json(encode_guardrail(changed))

    async def delete(self, request: Request) -> Response:
        """Its limits hold no more."""
        manager = await self._services.manager(request, Action.WRITE_GUARDRAILS)
        Parameters(request.scope["query_string"], ())
        directory = self._services.noting(manager, request)
        if not await directory.delete_guardrail(manager.organization_id, request.path_params["id"]):
            raise _no_such_guardrail()
        await self._services.directory_changed()
        return answer_json(encode_deleted())

    async def explain(self, request: Request) -> Response:
        """The figures are those that the next request is decided by: whoever made the requests that they count."""
        manager = await self._services.manager(request, Action.READ_ACTIVITY)
        parameters = Parameters(request.scope["query_string"], EXPLAIN_PARAMETERS)
        key = await self._explained(manager, request, parameters)
        guardian = self._services.guardian
        explained = await explain(guardian, key, parameters.one("user"), now_us=self._services.now_us())
        return answer_json(explained)

    async def _explained(self, manager: Key, request: Request, parameters: Parameters) -> Key:
        # `key` may also be the caller's own key, as Gemini's SDK sends it.
        told = [value for name, value in read_query_string(request.scope["query_string"]) if name == KEY_PARAMETER]
        hashes = {value for value in (*told, *parameters.every("api_key_hash")) if not has_key_shape(value)}
        if not hashes:
            raise InvalidRequest(
                "`api_key_hash` is required: the hash of the key whose requests are to be explained.",
                code="missing_required_parameter",
                param="api_key_hash",
            )
        if len(hashes) > 1:
            raise invalid("api_key_hash", "is given more than once")
        key = await self._services.directory.get_key(manager.organization_id, hashes.pop())
        if key is None:
            raise NotFound("There is no key with this hash in the organization.", code="key_not_found", param="key")
        return key

    async def _check_target(self, manager: Key, guardrail: Guardrail) -> None:
        """That what it is for is the organization's. A member or user may be one that nobody has seen yet."""
        target_id = guardrail.target_id
        if target_id is None:
            return
        directory, found = self._services.directory, True
        if guardrail.target is Target.KEY:
            found = await directory.get_key(manager.organization_id, target_id) is not None
        elif guardrail.target is Target.WORKSPACE:
            found = await directory.get_workspace(manager.organization_id, target_id) is not None
        if not found:
            raise invalid("target_id", f"names no {guardrail.target.value} of this organization")

    async def _named(self, manager: Key, request: Request) -> Guardrail:
        found = await self._services.directory.get_guardrail(manager.organization_id, request.path_params["id"])
        if found is None:
            raise _no_such_guardrail()
        return found


def _no_such_guardrail() -> NotFound:
    return NotFound("There is no guardrail with this id in the organization.", code="guardrail_not_found", param="id")
