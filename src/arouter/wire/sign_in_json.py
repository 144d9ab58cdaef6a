"""Signing in as JSON. Passwords and codes are read, and never written; a token is written once."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.organizations import Member
from arouter.domain.sign_in import Login, Session
from arouter.wire.instants import write_instant
from arouter.wire.organizations_json import MemberObject, member_object


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs in. `totp` is a code of the app, or a recovery code. `organization_id` picks one of several."""

    email: str
    password: str
    totp: str | UnsetType = UNSET
    organization_id: str | UnsetType = UNSET


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True):
    """The password that holds, and the one that is to."""

    password: str
    new_password: str


class TotpCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code of the app; where one is removed, a recovery code too."""

    totp: str


class SessionObject(msgspec.Struct, frozen=True, kw_only=True):
    """A session; never its token. `current` is the one that asks."""

    id: str
    current: bool
    created_at: str
    expires_at: str
    seen_at: str


class SessionList(msgspec.Struct, frozen=True):
    data: list[SessionObject]


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is what to send as `Authorization: Bearer …`. It is shown this once and stored nowhere."""

    data: SessionObject
    member: MemberObject
    token: str


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in. `totp`: whether a code of an app is asked for."""

    member: MemberObject
    session: SessionObject
    totp: bool
    recovery_codes_left: int


class MeAnswer(msgspec.Struct, frozen=True):
    data: Me


class TotpSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app is told; `uri` as a QR code. It counts when a code of it confirms it."""

    secret: str
    uri: str


class TotpSecretAnswer(msgspec.Struct, frozen=True):
    data: TotpSecret


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Each stands for a code of the app, once. They are shown this once."""

    recovery_codes: tuple[str, ...]


class RecoveryCodesAnswer(msgspec.Struct, frozen=True):
    data: RecoveryCodes


def session_object(one: Session, current: str) -> SessionObject:
    return SessionObject(
        id=one.id,
        current=one.id == current,
        created_at=write_instant(one.created_at_us),
        expires_at=write_instant(one.expires_at_us),
        seen_at=write_instant(one.seen_at_us),
    )


def encode_signed_in(session: Session, member: Member, token: str) -> bytes:
    shown = session_object(session, session.id)
    return msgspec.json.encode(SignedIn(data=shown, member=member_object(member), token=token))


def encode_sessions(some: Sequence[Session], current: str) -> bytes:
    return msgspec.json.encode(SessionList([session_object(one, current) for one in some]))


def encode_me(member: Member, session: Session, login: Login | None) -> bytes:
    me = Me(
        member=member_object(member),
        session=session_object(session, session.id),
        totp=login is not None and login.wants_totp,
        recovery_codes_left=0 if login is None else login.recovery_codes,
    )
    return msgspec.json.encode(MeAnswer(me))


def encode_totp_secret(secret: str, uri: str) -> bytes:
    return msgspec.json.encode(TotpSecretAnswer(TotpSecret(secret=secret, uri=uri)))


def encode_recovery_codes(codes: Sequence[str]) -> bytes:
    return msgspec.json.encode(RecoveryCodesAnswer(RecoveryCodes(recovery_codes=tuple(codes))))
