"""Who is asked, and in which order: the candidates for a name, what the client wants, what is known of each.

Left out is who does not meet a condition. The others are in the order of these, the first that differs counting:

1. whoever rests after failures comes last (`arouter.engine.breaker`),
2. the client's `order`, else, if nothing says how to sort, the operator's `provider_order`,
3. `sort`: the client's, else the name's suffix, else the operator's for this name,
4. the order in which the operator wrote the providers of this name,
5. among deployments of one provider, chance by their weights; in a conversation, always the same one.

The operator's deployments that stand in for an organization's own key come right behind it, whatever is known of
either, and not without it.

The fifth is rendezvous hashing: each deployment draws a number, from the conversation's name and its own or from
chance, and the lowest wins. Nothing is remembered, so all workers agree, and when one deployment goes only its own
conversations move.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from arouter.domain.errors import NotFound, NotPermitted
from arouter.engine.call import Call
from arouter.engine.preferences import NO_PREFERENCES, MaxPrice, Preferences, read_preferences
from arouter.engine.routing import Candidates, Plan, Route, Routing
from arouter.engine.standing import Standing

Permit = Callable[[Call, Route, str], None]
"""Raises NotPermitted for a route that the call's key may not take, asked for by a name."""

_NULL = msgspec.Raw(b"null")


class Selection:
    """Makes plans. One for all who have the same deployments."""

    def __init__(self, routing: Routing, standing: Standing, *, provider_order: Iterable[str] = ()) -> None:
        self._routing = routing
        self._standing = standing
        self._provider_order = tuple(name.lower() for name in provider_order)
        self._plain: dict[tuple[str, ...], Plan] = {}
        """The plans for names that one deployment alone answers: there is nothing to choose, unless somebody wishes."""

    def find(self, requested: str) -> Route | None:
        """The first route for a model's name, whoever asks; None where there is none."""
        return self._routing.find(requested)

    def plain(self, model: str) -> Plan | None:
        """The plan for a model's name, if it is known that one deployment alone answers it."""
        return self._plain.get((model,))

    def plan(self, call: Call, permit: Permit) -> Plan:
        """The plan for a call.

        NotPermitted if no route of a name is permitted, NotFound if none meets the conditions, InvalidRequest for
        preferences that cannot be followed; and what `Routing.candidates` raises.
        """
        if call.preferences is not None:
            return self._choose(call, permit)
        try:
            plan = self._plain[call.models]
        except KeyError:
            return self._choose(call, permit)
        permit(call, plan.routes[0], call.models[0])
        return plan

    def _choose(self, call: Call, permit: Permit) -> Plan:
        found = [self._routing.candidates(name) for name in call.models]
        preferences = NO_PREFERENCES
        if call.preferences is not None and not all(candidates.beyond for candidates in found):
            preferences = read_preferences(call.preferences)
        kept: list[Route] = []
        left_out: list[tuple[str, str]] = []
        for candidates, name in zip(found, call.models, strict=True):
            choice = self._choice(call, candidates, preferences)
            choice.fill(_permitted(call, candidates, name, permit))
            kept += choice.kept
            left_out += choice.left_out
        if not kept:
            raise _nobody(call.models[0], left_out)
        if call.preferences is None and len(found) == 1 and len(found[0].routes) == 1 and not found[0].free:
            return self._keep_plain(call.models, Plan(routes=found[0].routes))
        if preferences.across_models:
            everybody = Candidates(routes=tuple(kept), sort=found[0].sort)
            kept = self._choice(call, everybody, preferences).ordered(kept)
        return Plan(routes=_once(kept), require_parameters=preferences.require_parameters)

    def _keep_plain(self, models: tuple[str, ...], plan: Plan) -> Plan:
        if len(self._plain) >= self._routing.most_names:
            self._plain.clear()
        self._plain[models] = plan
        return plan

    def _choice(self, call: Call, candidates: Candidates, preferences: Preferences) -> "_Choice":
        return _Choice(call, candidates, preferences, self._standing, self._provider_order)


