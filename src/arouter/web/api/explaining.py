"""What limits the requests of a key for a user, told."""

import msgspec

from arouter.domain.counters import Meter
from arouter.domain.guardrails import UserRules
from arouter.domain.keys import Key
from arouter.engine.guardian import Figure, Guardian
from arouter.engine.guards import Guard
from arouter.wire.guardrails_json import (
    Explanation,
    ExplanationAnswer,
    LimitStanding,
    ListRule,
    UserLimitsObject,
    amount,
    user_rules_object,
)
from arouter.wire.instants import write_instant


async def explain(guardian: Guardian, key: Key, user: str | None, *, now_us: int) -> bytes:
    """The answer as JSON. StorageUnavailable if the counters cannot be read."""
    return msgspec.json.encode(ExplanationAnswer(await explanation(guardian, key, user, now_us=now_us)))


async def explanation(guardian: Guardian, key: Key, user: str | None, *, now_us: int) -> Explanation:
    """The same as a value."""
    guard, figures = await guardian.figures(key, user, now_us)
    return Explanation(
        api_key_hash=key.hash,
        user=user,
        blocked=guard.blocked is not None,
        block_reason=None if guard.blocked is None else guard.blocked.reason,
        limits=[_standing(one) for one in figures],
        lists=_lists(guard),
    )


async def user_limits(guardian: Guardian, organization_id: str, user: str, *, now_us: int) -> UserLimitsObject:
    """What is said of a user, and what applies to it whichever key it comes with. Errors as above."""
    rules, guard, figures = await guardian.figures_of_user(organization_id, user, now_us)
    said = UserRules(organization_id=organization_id, user=user) if rules is None else rules
    return UserLimitsObject(
        **msgspec.structs.asdict(user_rules_object(said)),
        applied_limits=[_standing(one) for one in figures],
        applied_lists=_lists(guard),
    )


def _standing(figure: Figure) -> LimitStanding:
    slot = figure.slot
    is_money = slot.rule.meter is Meter.COST
    return LimitStanding(
        guardrail=slot.rule.source.id,
        said_by=slot.rule.source.name,
        scope=slot.rule.scope.value,  # type: ignore[arg-type]  # never every user
        scope_id=slot.who[1],
        meter=slot.rule.meter.value,
        window=slot.rule.window.value,
        limit=amount(slot.limit, is_money=is_money),
        used=amount(figure.used, is_money=is_money),
        held=amount(figure.held, is_money=is_money),
        remaining=amount(max(0, slot.limit - figure.used - figure.held), is_money=is_money),
        resets_at=None if figure.resets_at_us is None else write_instant(figure.resets_at_us),
    )


def _lists(guard: Guard) -> list[ListRule]:
    return [
        ListRule(
            guardrail=source.id,
            said_by=source.name,
            allowed_models=lists.allowed_models,
            ignored_models=lists.ignored_models,
            allowed_providers=lists.allowed_providers,
            ignored_providers=lists.ignored_providers,
            zero_data_retention=lists.zero_data_retention,
        )
        for source, lists in guard.lists
    ]
