"""`SignIns` over dictionaries: part of the reference backend."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from arouter.domain.audit import AuditAction
from arouter.domain.organizations import Member
from arouter.domain.sign_in import Login, Session, shown_login
from arouter.store.memory_organizations import MemoryOrganizations, Structure


@dataclass(slots=True)
class Doors:
    """What would be on disk."""

    logins: dict[str, Login] = field(default_factory=dict)
    """By member."""
    recovery: dict[str, set[str]] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of a token, to the session's id."""
    attempts: dict[str, list[int]] = field(default_factory=dict)


class MemorySignIns(MemoryOrganizations):
    """As simple as it can be said."""

    _doors: Doors
    _structure: Structure

    async def get_login(self, organization_id: str, member_id: str) -> Login | None:
        found = self._doors.logins.get(member_id)
        if found is None or found.organization_id != organization_id:
            return None
        return replace(found, recovery_codes=len(self._doors.recovery.get(member_id, ())))

    async def set_password(self, organization_id: str, member_id: str, password: str) -> bool:
        if await self.get_member(organization_id, member_id) is None:
            return False
        before = await self.get_login(organization_id, member_id)
        login = before or Login(organization_id=organization_id, member_id=member_id)
        await self._set(AuditAction.SET_PASSWORD, before, replace(login, password=password))
        self._end(member_id)
        return True

    async def enrol_totp(self, organization_id: str, member_id: str, secret: str) -> bool:
        before = await self.get_login(organization_id, member_id)
        if before is None or before.totp_confirmed:
            return False
        await self._set(AuditAction.ENROL_TOTP, before, replace(before, totp_secret=secret))
        return True

    async def confirm_totp(
        self, organization_id: str, member_id: str, *, secret: str, step: int, recovery: Sequence[str]
    ) -> bool:
        before = await self.get_login(organization_id, member_id)
        if before is None or before.totp_confirmed or before.totp_secret != secret:
            return False
        self._doors.recovery[member_id] = set(recovery)
        await self._set(AuditAction.CONFIRM_TOTP, before, replace(before, totp_confirmed=True, totp_step=step))
        return True

    async def every_totp(self, *, after_id: str = "", limit: int = 1000) -> Sequence[Login]:
        ids = sorted(
            one for one, login in self._doors.logins.items() if one > after_id and login.totp_secret is not None
        )
        found = [await self.get_login(self._doors.logins[one].organization_id, one) for one in ids[:limit]]
        return tuple(login for login in found if login is not None)

    async def reseal_totp(self, organization_id: str, member_id: str, *, before: str, after: str) -> bool:
        found = await self.get_login(organization_id, member_id)
        if found is None or found.totp_secret != before:
            return False
        self._doors.logins[member_id] = replace(found, totp_secret=after)
        return True

    async def remove_totp(self, organization_id: str, member_id: str) -> bool:
        before = await self.get_login(organization_id, member_id)
        if before is None or before.totp_secret is None:
            return False
        self._doors.recovery.pop(member_id, None)
        after = replace(before, totp_secret=None, totp_confirmed=False, totp_step=0)
        await self._set(AuditAction.REMOVE_TOTP, before, after)
        return True

    async def use_totp(self, organization_id: str, member_id: str, step: int) -> bool:
        found = await self.get_login(organization_id, member_id)
        if found is None or found.totp_step >= step:
            return False
        self._doors.logins[member_id] = replace(found, totp_step=step)
        return True

    async def use_recovery_code(self, organization_id: str, member_id: str, code: str) -> bool:
        found = await self.get_login(organization_id, member_id)
        if found is None or code not in self._doors.recovery.get(member_id, ()):
            return False
        self._doors.recovery[member_id].remove(code)
        await self._set(AuditAction.USE_RECOVERY_CODE, found, found)
        return True

    async def add_session(self, session: Session, *, secret: str) -> None:
        if session.id in self._doors.sessions or secret in self._doors.tokens:
            raise ValueError("there is such a session already")
        old = [
            one.id
            for one in self._doors.sessions.values()
            if one.member_id == session.member_id and not one.expires_at_us > session.created_at_us
        ]
        for session_id in old:
            self._drop(session_id)
        self._doors.sessions[session.id] = session
        self._doors.tokens[secret] = session.id
        self._note(AuditAction.CREATE_SESSION, session.organization_id, session.id, None, session)

    async def find_session(self, secret: str) -> Session | None:
        session_id = self._doors.tokens.get(secret)
        return None if session_id is None else self._doors.sessions[session_id]

    async def see_session(self, session_id: str, now_us: int) -> None:
        found = self._doors.sessions.get(session_id)
        if found is not None:
            self._doors.sessions[session_id] = replace(found, seen_at_us=max(found.seen_at_us, now_us))

    async def list_sessions(self, organization_id: str, member_id: str) -> Sequence[Session]:
        mine = [
            one
            for one in self._doors.sessions.values()
            if (one.organization_id, one.member_id) == (organization_id, member_id)
        ]
        return tuple(sorted(mine, key=lambda one: (one.created_at_us, one.id), reverse=True))

    async def delete_session(self, organization_id: str, member_id: str, session_id: str) -> bool:
        found = self._doors.sessions.get(session_id)
        if found is None or (found.organization_id, found.member_id) != (organization_id, member_id):
            return False
        self._drop(session_id)
        self._note(AuditAction.DELETE_SESSION, organization_id, session_id, found, None)
        return True

    async def begin_attempt(self, who: str, now_us: int, *, most: int, within_us: int) -> int | None:
        known = [at_us for at_us in self._doors.attempts.get(who, ()) if at_us > now_us - within_us]
        self._doors.attempts[who] = known
        if len(known) >= most:
            return min(known) + within_us
        known.append(now_us)
        return None

    async def forget_attempts(self, who: str) -> None:
        self._doors.attempts.pop(who, None)

    async def delete_member(self, organization_id: str, member_id: str) -> bool:
        done = await super().delete_member(organization_id, member_id)
        if done:
            self._doors.logins.pop(member_id, None)
            self._doors.recovery.pop(member_id, None)
            self._end(member_id)
        return done

    def _keep_password(self, member: Member, password: str) -> None:
        login = Login(organization_id=member.organization_id, member_id=member.id, password=password)
        self._doors.logins[member.id] = login

    async def _set(self, action: AuditAction, before: Login | None, login: Login) -> None:
        self._doors.logins[login.member_id] = login
        after = await self.get_login(login.organization_id, login.member_id)
        self._note(action, login.organization_id, login.member_id, shown_login(before), shown_login(after))

    def _end(self, member_id: str) -> None:
        for session_id in [one.id for one in self._doors.sessions.values() if one.member_id == member_id]:
            self._drop(session_id)

    def _drop(self, session_id: str) -> None:
        del self._doors.sessions[session_id]
        self._doors.tokens = {secret: one for secret, one in self._doors.tokens.items() if one != session_id}
