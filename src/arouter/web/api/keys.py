"""`/v1/keys` for management keys, and `/v1/key` for the key that asks about itself."""

from collections.abc import Sequence
from dataclasses import replace

from fastapi import Request, Response

from arouter.domain.errors import NotFound, NotPermitted
from arouter.domain.keys import ENTROPY_BYTES, ActivityScope, Key, KeyKind, digest, masked, new_plaintext
from arouter.domain.principals import Principal
from arouter.domain.roles import Action
from arouter.domain.windows import windows_at
from arouter.store.base import Spending
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.key_settings import checked_name, with_settings
from arouter.web.api.paging import LIST_PARAMETERS, read_page
from arouter.web.api.parameters import Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.keys_json import (
    KEY_TYPES,
    NOT_YET,
    CreateKey,
    CurrentKeyAnswer,
    DeletedAnswer,
    KeyAnswer,
    KeyList,
    KeyMade,
    KeySettings,
    RotateKey,
    Spent,
    UpdateKey,
    encode_current,
    encode_deleted,
    encode_key,
    encode_keys,
    encode_made,
)

_WRITING = (Action.WRITE_KEYS, Action.WRITE_OWN_KEYS)
_KINDS = {key_type: kind for kind, key_type in KEY_TYPES.items()}
_NOTHING_SPENT = Spent(total=0, daily=0, weekly=0, monthly=0)


