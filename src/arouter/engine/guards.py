"""What limits a request: the guardrails, the key's own limits and what is said of its user, put together.

A `Guard` is made once for a key and a user, and used for all their requests until something of it changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType

from arouter.domain.counters import WINDOW_OF_RESET, Counter, Meter, Window, bounds
from arouter.domain.errors import NotPermitted
from arouter.domain.guardrails import NO_LISTS, Guardrail, Lists, Target, UserRules
from arouter.domain.keys import Key
from arouter.domain.limits import NO_LIMITS, Budget, Limits
from arouter.domain.money import LARGEST, Picodollars
from arouter.domain.value import value
from arouter.engine.leasing import Leasing, Share
from arouter.engine.routing import Route

_RATES: Mapping[str, tuple[Meter, Window]] = MappingProxyType(
    {
        "requests_per_minute": (Meter.REQUESTS, Window.MINUTE),
        "requests_per_day": (Meter.REQUESTS, Window.DAY),
        "tokens_per_minute": (Meter.TOKENS, Window.MINUTE),
        "tokens_per_day": (Meter.TOKENS, Window.DAY),
        "concurrent_requests": (Meter.CONCURRENT, Window.LIFETIME),
    }
)
_SECONDS: Mapping[Window, int] = MappingProxyType({Window.MINUTE: 60, Window.DAY: 86_400})
KINDS = (Meter.REQUESTS, Meter.COST, Meter.TOKENS, Meter.CONCURRENT)
"""In the order in which amounts of each are handed around."""

ByTarget = Mapping[tuple[str, Target, str | None], Sequence[Guardrail]]
"""Guardrails by organization, target and the target's id."""


@value(frozen=True, slots=True, kw_only=True)
class Source:
    """Who says so."""

    id: str | None
    """A guardrail's; None for what stands with the key or the user itself."""
    name: str

    @property
    def told(self) -> str:
        """As a message names it."""
        return self.name if self.id is None else f"guardrail '{self.name}' ({self.id})"


OF_KEY = Source(id=None, name="the key's own limits")
OF_KEY_FOR_USERS = Source(id=None, name="the key's limits for each user")
OF_USER = Source(id=None, name="the user's own limits")
OF_CREDITS = Source(id=None, name="the organization's credits")
"""All that was paid in is a budget for ever, of which all that was used since ever is spent. Like any other limit it is
counted only where it is the most restrictive of its kind: beside it the organization's budget for ever may be."""


class Slot:
    """One limit: what is counted of whom, in which window, up to what; and this process's share of it now."""

    __slots__ = (
        *("_leasing", "end_us", "kind", "limit", "meter", "most", "name", "scope", "share", "source", "start_us"),
        *("who", "window", "window_s"),
    )

    def __init__(
        self, leasing: Leasing, source: Source, name: str, limit: int, scope: Target, who: tuple[str, str]
    ) -> None:
        """`name` is that of the field of `Limits`, or `budget_<window>`; `who`: organization and scope id."""
        self._leasing = leasing
        self.share: Share | None = None
        """That of the window from `start_us` to `end_us`, unless it has `ended`."""
        self.start_us = self.end_us = 0
        self.source = source
        self.limit = limit
        # A request that seems to need more than a whole budget waits for a whole one, or it would never pass. Credits
        # are different: what they once were says nothing of what is left.
        self.most = LARGEST if source is OF_CREDITS else limit
        """More is never held."""
        self.scope = scope
        self.who = who
        if name in _RATES:
            self.name = name
            self.meter, self.window = _RATES[name]
        else:
            self.name, _, window = name.partition("_")
            self.meter, self.window = Meter.COST, Window(window)
        self.kind = KINDS.index(self.meter)
        """The place of the meter among `KINDS`: to look something up by an enumeration's member costs a call."""
        self.window_s = _SECONDS.get(self.window, 0)

    def share_at(self, at_us: int) -> Share:
        """The share of the window that an instant lies in."""
        share = self.share
        if share is None or share.ended or not self.start_us <= at_us < self.end_us:
            self.start_us, self.end_us = bounds(self.window, at_us)
            counter = Counter(
                meter=self.meter,
                scope=self.scope,
                organization_id=self.who[0],
                scope_id=self.who[1],
                start_us=self.start_us,
                end_us=self.end_us,
            )
            share = self.share = self._leasing.share(counter, self.limit)
        return share


