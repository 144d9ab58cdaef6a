"""Holds what a request is likely to use before any provider is asked, and settles it to what it used.

find     the guard of the key and the user, from memory, or once from the directory
hold     of everything that applies, all or nothing; a refusal says who says so, what was used, until when
settle   in the pipeline's one `finally`: the record's cost, tokens and status; what was used beyond is told
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from arouter.domain.counters import NEVER_US, Meter
from arouter.domain.errors import ARouterError, NotPermitted, PaymentRequired, RateLimited, StorageUnavailable
from arouter.domain.guardrails import Target, UserRules
from arouter.domain.keys import Key
from arouter.domain.money import to_text
from arouter.domain.record import Opening
from arouter.domain.value import constructor, value
from arouter.engine.call import Call, RateTold, Reply
from arouter.engine.estimates import Estimates
from arouter.engine.guards import NO_GUARD, OF_CREDITS, Guard, Guards, Slot, check_lists
from arouter.engine.hold import Hold, OnOverage, Taken
from arouter.engine.leasing import Leasing, Share
from arouter.engine.remembered import Remembered
from arouter.engine.routing import Route
from arouter.engine.selection import Permit
from arouter.providers.openai import Fields
from arouter.store.base import Directory

MOST_USERS: Final = 20_000
"""Users in one generation of those that are remembered."""
MOST_KEYS: Final = 100_000
MOST_GUARDS: Final = 256
"""Keys of one user whose guards are remembered."""
_AT_ONCE_S: Final = 1.0
"""When to ask again where too many requests run: nobody knows when one of them ends."""

_new_rate_told = constructor(RateTold)


@value(frozen=True, slots=True, kw_only=True)
class Figure:
    """How one limit stands."""

    slot: Slot
    used: int
    held: int
    resets_at_us: int | None


class Ruled:
    """A key, and what is known of its requests whoever they are for."""

    __slots__ = ("key", "per_user", "plain")

    def __init__(self, key: Key, plain: Guard, *, per_user: bool) -> None:
        self.key = key
        self.plain = plain
        """The guard of its requests for nobody."""
        self.per_user = per_user
        """Whether that of others may be another one."""


class _Known:
    """A user, and the guards of its requests by their keys."""

    __slots__ = ("guards", "rules")

    def __init__(self, rules: UserRules | None) -> None:
        self.rules = rules
        self.guards: dict[str, tuple[Ruled, Guard]] = {}
        """By the key's hash; with what was known of the key when the guard was made."""


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
        self._guards = Guards(leasing)
        self._change = 0
        self._holders: frozenset[str] = frozenset()
        self._keys: Remembered[str, Ruled] = Remembered(MOST_KEYS)
        """By the key's hash, each of its organization."""
        self._ruled_by_hash = self._keys.things
        self._users: dict[tuple[str, str], _Known] = {}
        self._older: dict[tuple[str, str], _Known] = {}
        self.on_forget: list[Callable[[frozenset[str] | None], None]] = []
        """Called with organizations as soon as what was known of their keys does not hold any more; None: of all."""

    # ---------------------------------------------------------------- what applies

    async def refresh(self) -> None:
        """Know what the directory says now. To be called a few times a second."""
        changes = await self._directory.changes_after(self._revision or 0)
        names = None if self._revision is None else changes.guardrails()
        organizations = None if self._revision is None else changes.credits()
        if names != frozenset() or organizations != frozenset():
            # Both are read before anything is known otherwise: where one fails, all of it is found again.
            guardrails = await self._directory.every_guardrail(names)
            paid_in = await self._directory.every_credit_total(organizations)
            self._forget(self._guards.know(guardrails, paid_in, names=names, organizations=organizations))
        self._revision = changes.revision
        change = await self._directory.user_rules_changed(self._change)
        if change.latest != self._change:
            self._change = change.latest
            others, self._holders = change.holders ^ self._holders, change.holders
            if change.users is None:
                self._users = {}
                self._older = {}
                self._forget(None)
            else:
                self._forget(others)
            for user in change.users or ():
                self._users.pop(user, None)
                self._older.pop(user, None)

    def recall(self, key: Key, user: str | None) -> Guard | None:
        """The guard, if it is known: then there is no need to `find` it."""
        ruled = self.recall_key(key)
        if ruled is None:
            return None
        if user is None or not ruled.per_user:
            return ruled.plain
        known = self._users.get((key.organization_id, user))
        if known is None or (found := known.guards.get(key.hash)) is None or found[0] is not ruled:
            return None
        return found[1]

    def recall_key(self, key: Key) -> Ruled | None:
        """What is known of a key, if anything is; it holds until `on_forget`."""
        ruled = self._ruled_by_hash.get(key.hash)
        return ruled if ruled is not None and ruled.key is key else None

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
                if change != self._change or self._ruled_by_hash.get(key.hash) is not ruled:
                    return self._of_user(ruled, user, rules)  # not to be kept
            self._remember(name, known)
        found = known.guards.get(key.hash)
        if found is not None and found[0] is ruled:
            return found[1]
        if found is None and len(known.guards) >= MOST_GUARDS:
            del known.guards[next(iter(known.guards))]
        guard = self._of_user(ruled, user, known.rules)
        known.guards[key.hash] = ruled, guard
        return guard

    def _of_user(self, ruled: Ruled, user: str, rules: UserRules | None) -> Guard:
        return self._guards.of_user(ruled.key, ruled.plain, user, rules)

    def permit(self, guard: Guard, usual: Permit) -> Permit:
        """The usual rules, and the guard's lists of models and providers."""
        if not guard.lists:
            return usual

        def check(call: Call, route: Route, requested: str) -> None:
            usual(call, route, requested)
            check_lists(guard.lists, route, requested)

        return check

    def _ruled(self, key: Key) -> Ruled:
        ruled = self._ruled_by_hash.get(key.hash)
        # A key is the same by each of its plaintexts, which may end at different times.
        if ruled is not None and replace(ruled.key, expires_at_us=key.expires_at_us) == key:
            ruled.key = key
            return ruled
        plain = self._guards.of_key(key)
        per_user = key.organization_id in self._holders or self._guards.say_of_users(key)
        ruled = Ruled(key, plain, per_user=per_user)
        self._keys.put(key.hash, key.organization_id, ruled)
        return ruled

    def _remember(self, name: tuple[str, str], known: _Known) -> None:
        if len(self._users) >= MOST_USERS:
            self._older, self._users = self._users, {}
        self._users[name] = known

    def _forget(self, organizations: frozenset[str] | None) -> None:
        """What is known of these organizations' keys, and so the guards of their users; with None, of all."""
        if organizations == frozenset():
            return
        self._keys.forget(organizations)
        for call in self.on_forget:
            call(organizations)

    # ---------------------------------------------------------------- holding

    async def hold(self, guard: Guard, fields: Fields, opening: Opening, routes: Sequence[Route], reply: Reply) -> Hold:
        """What a request is likely to use at most, of all that applies. The client is told how its rates stand.

        PaymentRequired or RateLimited if something has not so much left, StorageUnavailable if nobody can say so; then
        nothing is held.
        """
        at_us = opening.created_at_us
        taken, lacking, places = self._at_hand(guard, fields, opening, routes)
        hold = Hold(taken, self._on_overage, counts_tokens=guard.counts_tokens)
        try:
            if lacking:
                refused = await self._take(places, lacking)
                if refused is not None:
                    raise _refusal(places[refused], *lacking[refused], at_us)
                taken += [(share, slot.kind, units) for slot, (share, units) in zip(places, lacking, strict=True)]
        except BaseException:
            hold.release()
            raise
        finally:
            self._tell_rates(guard, at_us, reply)
        return hold

    def hold_at_once(
        self, guard: Guard, fields: Fields, opening: Opening, routes: Sequence[Route], reply: Reply
    ) -> Hold | None:
        """As `hold`, where so much of everything is at hand; None, and nothing is held, where somebody has to be asked
        or the request is to be refused."""
        taken, lacking, _ = self._at_hand(guard, fields, opening, routes)
        hold = Hold(taken, self._on_overage, counts_tokens=guard.counts_tokens)
        if lacking:
            hold.release()
            return None
        self._tell_rates(guard, opening.created_at_us, reply)
        return hold

    def _at_hand(
        self, guard: Guard, fields: Fields, opening: Opening, routes: Sequence[Route]
    ) -> tuple[list[Taken], list[tuple[Share, int]], list[Slot]]:
        """What was taken of what this process has; of what it has not enough, and in which slots."""
        at_us = opening.created_at_us
        cost = tokens = 1
        if guard.counts_tokens:
            both = self._estimates.tokens(fields, opening)
            # Something is always held, or what is spent would let through what seems to cost nothing.
            tokens = max(1, sum(both))
            cost = max(1, self._estimates.cost(fields, opening, routes, both))
        amounts = (1, cost, tokens, 1)  # in the order of `KINDS`
        taken: list[Taken] = []
        lacking: list[tuple[Share, int]] = []
        places: list[Slot] = []
        for slot in guard.slots:
            share = slot.share
            if share is None or share.ended or not slot.start_us <= at_us < slot.end_us:
                share = slot.share_at(at_us)
            kind = slot.kind
            units = amounts[kind]
            if units > slot.most:
                units = slot.most
            share.touched = True
            if share.free >= units:
                # As `Allotment.take`: a call for each would cost more than all the sums.
                share.free -= units
                taken.append((share, kind, units))
            else:
                lacking.append((share, units))
                places.append(slot)
        return taken, lacking, places

    def _tell_rates(self, guard: Guard, at_us: int, reply: Reply) -> None:
        """Let the client be told how the rates stand when its answer begins."""
        if not guard.rates:
            return
        nearest = [_nearest(slots, at_us) for slots in guard.rates]
        told = self._leasing.told
        for _, share in nearest:
            if share not in told:
                self._leasing.will_tell(share)
        reply.tell_rates(partial(_rates_told, nearest, self._leasing.now_us))

    async def _take(self, slots: Sequence[Slot], lacking: Sequence[tuple[Share, int]]) -> int | None:
        """As `Leasing.take`; whoever cannot be asked now is told of which limit, the first of them."""
        try:
            return await self._leasing.take(lacking)
        except StorageUnavailable as failure:
            rule = slots[0].rule
            raise StorageUnavailable(
                f"This request needs more of a limit of {_WHOSE[rule.scope]} ({rule.source.told}) than this gateway "
                "has in hand, and the storage cannot be asked for more now. Ask again in a moment.",
                metadata={"scope": rule.scope.value, "guardrail": rule.source.id},
                detail=failure.detail or failure.message,
            ) from failure

    async def figures(self, key: Key, user: str | None, at_us: int) -> tuple[Guard, list[Figure]]:
        """Everything that applies to a key's requests for a user, and how it stands: the organization's credits also
        where a budget is more restrictive."""
        guard = self._showing_credits(await self.find(key, user), key.organization_id)
        return guard, await self._figures(guard, at_us)

    async def figures_of_user(
        self, organization_id: str, user: str, at_us: int
    ) -> tuple[UserRules | None, Guard, list[Figure]]:
        """What is said of a user, what applies to its requests with whichever key, and how it stands."""
        rules = await self._directory.get_user_rules(organization_id, user)
        guard = self._guards.of_user_alone(organization_id, user, rules)
        return rules, guard, await self._figures(guard, at_us)

    async def _figures(self, guard: Guard, at_us: int) -> list[Figure]:
        shares = [slot.share_at(at_us) for slot in guard.slots]
        await self._leasing.look(shares)
        return [
            Figure(slot=slot, used=share.posted, held=share.held + share.others, resets_at_us=_end(share))
            for slot, share in zip(guard.slots, shares, strict=True)
        ]

    def _showing_credits(self, guard: Guard, organization_id: str) -> Guard:
        if any(slot.rule.source is OF_CREDITS for slot in guard.slots):
            return guard
        return replace(guard, slots=(*self._guards.of_credits(organization_id), *guard.slots))


