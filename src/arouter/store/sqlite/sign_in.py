"""`SignIns` in SQLite."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import cast

import apsw

from arouter.domain.audit import AuditAction
from arouter.domain.sign_in import Login, LoginShown, Session, shown_login
from arouter.store.directory_rows import Value, read_login, read_one, values_of
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.changes import Change, SqliteChanges, Statement
from arouter.store.sqlite.statements import ENGINE


@cache
def statements() -> Mapping[str, str]:
    """Those of `sql/sqlite/sign_in.sql`."""
    return parse_queries(read_sql(ENGINE, "sign_in.sql"))


class SqliteSignIns(SqliteChanges):
    """As the parts of the directory do."""

    async def get_login(self, organization_id: str, member_id: str) -> Login | None:
        return await self._readers.read(lambda connection: _login(connection, organization_id, member_id), apart=True)

    async def set_password(self, organization_id: str, member_id: str, password: str) -> bool:
        return await self._change(
            _changing(AuditAction.SET_PASSWORD, organization_id, member_id),
            setting_password(organization_id, member_id, password),
            (statements()["end_sessions"], (member_id,)),
        )

    async def enrol_totp(self, organization_id: str, member_id: str, secret: str) -> bool:
        change = _changing(AuditAction.ENROL_TOTP, organization_id, member_id)
        return await self._change(change, (statements()["enrol_totp"], (organization_id, member_id, secret)))

    async def confirm_totp(
        self, organization_id: str, member_id: str, *, secret: str, step: int, recovery: Sequence[str]
    ) -> bool:
        return await self._change(
            _changing(AuditAction.CONFIRM_TOTP, organization_id, member_id),
            (statements()["confirm_totp"], (organization_id, member_id, secret, step)),
            (statements()["delete_recovery_codes"], (member_id,)),
            *((statements()["add_recovery_code"], (member_id, code)) for code in recovery),
        )

    async def every_totp(self, *, after_id: str = "", limit: int = 1000) -> Sequence[Login]:
        sql = statements()["every_totp"]
        return await self._readers.read(
            lambda connection: tuple(map(read_login, connection.execute(sql, (after_id, limit)).fetchall())), apart=True
        )

    async def reseal_totp(self, organization_id: str, member_id: str, *, before: str, after: str) -> bool:
        return bool(await self._execute("reseal_totp", organization_id, member_id, before, after))

    async def remove_totp(self, organization_id: str, member_id: str) -> bool:
        return await self._change(
            _changing(AuditAction.REMOVE_TOTP, organization_id, member_id),
            (statements()["remove_totp"], (organization_id, member_id)),
            (statements()["delete_recovery_codes"], (member_id,)),
        )

    async def use_totp(self, organization_id: str, member_id: str, step: int) -> bool:
        return bool(await self._execute("use_totp", organization_id, member_id, step))

    async def use_recovery_code(self, organization_id: str, member_id: str, code: str) -> bool:
        change = _changing(AuditAction.USE_RECOVERY_CODE, organization_id, member_id)
        return await self._change(change, (statements()["use_recovery_code"], (organization_id, member_id, code)))

    async def add_session(self, session: Session, *, secret: str) -> None:
        values = (*values_of(session), secret)
        change = _of_session(AuditAction.CREATE_SESSION, session.organization_id, session.id)
        old = (session.member_id, session.created_at_us)
        await self._change(change, (statements()["add_session"], values), (statements()["forget_old_sessions"], old))

    async def find_session(self, secret: str) -> Session | None:
        return await self._readers.read(lambda connection: _session(connection, "find_session", secret), apart=True)

    async def see_session(self, session_id: str, now_us: int) -> None:
        await self._execute("see_session", session_id, now_us)

    async def list_sessions(self, organization_id: str, member_id: str) -> Sequence[Session]:
        place = (organization_id, member_id)
        return await self._readers.read(
            lambda connection: tuple(
                read_one(Session, row) for row in connection.execute(statements()["list_sessions"], place).fetchall()
            ),
            apart=True,
        )

    async def delete_session(self, organization_id: str, member_id: str, session_id: str) -> bool:
        change = _of_session(AuditAction.DELETE_SESSION, organization_id, session_id)
        place = (organization_id, member_id, session_id)
        return await self._change(change, (statements()["delete_session"], place))

    async def begin_attempt(self, who: str, now_us: int, *, most: int, within_us: int) -> int | None:
        def run(connection: apsw.Connection) -> int | None:
            connection.execute(statements()["forget_old_attempts"], (now_us - within_us,))
            row = connection.execute(statements()["attempts"], (who,)).fetchone()
            count, first_us = cast(tuple[int, int | None], row)
            if count >= most and first_us is not None:
                return first_us + within_us
            connection.execute(statements()["add_attempt"], (who, now_us))
            return None

        return cast(int | None, await self._writer.command(run, apart=True))

    async def forget_attempts(self, who: str) -> None:
        await self._execute("forget_attempts", who)

    async def _execute(self, name: str, *values: Value) -> int:
        """What is noted nowhere else; how many rows it changed."""

        def run(connection: apsw.Connection) -> int:
            connection.execute(statements()[name], values)
            return connection.changes()

        return int(await self._writer.command(run, apart=True))


def setting_password(organization_id: str, member_id: str, password: str) -> Statement:
    return statements()["set_password"], (organization_id, member_id, password)


def forgetting(member_id: str) -> tuple[Statement, ...]:
    """What is done to a member's login and sessions when the member goes."""
    names = ("delete_login", "delete_recovery_codes", "end_sessions")
    return tuple((statements()[name], (member_id,)) for name in names)


def _changing(action: AuditAction, organization_id: str, member_id: str) -> Change:
    def read(connection: apsw.Connection) -> LoginShown | None:
        return shown_login(_login(connection, organization_id, member_id))

    return Change(action=action, organization_id=organization_id, target_id=member_id, read=read)


def _of_session(action: AuditAction, organization_id: str, session_id: str) -> Change:
    def read(connection: apsw.Connection) -> Session | None:
        return _session(connection, "get_session", session_id)

    return Change(action=action, organization_id=organization_id, target_id=session_id, read=read)


def _login(connection: apsw.Connection, organization_id: str, member_id: str) -> Login | None:
    row = connection.execute(statements()["get_login"], (organization_id, member_id)).fetchone()
    return None if row is None else read_login(row)


def _session(connection: apsw.Connection, name: str, value: str) -> Session | None:
    row = connection.execute(statements()[name], (value,)).fetchone()
    return None if row is None else read_one(Session, row)
