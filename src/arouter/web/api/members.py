"""`/v1/members` and `/v1/invitations`: who is in the organization, and who is asked to come."""

from dataclasses import replace

from fastapi import Request, Response

from arouter.domain.audit import Actor, ActorKind
from arouter.domain.errors import NotFound
from arouter.domain.keys import digest
from arouter.domain.organizations import (
    ID_BYTES,
    INVITATION_BYTES,
    LastAdmin,
    Member,
)
from arouter.domain.principals import Principal
from arouter.domain.roles import Action, Role
from arouter.engine.passwords import Passwords
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.paging import page_parameters, read_page
from arouter.web.api.parameters import Parameters
from arouter.web.api.people_settings import (
    already_a_member,
    invited_member,
    last_admin,
    new_invitation,
    read_email,
    read_name,
    read_password,
    read_workspaces,
)
from arouter.web.api.services import ApiServices
from arouter.wire.keys_json import DeletedAnswer, encode_deleted
from arouter.wire.organizations_json import (
    AcceptInvitation,
    CreateInvitation,
    InvitationAnswer,
    InvitationList,
    InvitationMade,
    MemberAnswer,
    MemberList,
    UpdateMember,
    encode_invitation,
    encode_invitation_made,
    encode_invitations,
    encode_member,
    encode_members,
)

MEMBERS, INVITATIONS = "Members", "Invitations"
MEMBER_PARAMETERS = page_parameters("members")
INVITATION_PARAMETERS = page_parameters("invitations")
_LIST, _ONE = (400, 401, 403), (400, 401, 403, 404)


