"""`/v1/auth/oidc`: members sign in at an issuer that the operator trusts.

Only a verified address counts, and only that of a member or of an invitation: nobody else comes in.
"""

from fastapi import Request, Response
from msgspec import UNSET, UnsetType

from arouter.domain import oidc
from arouter.domain.audit import Actor, ActorKind
from arouter.domain.errors import NotFound
from arouter.domain.keys import digest
from arouter.domain.oidc import Begun, Place
from arouter.domain.organizations import ID_BYTES, MOST_NAME, Member, checked_name
from arouter.engine.oidc import Identity, Issuer, refused
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameters, invalid
from arouter.web.api.people_settings import invited_member
from arouter.web.api.services import ApiServices
from arouter.web.api.sign_in import TAG, open_session
from arouter.wire.oidc_json import (
    BeginOidc,
    CompleteOidc,
    OidcBegunAnswer,
    OidcIssuers,
    encode_begun,
    encode_issuers,
)
from arouter.wire.sign_in_json import SignedIn, encode_signed_in

BINDING_BYTES = 24


class OidcApi:
    """Sends browsers to issuers, and opens sessions for who comes back."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/auth/oidc",
                handler=self.issuers,
                operation_id="listOidcIssuers",
                summary="The issuers that members can sign in at",
                tag=TAG,
                answers={JSON: OidcIssuers},
                public=True,
                errors=(400,),
            ),
            Endpoint(
                method="POST",
                path="/auth/oidc/{name}/begin",
                handler=self.begin,
                operation_id="beginOidc",
                summary="Begin to sign in at an issuer",
                tag=TAG,
                body=BeginOidc,
                answers={JSON: OidcBegunAnswer},
                public=True,
                errors=(400, 404, 502),
            ),
            Endpoint(
                method="POST",
                path="/auth/oidc/{name}/complete",
                handler=self.complete,
                operation_id="completeOidc",
                summary="Sign in with the code of an issuer; the session's token is shown this once",
                tag=TAG,
                body=CompleteOidc,
                answers={JSON: SignedIn},
                status=201,
                public=True,
                errors=(400, 401, 404, 502),
            ),
        )

    async def issuers(self, request: Request) -> Response:
        """By the names that the settings give them."""
        Parameters(request.scope["query_string"], ())
        return answer_json(encode_issuers(self._services.oidc))

    async def begin(self, request: Request) -> Response:
        """Good for ten minutes."""
        name, issuer = self._issuer(request)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, BeginOidc)
        now_us = self._services.now_us()
        binding = self._services.entropy(BINDING_BYTES).hex()
        place = Place(issuer=name, redirect_uri=wanted.redirect_uri, binding=binding)
        begun = oidc.begin(self._secret(), place, now_us=now_us, entropy=self._services.entropy(oidc.STATE_BYTES))
        url = await issuer.authorization_url(begun, wanted.redirect_uri, now_us)
        return answer_json(encode_begun(url, begun.state, binding))

    async def complete(self, request: Request) -> Response:
        """The issuer vouches for the member: no code of an app is asked for here."""
        name, issuer = self._issuer(request)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, CompleteOidc)
        begun = self._ended(Place(issuer=name, redirect_uri=wanted.redirect_uri, binding=wanted.binding), wanted.state)
        identity = await issuer.identity(begun, wanted.code, wanted.redirect_uri, self._services.now_us())
        if isinstance(wanted.invitation, str):
            member = await self._invited(identity, wanted.invitation, request)
        else:
            member = await self._member(identity, wanted.organization_id)
        session, token = await open_session(self._services, member, request)
        return answer_json(encode_signed_in(session, member, token), 201)

    def _issuer(self, request: Request) -> tuple[str, Issuer]:
        name = request.path_params["name"]
        found = self._services.oidc.get(name)
        if found is None:
            raise NotFound("There is no issuer of this name.", code="issuer_not_found", param="name")
        return name, found

    def _secret(self) -> bytes:
        return self._services.default_home.secret

    def _ended(self, place: Place, state: str) -> Begun:
        try:
            return oidc.ended(self._secret(), place, state, now_us=self._services.now_us())
        except ValueError as exc:
            raise invalid("state", f"{exc}; begin again") from exc

    async def _member(self, identity: Identity, organization_id: str | UnsetType) -> Member:
        for member in await self._services.directory.members_with_email(identity.email):
            if not member.disabled and organization_id in (UNSET, member.organization_id):
                return member
        raise refused("no member has your address")

    async def _invited(self, identity: Identity, token: str, request: Request) -> Member:
        now_us = self._services.now_us()
        invitation = await self._services.directory.find_invitation(digest(token))
        if invitation is None or invitation.email != identity.email:
            raise refused("no open invitation is for your address")
        entropy = self._services.entropy(ID_BYTES)
        member = invited_member(invitation, _name(identity), now_us=now_us, entropy=entropy)
        actor = Actor(kind=ActorKind.MEMBER, id=member.id, request_id=self._services.request_id(request))
        try:
            directory = self._services.directory.acting(actor)
            done = await directory.accept_invitation(digest(token), member, now_us=now_us)
        except ValueError:
            done = False
        if not done:
            raise refused("no open invitation is for your address")
        await self._services.directory_changed()
        return member


def _name(identity: Identity) -> str:
    """What the issuer calls somebody, if that can be a name."""
    try:
        return checked_name(identity.name[:MOST_NAME])
    except ValueError:
        return identity.email[:MOST_NAME]