class KeysApi:
    """Makes, shows, changes and deletes the keys of an organization, for its management keys."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/key",
                handler=self.current,
                operation_id="getCurrentKey",
                summary="The key that asks",
                tag="Keys",
                answers={JSON: CurrentKeyAnswer},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/keys",
                handler=self.page,
                operation_id="listKeys",
                summary="The organization's keys, newest first",
                tag="Keys",
                parameters=LIST_PARAMETERS,
                answers={JSON: KeyList},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="POST",
                path="/keys",
                handler=self.create,
                operation_id="createKey",
                summary="Make a key; its plaintext is shown this once",
                tag="Keys",
                body=CreateKey,
                answers={JSON: KeyMade},
                status=201,
                errors=(400, 401, 403),
            ),
            *self._of_one_key(),
        )

    def _of_one_key(self) -> tuple[Endpoint, ...]:
        errors = (400, 401, 403, 404)
        return (
            Endpoint(
                method="GET",
                path="/keys/{hash}",
                handler=self.show,
                operation_id="getKey",
                summary="One key",
                tag="Keys",
                answers={JSON: KeyAnswer},
                errors=errors,
            ),
            Endpoint(
                method="PATCH",
                path="/keys/{hash}",
                handler=self.update,
                operation_id="updateKey",
                summary="Change a key",
                tag="Keys",
                body=UpdateKey,
                answers={JSON: KeyAnswer},
                errors=errors,
            ),
            Endpoint(
                method="DELETE",
                path="/keys/{hash}",
                handler=self.delete,
                operation_id="deleteKey",
                summary="Delete a key; its records stay",
                tag="Keys",
                answers={JSON: DeletedAnswer},
                errors=errors,
            ),
            Endpoint(
                method="POST",
                path="/keys/{hash}/rotate",
                handler=self.rotate,
                operation_id="rotateKey",
                summary="Give a key another plaintext; history, limits and hash stay",
                tag="Keys",
                body=RotateKey,
                body_required=False,
                answers={JSON: KeyMade},
                errors=errors,
            ),
        )

    async def current(self, request: Request) -> Response:
        """Its limit, what it has spent in the current windows, and what it may do."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        Parameters(request.scope["query_string"], ())
        if isinstance(key, Principal) and key.session_id is not None:
            raise NotPermitted("A session is no key; ask GET /v1/auth/me.", code="wrong_key_type")
        return answer_json(encode_current(key, await self._spent(key), await self._spent_on_own(key)))

    async def page(self, request: Request) -> Response:
        """Pages follow each other by `next_page_token`, which is null on the last."""
        manager = await self._services.manager(request, Action.READ_KEYS, Action.READ_OWN_KEYS)
        parameters = Parameters(request.scope["query_string"], LIST_PARAMETERS)
        page = read_page(parameters)
        keys = await self._services.directory.list_keys(
            manager.organization_id,
            offset=page.offset,
            limit=page.size + 1,
            include_disabled=parameters.flag("include_disabled"),
            creator=None if manager.may(Action.READ_KEYS) else manager.creator,
        )
        shown, token = page.cut(keys)
        return answer_json(encode_keys(await self._with_spending(shown), token))

    async def create(self, request: Request) -> Response:
        """The key belongs to the organization and, unless told otherwise, the workspace of the key that makes it."""
        manager = await self._services.manager(request, *_WRITING)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, CreateKey, not_yet=NOT_YET)
        kind = KeyKind.LIVE if not isinstance(wanted.key_type, str) else _KINDS[wanted.key_type]
        now_us = self._services.now_us()
        plaintext = new_plaintext(kind, self._services.entropy(ENTROPY_BYTES))
        blank = Key(
            hash=digest(plaintext),
            name=checked_name(wanted.name),
            kind=kind,
            label=masked(plaintext),
            organization_id=manager.organization_id,
            workspace_id=manager.key_workspace_id,
            creator=manager.creator,
            created_at_us=now_us,
        )
        key = with_settings(blank, wanted, workspace_ids=await self._workspaces(manager, wanted))
        _check_scope(manager, blank, key)
        await self._check_workspace(manager, key)
        if key.expires_at_us is not None and key.expires_at_us <= now_us:
            raise invalid("expires_at", "lies in the past")
        await self._services.noting(manager, request).add_key(key, secret=digest(plaintext))
        await self._services.directory_changed()
        return answer_json(encode_made(key, _NOTHING_SPENT, plaintext), 201)

    async def show(self, request: Request) -> Response:
        """The key with what it has spent; never its plaintext."""
        manager = await self._services.manager(request, Action.READ_KEYS, Action.READ_OWN_KEYS)
        Parameters(request.scope["query_string"], ())
        key = await self._named(manager, request)
        return answer_json(encode_key(key, await self._spent(key)))

    async def update(self, request: Request) -> Response:
        """Fields that are absent stay as they are; null clears a limit, an expiry or an allow-list."""
        manager = await self._services.manager(request, *_WRITING)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, UpdateKey, not_yet=NOT_YET)
        key = await self._named(manager, request)
        changed = replace(
            with_settings(key, wanted, workspace_ids=await self._workspaces(manager, wanted)),
            name=checked_name(wanted.name) if isinstance(wanted.name, str) else key.name,
            disabled=wanted.disabled if isinstance(wanted.disabled, bool) else key.disabled,
            updated_at_us=self._services.now_us(),
        )
        _check_scope(manager, key, changed)
        if changed.workspace_id != key.workspace_id:
            await self._check_workspace(manager, changed)
        if not await self._services.noting(manager, request).replace_key(changed):
            raise _no_such_key()
        await self._services.directory_changed()
        return answer_json(encode_key(changed, await self._spent(changed)))

    async def delete(self, request: Request) -> Response:
        """The key is worthless at once. What it did stays in the activity, under its name."""
        manager = await self._services.manager(request, *_WRITING)
        Parameters(request.scope["query_string"], ())
        key = await self._named(manager, request)
        deleted = await self._services.noting(manager, request).delete_key(
            manager.organization_id, key.hash, now_us=self._services.now_us()
        )
        if not deleted:
            raise _no_such_key()
        await self._services.directory_changed()
        return answer_json(encode_deleted())

    async def rotate(self, request: Request) -> Response:
        """The new plaintext is shown this once. The old one works for `overlap_seconds` more, the one of before not at
        all; without it the old one is worthless at once."""
        manager = await self._services.manager(request, *_WRITING)
        Parameters(request.scope["query_string"], ())
        overlap_s = (await read_struct(request, RotateKey, may_be_empty=True)).overlap_seconds
        key = await self._named(manager, request)
        now_us = self._services.now_us()
        plaintext = new_plaintext(key.kind, self._services.entropy(ENTROPY_BYTES))
        rotated = await self._services.noting(manager, request).rotate_key(
            manager.organization_id,
            key.hash,
            secret=digest(plaintext),
            label=masked(plaintext),
            now_us=now_us,
            previous_expires_at_us=now_us + overlap_s * 1_000_000 if overlap_s else None,
        )
        if not rotated:
            raise _no_such_key()
        await self._services.directory_changed()
        key = await self._named(manager, request)
        return answer_json(encode_made(key, await self._spent(key), plaintext))

    async def _named(self, manager: Principal, request: Request) -> Key:
        """The key of a path. Who sees only their own is told of another one as of one that is not there."""
        key = await self._services.directory.get_key(manager.organization_id, request.path_params["hash"])
        if key is None or not (manager.may(Action.READ_KEYS) or manager.owns(key.creator)):
            raise _no_such_key()
        return key

    async def _workspaces(self, manager: Principal, wanted: KeySettings) -> tuple[str, ...]:
        """The one that is asked for, if it is the organization's."""
        if not isinstance(wanted.workspace_id, str):
            return ()
        found = await self._services.directory.get_workspace(manager.organization_id, wanted.workspace_id)
        return () if found is None else (found.id,)

    async def _check_workspace(self, manager: Principal, key: Key) -> None:
        if not manager.makes_keys_in(key.workspace_id):
            own = ", ".join(manager.workspace_ids)
            raise NotPermitted(
                f"You are not in this workspace, and make keys in yours alone: {own}.",
                code="not_permitted",
                param="workspace_id",
            )
        found = await self._services.directory.get_workspace(key.organization_id, key.workspace_id)
        if found is not None and found.archived:
            raise invalid("workspace_id", "names an archived workspace, in which no keys are made")

    async def _with_spending(self, keys: Sequence[Key]) -> list[tuple[Key, Spent]]:
        last_used = await self._services.ledger.last_used([key.hash for key in keys])
        return [(key, await self._spent_by(key, last_used.get(key.hash))) for key in keys]

    async def _spent(self, key: Key) -> Spent:
        last_used = await self._services.ledger.last_used([key.hash])
        return await self._spent_by(key, last_used.get(key.hash))

    async def _spent_by(self, key: Key, last_used_us: int | None) -> Spent:
        windows = windows_at(self._services.now_us())
        spending = await self._services.ledger.spending(
            key.hash, day_us=windows.day_us, week_us=windows.week_us, month_us=windows.month_us
        )
        return _spent(spending, last_used_us)

    async def _spent_on_own(self, key: Key) -> Spent:
        windows = windows_at(self._services.now_us())
        spending = await self._services.ledger.byok_spending(
            key.hash, day_us=windows.day_us, week_us=windows.week_us, month_us=windows.month_us
        )
        return _spent(spending)


def _spent(spending: Spending, last_used_us: int | None = None) -> Spent:
    return Spent(
        total=spending.total,
        daily=spending.daily,
        weekly=spending.weekly,
        monthly=spending.monthly,
        last_used_us=last_used_us,
    )


def _check_scope(manager: Principal, before: Key, after: Key) -> None:
    """Nobody makes a key that sees more than they do."""
    if after.activity_scope in (before.activity_scope, ActivityScope.KEY) or manager.may(Action.READ_ACTIVITY):
        return
    raise NotPermitted(
        f"The role `{manager.role}` may not read the activity of other keys, so its keys may not either.",
        code="not_permitted",
        param="activity_scope",
    )


def _no_such_key() -> NotFound:
    return NotFound("There is no key with this hash in the organization.", code="key_not_found", param="hash")
