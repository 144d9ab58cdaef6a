"""What is decided once for a key and a model, of requests that leave nothing to choose."""

from typing import Any, Final

import msgspec

from arouter.domain.errors import NotPermitted
from arouter.domain.keys import Key, UserPolicy
from arouter.domain.pseudonym import Pseudonyms
from arouter.domain.record import Opening
from arouter.domain.value import value
from arouter.engine.adapters import Adapters
from arouter.engine.admission import check_allowed, check_kind
from arouter.engine.attempts import Attempts
from arouter.engine.call import Call
from arouter.engine.dialects.chat import Chat
from arouter.engine.exchange import TranslatedExchange
from arouter.engine.guardian import Guard, Guardian
from arouter.engine.identity import Naming, naming_for
from arouter.engine.own_keys import OwnKeys
from arouter.engine.pool import Pool
from arouter.engine.remembered import Remembered
from arouter.engine.routing import Plan, Route
from arouter.engine.selection import Selection
from arouter.engine.timeouts import Timeouts
from arouter.engine.upstream import Upstream
from arouter.providers.base import Adapter, Prepared
from arouter.providers.openai import CHAT_PATH

MOST_WAYS: Final = 25_000
"""One for each model that a key asks for, about a kilobyte each. Where more are in use a request costs half as much
again."""

_CHAT: Final = Chat()


@value(frozen=True, slots=True, kw_only=True)
class Way:
    """From a key to the provider of a model."""

    key: Key
    requested_model: str
    """One text for all records."""
    plan: Plan
    route: Route
    guard: Guard | None
    """Of all requests of the key; None: it depends on their users."""
    pool: Pool
    adapter: Adapter | None
    """None: the provider speaks the client's dialect, and gets the client's request with a few fields changed."""
    head: bytes
    """Of that request."""
    model: msgspec.Raw
    """In that request."""
    naming: Naming | None
    """How the provider is told of the user; None: not at all."""
    naming_field: str
    """In that request."""
    timeouts: Timeouts

    def translated(self, fields: dict[str, Any], opening: Opening) -> TranslatedExchange:
        """A request in the dialect of the provider, which is another one. InvalidRequest if it cannot be said there."""
        assert self.adapter is not None
        user = opening.user
        call = Call(
            ingress=_CHAT,
            opening=opening,
            key=self.key,
            models=(self.requested_model,),
            fields=fields,
            stream=False,
            include_usage=True,
        )
        identity = None if user is None or self.naming is None else self.naming(opening.organization_id, user)
        return TranslatedExchange(call, self.route, self.adapter, identity)


class Ways:
    """Those that are known. Those of an organization are forgotten as soon as any of it may be otherwise."""

    def __init__(
        self,
        *,
        selection: Selection,
        guardian: Guardian,
        own_keys: OwnKeys,
        attempts: Attempts,
        adapters: Adapters,
        upstream: Upstream,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._selection = selection
        self._guardian = guardian
        self._own_keys = own_keys
        self._attempts = attempts
        self._adapters = adapters
        self._upstream = upstream
        self._pseudonyms = pseudonyms
        self._remembered: Remembered[tuple[str, str], Way] = Remembered(MOST_WAYS)
        self.known = self._remembered.things
        """By the key's hash and the name of the model."""
        guardian.on_forget.append(self._remembered.forget)
        own_keys.on_change.append(self._remembered.forget)

    def find(self, key: Key, requested: str) -> Way | None:
        """Decide it anew. None if there is something to choose, to refuse, or to sign."""
        plan = self._selection.plain(requested)
        ruled = self._guardian.recall_key(key)
        if plan is None or ruled is None or key.user_policy is not UserPolicy.OPTIONAL:
            return None
        if key.organization_id in self._own_keys.holders or (ruled.plain.lists and not ruled.per_user):
            return None
        route = plan.routes[0]
        deployment = route.deployment
        if deployment.platform is not None or deployment.credentials is not None:
            return None
        try:
            check_kind(key, route)
            check_allowed(key, route, requested)
        except NotPermitted:
            return None
        pool = self._upstream.pool_of(deployment.origin)
        if pool is None:
            return None
        adapter = None if route.dialect == "openai" else self._adapters.of(route)
        field = deployment.vendor.identity_field
        way = Way(
            key=key,
            requested_model=requested,
            plan=plan,
            route=route,
            guard=None if ruled.per_user else ruled.plain,
            pool=pool,
            adapter=adapter,
            head=self._attempts.head(deployment, Prepared(path=CHAT_PATH, body=b"")) if adapter is None else b"",
            model=msgspec.Raw(msgspec.json.encode(route.model)),
            naming=None if adapter is None and field is None else naming_for(deployment, self._pseudonyms),
            naming_field=field or "",
            timeouts=self._upstream.timeouts if deployment.timeouts is None else deployment.timeouts,
        )
        self._remembered.put((key.hash, requested), key.organization_id, way)
        return way
