"""Which deployments can answer a model's name: names in, routes out. No network.

A model is asked for as `provider/model`; a bare name means `openai/…`. The provider's part may be one of the
aliases in use elsewhere (`x-ai`, `mistralai`); the rest is the provider's own name and is not looked into, but for

    :floor    the cheapest first        :nitro    the fastest first        :free    only what costs nothing

at its end. A gateway such as OpenRouter has such names itself: they are passed on as they are, and so is a name that
the operator lists with its suffix. A name in the operator's table of models comes before all that: it stands for
models of several providers.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from itertools import chain
from types import MappingProxyType
from typing import Literal

from arouter.domain.errors import ARouterError, InvalidRequest, NoProvider, NotFound
from arouter.domain.value import value
from arouter.engine.credentials import Credentials
from arouter.engine.preferences import Sort
from arouter.engine.upstream import Origin, Timeouts
from arouter.providers.base import Platform
from arouter.providers.vendors import ALIASES, BY_NAME, Dialect, Vendor

DEFAULT_PROVIDER = "openai"
NO_MODEL = "*"
"""Asked for in place of a model by a request to a provider that names none. It is the first deployment's: what it asks
for, such as a file, belongs to one account."""
MOST_MODEL_BYTES = 256
MOST_RESOLVED = 10_000
"""Names of models whose routes are remembered."""

FREE = "free"
_SORTS: Mapping[str, Sort] = MappingProxyType({"floor": "price", "nitro": "throughput"})

Identity = Literal["pseudonym", "none", "raw"]


@value(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A provider that can be asked: a vendor's row, and what the operator configured for it. A provider may have
    several: keys, regions, machines."""

    provider: str
    """The prefix of its models; the vendor's name, or the operator's own."""
    vendor: Vendor
    origin: Origin
    headers: tuple[tuple[str, str], ...]
    """Credentials that never change, and whatever else every request to it carries."""
    credentials: Credentials | None = None
    """Those that do change."""
    platform: Platform | None = None
    """None: requests travel as at the vendors of their dialects."""
    identity: Identity = "pseudonym"
    timeouts: Timeouts | None = None
    """None: the gateway's own."""
    own_key: str | None = None
    """The id of the organization's own key that it is asked with; None: the operator's."""
    name: str | None = None
    """Its own among those of its provider; None where there is but one. Asked with an own key, the id of that key."""
    weight: int = 1
    """Its share of the requests, beside the others of its provider; 0: only when the others fail."""
    models: frozenset[str] | None = None
    """What it has, in the provider's own names; None: whatever is asked for."""
    collects_data: bool = True
    """Whether it may keep what it is sent, as far as the operator knows."""
    zdr: bool = False
    """Whether it keeps nothing at all."""

    @property
    def label(self) -> str:
        """`provider`, or `provider/name`."""
        return self.provider if self.name is None else f"{self.provider}/{self.name}"

    def has(self, model: str) -> bool:
        """Whether it answers a model, by the provider's own name."""
        return self.models is None or model in self.models


@value(frozen=True, slots=True, kw_only=True)
class Route:
    """Where one request goes."""

    deployment: Deployment
    model: str
    """The provider's own name."""
    name: str
    """`provider/model`, as records and filters have it."""
    listed: bool = False
    """It is in the operator's table, and was not asked for by its own name."""
    stands_in: bool = False
    """The operator's, to be asked only after an organization's own key for this provider failed."""
    dialect: Dialect = field(init=False, repr=False, compare=False)
    """In which the model is asked."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dialect", self.deployment.vendor.dialect_of(self.model))


@value(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whom to ask, in order; at least one."""

    routes: tuple[Route, ...]
    require_parameters: bool = False
    """Whoever has no counterpart for a parameter of the request is not asked."""