class MembersApi:
    """Shows, changes and removes members; invites and lets in new ones."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._passwords = Passwords()

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/members",
                handler=self.members,
                operation_id="listMembers",
                summary="The organization's members, oldest first",
                tag=MEMBERS,
                parameters=MEMBER_PARAMETERS,
                answers={JSON: MemberList},
                errors=_LIST,
            ),
            Endpoint(
                method="GET",
                path="/members/{id}",
                handler=self.member,
                operation_id="getMember",
                summary="One member",
                tag=MEMBERS,
                answers={JSON: MemberAnswer},
                errors=_ONE,
            ),
            Endpoint(
                method="PATCH",
                path="/members/{id}",
                handler=self.update_member,
                operation_id="updateMember",
                summary="Change a member's name or role, disable or enable one",
                tag=MEMBERS,
                body=UpdateMember,
                answers={JSON: MemberAnswer},
                errors=_ONE,
            ),
            Endpoint(
                method="DELETE",
                path="/members/{id}",
                handler=self.delete_member,
                operation_id="deleteMember",
                summary="Remove a member; the keys that the member made for requests go on",
                tag=MEMBERS,
                answers={JSON: DeletedAnswer},
                errors=_ONE,
            ),
            *self._of_invitations(),
        )

    def _of_invitations(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/invitations",
                handler=self.invitations,
                operation_id="listInvitations",
                summary="The organization's invitations, newest first",
                tag=INVITATIONS,
                parameters=INVITATION_PARAMETERS,
                answers={JSON: InvitationList},
                errors=_LIST,
            ),
            Endpoint(
                method="POST",
                path="/invitations",
                handler=self.invite,
                operation_id="createInvitation",
                summary="Invite somebody; the token is shown this once",
                tag=INVITATIONS,
                body=CreateInvitation,
                answers={JSON: InvitationMade},
                status=201,
                errors=_LIST,
            ),
            Endpoint(
                method="POST",
                path="/invitations/accept",
                handler=self.accept,
                operation_id="acceptInvitation",
                summary="Become a member by the token of an invitation; takes no key",
                tag=INVITATIONS,
                body=AcceptInvitation,
                answers={JSON: MemberAnswer},
                status=201,
                public=True,
                errors=(400, 404),
            ),
            Endpoint(
                method="GET",
                path="/invitations/{id}",
                handler=self.invitation,
                operation_id="getInvitation",
                summary="One invitation",
                tag=INVITATIONS,
                answers={JSON: InvitationAnswer},
                errors=_ONE,
            ),
            Endpoint(
                method="DELETE",
                path="/invitations/{id}",
                handler=self.withdraw,
                operation_id="deleteInvitation",
                summary="Withdraw an invitation",
                tag=INVITATIONS,
                answers={JSON: DeletedAnswer},
                errors=_ONE,
            ),
        )

    # ---------------------------------------------------------------- members

    async def members(self, request: Request) -> Response:
        """Pages follow each other by `next_page_token`, which is null on the last."""
        manager = await self._services.manager(request, Action.READ_MEMBERS)
        page = read_page(Parameters(request.scope["query_string"], MEMBER_PARAMETERS))
        found = await self._services.directory.list_members(
            manager.organization_id, offset=page.offset, limit=page.size + 1
        )
        shown, token = page.cut(found)
        return answer_json(encode_members(shown, token))

    async def member(self, request: Request) -> Response:
        """By the id."""
        manager = await self._services.manager(request, Action.READ_MEMBERS)
        Parameters(request.scope["query_string"], ())
        return answer_json(encode_member(await self._member(manager, request)))

    async def update_member(self, request: Request) -> Response:
        """Counts at once: for the member's management keys and sessions too. One enabled admin always stays."""
        manager = await self._services.manager(request, Action.WRITE_MEMBERS)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, UpdateMember)
        member = await self._member(manager, request)
        workspace_ids = member.workspace_ids
        if isinstance(wanted.workspace_ids, tuple):
            # What the member is in already may have been archived since.
            new = [one for one in wanted.workspace_ids if one not in workspace_ids]
            await read_workspaces(self._services.directory, manager.organization_id, new)
            workspace_ids = tuple(dict.fromkeys(wanted.workspace_ids))
        changed = replace(
            member,
            workspace_ids=workspace_ids,
            name=read_name(wanted.name) if isinstance(wanted.name, str) else member.name,
            role=Role(wanted.role) if isinstance(wanted.role, str) else member.role,
            disabled=wanted.disabled if isinstance(wanted.disabled, bool) else member.disabled,
            updated_at_us=self._services.now_us(),
        )
        try:
            done = await self._services.noting(manager, request).replace_member(changed)
        except LastAdmin as exc:
            raise last_admin() from exc
        if not done:
            raise _no_member()
        await self._services.directory_changed()
        return answer_json(encode_member(changed))

    async def delete_member(self, request: Request) -> Response:
        """Sessions and management keys of the member are worthless at once."""
        manager = await self._services.manager(request, Action.WRITE_MEMBERS)
        Parameters(request.scope["query_string"], ())
        try:
            done = await self._services.noting(manager, request).delete_member(
                manager.organization_id, request.path_params["id"]
            )
        except LastAdmin as exc:
            raise last_admin() from exc
        if not done:
            raise _no_member()
        await self._services.directory_changed()
        return answer_json(encode_deleted())

    async def _member(self, manager: Principal, request: Request) -> Member:
        found = await self._services.directory.get_member(manager.organization_id, request.path_params["id"])
        if found is None:
            raise _no_member()
        return found

    # ---------------------------------------------------------------- invitations

    async def invitations(self, request: Request) -> Response:
        """Accepted and expired ones too."""
        manager = await self._services.manager(request, Action.READ_INVITATIONS)
        page = read_page(Parameters(request.scope["query_string"], INVITATION_PARAMETERS))
        found = await self._services.directory.list_invitations(
            manager.organization_id, offset=page.offset, limit=page.size + 1
        )
        shown, token = page.cut(found)
        return answer_json(encode_invitations(shown, token, self._services.now_us()))

    async def invite(self, request: Request) -> Response:
        """It can be accepted for seven days. No mail is sent: give the token to whom it is for."""
        manager = await self._services.manager(request, Action.WRITE_INVITATIONS)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, CreateInvitation)
        email = read_email(wanted.email)
        known = await self._services.directory.members_with_email(email)
        if any(one.organization_id == manager.organization_id for one in known):
            raise already_a_member()
        invitation, token = new_invitation(
            organization_id=manager.organization_id,
            email=email,
            role=Role(wanted.role),
            workspace_ids=await read_workspaces(
                self._services.directory, manager.organization_id, wanted.workspace_ids
            ),
            invited_by=manager.creator,
            now_us=self._services.now_us(),
            entropy=self._services.entropy(ID_BYTES + INVITATION_BYTES),
        )
        await self._services.noting(manager, request).add_invitation(invitation, secret=digest(token))
        await self._services.directory_changed()
        return answer_json(encode_invitation_made(invitation, token, self._services.now_us()), 201)

    async def accept(self, request: Request) -> Response:
        """Once, and while it is open; whoever has the token may."""
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, AcceptInvitation)
        now_us = self._services.now_us()
        invitation = await self._services.directory.find_invitation(digest(wanted.token))
        if invitation is None or not invitation.is_open(now_us):
            raise _no_such_token()
        name = read_name(wanted.name)
        member = invited_member(invitation, name, now_us=now_us, entropy=self._services.entropy(ID_BYTES))
        password = None
        if isinstance(wanted.password, str):
            password = await self._passwords.hashed(read_password(wanted.password, "password"))
        actor = Actor(kind=ActorKind.MEMBER, id=member.id, request_id=self._services.request_id(request))
        try:
            directory = self._services.directory.acting(actor)
            done = await directory.accept_invitation(digest(wanted.token), member, now_us=now_us, password=password)
        except ValueError as exc:
            raise already_a_member() from exc
        if not done:
            raise _no_such_token()
        await self._services.directory_changed()
        return answer_json(encode_member(member), 201)

    async def invitation(self, request: Request) -> Response:
        """Never its token."""
        manager = await self._services.manager(request, Action.READ_INVITATIONS)
        Parameters(request.scope["query_string"], ())
        found = await self._services.directory.get_invitation(manager.organization_id, request.path_params["id"])
        if found is None:
            raise _no_invitation()
        return answer_json(encode_invitation(found, self._services.now_us()))

    async def withdraw(self, request: Request) -> Response:
        """The token is worthless at once; a member that it made stays."""
        manager = await self._services.manager(request, Action.WRITE_INVITATIONS)
        Parameters(request.scope["query_string"], ())
        done = await self._services.noting(manager, request).delete_invitation(
            manager.organization_id, request.path_params["id"]
        )
        if not done:
            raise _no_invitation()
        await self._services.directory_changed()
        return answer_json(encode_deleted())


def _no_member() -> NotFound:
    return NotFound("There is no member with this id in the organization.", code="member_not_found", param="id")


def _no_invitation() -> NotFound:
    return NotFound("There is no invitation with this id in the organization.", code="invitation_not_found", param="id")


def _no_such_token() -> NotFound:
    return NotFound(
        "There is no open invitation with this token: it was accepted, withdrawn, or is older than seven days.",
        code="invitation_not_found",
        param="token",
    )
