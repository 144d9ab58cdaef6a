"""An organization's own keys for providers, on the way of its requests: whom it chooses among.

What is known here was read from the directory, and is forgotten when the directory changes: secrets in the clear are
nowhere else. An organization without such keys is not in `holders`, and costs nothing but to find that out.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from arouter.domain.errors import InvalidRequest, NoProvider, UpstreamFailed
from arouter.domain.keys import Key
from arouter.domain.provider_keys import ProviderKey, Sealed, Unreadable, in_force
from arouter.domain.record import Opening
from arouter.domain.value import value
from arouter.engine.routing import Deployment, Route, Routing
from arouter.engine.selection import Selection
from arouter.providers.vendors import ALIASES
from arouter.store.base import Directory
from arouter.wire.nearest import unknown

MOST_HOLDERS = 10_000
"""Organizations, and API keys with keys of their own, whose keys are kept in the clear at a time."""
MOST_NAMES = 100
"""Names of models whose routes are remembered for each of these."""

SETTING = "security.key_encryption_key"

_UNAUTHORIZED = 401
_CLIENT_STATUSES = range(400, 500)
_LEAST_HIDDEN = 8

Maker = Callable[[str], Deployment]
"""A provider's deployment with the key that it is given."""


class Vault(Protocol):
    """Seals secrets, and reads what is sealed."""

    @property
    def key_ids(self) -> frozenset[str]:
        """Of the key-encryption keys that it reads with."""

    @property
    def first_key_id(self) -> str:
        """Of the one that it seals with."""

    def seal(self, secret: str, key: ProviderKey) -> Sealed:
        """The secret of `key`, sealed for it alone."""

    def seal_bound(self, secret: str, bound_to: bytes) -> Sealed:
        """A secret that is read together with `bound_to` alone."""

    def unseal_bound(self, sealed: Sealed, bound_to: bytes) -> str:
        """The secret that was sealed with `bound_to`. Unreadable if that cannot be."""

    def unseal(self, sealed: Sealed, key: ProviderKey) -> str:
        """The secret of `key`. Unreadable if that cannot be."""

    def resealed(self, sealed: Sealed, key: ProviderKey) -> Sealed | None:
        """The secret sealed with the newest key-encryption key; None if it is. Unreadable as `unseal`."""


@value(frozen=True, slots=True, kw_only=True)
class OwnProviders:
    """Which providers take keys of an organization's own."""

    makers: Mapping[str, Maker]
    """By name."""
    off: Mapping[str, str]
    """The others that are known, each with why it does not."""

    def named(self, name: str) -> str:
        """The name of a provider that takes keys, which may be one of its aliases. InvalidRequest for another one."""
        known = name if name in self.makers or name in self.off else ALIASES.get(name, name)
        if known in self.makers:
            return known
        reason = self.off.get(known)
        raise InvalidRequest(
            unknown("provider", name, self.makers) if reason is None else f"The provider '{known}' {reason}",
            code="invalid_value",
            param="provider",
        )


@value(frozen=True, slots=True, kw_only=True)
class _Holder:
    """An organization with keys of its own."""

    usual: Selection
    bound: Mapping[str, Selection]
    """By the hash of the API key that has some for itself."""

    @property
    def selections(self) -> int:
        return 1 + len(self.bound)


