"""Holds what a request is likely to use before any provider is asked, and settles it to what it used.

find     the guard of the key and the user, from memory, or once from the directory
hold     of everything that applies, all or nothing; a refusal says who says so, what was used, until when
settle   in the pipeline's one `finally`: the record's cost, tokens and status; what was used beyond is told
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from arouter.domain.counters import Meter, Window
from arouter.domain.errors import ARouterError, NotPermitted, PaymentRequired, RateLimited
from arouter.domain.guardrails import Guardrail, Target, UserRules
from arouter.domain.keys import Key
from arouter.domain.money import to_text
from arouter.domain.record import Record, Status
from arouter.domain.value import value
from arouter.engine.call import Call, RateTold, Reply
from arouter.engine.estimates import Estimates
from arouter.engine.guards import (
    NO_GUARD,
    ByTarget,
    Guard,
    Slot,
    by_target,
    check_lists,
    has_rules_for_users,
    make_guard,
)
from arouter.engine.leasing import Leasing, Share
from arouter.engine.routing import Route
from arouter.engine.selection import Permit
from arouter.store.base import Directory

MOST_USERS: Final = 20_000
"""Users in one generation of those that are remembered."""
MOST_KEYS: Final = 100_000
MOST_GUARDS: Final = 64
"""Keys of one user whose guards are remembered."""
_SECONDS: Final = {Window.MINUTE: 60, Window.DAY: 86_400}
_AT_ONCE_S: Final = 1.0
"""When to ask again where too many requests run: nobody knows when one of them ends."""

Taken = tuple[Share, Meter, int]
OnOverage = Callable[[Record, Share, int], None]
"""Is told by how many units a request passed what was held for it."""


class Hold:
    """What one request holds, until it is settled."""

    __slots__ = ("_on_overage", "_taken")

    def __init__(self, taken: list[Taken], on_overage: OnOverage) -> None:
        self._taken = taken
        self._on_overage = on_overage

    def settle(self, record: Record) -> None:
        """Once. Right after this the record is given to the ledger: what is posted follows it there."""
        cost = record.cost or 0
        total = record.usage.total_tokens
        for share, meter, units in self._taken:
            if meter is Meter.COST:
                used = cost
            elif meter is Meter.TOKENS:
                used = 0 if total is None else total
            elif meter is Meter.CONCURRENT:
                share.give_back(units)
                continue
            else:
                used = int(record.status is not Status.REJECTED)
            if overage := share.settle(units, used):
                self._on_overage(record, share, overage)
        self._taken = []

    def release(self) -> None:
        """Nothing was used."""
        for share, _, units in self._taken:
            share.give_back(units)
        self._taken = []


@value(frozen=True, slots=True, kw_only=True)
class Figure:
    """How one limit stands."""

    slot: Slot
    used: int
    held: int
    resets_at_us: int | None


class _Ruled:
    """A key, and what is known of its requests whoever they are for."""

    __slots__ = ("key", "per_user", "plain")

    def __init__(self, key: Key, plain: Guard, *, per_user: bool) -> None:
        self.key = key
        self.plain = plain
        self.per_user = per_user


class _Known:
    """A user, and the guards of its requests by their keys."""

    __slots__ = ("guards", "rules")

    def __init__(self, rules: UserRules | None) -> None:
        self.rules = rules
        self.guards: dict[_Ruled, Guard] = {}


class Guardian:
    """One for the process. Belongs to one event loop."""

    def __init__(
        self,
        directory: Directory,
        leasing: Leasing,
        estimates: Estimates,
        *,
        on_overage: OnOverage = lambda record, share, units: None,
    ) -> None:
        self._directory = directory
        self._leasing = leasing
        self._estimates = estimates
        self._on_overage = on_overage
        self._revision: int | None = None
        self._guardrails: Sequence[Guardrail] = ()
        self._by_target: ByTarget = {}
        self._change = 0
        self._holders: frozenset[str] = frozenset()
        self._keys: dict[str, _Ruled] = {}
        self._users: dict[tuple[str, str], _Known] = {}
        self._older: dict[tuple[str, str], _Known] = {}

    # ---------------------------------------------------------------- what applies

    async def refresh(self) -> None:
        """Know what the directory says now. To be called a few times a second."""
        revision = await self._directory.revision()
        if revision != self._revision:
            guardrails = await self._directory.every_guardrail()
            self._revision = revision
            if guardrails != self._guardrails:
                self._guardrails = guardrails
                self._by_target = by_target(guardrails)
                self._forget()
        change = await self._directory.user_rules_changed(self._change)
        if change.latest != self._change:
            self._change = change.latest
            if change.holders != self._holders or change.users is None:
                self._holders = change.holders
                self._forget()
            for user in change.users or ():
                self._users.pop(user, None)
                self._older.pop(user, None)

    def recall(self, key: Key, user: str | None) -> Guard | None:
        """The guard, if it is known: then there is no need to `find` it."""
        ruled = self._keys.get(key.hash)
        if ruled is None or ruled.key is not key:
            return None
        if user is None or not ruled.per_user:
            return ruled.plain
        known = self._users.get((key.organization_id, user))
        return None if known is None else known.guards.get(ruled)

    async def find(self, key: Key, user: str | None) -> Guard:
        """The guard of a key's requests for a user. StorageUnavailable if it cannot be read."""
        ruled = self._ruled(key)
        if user is None or not ruled.per_user:
            return ruled.plain
        name = (key.organization_id, user)
        known = self._users.get(name)
        if known is None:
            known = self._older.pop(name, None)
            if known is None:
                change, rules = self._change, None
                if key.organization_id in self._holders:
                    rules = await self._directory.get_user_rules(key.organization_id, user)
                known = _Known(rules)
                if change != self._change or self._keys.get(key.hash) is not ruled:
                    return make_guard(self._leasing, self._by_target, key, user, rules)  # not to be kept
            self._remember(name, known)
        guard = known.guards.get(ruled)
        if guard is None:
            if len(known.guards) >= MOST_GUARDS:
                known.guards.clear()
            guard = known.guards[ruled] = make_guard(self._leasing, self._by_target, key, user, known.rules)
        return guard

    def permit(self, guard: Guard, usual: Permit) -> Permit:
        """The usual rules, and the guard's lists of models and providers."""
        if not guard.lists:
            return usual

        def check(call: Call, route: Route, requested: str) -> None:
            usual(call, route, requested)
            check_lists(guard.lists, route, requested)

        return check

    def _ruled(self, key: Key) -> _Ruled:
        ruled = self._keys.get(key.hash)
        if ruled is not None and ruled.key == key:
            ruled.key = key
            return ruled
        if len(self._keys) >= MOST_KEYS:
            self._forget()
        plain = make_guard(self._leasing, self._by_target, key, None, None)
        per_user = key.organization_id in self._holders or has_rules_for_users(self._by_target, key)
        ruled = self._keys[key.hash] = _Ruled(key, plain, per_user=per_user)
        return ruled

    def _remember(self, name: tuple[str, str], known: _Known) -> None:
        if len(self._users) >= MOST_USERS:
            self._older, self._users = self._users, {}
        self._users[name] = known

    def _forget(self) -> None:
        self._keys = {}
        self._users = {}
        self._older = {}

    # ---------------------------------------------------------------- holding

    async def hold(self, guard: Guard, call: Call, routes: Sequence[Route], reply: Reply) -> Hold:
        """What the call is likely to use at most, of all that applies. The client is told how its rates stand.

        PaymentRequired or RateLimited if something has not so much left; then nothing is held.
        """
        at_us = call.opening.created_at_us
        cost, tokens = 1, 1
        if guard.counts_tokens:
            both = self._estimates.tokens(call)
            tokens = sum(both)
            cost = self._estimates.cost(call, routes, both)
        taken: list[Taken] = []
        try:
            for slot in guard.slots:
                meter, share = slot.meter, slot.share_at(at_us)
                units = cost if meter is Meter.COST else tokens if meter is Meter.TOKENS else 1
                # Something is always held, or what is spent would let through what seems to cost nothing; and never
                # more than all there is, or nothing would ever fit.
                units = max(1, min(units, slot.limit))
                share.touched = True
                if not share.take(units) and not await self._leasing.take(share, units):
                    raise _refusal(slot, share, units, at_us)
                taken.append((share, meter, units))
        except BaseException:
            Hold(taken, self._on_overage).release()
            raise
        finally:
            self._tell(guard, at_us, reply)
        return Hold(taken, self._on_overage)

    async def figures(self, key: Key, user: str | None, at_us: int) -> tuple[Guard, list[Figure]]:
        """Everything that applies to a key's requests for a user, and how it stands."""
        guard = await self.find(key, user)
        shares = [slot.share_at(at_us) for slot in guard.slots]
        await self._leasing.look(shares)
        return guard, [
            Figure(slot=slot, used=share.posted, held=share.held + share.others, resets_at_us=slot.resets_at_us)
            for slot, share in zip(guard.slots, shares, strict=True)
        ]

    def _tell(self, guard: Guard, at_us: int, reply: Reply) -> None:
        """Of several rates of one meter the one that is nearest to its end."""
        nearest: dict[Meter, tuple[int, Slot]] = {}
        for slot in guard.slots:
            if slot.window in _SECONDS and slot.meter is not Meter.COST:
                remaining = slot.share_at(at_us).remaining
                known = nearest.get(slot.meter)
                if known is None or remaining * known[1].limit < known[0] * slot.limit:
                    nearest[slot.meter] = remaining, slot
        if nearest:
            reply.tell_rates(tuple(_rate_told(slot, remaining, at_us) for remaining, slot in nearest.values()))