@value(frozen=True, slots=True, kw_only=True)
class Guard:
    """Everything that limits the requests of one key and one user."""

    slots: tuple[Slot, ...] = ()
    lists: tuple[tuple[Source, Lists], ...] = ()
    blocked: UserRules | None = None
    """The user may not ask at all."""
    counts_tokens: bool = False
    """Whether anything depends on how much is read and generated."""
    rates: tuple[tuple[Slot, ...], ...] = ()
    """The slots of requests, and those of tokens: what the client is told of."""


NO_GUARD = Guard()


def by_target(guardrails: Iterable[Guardrail]) -> ByTarget:
    """Guardrails that are not disabled, to be found by their targets."""
    found: dict[tuple[str, Target, str | None], list[Guardrail]] = {}
    for one in guardrails:
        found.setdefault((one.organization_id, one.target, one.target_id), []).append(one)
    return found


def has_rules_for_users(guardrails: ByTarget, key: Key) -> bool:
    """Whether a key's requests depend on their user, apart from what is said of single users."""
    if key.default_user_limits is not None:
        return True
    organization_id = key.organization_id
    return any(one == organization_id and target in (Target.USER, Target.EVERY_USER) for one, target, _ in guardrails)


def credits_slot(leasing: Leasing, organization_id: str, paid_in: Picodollars) -> Slot:
    """The organization's credits as a limit, whether or not another one is more restrictive."""
    said = ((OF_CREDITS, Limits(budget=Budget(limit=paid_in)), Target.ORGANIZATION, organization_id),)
    (slot,) = _slots(leasing, said, organization_id)
    return slot


def make_guard(leasing: Leasing, guardrails: ByTarget, key: Key, paid_in: Picodollars | None = None) -> Guard:
    """The guard of a key's requests for nobody. `paid_in` is the sum of the organization's credits, None if it keeps
    none."""
    organization_id = key.organization_id
    stated = _Stated(guardrails, organization_id)
    if paid_in is not None:
        stated.limits.append((OF_CREDITS, Limits(budget=Budget(limit=paid_in)), Target.ORGANIZATION, organization_id))
    stated.add(Target.ORGANIZATION, None, Target.ORGANIZATION, organization_id)
    stated.add(Target.WORKSPACE, key.workspace_id, Target.WORKSPACE, key.workspace_id)
    if key.creator is not None:
        stated.add(Target.MEMBER, key.creator, Target.MEMBER, key.creator)
    stated.add(Target.KEY, key.hash, Target.KEY, key.hash)
    stated.limits.append((OF_KEY, limits_of(key), Target.KEY, key.hash))
    return _guard(_slots(leasing, stated.limits, organization_id), tuple(stated.lists), None)


def make_guard_of_user(
    leasing: Leasing,
    guardrails: ByTarget,
    who: tuple[str, str],
    rules: UserRules | None,
    *,
    plain: Guard = NO_GUARD,
    default: Limits | None = None,
) -> Guard:
    """The guard of requests for a user: `who` is the organization and the user, `rules` are what is said of that user
    alone. Of a key's requests `plain` is the guard for nobody, and `default` is what the key says of every user."""
    organization_id, user = who
    stated = _Stated(guardrails, organization_id)
    stated.add(Target.USER, user, Target.USER, user)
    if rules is not None:
        stated.limits.append((OF_USER, rules.limits, Target.USER, user))
    named = NO_LIMITS
    for _, said, _, _ in stated.limits:
        named = said.over(named)
    every = _Stated(guardrails, organization_id)
    every.add(Target.EVERY_USER, None, Target.USER, user)
    if default is not None:
        every.limits.append((OF_KEY_FOR_USERS, default, Target.USER, user))
    limits = stated.limits + [(source, without(said, named), scope, who) for source, said, scope, who in every.limits]
    return _guard(
        (*plain.slots, *_slots(leasing, limits, organization_id)),
        (*plain.lists, *stated.lists, *every.lists),
        rules if rules is not None and rules.blocked else None,
    )


