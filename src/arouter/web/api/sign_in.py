"""`/v1/auth`: members sign in with a password, and a code where they asked for it; their sessions, passwords and apps.

An address that nobody has, a wrong password and a member who is disabled are told of alike, after the same effort.
"""

import hashlib
from dataclasses import dataclass

from fastapi import Request, Response
from msgspec import UNSET, UnsetType

from arouter.domain.audit import Actor, ActorKind
from arouter.domain.errors import NotAuthenticated, NotFound, NotPermitted, RateLimited
from arouter.domain.ids import named_id
from arouter.domain.keys import digest
from arouter.domain.organizations import ID_BYTES, Member
from arouter.domain.principals import Principal
from arouter.domain.provider_keys import Unreadable
from arouter.domain.roles import Action
from arouter.domain.sign_in import (
    ATTEMPTS_US,
    MOST_ATTEMPTS,
    RECOVERY_BYTES,
    RECOVERY_CODES,
    SESSION_BYTES,
    SESSION_ID_PREFIX,
    SESSION_LIFE_US,
    SESSION_PREFIX,
    Login,
    Session,
    recovery_code,
)
from arouter.engine import totp
from arouter.engine.app_secrets import AppSecrets
from arouter.engine.own_keys import SETTING
from arouter.engine.passwords import Passwords
from arouter.web.api.body import read_struct
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameters, invalid
from arouter.web.api.people_settings import read_password
from arouter.web.api.services import ApiServices
from arouter.wire.keys_json import DeletedAnswer, encode_deleted
from arouter.wire.sign_in_json import (
    ChangePassword,
    MeAnswer,
    RecoveryCodesAnswer,
    SessionList,
    SignedIn,
    SignIn,
    TotpCode,
    TotpSecretAnswer,
    encode_me,
    encode_recovery_codes,
    encode_sessions,
    encode_signed_in,
    encode_totp_secret,
)

TAG = "Signing in"
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class _Someone:
    """A member who is signed in."""

    principal: Principal
    member: Member
    session: Session