class _Choice:
    """Filters and orders the routes of one name, for one call."""

    def __init__(
        self,
        call: Call,
        candidates: Candidates,
        preferences: Preferences,
        standing: Standing,
        usual_order: tuple[str, ...],
    ) -> None:
        self._opening = call.opening
        self._standing = standing
        self._free = candidates.free
        self._preferences = NO_PREFERENCES if candidates.beyond else preferences
        self._sort = candidates.sort if self._preferences.sort is None else self._preferences.sort
        self._order = self._preferences.order
        if not self._order and self._sort is None:
            self._order = usual_order
        models = dict.fromkeys(route.name for route in candidates.routes)
        self._positions = {name: at for at, name in enumerate(models)}
        self._conversation = conversation_of(call)
        self.kept: list[Route] = []
        self.left_out: list[tuple[str, str]] = []
        """Labels of deployments, each with the condition that it does not meet."""

    def fill(self, routes: Iterable[Route]) -> None:
        """Fill `kept`, in order, and `left_out`."""
        kept = []
        for route in routes:
            if (unmet := self._unmet(route)) is None:
                kept.append(route)
            else:
                self.left_out.append((route.deployment.label, unmet))
        chosen = {route.name for route in kept if not route.stands_in}
        kept = [route for route in kept if route.name in chosen]
        if kept and not self._preferences.allow_fallbacks and not self._preferences.order:
            # The first, whether it rests or not; with all its keys.
            only = min(kept, key=self._place).deployment.provider
            kept = [route for route in kept if route.deployment.provider == only]
        self.kept = self.ordered(kept)

    def ordered(self, routes: Sequence[Route]) -> list[Route]:
        if len(routes) == 1:
            return list(routes)
        ranked = sorted(routes, key=lambda route: (self._standing.rests(route), *self._place(route)))
        stand_ins = [route for route in ranked if route.stands_in]
        if not stand_ins:
            return ranked
        chosen = (route for route in ranked if not route.stands_in)
        return [one for route in chosen for one in (route, *(other for other in stand_ins if other.name == route.name))]

    def _place(self, route: Route) -> tuple[float, ...]:
        return (
            _rank(self._order, route),
            0.0 if self._sort is None else self._standing.figure(self._sort, self._opening, route),
            self._positions[route.name],
            self._standing.place(self._conversation, route),
        )

    # ---------------------------------------------------------------- conditions

    def _unmet(self, route: Route) -> str | None:
        """The first condition that a route does not meet."""
        if self._free and not self._is_free(route):
            return ":free"
        if self._preferences is NO_PREFERENCES:
            return None
        unmet = self._unmet_name(route)
        return self._unmet_promise(route) if unmet is None else unmet

    def _unmet_name(self, route: Route) -> str | None:
        preferences, names = self._preferences, names_of(route)
        if preferences.only and names.isdisjoint(preferences.only):
            return "only"
        if not names.isdisjoint(preferences.ignore):
            return "ignore"
        if preferences.order and not preferences.allow_fallbacks and names.isdisjoint(preferences.order):
            return "order"
        return None

    def _unmet_promise(self, route: Route) -> str | None:
        preferences, deployment = self._preferences, route.deployment
        if preferences.denies_collection and deployment.collects_data:
            return "data_collection"
        if preferences.zdr and not deployment.zdr:
            return "zdr"
        if preferences.max_price is not None and not self._is_within(route, preferences.max_price):
            return "max_price"
        return preferences.unknowable

    def _is_free(self, route: Route) -> bool:
        offer = self._standing.offer(self._opening, route)
        return offer is not None and offer.is_free

    def _is_within(self, route: Route, most: MaxPrice) -> bool:
        """What has no known price may cost anything."""
        offer = self._standing.offer(self._opening, route)
        return offer is not None and offer.within(most)


def conversation_of(call: Call) -> bytes | None:
    """What the requests of one conversation have in common: the session, else the key of the prompt's cache."""
    session = call.opening.session_id
    if session is None:
        cache = call.fields.get("prompt_cache_key", _NULL)
        return None if cache == _NULL else bytes(cache)
    return session.encode(errors="replace")


def names_of(route: Route) -> frozenset[str]:
    """The names that a client may mean a route's deployment by, in lower case."""
    deployment = route.deployment
    names = (deployment.provider, deployment.label, deployment.vendor.name, *deployment.vendor.aliases)
    return frozenset(name.lower() for name in names)


def _once(routes: Sequence[Route]) -> tuple[Route, ...]:
    """Each where it comes first: two names may stand for the same."""
    first: dict[tuple[str, str], Route] = {}
    for route in routes:
        first.setdefault((route.deployment.label, route.model), route)
    return tuple(first.values())


def _rank(order: Sequence[str], route: Route) -> int:
    """Its place in a list of names; after all of them if it is in none."""
    if not order:
        return 0
    names = names_of(route)
    return next((at for at, name in enumerate(order) if name in names), len(order))


def _permitted(call: Call, candidates: Candidates, name: str, permit: Permit) -> list[Route]:
    """The routes that the key may take. NotPermitted, for the first, if it may take none."""
    permitted = []
    refusal: NotPermitted | None = None
    for route in candidates.routes:
        try:
            permit(call, route, name)
        except NotPermitted as refused:
            refusal = refused if refusal is None else refusal
        else:
            permitted.append(route)
    if not permitted and refusal is not None:
        raise refusal
    return permitted


def _nobody(model: str, left_out: Sequence[tuple[str, str]]) -> NotFound:
    return NotFound(
        f"No provider of '{model}' meets what the request asks for: "
        f"{', '.join(f'{label} ({unmet})' for label, unmet in left_out)}.",
        code="no_matching_provider",
        param="provider" if any(unmet != ":free" for _, unmet in left_out) else "model",
        metadata={"left_out": [{"provider": label, "unmet": unmet} for label, unmet in left_out]},
    )
