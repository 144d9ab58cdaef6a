"""Signing in: sessions, and what a member proves to get one. Times are microseconds since the epoch."""

from dataclasses import dataclass

SESSION_ID_PREFIX = "sess"
SESSION_PREFIX = "lr_sess_"
SESSION_BYTES = 24
SESSION_LIFE_US = 12 * 3_600_000_000
SESSION_IDLE_US = 2 * 3_600_000_000
SEEN_AGAIN_US = 60_000_000
"""A session that is used is noted as seen this often: to write it for every request would be too much."""

LEAST_PASSWORD, MOST_PASSWORD = 12, 256
"""Characters."""

MOST_ATTEMPTS = 10
ATTEMPTS_US = 15 * 60_000_000
"""So many attempts for one address within so long, whether somebody has it or not."""

TOTP_STEP_US = 30_000_000
RECOVERY_CODES = 10
RECOVERY_BYTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A member who is signed in. Its token is stored as SHA-256."""

    id: str
    organization_id: str
    member_id: str
    created_at_us: int
    expires_at_us: int
    seen_at_us: int

    def is_alive(self, now_us: int) -> bool:
        """Whether its token is still worth something."""
        return now_us < self.expires_at_us and now_us < self.seen_at_us + SESSION_IDLE_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a member signs in with."""

    organization_id: str
    member_id: str
    password: str | None = None
    """Its hash, as argon2 writes it."""
    totp_secret: str | None = None
    """As it is kept: sealed, or in base32 where there is nothing to seal it with."""
    totp_confirmed: bool = False
    """Only then a code is asked for."""
    totp_step: int = 0
    """The last time step whose code was used: it, and those before it, are worth nothing any more."""
    recovery_codes: int = 0
    """How many are left."""

    @property
    def wants_totp(self) -> bool:
        """Whether a password alone is not enough."""
        return self.totp_secret is not None and self.totp_confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginShown:
    """A login without its secrets, for the audit log."""

    member_id: str
    has_password: bool
    has_totp: bool
    recovery_codes: int


def shown_login(login: Login | None) -> LoginShown | None:
    """What may be told of a login."""
    if login is None:
        return None
    return LoginShown(
        member_id=login.member_id,
        has_password=login.password is not None,
        has_totp=login.wants_totp,
        recovery_codes=login.recovery_codes,
    )


def totp_binding(organization_id: str, member_id: str) -> bytes:
    """What the secret of a member's app is sealed together with: no two members have the same."""
    parts = (organization_id, member_id)
    return b"totp 1" + b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)


def checked_password(text: str) -> str:
    """A password that can be one. ValueError says what is wrong, without repeating it."""
    if not LEAST_PASSWORD <= len(text) <= MOST_PASSWORD:
        raise ValueError(f"must have from {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    return text


def recovery_code(entropy: bytes) -> str:
    """A code from `RECOVERY_BYTES` random bytes, in groups that can be copied by hand."""
    digits = entropy.hex()
    return "-".join(digits[at : at + 5] for at in range(0, len(digits), 5))
