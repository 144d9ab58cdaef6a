"""What a directory keeps for signing in."""

from collections.abc import Sequence
from typing import Protocol

from arouter.domain.sign_in import Login, Session


class SignIns(Protocol):
    """Secrets come hashed, but for that of an authenticator app: it comes as it is to be kept, and may be sealed."""

    async def get_login(self, organization_id: str, member_id: str) -> Login | None:
        """What the member signs in with; None if nothing was ever set."""

    async def set_password(self, organization_id: str, member_id: str, password: str) -> bool:
        """Store the hash of a password, and end every session of the member. False if there is no such member."""

    async def enrol_totp(self, organization_id: str, member_id: str, secret: str) -> bool:
        """Keep the secret of an app until it is confirmed. False if there is no login, or an app is confirmed."""

    async def confirm_totp(
        self, organization_id: str, member_id: str, *, secret: str, step: int, recovery: Sequence[str]
    ) -> bool:
        """Ask for codes of the app from now on. `recovery` are SHA-256. False if that secret is not what waits."""

    async def every_totp(self, *, after_id: str = "", limit: int = 1000) -> Sequence[Login]:
        """The logins of all organizations that have the secret of an app, by the member's id, behind `after_id`."""

    async def reseal_totp(self, organization_id: str, member_id: str, *, before: str, after: str) -> bool:
        """Keep the same secret otherwise; False if it is not kept as `before` any more. It is noted nowhere."""

    async def remove_totp(self, organization_id: str, member_id: str) -> bool:
        """Forget the app and the recovery codes. False if there is none."""

    async def use_totp(self, organization_id: str, member_id: str, step: int) -> bool:
        """Use the code of a time step up. False if it, or a later one, was used before."""

    async def use_recovery_code(self, organization_id: str, member_id: str, code: str) -> bool:
        """Use the recovery code with this SHA-256 up. False if there is none."""

    async def add_session(self, session: Session, *, secret: str) -> None:
        """A new one. `secret` is the SHA-256 of its token. Those of the member that have expired are forgotten."""

    async def find_session(self, secret: str) -> Session | None:
        """The session whose token has this SHA-256, alive or not."""

    async def see_session(self, session_id: str, now_us: int) -> None:
        """It was used."""

    async def list_sessions(self, organization_id: str, member_id: str) -> Sequence[Session]:
        """Newest first, alive or not."""

    async def delete_session(self, organization_id: str, member_id: str, session_id: str) -> bool:
        """Its token is worthless at once. False if the member has none of that id."""

    async def begin_attempt(self, who: str, now_us: int, *, most: int, within_us: int) -> int | None:
        """Note an attempt to sign in. If there were `most` of them within so long: when the next one may be."""

    async def forget_attempts(self, who: str) -> None:
        """One succeeded."""