def check_blocked(guard: Guard) -> None:
    """NotPermitted if the user may not ask at all."""
    rules = guard.blocked
    if rules is not None:
        because = f": {rules.reason}" if rules.reason else "."
        raise NotPermitted(
            f"This user is blocked{because}", code="user_blocked", param="user", metadata={"reason": rules.reason}
        )


def _nearest(slots: tuple[Slot, ...], at_us: int) -> tuple[Slot, Share]:
    """Of several rates of one meter the one that is nearest to its end."""
    slot = slots[0]
    share = slot.share or slot.share_at(at_us)
    if len(slots) == 1:
        return slot, share
    remaining = share.remaining
    for other in slots[1:]:
        another = other.share or other.share_at(at_us)
        left = another.remaining
        if left * slot.limit < remaining * other.limit:
            slot, share, remaining = other, another, left
    return slot, share


def _rates_told(nearest: Sequence[tuple[Slot, Share]], now_us: Callable[[], int]) -> tuple[RateTold, ...]:
    """How they stand now, which may be long after the request began."""
    at_us = now_us()
    told = []
    for slot, share in nearest:
        rule, end_us, remaining = slot.rule, share.counter.end_us, share.free + share.outside
        told.append(
            _new_rate_told(
                meter=rule.meter,
                name=rule.name,
                limit=slot.limit,
                remaining=max(0, remaining),  # As `Share.remaining`: a call for each costs more.
                window_s=rule.window_s,
                resets_at_us=end_us,
                reset_s=-((at_us - end_us) // 1_000_000) if at_us < end_us else 0,
            )
        )
    return tuple(told)


def _end(share: Share) -> int | None:
    end_us = share.counter.end_us
    return None if end_us == NEVER_US else end_us


_WHOSE: Final = {
    Target.ORGANIZATION: "this organization",
    Target.WORKSPACE: "this workspace",
    Target.MEMBER: "this member",
    Target.KEY: "this API key",
    Target.USER: "this user",
}


def _without_credits(slot: Slot, share: Share, units: int) -> PaymentRequired:
    """What is left and what is held are those of the share's last renewal."""
    balance = slot.limit - share.posted - share.settled
    held = share.held + share.others
    return PaymentRequired(
        f"Insufficient credits: this organization has {'-' if balance < 0 else ''}${to_text(abs(balance))} left"
        + (f", of which requests that run hold ${to_text(held)}" if held else "")
        + (f", and this request may cost ${to_text(units)}" if balance > 0 else "")
        + ". Add credits with POST /v1/credits or `arouter credits add`.",
        metadata={
            "scope": slot.rule.scope.value,
            "balance_usd": _usd(balance),
            "held_usd": _usd(held),
            "needed_usd": _usd(units),
        },
    )


def _refusal(slot: Slot, share: Share, units: int, at_us: int) -> ARouterError:
    rule, resets_at_us = slot.rule, _end(share)
    if rule.source is OF_CREDITS:
        return _without_credits(slot, share, units)
    metadata: dict[str, object] = {"scope": rule.scope.value, "guardrail": rule.source.id}
    held = share.held + share.others
    if rule.meter is Meter.COST:
        used = share.posted + share.settled
        metadata |= {
            "limit_usd": _usd(slot.limit),
            "used_usd": _usd(used),
            "held_usd": _usd(held),
            "needed_usd": _usd(units),
            "resets_at": _instant(resets_at_us),
        }
        return PaymentRequired(
            f"Credit limit exceeded for {_WHOSE[rule.scope]}: ${to_text(used)} of ${to_text(slot.limit)} are used"
            + (f" and ${to_text(held)} are held by requests that run" if held else "")
            + (f", and this request may cost ${to_text(units)}" if used + held < slot.limit else "")
            + f" ({rule.source.told}).",
            code="credit_limit_exceeded",
            metadata=metadata,
        )
    metadata |= {"limit_name": rule.name, "limit": slot.limit, "resets_at": _instant(resets_at_us)}
    if rule.meter is Meter.CONCURRENT:
        return RateLimited(
            f"Too many requests at once for {_WHOSE[rule.scope]}: {slot.limit} may run ({rule.source.told}).",
            retry_after_s=_AT_ONCE_S,
            metadata={**metadata, "used": held},
        )
    used = share.posted + share.settled + held
    assert resets_at_us is not None
    return RateLimited(
        f"Rate limit exceeded for {_WHOSE[rule.scope]}: {used} of {slot.limit} {rule.name.replace('_', ' ')} are used"
        + (f", and this request may need {units}" if used < slot.limit else "")
        + f" ({rule.source.told}).",
        retry_after_s=max(0.0, (resets_at_us - at_us) / 1_000_000),
        metadata={**metadata, "used": used},
    )


def _usd(amount: int) -> msgspec.Raw:
    return msgspec.Raw(to_text(amount).encode())


def _instant(at_us: int | None) -> datetime | None:
    return None if at_us is None else datetime.fromtimestamp(at_us // 1_000_000, UTC)


__all__ = ["NO_GUARD", "Figure", "Guard", "Guardian", "Hold", "Ruled", "check_blocked"]
