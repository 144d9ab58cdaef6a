"""`SignIns` in PostgreSQL."""

from collections.abc import Sequence
from functools import partial

from arouter.domain.audit import AuditAction
from arouter.domain.sign_in import Login, LoginShown, Session, shown_login
from arouter.store.directory_rows import Row, Value, columns_of, read_login, read_one, values_of
from arouter.store.postgres.changes import Change, PostgresChanges, Statement, changed_rows, reading
from arouter.store.postgres.errors import refusals
from arouter.store.postgres.statements import queries, statement

_AREA = "sign_in"
_SESSION_COLUMNS = columns_of(Session)
_read_session = partial(read_one, Session)


class PostgresSignIns(PostgresChanges):
    """As the parts of the directory do."""

    async def get_login(self, organization_id: str, member_id: str) -> Login | None:
        return await self._first(read_login, queries(_AREA)["get_login"], organization_id, member_id)

    async def set_password(self, organization_id: str, member_id: str, password: str) -> bool:
        return await self._change(
            _changing(AuditAction.SET_PASSWORD, organization_id, member_id),
            setting_password(organization_id, member_id, password),
            (queries(_AREA)["end_sessions"], (member_id,)),
        )

    async def enrol_totp(self, organization_id: str, member_id: str, secret: str) -> bool:
        change = _changing(AuditAction.ENROL_TOTP, organization_id, member_id)
        return await self._change(change, (queries(_AREA)["enrol_totp"], (organization_id, member_id, secret)))

    async def confirm_totp(
        self, organization_id: str, member_id: str, *, secret: str, step: int, recovery: Sequence[str]
    ) -> bool:
        return await self._change(
            _changing(AuditAction.CONFIRM_TOTP, organization_id, member_id),
            (queries(_AREA)["confirm_totp"], (organization_id, member_id, secret, step)),
            (queries(_AREA)["delete_recovery_codes"], (member_id,)),
            *((queries(_AREA)["add_recovery_code"], (member_id, code)) for code in recovery),
        )

    async def every_totp(self, *, after_id: str = "", limit: int = 1000) -> Sequence[Login]:
        return await self._all(read_login, queries(_AREA)["every_totp"], after_id, limit)

    async def reseal_totp(self, organization_id: str, member_id: str, *, before: str, after: str) -> bool:
        return bool(await self._execute("reseal_totp", organization_id, member_id, before, after))

    async def remove_totp(self, organization_id: str, member_id: str) -> bool:
        return await self._change(
            _changing(AuditAction.REMOVE_TOTP, organization_id, member_id),
            (queries(_AREA)["remove_totp"], (organization_id, member_id)),
            (queries(_AREA)["delete_recovery_codes"], (member_id,)),
        )

    async def use_totp(self, organization_id: str, member_id: str, step: int) -> bool:
        return bool(await self._execute("use_totp", organization_id, member_id, step))

    async def use_recovery_code(self, organization_id: str, member_id: str, code: str) -> bool:
        change = _changing(AuditAction.USE_RECOVERY_CODE, organization_id, member_id)
        return await self._change(change, (queries(_AREA)["use_recovery_code"], (organization_id, member_id, code)))

    async def add_session(self, session: Session, *, secret: str) -> None:
        sql = statement(_AREA, "add_session", _SESSION_COLUMNS, behind=1)
        old = (session.member_id, session.created_at_us)
        await self._change(
            _of_session(AuditAction.CREATE_SESSION, session.organization_id, session.id),
            (sql, (secret, *values_of(session))),
            (queries(_AREA)["forget_old_sessions"], old),
        )

    async def find_session(self, secret: str) -> Session | None:
        return await self._first(_read_session, statement(_AREA, "find_session", _SESSION_COLUMNS), secret)

    async def see_session(self, session_id: str, now_us: int) -> None:
        await self._execute("see_session", session_id, now_us)

    async def list_sessions(self, organization_id: str, member_id: str) -> Sequence[Session]:
        sql = statement(_AREA, "list_sessions", _SESSION_COLUMNS)
        return await self._all(_read_session, sql, organization_id, member_id)

    async def delete_session(self, organization_id: str, member_id: str, session_id: str) -> bool:
        change = _of_session(AuditAction.DELETE_SESSION, organization_id, session_id)
        place = (organization_id, member_id, session_id)
        return await self._change(change, (queries(_AREA)["delete_session"], place))

    async def begin_attempt(self, who: str, now_us: int, *, most: int, within_us: int) -> int | None:
        async with self._pool.transaction() as connection:
            with refusals():
                await connection.execute(queries(_AREA)["lock_attempts"], who)
                await connection.execute(queries(_AREA)["forget_old_attempts"], now_us - within_us)
                row = await connection.fetchrow(queries(_AREA)["attempts"], who, now_us - within_us)
                assert row is not None  # a count is one
                count, first_us = row
                if count >= most and first_us is not None:
                    return int(first_us) + within_us
                await connection.execute(queries(_AREA)["add_attempt"], who, now_us)
                return None

    async def forget_attempts(self, who: str) -> None:
        await self._execute("forget_attempts", who)

    async def _execute(self, name: str, *values: Value) -> int:
        """What is noted nowhere else, in one statement; how many rows it changed."""
        async with self._pool.lend() as connection:
            with refusals():
                return changed_rows(await connection.execute(queries(_AREA)[name], *values))


def setting_password(organization_id: str, member_id: str, password: str) -> Statement:
    """The statement that keeps the hash of a password."""
    return queries(_AREA)["set_password"], (organization_id, member_id, password)


def forgetting(member_id: str) -> tuple[Statement, ...]:
    """What is done to a member's login and sessions when the member goes."""
    names = ("delete_login", "delete_recovery_codes", "end_sessions")
    return tuple((queries(_AREA)[name], (member_id,)) for name in names)


def _changing(action: AuditAction, organization_id: str, member_id: str) -> Change:
    read = reading(_read_shown, queries(_AREA)["get_login"], organization_id, member_id)
    return Change(action=action, organization_id=organization_id, target_id=member_id, read=read)


def _of_session(action: AuditAction, organization_id: str, session_id: str) -> Change:
    read = reading(_read_session, statement(_AREA, "get_session", _SESSION_COLUMNS), session_id)
    return Change(action=action, organization_id=organization_id, target_id=session_id, read=read)


def _read_shown(row: Row) -> LoginShown | None:
    return shown_login(read_login(row))
