"""What the management and activity API is given to work with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import Request

from arouter.domain.activity import Bounds, Scope, SummaryQuery
from arouter.domain.credits import CreditAccount
from arouter.domain.errors import NotPermitted
from arouter.domain.keys import Key
from arouter.domain.models import ModelInfo
from arouter.domain.principals import Principal
from arouter.domain.roles import Action
from arouter.engine.guardian import Guardian
from arouter.engine.oidc import Issuer
from arouter.engine.own_keys import OwnProviders, Vault
from arouter.store.base import Directory, Home, Ledger
from arouter.web.inference.headers import request_id_of
from arouter.web.user_tokens import UserTokens

REQUEST_ID_BYTES = 9

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
    vault: Vault | None = None
    """What organizations' own keys for providers are sealed with; None: no key-encryption key is configured."""
    report_fonts: Sequence[str] = ()
    """Files with letters for reports that their own font lacks."""
    summary_bounds: Bounds = field(default_factory=Bounds)
    """What a summary may cost."""
    own_providers: OwnProviders = field(default_factory=lambda: OwnProviders(makers={}, off={}))

    oidc: Mapping[str, Issuer] = field(default_factory=dict)
    """The issuers that members can sign in at, by name."""

    async def manager(self, request: Request, *actions: Action) -> Principal:
        """Who manages by a request, and may do one of `actions`; none of them: whatever an admin alone may do.

        NotPermitted for a key of another kind, and for a role that may do none of them.
        """
        key = await self.authenticate(request.scope["headers"], request.scope["query_string"])
        if not isinstance(key, Principal):
            raise NotPermitted(
                "Keys are managed with a management key (`lr_mgmt_…`); this one may call GET /v1/key.",
                code="wrong_key_type",
            )
        if not any(key.may(action) for action in actions or (Action.WRITE_ORGANIZATION,)):
            raise not_allowed(key)
        return key

    def user_tokens(self) -> UserTokens:
        """Mints signed user tokens, and knows them again; remembers none."""
        return UserTokens(self.directory, secret=self.default_home.secret, now_us=self.now_us, entropy=self.entropy)

    def noting(self, manager: Principal, request: Request) -> Directory:
        """The directory, whose changes are noted in the audit log as this manager's, by this request."""
        return self.directory.acting(manager.actor(self.request_id(request)))

    async def credits_of(self, organization_id: str) -> tuple[CreditAccount | None, int]:
        """An organization's credits, None if it never had any, and what was spent, of one instant."""
        account = await self.directory.credit_account(organization_id)
        if account is not None:
            return account, account.spent
        scope = Scope(organization_id=organization_id)
        return None, (await self.ledger.summary(SummaryQuery(scope=scope))).totals.cost

    def request_id(self, request: Request) -> str:
        """`X-Request-Id` if it is a sensible one, else one that is made here. The answer tells it."""
        known: str | None = getattr(request.state, "request_id", None)
        if known is None:
            known = request_id_of(dict(request.scope["headers"])) or f"req-{self.entropy(REQUEST_ID_BYTES).hex()}"
            request.state.request_id = known
        return known


def not_allowed(manager: Principal) -> NotPermitted:
    """For a role."""
    return NotPermitted(
        f"The role `{manager.role}` may not do this; docs/organizations.md lists what each may.", code="not_permitted"
    )
