"""A gateway with people: a member of each role with keys of their own, and another organization beside theirs."""

from dataclasses import dataclass
from typing import Any

import httpx2
import pyotp

from arouter.domain.keys import Key, KeyKind, digest
from arouter.domain.organizations import Invitation, Member, Organization, Workspace
from arouter.domain.roles import Role
from arouter.domain.sign_in import TOTP_STEP_US
from arouter.engine.passwords import hash_now
from tests.web.api.gateway import BOSS, HOME, NOW_US, Gateway

FOREIGN = Organization(id="org_foreign", name="Foreign", created_at_us=NOW_US)
FOREIGN_WORKSPACE = Workspace(id="ws_foreign", organization_id=FOREIGN.id, name="Theirs", created_at_us=NOW_US)
DAY_US = 24 * 3_600_000_000


def member(who: str, role: Role, **changes: Any) -> Member:
    told: dict[str, Any] = {"organization_id": HOME.organization_id, "email": f"{who}@example.com", **changes}
    return Member(id=f"mem_{who}", name=who, role=role, created_at_us=NOW_US, **told)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A member with a management key, and a live key."""

    member: Member
    management: str
    management_key: Key
    live: str
    live_key: Key


class Town:
    """`people` by role, besides the boss of the gateway; `foreigner` is the admin of the other organization."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        run, directory = gateway.run, gateway.store.directory
        run(directory.add_organization(FOREIGN, FOREIGN_WORKSPACE))
        self.people = {role: self.settle(member(f"a_{role}", role)) for role in Role}
        elsewhere = {"organization_id": FOREIGN.id}
        self.foreigner = self.settle(member("foreigner", Role.ADMIN, **elsewhere), workspace_id=FOREIGN_WORKSPACE.id)
        run(directory.add_workspace(workspace("ws_spare", HOME.organization_id)))
        self.invite("inv_home", HOME.organization_id)
        self.invite("inv_foreign", FOREIGN.id)

    def settle(self, one: Member, workspace_id: str = HOME.workspace_id) -> Person:
        self.gateway.run(self.gateway.store.directory.add_member(one))
        place: dict[str, Any] = {
            "organization_id": one.organization_id,
            "workspace_id": workspace_id,
            "creator": one.id,
        }
        management, management_key = self.gateway.add_key(one.name, kind=KeyKind.MANAGEMENT, **place)
        live, live_key = self.gateway.add_key(f"{one.name}'s", **place)
        return Person(member=one, management=management, management_key=management_key, live=live, live_key=live_key)

    def invite(self, invitation_id: str, organization_id: str, **changes: Any) -> str:
        """The token of a new invitation."""
        token = f"token of {invitation_id}"
        told: dict[str, Any] = {"email": f"{invitation_id}@example.com", "role": Role.MEMBER, **changes}
        invitation = Invitation(
            id=invitation_id,
            organization_id=organization_id,
            created_at_us=NOW_US,
            expires_at_us=NOW_US + 7 * DAY_US,
            invited_by=BOSS.id,
            **told,
        )
        self.gateway.run(self.gateway.store.directory.add_invitation(invitation, secret=digest(token)))
        return token

    def ask(self, role: Role, method: str, path: str, **rest: Any) -> httpx2.Response:
        """As the member of that role."""
        return self.gateway.ask(method, path, key=self.people[role].management, **rest)


PASSWORD = "correct horse battery"
HASHED = hash_now(PASSWORD)


def with_password(gateway: Gateway, one: Member) -> None:
    """From now on the member can sign in."""
    assert gateway.run(gateway.store.directory.set_password(one.organization_id, one.id, HASHED))


def signed_in(gateway: Gateway, one: Member = BOSS, **more: str) -> str:
    """The token of a new session."""
    body = {"email": one.email, "password": PASSWORD, **more}
    answer = gateway.ask("POST", "/v1/auth/sign-in", json=body)
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    return token


def code_of(gateway: Gateway, secret: str, *, steps: int = 0) -> str:
    """What an app shows now, or some steps later."""
    return pyotp.TOTP(secret).generate_otp(gateway.now_us // TOTP_STEP_US + steps)


def enrolled(gateway: Gateway, token: str) -> tuple[str, list[str]]:
    """The secret of a confirmed app, and the recovery codes. The code of this moment is used up."""
    secret: str = gateway.ask("POST", "/v1/auth/totp", key=token).json()["data"]["secret"]
    answer = gateway.ask("POST", "/v1/auth/totp/confirm", key=token, json={"totp": code_of(gateway, secret)})
    assert answer.status_code == 200, answer.text
    codes: list[str] = answer.json()["data"]["recovery_codes"]
    return secret, codes


def workspace(workspace_id: str, organization_id: str) -> Workspace:
    return Workspace(id=workspace_id, organization_id=organization_id, name=workspace_id, created_at_us=NOW_US + 1)
