"""What the management and activity API is given to work with."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from fastapi import Request

from arouter.domain.activity import Bounds
from arouter.domain.errors import NotPermitted
from arouter.domain.keys import Key, KeyKind
from arouter.domain.models import ModelInfo
from arouter.engine.credits import CreditPool, NoCredits
from arouter.engine.guardian import Guardian
from arouter.engine.own_keys import OwnProviders, Vault
from arouter.store.base import Directory, Home, Ledger
from arouter.web.user_tokens import UserTokens

Headers = Sequence[tuple[bytes, bytes]]
"""As in an ASGI scope: names in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether one thing that requests need is there."""

    name: str
    ok: bool
    text: str = ""
    """What is wrong, safe to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


async def _nobody_remembers() -> None:
    """For an `authenticate` that asks the directory each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    directory: Directory
    ledger: Ledger
    authenticate: Callable[[Headers, bytes], Awaitable[Key]]
    """The key of a request, from its headers and its query string; raises the errors of the domain."""
    now_us: Callable[[], int]
    entropy: Callable[[int], bytes]
    """So many random bytes, fit for a secret."""
    models: Callable[[], Sequence[ModelInfo]]
    ready: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], Awaitable[bytes]]
    """Prometheus text."""
    default_home: Home
    guardian: Guardian
    """Knows what limits requests, and how the limits stand."""
    directory_changed: Callable[[], Awaitable[None]] = _nobody_remembers
    """Called after a key was made, changed, rotated or deleted, before the client is told: forget what you remember."""
    credits: CreditPool = field(default_factory=NoCredits)
    vault: Vault | None = None
    """What organizations' own keys for providers are sealed with; None: no key-encryption key is configured."""
    report_fonts: Sequence[str] = ()
    """Files with letters for reports that their own font lacks."""
    summary_bounds: Bounds = field(default_factory=Bounds)
    """What a summary may cost."""
    own_providers: OwnProviders = field(default_factory=lambda: OwnProviders(makers={}, off={}))

    async def manager(self, request: Request) -> Key:
        """The management key of a request. NotPermitted for another one."""
        key = await self.authenticate(request.scope["headers"], request.scope["query_string"])
        if key.kind is not KeyKind.MANAGEMENT:
            raise NotPermitted(
                "Keys are managed with a management key (`lr_mgmt_…`); this one may call GET /v1/key.",
                code="wrong_key_type",
            )
        return key

    def user_tokens(self) -> UserTokens:
        """Mints signed user tokens, and knows them again; remembers none."""
        return UserTokens(self.directory, secret=self.default_home.secret, now_us=self.now_us, entropy=self.entropy)
