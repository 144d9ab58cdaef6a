"""Which provider answers a model name: names in, deployments out. No network.

A model is asked for as `provider/model`; a bare name means `openai/…`. The provider's part may be one of the
aliases in use elsewhere (`x-ai`, `mistralai`); the rest is the provider's own name and is not looked into.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from arouter.domain.errors import ARouterError, InvalidRequest, NoProvider, NotFound
from arouter.domain.value import value
from arouter.engine.credentials import Credentials
from arouter.engine.upstream import Origin, Timeouts
from arouter.providers.base import Platform
from arouter.providers.vendors import ALIASES, Vendor

DEFAULT_PROVIDER = "openai"
MOST_MODEL_BYTES = 256
MOST_RESOLVED = 10_000
"""Names of models whose route is remembered."""

Identity = Literal["pseudonym", "none", "raw"]


@value(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A provider that can be asked: a vendor's row, and what the operator configured for it."""

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


@value(frozen=True, slots=True, kw_only=True)
class Route:
    """Where one request goes."""

    deployment: Deployment
    model: str
    """The provider's own name."""
    name: str
    """`provider/model`, as records and filters have it."""


class Routing:
    """The deployments, by name. Built once; a change of configuration builds another."""

    def __init__(self, deployments: Iterable[Deployment], *, off: Iterable[tuple[str, str]] = ()) -> None:
        """`off` names the providers that are known and cannot be asked, each with what would turn it on."""
        self._deployments = {deployment.provider: deployment for deployment in deployments}
        self._off = dict(off)
        self._resolved: dict[str, Route] = {}

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._deployments)

    def with_own(self, own: Iterable[Deployment], *, off: Mapping[str, str]) -> "Routing":
        """The same for somebody whose own deployments come in the place of these. `off` names providers that are not
        to be asked in any case, each with what would turn it on."""
        there = {**self._deployments, **{deployment.provider: deployment for deployment in own}}
        asked = [deployment for provider, deployment in there.items() if provider not in off]
        return Routing(asked, off={**self._off, **off}.items())

    def resolve(self, requested: str) -> Route:
        """The route for a model name.

        NotFound for a provider that nobody knows, NoProvider for one that is not configured, InvalidRequest for a
        name that cannot be one.
        """
        route = self._resolved.get(requested)
        if route is None:
            route = self._resolve(requested)
            if len(self._resolved) >= MOST_RESOLVED:
                self._resolved.clear()
            self._resolved[requested] = route
        return route

    def find(self, requested: str) -> Route | None:
        """The route for a model name; None where `resolve` raises."""
        try:
            return self.resolve(requested)
        except ARouterError:
            return None

    def _resolve(self, requested: str) -> Route:
        prefix, slash, rest = requested.partition("/")
        if not slash:
            prefix, rest = DEFAULT_PROVIDER, requested
        _check_name(requested, rest)
        name = prefix if prefix in self._deployments else ALIASES.get(prefix, prefix)
        deployment = self._deployments.get(name)
        if deployment is not None:
            return Route(deployment=deployment, model=rest, name=f"{deployment.provider}/{rest}")
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


def _check_name(requested: str, rest: str) -> None:
    if not rest:
        raise InvalidRequest("model must name a model, as in openai/gpt-5.4.", code="invalid_value", param="model")
    if len(requested) > MOST_MODEL_BYTES or not requested.isprintable():
        raise InvalidRequest(
            f"model must be printable text of at most {MOST_MODEL_BYTES} characters.",
            code="invalid_value",
            param="model",
        )
