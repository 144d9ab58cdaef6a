"""`/v1/provider-keys`: an organization's own keys for providers, for its management keys."""

from fastapi import Request, Response

from arouter.domain.errors import NotFound
from arouter.domain.principals import Principal
from arouter.domain.provider_keys import ID_BYTES, ProviderKey
from arouter.domain.roles import Action
from arouter.engine.own_keys import Vault, no_vault
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.paging import LIST_PARAMETERS, read_page
from arouter.web.api.parameters import Parameters
from arouter.web.api.provider_key_settings import changed_provider_key, new_provider_key, no_such_api_key
from arouter.web.api.services import ApiServices
from arouter.wire.keys_json import DeletedAnswer, encode_deleted
from arouter.wire.provider_keys_json import (
    NOT_YET,
    CreateProviderKey,
    ProviderKeyAnswer,
    ProviderKeyList,
    UpdateProviderKey,
    encode_provider_key,
    encode_provider_keys,
)

TAG = "Provider keys"


class ProviderKeysApi:
    """Stores, shows, changes and deletes them. A secret goes in and never comes out."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/provider-keys",
                handler=self.page,
                operation_id="listProviderKeys",
                summary="The organization's own keys for providers, newest first",
                tag=TAG,
                parameters=LIST_PARAMETERS,
                answers={JSON: ProviderKeyList},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="POST",
                path="/provider-keys",
                handler=self.create,
                operation_id="createProviderKey",
                summary="Store a key of the organization's own for a provider",
                tag=TAG,
                body=CreateProviderKey,
                answers={JSON: ProviderKeyAnswer},
                status=201,
                errors=(400, 401, 403, 503),
            ),
            *self._of_one_key(),
        )

    def _of_one_key(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/provider-keys/{id}",
                handler=self.show,
                operation_id="getProviderKey",
                summary="One of the organization's own keys for providers",
                tag=TAG,
                answers={JSON: ProviderKeyAnswer},
                errors=(400, 401, 403, 404),
            ),
            Endpoint(
                method="PATCH",
                path="/provider-keys/{id}",
                handler=self.update,
                operation_id="updateProviderKey",
                summary="Change one of them, or its secret",
                tag=TAG,
                body=UpdateProviderKey,
                answers={JSON: ProviderKeyAnswer},
                errors=(400, 401, 403, 404, 503),
            ),
            Endpoint(
                method="DELETE",
                path="/provider-keys/{id}",
                handler=self.delete,
                operation_id="deleteProviderKey",
                summary="Forget one of them, and its secret",
                tag=TAG,
                answers={JSON: DeletedAnswer},
                errors=(400, 401, 403, 404),
            ),
        )

    async def page(self, request: Request) -> Response:
        """Pages follow each other by `next_page_token`, which is null on the last."""
        manager = await self._services.manager(request, Action.READ_PROVIDER_KEYS)
        parameters = Parameters(request.scope["query_string"], LIST_PARAMETERS)
        page = read_page(parameters)
        keys = await self._services.directory.list_provider_keys(
            manager.organization_id,
            offset=page.offset,
            limit=page.size + 1,
            include_disabled=parameters.flag("include_disabled"),
        )
        shown, token = page.cut(keys)
        return answer_json(encode_provider_keys(shown, token))

    async def create(self, request: Request) -> Response:
        """Requests of the organization, or of the one API key that it is bound to, are made with it from now on."""
        manager = await self._services.manager(request, Action.WRITE_PROVIDER_KEYS)
        Parameters(request.scope["query_string"], ())
        vault = self._vault()
        wanted = await read_struct(request, CreateProviderKey, not_yet=NOT_YET)
        key = new_provider_key(
            wanted,
            self._services.own_providers,
            organization_id=manager.organization_id,
            creator=manager.creator,
            now_us=self._services.now_us(),
            entropy=self._services.entropy(ID_BYTES),
        )
        if key.api_key_hash is not None:
            bound_to = await self._services.directory.get_key(manager.organization_id, key.api_key_hash)
            if bound_to is None:
                raise no_such_api_key()
        await self._services.noting(manager, request).add_provider_key(key, vault.seal(wanted.key, key))
        await self._services.directory_changed()
        return answer_json(encode_provider_key(key), 201)

    async def show(self, request: Request) -> Response:
        """Its label, never its secret."""
        manager = await self._services.manager(request, Action.READ_PROVIDER_KEYS)
        Parameters(request.scope["query_string"], ())
        return answer_json(encode_provider_key(await self._named(manager, request)))

    async def update(self, request: Request) -> Response:
        """Fields that are absent stay as they are."""
        manager = await self._services.manager(request, Action.WRITE_PROVIDER_KEYS)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, UpdateProviderKey, not_yet=NOT_YET)
        changed = changed_provider_key(await self._named(manager, request), wanted, now_us=self._services.now_us())
        sealed = self._vault().seal(wanted.key, changed) if isinstance(wanted.key, str) else None
        if not await self._services.noting(manager, request).replace_provider_key(changed, sealed):
            raise _no_such_key()
        await self._services.directory_changed()
        return answer_json(encode_provider_key(await self._named(manager, request)))

    async def delete(self, request: Request) -> Response:
        """Requests are made with the operator's key again, where there is one."""
        manager = await self._services.manager(request, Action.WRITE_PROVIDER_KEYS)
        Parameters(request.scope["query_string"], ())
        deleted = await self._services.noting(manager, request).delete_provider_key(
            manager.organization_id, request.path_params["id"]
        )
        if not deleted:
            raise _no_such_key()
        await self._services.directory_changed()
        return answer_json(encode_deleted())

    async def _named(self, manager: Principal, request: Request) -> ProviderKey:
        key = await self._services.directory.get_provider_key(manager.organization_id, request.path_params["id"])
        if key is None:
            raise _no_such_key()
        return key

    def _vault(self) -> Vault:
        if self._services.vault is None:
            raise no_vault()
        return self._services.vault


def _no_such_key() -> NotFound:
    return NotFound(
        "There is no provider key with this id in the organization.", code="provider_key_not_found", param="id"
    )