@value(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Everybody who can answer one name; at least one."""

    routes: tuple[Route, ...]
    """In the order that the operator wrote."""
    sort: Sort | None = None
    """None: in that order."""
    free: bool = False
    """Only what costs nothing."""

    @property
    def beyond(self) -> bool:
        """Whether a gateway was asked for by its name: preferences are for that one, which has providers of its own."""
        first = self.routes[0]
        return first.deployment.vendor.takes_routing_fields and not first.listed


@value(frozen=True, slots=True, kw_only=True)
class ModelRoute:
    """One name of the operator's for models of several providers."""

    names: tuple[str, ...]
    """`provider/model`, those to be preferred first."""
    sort: Sort | None = None


class Routing:
    """The deployments, by name. Built once; a change of configuration builds another."""

    def __init__(
        self,
        deployments: Iterable[Deployment],
        *,
        off: Iterable[tuple[str, str]] = (),
        models: Mapping[str, ModelRoute] = MappingProxyType({}),
        stand_ins: Iterable[Deployment] = (),
        suffixed: frozenset[str] = frozenset(),
        most_names: int = MOST_RESOLVED,
    ) -> None:
        """`off` names the providers that are known and cannot be asked, each with what would turn it on; `models` is
        the operator's table; `stand_ins` are asked only after others of their provider; `suffixed` are models, as
        `provider/model`, whose names may end like a suffix of ours; `most_names` are remembered."""
        self._deployments = _by_provider(deployments)
        self._stand_ins = _by_provider(stand_ins)
        self._off = dict(off)
        self._models = dict(models)
        self._suffixed = suffixed.union(*(_listed_by(one) for one in self._deployments.values()))
        self.most_names = most_names
        self._resolved: dict[str, Candidates] = {}

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._deployments)

    @property
    def dialects(self) -> dict[str, Dialect]:
        """What each provider speaks, by every name that it is known by, also where it cannot be asked."""
        known: dict[str, Dialect] = {name: BY_NAME[name].dialect for name in self._off if name in BY_NAME}
        known |= {name: deployments[0].vendor.dialect for name, deployments in self._deployments.items()}
        return {alias: known[name] for alias, name in ALIASES.items() if name in known} | known

    def with_own(
        self, own: Iterable[Deployment], *, off: Mapping[str, str], fallbacks: Collection[str], most_names: int
    ) -> "Routing":
        """The same for somebody whose own deployments come in the place of these.

        `off` names providers that are not to be asked in any case, each with what would turn it on; `fallbacks` those
        whose deployments here are asked after the own ones failed.
        """
        owned = _by_provider(own)
        asked = {**self._deployments, **owned}
        stand_ins = (self._deployments.get(provider, ()) for provider in owned if provider in fallbacks)
        return Routing(
            chain.from_iterable(deployments for provider, deployments in asked.items() if provider not in off),
            off={**self._off, **off}.items(),
            models=self._models,
            stand_ins=chain.from_iterable(stand_ins),
            suffixed=self._suffixed,
            most_names=most_names,
        )

    def candidates(self, requested: str) -> Candidates:
        """Everybody who can answer a model's name.

        NotFound for a provider that nobody knows, NoProvider for one that is not configured, InvalidRequest for a
        name that cannot be one.
        """
        candidates = self._resolved.get(requested)
        if candidates is None:
            candidates = self._resolve(requested)
            if len(self._resolved) >= self.most_names:
                self._resolved.clear()
            self._resolved[requested] = candidates
        return candidates

    def resolve(self, requested: str) -> Route:
        """The first route for a model's name. Raises as `candidates`."""
        return self.candidates(requested).routes[0]

    def find(self, requested: str) -> Route | None:
        """The route for a model name; None where `resolve` raises."""
        try:
            return self.resolve(requested)
        except ARouterError:
            return None

    def name_of(self, requested: str) -> str | None:
        """`provider/model` for a model's name; None for one that has no route."""
        known = self._resolved.get(requested)
        route = self.find(requested) if known is None else known.routes[0]
        return None if route is None else route.name

    # ---------------------------------------------------------------- names

    def _resolve(self, requested: str) -> Candidates:
        if requested in self._models:
            return self._listed(self._models[requested])
        base, colon, suffix = requested.rpartition(":")
        if not colon or not (suffix in _SORTS or suffix == FREE) or self._is_own(requested):
            return Candidates(routes=self._direct(requested))
        model = self._models.get(base)
        candidates = Candidates(routes=self._direct(base)) if model is None else self._listed(model)
        return replace(candidates, sort=_SORTS.get(suffix, candidates.sort), free=suffix == FREE)

    def _listed(self, model: ModelRoute) -> Candidates:
        """Those of the table whose providers are configured. NoProvider if none is."""
        routes: list[Route] = []
        missing: NoProvider | None = None
        for name in model.names:
            try:
                routes += (replace(route, listed=True) for route in self._direct(name))
            except NoProvider as off:
                missing = off
        if not routes and missing is not None:
            raise missing
        return Candidates(routes=tuple(routes), sort=model.sort)

    def _direct(self, requested: str) -> tuple[Route, ...]:
        """The routes of one provider's model."""
        prefix, name, rest = self._split(requested)
        _check_name(requested, rest)
        deployments = self._deployments.get(name)
        if deployments is not None:
            route = Route(deployment=deployments[0], model=rest, name=f"{name}/{rest}")
            if rest == NO_MODEL:
                return (route,)
            routes = [replace(route, deployment=one) for one in deployments if one.has(rest)]
            if not routes:
                raise NotFound(
                    f"No deployment of '{name}' lists the model '{rest}'.", code="model_not_found", param="model"
                )
            others = [one for one in self._stand_ins.get(name, ()) if one.has(rest)]
            return (*routes, *(replace(route, deployment=one, stands_in=True) for one in others))
        if (remedy := self._off.get(name)) is not None:
            raise NoProvider(
                f"The provider '{name}' is not configured. {remedy}",
                param="model",
                metadata={"provider": name, "configured": list(self._deployments)},
            )
        raise NotFound(
            f"There is no model '{requested}': no provider is called '{prefix}'. "
            f"Ask for provider/model; configured: {', '.join(sorted(self._deployments)) or 'none'}.",
            code="model_not_found",
            param="model",
        )

    def _is_own(self, requested: str) -> bool:
        """Whether a name with a suffix is the provider's own."""
        _, name, rest = self._split(requested)
        return f"{name}/{rest}" in self._suffixed or any(
            one.vendor.takes_routing_fields for one in self._deployments.get(name, ())
        )

    def _split(self, requested: str) -> tuple[str, str, str]:
        """The prefix as it was written, the provider's name, and the provider's own name of the model."""
        prefix, slash, rest = requested.partition("/")
        if not slash:
            prefix, rest = DEFAULT_PROVIDER, requested
        return prefix, prefix if prefix in self._deployments else ALIASES.get(prefix, prefix), rest


def _by_provider(deployments: Iterable[Deployment]) -> dict[str, tuple[Deployment, ...]]:
    found: dict[str, tuple[Deployment, ...]] = {}
    for deployment in deployments:
        found[deployment.provider] = (*found.get(deployment.provider, ()), deployment)
    return found


def _listed_by(deployments: Iterable[Deployment]) -> frozenset[str]:
    """The models that deployments list."""
    return frozenset(f"{one.provider}/{model}" for one in deployments for model in one.models or ())


def _check_name(requested: str, rest: str) -> None:
    if not rest:
        raise InvalidRequest("model must name a model, as in openai/gpt-5.4.", code="invalid_value", param="model")
    if len(requested) > MOST_MODEL_BYTES or not requested.isprintable():
        raise InvalidRequest(
            f"model must be printable text of at most {MOST_MODEL_BYTES} characters.",
            code="invalid_value",
            param="model",
        )