class _Stated:
    """What guardrails say, collected."""

    def __init__(self, guardrails: ByTarget, organization_id: str) -> None:
        self._guardrails = guardrails
        self._organization_id = organization_id
        self.limits: list[tuple[Source, Limits, Target, str]] = []
        self.lists: list[tuple[Source, Lists]] = []

    def add(self, target: Target, target_id: str | None, scope: Target, scope_id: str) -> None:
        """Those for a target, counted for a scope."""
        for one in self._guardrails.get((self._organization_id, target, target_id), ()):
            source = Source(id=one.id, name=one.name)
            self.limits.append((source, one.limits, scope, scope_id))
            if one.lists != NO_LISTS:
                self.lists.append((source, one.lists))


def _guard(slots: tuple[Slot, ...], lists: tuple[tuple[Source, Lists], ...], blocked: UserRules | None) -> Guard:
    if not slots and not lists and blocked is None:
        return NO_GUARD
    return Guard(
        slots=slots,
        lists=lists,
        blocked=blocked,
        counts_tokens=any(slot.meter in (Meter.COST, Meter.TOKENS) for slot in slots),
        rates=tuple(
            rates
            for meter in (Meter.REQUESTS, Meter.TOKENS)
            if (rates := tuple(slot for slot in slots if slot.meter is meter))
        ),
    )


def limits_of(key: Key) -> Limits:
    """What stands with a key: its budget and its rates."""
    budget = None if key.limit is None else Budget(limit=key.limit, reset=key.limit_reset)
    return Limits(budget=budget).over(NO_LIMITS if key.rate_limit is None else key.rate_limit)


def without(limits: Limits, named: Limits) -> Limits:
    """`limits` without those that `named` says something of."""
    return Limits(
        **{
            field.name: None if getattr(named, field.name) is not None else getattr(limits, field.name)
            for field in fields(Limits)
        }
    )


def _slots(
    leasing: Leasing, limits: Iterable[tuple[Source, Limits, Target, str]], organization_id: str
) -> tuple[Slot, ...]:
    """One for each thing that is counted: the most restrictive."""
    tightest: dict[tuple[Target, str], tuple[int, Source, str]] = {}
    for source, said, scope, scope_id in limits:
        for name, limit in _stated(said):
            known = tightest.get((scope, name))
            if known is None or limit < known[0]:
                tightest[scope, name] = limit, source, scope_id
    return tuple(
        Slot(leasing, source, name, limit, scope, (organization_id, scope_id))
        for (scope, name), (limit, source, scope_id) in tightest.items()
    )


def _stated(limits: Limits) -> Iterable[tuple[str, int]]:
    if limits.budget is not None:
        yield f"budget_{WINDOW_OF_RESET[limits.budget.reset]}", limits.budget.limit
    for name in _RATES:
        if (limit := getattr(limits, name)) is not None:
            yield name, limit


# ---------------------------------------------------------------- models and providers


def check_lists(lists: Iterable[tuple[Source, Lists]], route: Route, requested: str) -> None:
    """NotPermitted if a list does not let a route be taken that was asked for by the name `requested`."""
    deployment = route.deployment
    providers = {deployment.provider, deployment.vendor.name, *deployment.vendor.aliases}
    models = {route.name, route.model, requested}
    for source, one in lists:
        if (one.allowed_providers is not None and providers.isdisjoint(one.allowed_providers)) or (
            one.ignored_providers is not None and not providers.isdisjoint(one.ignored_providers)
        ):
            raise _not_permitted(source, f"provider '{deployment.provider}' is not allowed", "provider_not_allowed")
        if (one.allowed_models is not None and models.isdisjoint(one.allowed_models)) or (
            one.ignored_models is not None and not models.isdisjoint(one.ignored_models)
        ):
            raise _not_permitted(source, f"model '{route.name}' is not allowed", "model_not_allowed")
        if one.zero_data_retention and not deployment.zdr:
            raise _not_permitted(
                source, f"provider '{deployment.provider}' is not known to keep nothing", "provider_not_allowed"
            )


def _not_permitted(source: Source, what: str, code: str) -> NotPermitted:
    return NotPermitted(f"{what}: {source.told} says so.", code=code, param="model", metadata={"guardrail": source.id})
