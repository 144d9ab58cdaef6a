"""What limits a request: the guardrails, the key's own limits and what is said of its user, put together.

A `Guard` is made once for a key and a user, and used for all their requests until something of it changes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Final

from arouter.domain.counters import WINDOW_OF_RESET, Counter, Meter, Window, bounds
from arouter.domain.errors import NotPermitted
from arouter.domain.guardrails import NO_LISTS, Guardrail, Lists, Target, UserRules
from arouter.domain.keys import Key
from arouter.domain.limits import NO_LIMITS, Budget, Limits
from arouter.domain.money import LARGEST, Picodollars
from arouter.domain.value import constructor, value
from arouter.engine.leasing import Leasing, Share
from arouter.engine.remembered import Remembered
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
_COST, _TOKENS = KINDS.index(Meter.COST), KINDS.index(Meter.TOKENS)
_TOLD = (KINDS.index(Meter.REQUESTS), _TOKENS)
"""The kinds that a client is told of, in that order."""
MOST_FORMS: Final = 10_000
"""Different limits of users that are remembered."""

MOST_PLACES: Final = 100_000
"""Organizations, workspaces and members whose slots are remembered."""

_USERS: Final = frozenset({Target.USER, Target.EVERY_USER})

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


class Rule:
    """One limit, of whomever it is: what is counted, in which window, up to what, and who says so."""

    __slots__ = ("kind", "limit", "meter", "most", "name", "scope", "source", "window", "window_s")

    def __init__(self, source: Source, name: str, limit: int, scope: Target) -> None:
        """`name` is that of the field of `Limits`, or `budget_<window>`."""
        self.source = source
        self.limit = limit
        # A request that seems to need more than a whole budget waits for a whole one, or it would never pass. Credits
        # are different: what they once were says nothing of what is left.
        self.most = LARGEST if source is OF_CREDITS else limit
        """More is never held."""
        self.scope = scope
        if name in _RATES:
            self.name = name
            self.meter, self.window = _RATES[name]
        else:
            self.name, _, window = name.partition("_")
            self.meter, self.window = Meter.COST, Window(window)
        self.kind = KINDS.index(self.meter)
        """The place of the meter among `KINDS`: to look something up by an enumeration's member costs a call."""
        self.window_s = _SECONDS.get(self.window, 0)