class SignInApi:
    """Opens, lists and ends sessions; sets passwords and apps."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._passwords = Passwords()
        self._secrets = AppSecrets(services.vault)

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="POST",
                path="/auth/sign-in",
                handler=self.sign_in,
                operation_id="signIn",
                summary="Sign in; the session's token is shown this once",
                tag=TAG,
                body=SignIn,
                answers={JSON: SignedIn},
                status=201,
                public=True,
                errors=(400, 401, 429),
            ),
            Endpoint(
                method="POST",
                path="/auth/sign-out",
                handler=self.sign_out,
                operation_id="signOut",
                summary="End the session that asks",
                tag=TAG,
                answers={JSON: DeletedAnswer},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/auth/me",
                handler=self.me,
                operation_id="getMe",
                summary="Who is signed in",
                tag=TAG,
                answers={JSON: MeAnswer},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="GET",
                path="/auth/sessions",
                handler=self.sessions,
                operation_id="listSessions",
                summary="The own sessions that are alive, newest first",
                tag=TAG,
                answers={JSON: SessionList},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="DELETE",
                path="/auth/sessions/{id}",
                handler=self.end_session,
                operation_id="deleteSession",
                summary="End one of the own sessions",
                tag=TAG,
                answers={JSON: DeletedAnswer},
                errors=(400, 401, 403, 404),
            ),
            Endpoint(
                method="POST",
                path="/auth/password",
                handler=self.change_password,
                operation_id="changePassword",
                summary="Change the own password; every session ends",
                tag=TAG,
                body=ChangePassword,
                answers={JSON: DeletedAnswer},
                errors=(400, 401, 403, 429),
            ),
            *self._of_the_app(),
        )

    def _of_the_app(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="POST",
                path="/auth/totp",
                handler=self.enrol,
                operation_id="enrolTotp",
                summary="Begin with an authenticator app; its secret is shown this once",
                tag=TAG,
                answers={JSON: TotpSecretAnswer},
                errors=(400, 401, 403),
            ),
            Endpoint(
                method="POST",
                path="/auth/totp/confirm",
                handler=self.confirm,
                operation_id="confirmTotp",
                summary="Ask for codes of the app from now on; recovery codes are shown this once",
                tag=TAG,
                body=TotpCode,
                answers={JSON: RecoveryCodesAnswer},
                errors=(400, 401, 403, 429),
            ),
            Endpoint(
                method="POST",
                path="/auth/totp/remove",
                handler=self.remove,
                operation_id="removeTotp",
                summary="Ask for codes no more",
                tag=TAG,
                body=TotpCode,
                answers={JSON: DeletedAnswer},
                errors=(400, 401, 403, 429),
            ),
        )

    # ---------------------------------------------------------------- sessions

    async def sign_in(self, request: Request) -> Response:
        """It lasts twelve hours, and ends when it is not used for two."""
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, SignIn)
        email = wanted.email.strip().lower()
        await self._attempt(email)
        member, login = await self._somebody(email, wanted.organization_id)
        fits = await self._passwords.fits(wanted.password, None if login is None else login.password)
        if member is None or login is None or not fits:
            raise _wrong()
        if login.wants_totp:
            await self._check_code(member, login, wanted.totp if isinstance(wanted.totp, str) else None)
        await self._services.directory.forget_attempts(_who(email))
        session, token = await open_session(self._services, member, request)
        return answer_json(encode_signed_in(session, member, token), 201)

    async def sign_out(self, request: Request) -> Response:
        """The token is worthless at once."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        await self._end(someone, someone.session.id, request)
        return answer_json(encode_deleted())

    async def me(self, request: Request) -> Response:
        """The member, and the session that asks."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        login = await self._login(someone.member)
        return answer_json(encode_me(someone.member, someone.session, login))

    async def sessions(self, request: Request) -> Response:
        """Never their tokens."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        now_us = self._services.now_us()
        every = await self._services.directory.list_sessions(someone.member.organization_id, someone.member.id)
        return answer_json(encode_sessions([one for one in every if one.is_alive(now_us)], someone.session.id))

    async def end_session(self, request: Request) -> Response:
        """Its token is worthless at once."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        if not await self._end(someone, request.path_params["id"], request):
            raise NotFound("You have no session with this id.", code="session_not_found", param="id")
        return answer_json(encode_deleted())

    async def change_password(self, request: Request) -> Response:
        """The own one, told again: a session that was left open is not enough."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, ChangePassword)
        new = read_password(wanted.new_password, "new_password")
        member = someone.member
        await self._attempt(member.email)
        login = await self._login(member)
        if not await self._passwords.fits(wanted.password, None if login is None else login.password):
            raise _wrong()
        await self._services.directory.forget_attempts(_who(member.email))
        hashed = await self._passwords.hashed(new)
        directory = self._services.noting(someone.principal, request)
        await directory.set_password(member.organization_id, member.id, hashed)
        return answer_json(encode_deleted())

    # ---------------------------------------------------------------- the app

    async def enrol(self, request: Request) -> Response:
        """Nothing changes until a code confirms it."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        secret = totp.new_secret(self._services.entropy(totp.SECRET_BYTES))
        member = someone.member
        directory = self._services.noting(someone.principal, request)
        kept = self._secrets.kept(secret, member.organization_id, member.id)
        if not await directory.enrol_totp(member.organization_id, member.id, kept):
            raise NotPermitted(
                "Codes of an app are asked for already, or you have no password. Remove the app first.",
                code="totp_confirmed",
            )
        return answer_json(encode_totp_secret(secret, totp.enrolment_uri(secret, member.email)))

    async def confirm(self, request: Request) -> Response:
        """With a code of the app."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, TotpCode)
        member = someone.member
        await self._attempt(member.email)
        login = await self._login(member)
        kept = None if login is None or login.totp_confirmed else login.totp_secret
        if kept is None:
            raise invalid("totp", "confirms nothing: begin with POST /v1/auth/totp")
        try:
            secret = self._secrets.read(kept, member.organization_id, member.id)
        except Unreadable as exc:
            raise invalid("totp", "confirms nothing that can be read: begin again with POST /v1/auth/totp") from exc
        step = totp.matching_step(secret, wanted.totp, self._services.now_us(), after=0)
        if step is None:
            raise _wrong_code()
        await self._services.directory.forget_attempts(_who(member.email))
        entropy = self._services.entropy
        codes = [recovery_code(entropy(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
        directory = self._services.noting(someone.principal, request)
        done = await directory.confirm_totp(
            member.organization_id, member.id, secret=kept, step=step, recovery=[digest(code) for code in codes]
        )
        if not done:
            raise _wrong_code()
        return answer_json(encode_recovery_codes(codes))

    async def remove(self, request: Request) -> Response:
        """With a code of the app, or a recovery code."""
        someone = await self._signed_in(request)
        Parameters(request.scope["query_string"], ())
        wanted = await read_struct(request, TotpCode)
        member = someone.member
        await self._attempt(member.email)
        login = await self._login(member)
        if login is None or not login.wants_totp:
            raise invalid("totp", "removes nothing: no app is confirmed")
        await self._check_code(member, login, wanted.totp)
        await self._services.directory.forget_attempts(_who(member.email))
        await self._services.noting(someone.principal, request).remove_totp(member.organization_id, member.id)
        return answer_json(encode_deleted())

    # ---------------------------------------------------------------- parts

    async def _signed_in(self, request: Request) -> _Someone:
        """NotPermitted for a key."""
        principal = await self._services.manager(request, Action.READ_ORGANIZATION)
        member = None
        if principal.session_id is not None and principal.creator is not None:
            member = await self._services.directory.get_member(principal.organization_id, principal.creator)
        if member is None:
            raise NotPermitted("This is for members who signed in; a key has no password.", code="session_required")
        every = await self._services.directory.list_sessions(member.organization_id, member.id)
        session = next((one for one in every if one.id == principal.session_id), None)
        if session is None:
            raise NotAuthenticated("This session has ended. Sign in again.", code="session_expired")
        return _Someone(principal, member, session)

    async def _attempt(self, email: str) -> None:
        """RateLimited after too many for this address, whether somebody has it or not."""
        now_us = self._services.now_us()
        again_us = await self._services.directory.begin_attempt(
            _who(email), now_us, most=MOST_ATTEMPTS, within_us=ATTEMPTS_US
        )
        if again_us is not None:
            raise RateLimited(
                "Too many attempts for this address. Wait before the next one.",
                code="too_many_attempts",
                retry_after_s=(again_us - now_us) / _US,
            )

    async def _somebody(self, email: str, organization_id: str | UnsetType) -> tuple[Member | None, Login | None]:
        """The member who may be meant: of several with a password, the one who came first."""
        for member in await self._services.directory.members_with_email(email):
            if not member.disabled and organization_id in (UNSET, member.organization_id):
                login = await self._login(member)
                if login is not None and login.password is not None:
                    return member, login
        return None, None

    async def _login(self, member: Member) -> Login | None:
        return await self._services.directory.get_login(member.organization_id, member.id)

    async def _check_code(self, member: Member, login: Login, code: str | None) -> None:
        """Use it up. NotAuthenticated if it is wrong, or was used before."""
        if code is None:
            raise NotAuthenticated("`totp` is required: a code of your app.", code="totp_required", param="totp")
        kept = login.totp_secret
        assert kept is not None
        directory = self._services.directory.acting(Actor(kind=ActorKind.MEMBER, id=member.id))
        place = (member.organization_id, member.id)
        wrong = _wrong_code()
        try:
            secret = self._secrets.read(kept, *place)
        except Unreadable:
            wrong = _unreadable()
        else:
            step = totp.matching_step(secret, code, self._services.now_us(), after=login.totp_step)
            if step is not None and await directory.use_totp(*place, step):
                if (renewed := self._secrets.renewed(kept, *place)) is not None:
                    await directory.reseal_totp(*place, before=kept, after=renewed)
                return
        if not await directory.use_recovery_code(*place, digest(code.strip().lower())):
            raise wrong

    async def _end(self, someone: _Someone, session_id: str, request: Request) -> bool:
        member = someone.member
        directory = self._services.noting(someone.principal, request)
        return await directory.delete_session(member.organization_id, member.id, session_id)


async def open_session(services: ApiServices, member: Member, request: Request) -> tuple[Session, str]:
    """A new session of a member who has proven to be one, and its token."""
    now_us = services.now_us()
    session = Session(
        id=named_id(SESSION_ID_PREFIX, services.entropy(ID_BYTES)),
        organization_id=member.organization_id,
        member_id=member.id,
        created_at_us=now_us,
        expires_at_us=now_us + SESSION_LIFE_US,
        seen_at_us=now_us,
    )
    token = f"{SESSION_PREFIX}{services.entropy(SESSION_BYTES).hex()}"
    actor = Actor(kind=ActorKind.MEMBER, id=member.id, request_id=services.request_id(request))
    await services.directory.acting(actor).add_session(session, secret=digest(token))
    return session, token


def _who(email: str) -> str:
    """An address as attempts are counted for it: only its hash is kept."""
    return hashlib.sha256(email.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()


def _wrong() -> NotAuthenticated:
    return NotAuthenticated("The address or the password is wrong.", code="invalid_sign_in")


def _unreadable() -> NotAuthenticated:
    return NotAuthenticated(
        f"The secret of your app cannot be read here: the operator has to set {SETTING} to what it was stored with. "
        "A recovery code is taken.",
        code="invalid_totp",
        param="totp",
    )


def _wrong_code() -> NotAuthenticated:
    return NotAuthenticated(
        "This code is wrong, or was used before. Wait for the next one.", code="invalid_totp", param="totp"
    )