def check_blocked(guard: Guard) -> None:
    """NotPermitted if the user may not ask at all."""
    rules = guard.blocked
    if rules is not None:
        because = f": {rules.reason}" if rules.reason else "."
        raise NotPermitted(
            f"This user is blocked{because}", code="user_blocked", param="user", metadata={"reason": rules.reason}
        )


def _rate_told(slot: Slot, remaining: int, at_us: int) -> RateTold:
    resets_at_us = slot.resets_at_us
    assert resets_at_us is not None
    return RateTold(
        meter=slot.meter,
        name=slot.name,
        limit=slot.limit,
        remaining=min(remaining, slot.limit),
        window_s=_SECONDS[slot.window],
        resets_at_us=resets_at_us,
        reset_s=max(0, math.ceil((resets_at_us - at_us) / 1_000_000)),
    )


_WHOSE: Final = {
    Target.ORGANIZATION: "this organization",
    Target.WORKSPACE: "this workspace",
    Target.MEMBER: "this member",
    Target.KEY: "this API key",
    Target.USER: "this user",
}


def _refusal(slot: Slot, share: Share, units: int, at_us: int) -> ARouterError:
    resets_at_us = slot.resets_at_us
    metadata: dict[str, object] = {"scope": slot.scope.value, "guardrail": slot.source.id}
    held = share.held + share.others
    if slot.meter is Meter.COST:
        used = share.posted + share.settled
        metadata |= {
            "limit_usd": _usd(slot.limit),
            "used_usd": _usd(used),
            "held_usd": _usd(held),
            "needed_usd": _usd(units),
            "resets_at": _instant(resets_at_us),
        }
        return PaymentRequired(
            f"Credit limit exceeded for {_WHOSE[slot.scope]}: ${to_text(used)} of ${to_text(slot.limit)} are used"
            + (f" and ${to_text(held)} are held by requests that run" if held else "")
            + (f", and this request may cost ${to_text(units)}" if used + held < slot.limit else "")
            + f" ({slot.source.told}).",
            code="credit_limit_exceeded",
            metadata=metadata,
        )
    metadata |= {"limit_name": slot.name, "limit": slot.limit, "resets_at": _instant(resets_at_us)}
    if slot.meter is Meter.CONCURRENT:
        return RateLimited(
            f"Too many requests at once for {_WHOSE[slot.scope]}: {slot.limit} may run ({slot.source.told}).",
            retry_after_s=_AT_ONCE_S,
            metadata={**metadata, "used": held},
        )
    used = share.posted + share.settled + held
    assert resets_at_us is not None
    return RateLimited(
        f"Rate limit exceeded for {_WHOSE[slot.scope]}: {used} of {slot.limit} {slot.name.replace('_', ' ')} are used"
        + (f", and this request may need {units}" if used < slot.limit else "")
        + f" ({slot.source.told}).",
        retry_after_s=max(0.0, (resets_at_us - at_us) / 1_000_000),
        metadata={**metadata, "used": used},
    )


def _usd(amount: int) -> msgspec.Raw:
    return msgspec.Raw(to_text(amount).encode())


def _instant(at_us: int | None) -> datetime | None:
    return None if at_us is None else datetime.fromtimestamp(at_us // 1_000_000, UTC)


__all__ = ["NO_GUARD", "Figure", "Guardian", "Hold", "check_blocked"]