class Slot:
    """A rule that somebody is under, and this process's share of it now."""

    __slots__ = ("_leasing", "end_us", "kind", "limit", "most", "rule", "share", "start_us", "who")

    def __init__(self, leasing: Leasing, rule: Rule, who: tuple[str, str]) -> None:
        """`who`: organization and scope id."""
        self._leasing = leasing
        self.who = who
        self.rule = rule
        self.limit = rule.limit
        self.most = max(1, rule.most)
        """More is never held, and never nothing, or nothing would ever fit."""
        self.kind = rule.kind
        self.share: Share | None = None
        """That of the window from `start_us` to `end_us`, unless it has `ended`."""
        self.start_us = self.end_us = 0

    def share_at(self, at_us: int) -> Share:
        """The share of the window that an instant lies in."""
        share = self.share
        if share is None or share.ended or not self.start_us <= at_us < self.end_us:
            rule = self.rule
            self.start_us, self.end_us = bounds(rule.window, at_us)
            organization_id, scope_id = self.who
            counter = _new_counter(
                meter=rule.meter,
                scope=rule.scope,
                organization_id=organization_id,
                scope_id=scope_id,
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
_new_guard = constructor(Guard)
_new_counter = constructor(Counter)


@value(frozen=True, slots=True, kw_only=True)
class _Form:
    """What limits the requests of all users of whom the same is said."""

    rules: tuple[Rule, ...]
    lists: tuple[tuple[Source, Lists], ...]


_Common = tuple[tuple[Slot, ...], tuple[tuple[Source, Lists], ...]]
"""What guardrails say of a target that has many keys."""


class Guards:
    """Makes them from the guardrails of all organizations. What several have in common is made once: the slots of an
    organization, a workspace and a member, and the rules of users of whom the same is said."""

    def __init__(self, leasing: Leasing) -> None:
        """There are no guardrails and no credits until it is to `know` some."""
        self._leasing = leasing
        self._guardrails: dict[str, Guardrail] = {}
        """By id."""
        self._paid_in: dict[str, Picodollars] = {}
        """By organization."""
        self._by_target: dict[tuple[str, Target, str | None], tuple[Guardrail, ...]] = {}
        """By organization, target and the target's id; in the order of their ids."""
        self._of_users: dict[str, int] = {}
        """How many say something of users, by organization."""
        self._slots: Remembered[tuple[str, Target, str], _Common] = Remembered(MOST_PLACES)
        self._forms: Remembered[tuple[str, str | None, Limits | None, Limits | None], _Form] = Remembered(MOST_FORMS)

    def know(
        self,
        guardrails: Iterable[Guardrail],
        paid_in: Mapping[str, Picodollars],
        *,
        names: Collection[str] | None = None,
        organizations: Collection[str] | None = None,
    ) -> frozenset[str]:
        """Know these, and no others: guardrails that are not disabled, and the sums of the credits of organizations
        that keep some. With `names`, the ids of guardrails, and `organizations`, those of credits, the others stay as
        they are. The organizations that anything is otherwise for than it was; guards of others hold as they are."""
        changed: set[str] = set()
        there = {one.id: one for one in guardrails}
        for name in {*(self._guardrails if names is None else names), *there}:
            before, after = self._guardrails.get(name), there.get(name)
            if before == after:
                continue
            if before is not None:
                self._remove(before)
                changed.add(before.organization_id)
            if after is not None:
                self._add(after)
                changed.add(after.organization_id)
        for organization_id in {*(self._paid_in if organizations is None else organizations), *paid_in}:
            total = paid_in.get(organization_id)
            if self._paid_in.get(organization_id) != total:
                changed.add(organization_id)
                self._paid_in.pop(organization_id, None)
                if total is not None:
                    self._paid_in[organization_id] = total
        found = frozenset(changed)
        self._slots.forget(found)
        self._forms.forget(found)
        return found

    def _add(self, one: Guardrail) -> None:
        self._guardrails[one.id] = one
        place = (one.organization_id, one.target, one.target_id)
        beside = (*self._by_target.get(place, ()), one)
        self._by_target[place] = tuple(sorted(beside, key=lambda each: each.id))
        if one.target in _USERS:
            self._of_users[one.organization_id] = self._of_users.get(one.organization_id, 0) + 1

    def _remove(self, one: Guardrail) -> None:
        del self._guardrails[one.id]
        place = (one.organization_id, one.target, one.target_id)
        left = tuple(each for each in self._by_target.pop(place) if each.id != one.id)
        if left:
            self._by_target[place] = left
        if one.target in _USERS:
            left_of_users = self._of_users.pop(one.organization_id) - 1
            if left_of_users:
                self._of_users[one.organization_id] = left_of_users

    def say_of_users(self, key: Key) -> bool:
        """Whether a key's requests depend on their user, apart from what is said of single users."""
        return key.default_user_limits is not None or key.organization_id in self._of_users

    def of_key(self, key: Key) -> Guard:
        """The guard of a key's requests for nobody."""
        organization_id = key.organization_id
        shared = [
            self._common(organization_id, Target.ORGANIZATION, None, organization_id),
            self._common(organization_id, Target.WORKSPACE, key.workspace_id, key.workspace_id),
        ]
        if key.creator is not None:
            shared.append(self._common(organization_id, Target.MEMBER, key.creator, key.creator))
        stated = _Stated(self._by_target, organization_id)
        stated.add(Target.KEY, key.hash)
        stated.limits.append((OF_KEY, limits_of(key)))
        slots = self._made(_rules(stated.limits, Target.KEY), (organization_id, key.hash))
        return _guard(
            [slot for those, _ in shared for slot in those] + slots,
            [one for _, lists in shared for one in lists] + stated.lists,
            None,
        )

    def of_user(self, key: Key, plain: Guard, user: str, rules: UserRules | None) -> Guard:
        """The guard of a key's requests for a user. `plain` is the one for nobody, `rules` are what is said of that
        user alone."""
        return self._of_user((key.organization_id, user), rules, plain, key.default_user_limits)

    def of_user_alone(self, organization_id: str, user: str, rules: UserRules | None) -> Guard:
        """What applies to a user's requests with whichever key. `rules` are what is said of that user alone."""
        return self._of_user((organization_id, user), rules, NO_GUARD, None)

    def _of_user(self, who: tuple[str, str], rules: UserRules | None, plain: Guard, default: Limits | None) -> Guard:
        """`who` is the organization and the user, `default` what the key says of every user."""
        organization_id, user = who
        named = user if (organization_id, Target.USER, user) in self._by_target else None
        said = None if rules is None else rules.limits
        same = (organization_id, named, default, said)
        form = self._forms.things.get(same)
        if form is None:
            form = self._form(*same)
            self._forms.put(same, organization_id, form)
        return _guard(
            [*plain.slots, *self._made(form.rules, who)],
            [*plain.lists, *form.lists],
            rules if rules is not None and rules.blocked else None,
        )

    def _form(self, organization_id: str, user: str | None, of_key: Limits | None, of_user: Limits | None) -> _Form:
        """`user` is one of whom guardrails say something; the limits are the key's for users, and the user's own."""
        stated = _Stated(self._by_target, organization_id)
        if user is not None:
            stated.add(Target.USER, user)
        if of_user is not None:
            stated.limits.append((OF_USER, of_user))
        named = NO_LIMITS
        for _, said in stated.limits:
            named = said.over(named)
        every = _Stated(self._by_target, organization_id)
        every.add(Target.EVERY_USER, None)
        if of_key is not None:
            every.limits.append((OF_KEY_FOR_USERS, of_key))
        limits = stated.limits + [(source, without(said, named)) for source, said in every.limits]
        return _Form(rules=_rules(limits, Target.USER), lists=(*stated.lists, *every.lists))

    def _common(self, organization_id: str, target: Target, target_id: str | None, scope_id: str) -> _Common:
        """What guardrails say of a target that has many keys."""
        place = (organization_id, target, scope_id)
        known = self._slots.things.get(place)
        if known is None:
            stated = _Stated(self._by_target, organization_id)
            if target is Target.ORGANIZATION:
                stated.limits += self._said_of_credits(organization_id)
            stated.add(target, target_id)
            slots = self._made(_rules(stated.limits, target), (organization_id, scope_id))
            known = tuple(slots), tuple(stated.lists)
            if slots or known[1]:
                self._slots.put(place, organization_id, known)
        return known

    def of_credits(self, organization_id: str) -> Sequence[Slot]:
        """The organization's credits as a limit, whether or not another one is more restrictive; none if it keeps
        none."""
        rules = _rules(self._said_of_credits(organization_id), Target.ORGANIZATION)
        return self._made(rules, (organization_id, organization_id))

    def _said_of_credits(self, organization_id: str) -> list[tuple[Source, Limits]]:
        paid_in = self._paid_in.get(organization_id)
        return [] if paid_in is None else [(OF_CREDITS, Limits(budget=Budget(limit=paid_in)))]

    def _made(self, rules: Iterable[Rule], who: tuple[str, str]) -> list[Slot]:
        leasing = self._leasing
        return [Slot(leasing, rule, who) for rule in rules]


class _Stated:
    """What guardrails say, collected."""

    def __init__(self, guardrails: ByTarget, organization_id: str) -> None:
        self._guardrails = guardrails
        self._organization_id = organization_id
        self.limits: list[tuple[Source, Limits]] = []
        self.lists: list[tuple[Source, Lists]] = []

    def add(self, target: Target, target_id: str | None) -> None:
        """Those for a target."""
        for one in self._guardrails.get((self._organization_id, target, target_id), ()):
            source = Source(id=one.id, name=one.name)
            self.limits.append((source, one.limits))
            if one.lists != NO_LISTS:
                self.lists.append((source, one.lists))


def _guard(slots: Sequence[Slot], lists: Sequence[tuple[Source, Lists]], blocked: UserRules | None) -> Guard:
    if not slots and not lists and blocked is None:
        return NO_GUARD
    kinds = [slot.kind for slot in slots]
    rates = [tuple([slot for slot in slots if slot.kind == kind]) for kind in _TOLD if kind in kinds]
    return _new_guard(
        slots=tuple(slots),
        lists=tuple(lists),
        blocked=blocked,
        counts_tokens=_COST in kinds or _TOKENS in kinds,
        rates=tuple(rates),
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


def _rules(limits: Iterable[tuple[Source, Limits]], scope: Target) -> tuple[Rule, ...]:
    """One for each thing that is counted: the most restrictive."""
    tightest: dict[str, tuple[int, Source]] = {}
    for source, said in limits:
        for name, limit in _stated(said):
            known = tightest.get(name)
            if known is None or limit < known[0]:
                tightest[name] = limit, source
    return tuple([Rule(source, name, limit, scope) for name, (limit, source) in tightest.items()])


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