class OwnKeys:
    """Knows whose requests are made with keys of their own, and with which. Belongs to one event loop."""

    def __init__(
        self,
        directory: Directory,
        *,
        operator: Routing,
        selection: Callable[[Routing], Selection],
        providers: OwnProviders,
        vault: Vault | None,
        on_unreadable: Callable[[str, ProviderKey | None], None] = lambda reason, key: None,
        most_holders: int = MOST_HOLDERS,
    ) -> None:
        """`operator` is the routing of everybody else, `selection` chooses by another one; `vault` is None where no
        key-encryption key is configured. `on_unreadable` is told once of each key that cannot be read, or of all that
        are sealed with another key-encryption key."""
        self._directory = directory
        self._operator = operator
        self._selection = selection
        self._providers = providers
        self._vault = vault
        self._on_unreadable = on_unreadable
        self._most_holders = most_holders
        self._told: set[str] = set()
        self._refreshing = asyncio.Lock()
        self._revision: int | None = None
        self._loaded: dict[str, _Holder] = {}
        self._selections = 0
        """Of those that are loaded."""
        self.holders: frozenset[str] = frozenset()
        """The organizations that `selection` has something else for."""
        self.on_change: list[Callable[[frozenset[str] | None], None]] = []
        """Called with organizations as soon as theirs may be others; None: all of them."""

    async def refresh(self) -> None:
        """Forget those of organizations whose keys have changed since the last call. To be called a few times a
        second."""
        async with self._refreshing:
            changes = await self._directory.changes_after(self._revision or 0)
            organizations = None if self._revision is None else changes.provider_keys()
            if organizations == frozenset():
                self._revision = changes.revision
                return
            holders = await self._directory.provider_key_holders()
            self._revision = changes.revision
            self._forget(organizations)
            self.holders = frozenset(holders)
            for call in self.on_change:
                call(organizations)
        self._tell_missing(holders)

    async def selection(self, key: Key) -> Selection:
        """What chooses for the requests of an API key. StorageUnavailable if the keys cannot be read."""
        holder = self._loaded.get(key.organization_id)
        if holder is None:
            holder = await self._load(key.organization_id)
        return holder.bound.get(key.hash, holder.usual)

    async def _load(self, organization_id: str) -> _Holder:
        revision = self._revision
        sealed = {key.id: (key, secret) for key, secret in await self._directory.sealed_provider_keys(organization_id)}
        keys = [key for key, _ in sealed.values()]
        deployments: dict[str, Deployment | str] = {}

        def own(api_key_hash: str) -> Selection:
            return self._own(in_force(keys, api_key_hash).values(), sealed, deployments)

        holder = _Holder(
            usual=own(""),
            bound={key.api_key_hash: own(key.api_key_hash) for key in keys if key.api_key_hash is not None},
        )
        if revision == self._revision and organization_id not in self._loaded:
            self._keep(organization_id, holder)
        return holder

    def _keep(self, organization_id: str, holder: _Holder) -> None:
        if self._selections + holder.selections > self._most_holders:
            self._forget(None)
        self._loaded[organization_id] = holder
        self._selections += holder.selections

    def _forget(self, organizations: frozenset[str] | None) -> None:
        for name in list(self._loaded) if organizations is None else organizations:
            holder = self._loaded.pop(name, None)
            if holder is not None:
                self._selections -= holder.selections

    def _own(
        self,
        keys: Iterable[ProviderKey],
        sealed: Mapping[str, tuple[ProviderKey, Sealed]],
        made: dict[str, Deployment | str],
    ) -> Selection:
        """`made` are the deployments by the id of the key, or why there is none."""
        there: list[Deployment] = []
        off: dict[str, str] = {}
        fallbacks: set[str] = set()
        for key in keys:
            if key.id not in made:
                made[key.id] = self._deployment(*sealed[key.id])
            deployment = made[key.id]
            if key.byok_fallback:
                fallbacks.add(key.provider)
            if isinstance(deployment, Deployment):
                there.append(deployment)
            elif not key.byok_fallback:
                off[key.provider] = deployment
        return self._selection(self._operator.with_own(there, off=off, fallbacks=fallbacks, most_names=MOST_NAMES))

    def _deployment(self, key: ProviderKey, sealed: Sealed) -> Deployment | str:
        """What is asked with the key; if it cannot be, what the client is told."""
        maker = self._providers.makers.get(key.provider)
        if maker is None:
            return _NOT_TAKEN
        if self._vault is None:
            return _UNREADABLE
        try:
            secret = self._vault.unseal(sealed, key)
        except Unreadable as unreadable:
            self._tell(str(unreadable), key)
            return _UNREADABLE
        return replace(maker(secret), name=key.id, own_key=key.id)

    # ---------------------------------------------------------------- telling

    def _tell(self, reason: str, key: ProviderKey | None) -> None:
        said = f"{None if key is None else key.id} {reason}"
        if said not in self._told:
            if len(self._told) >= self._most_holders:
                self._told.clear()
            self._told.add(said)
            self._on_unreadable(reason, key)

    def _tell_missing(self, holders: Mapping[str, frozenset[str]]) -> None:
        """Of what is sealed with a key-encryption key that is not here."""
        known = frozenset[str]() if self._vault is None else self._vault.key_ids
        for missing in sorted(frozenset[str]().union(*holders.values()) - known):
            self._tell(
                f"keys for providers are sealed with the key-encryption key {missing}, which is not among those of "
                f"{SETTING}; requests that need them are refused",
                None,
            )


_UNREADABLE = (
    "The key that your organization stored for it cannot be read here, and no other is asked with instead: the "
    f"operator has to set {SETTING} to what it was stored with, or you store the key again."
)
_NOT_TAKEN = "Your organization stored a key for it, and the operator's settings do not let it be asked with that."


def no_vault() -> NoProvider:
    """What whoever wants to store a key is told where no key-encryption key is configured."""
    return NoProvider(
        f"Keys of an organization's own cannot be stored here: {SETTING} is not set. It takes 32 random bytes in "
        "base64; `head -c 32 /dev/urandom | base64` makes them.",
        code="own_keys_not_configured",
    )


def noted(opening: Opening, route: Route) -> Opening:
    """What the ledger is to remember in case the process dies: asked first on this route, which the opening cannot
    know where an organization has routes of its own."""
    if route.deployment.own_key is None:
        return opening
    return replace(opening, routed_model=route.name, on_own_key=True)


def blamed_rightly(failure: UpstreamFailed, route: Route) -> UpstreamFailed:
    """What a provider answered to a key of the organization's own: its trouble is not the operator's, and another
    account may fare better."""
    if route.deployment.own_key is None:
        return failure
    if failure.upstream_status == _UNAUTHORIZED:
        failure.message = "The provider refused your organization's own key. Store another one, or disable it."
    if not failure.client_fault and failure.upstream_status in _CLIENT_STATUSES:
        failure.retryable = True
    for secret in _secrets(route.deployment):
        failure.message = failure.message.replace(secret, "…")
        failure.detail = None if failure.detail is None else failure.detail.replace(secret, "…")
        failure.metadata = {name: _hidden(said, secret) for name, said in failure.metadata.items()}
    return failure


def _secrets(deployment: Deployment) -> Sequence[str]:
    """The words of its header fields that may be the key."""
    words = (word for name, field in deployment.headers if name not in _PLAIN_FIELDS for word in field.split())
    return [word for word in words if len(word) >= _LEAST_HIDDEN]


_PLAIN_FIELDS = frozenset({"Content-Type", "User-Agent"})


def _hidden(said: object, secret: str) -> object:
    return said.replace(secret, "…") if isinstance(said, str) else said
