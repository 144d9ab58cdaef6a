"""Guards of guardrails that change one by one are those of guardrails that are all known anew."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.guardrails import Guardrail, Lists, Target
from arouter.domain.keys import Key
from arouter.domain.limits import Budget, Limits
from arouter.domain.money import Picodollars
from arouter.engine.guards import Guard, Guards
from arouter.engine.leasing import Leasing
from arouter.engine.tasks import Tasks
from arouter.store.memory import MemoryStore
from tests.engine.samples import key

ORGANIZATIONS = ("org_1", "org_2")
USERS = ("ann", "bob")
KEYS = tuple(replace(key(), organization_id=name, creator="mem_1") for name in ORGANIZATIONS)
TARGETS: Mapping[Target, str | None] = {
    Target.ORGANIZATION: None,
    Target.WORKSPACE: KEYS[0].workspace_id,
    Target.MEMBER: "mem_1",
    Target.KEY: KEYS[0].hash,
    Target.USER: "ann",
    Target.EVERY_USER: None,
}
LIMITS = (
    Limits(),
    Limits(requests_per_minute=1),
    Limits(requests_per_minute=2, tokens_per_day=5),
    Limits(budget=Budget(limit=Picodollars(7))),
)
LISTS = (Lists(), Lists(ignored_models=("m",)))
NAMES = ("grl_1", "grl_2", "grl_3")

Thing = TypeVar("Thing")
Said = tuple[Mapping[str, Guardrail | None], Mapping[str, Picodollars | None]]


@st.composite
def said(draw: st.DrawFn) -> Said:
    """Some guardrails that come, change and go, and some payments."""
    target = st.sampled_from(list(TARGETS))
    guardrails: dict[str, Guardrail | None] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        where = draw(target)
        one = Guardrail(
            id=name,
            # A guardrail is of one organization for ever.
            organization_id=ORGANIZATIONS[NAMES.index(name) % 2],
            name=name,
            target=where,
            target_id=TARGETS[where],
            created_at_us=1,
            limits=draw(st.sampled_from(LIMITS)),
            lists=draw(st.sampled_from(LISTS)),
        )
        guardrails[name] = draw(st.none() | st.just(one))
    paid = st.none() | st.integers(1, 3).map(Picodollars)
    return guardrails, draw(st.dictionaries(st.sampled_from(ORGANIZATIONS), paid))


def guards() -> Guards:
    store = MemoryStore(clock=lambda: 0)
    return Guards(Leasing(store.counters, now_us=lambda: 0, tasks=Tasks(lambda name, failure: None)))


def told(guard: Guard) -> Any:
    """What a guard comes to."""
    slots = [(slot.who, slot.rule.name, slot.limit, slot.rule.scope, slot.rule.source) for slot in guard.slots]
    return slots, guard.lists


def everything(of: Guards) -> dict[str, Any]:
    """By organization, what applies to its key's requests for nobody, and for each user."""

    def of_key(one: Key) -> Any:
        plain = of.of_key(one)
        users = [told(of.of_user(one, plain, user, None)) for user in USERS]
        return told(plain), of.say_of_users(one), users, told(of.of_user_alone(one.organization_id, "ann", None))

    return {one.organization_id: of_key(one) for one in KEYS}


def _now(before: Mapping[str, Thing], news: Mapping[str, Thing | None]) -> dict[str, Thing]:
    return {name: one for name, one in {**before, **news}.items() if one is not None}


@given(st.lists(said(), max_size=5))
def test_what_changes_one_by_one_is_what_is_known_all_at_once(steps: list[Said]) -> None:
    one_by_one, at_once = guards(), guards()
    guardrails: dict[str, Guardrail] = {}
    paid_in: dict[str, Picodollars] = {}
    before = everything(one_by_one)
    for changed, paid in steps:
        guardrails = _now(guardrails, changed)
        paid_in = _now(paid_in, paid)
        organizations = one_by_one.know(
            _now({}, changed).values(), _now({}, paid), names=changed.keys(), organizations=paid.keys()
        )
        assert at_once.know(guardrails.values(), paid_in) == organizations
        fresh = guards()
        fresh.know(guardrails.values(), paid_in)
        after = everything(one_by_one)
        assert after == everything(at_once) == everything(fresh)
        # Whatever is otherwise is of an organization that is told.
        assert {name for name in ORGANIZATIONS if after[name] != before[name]} <= organizations
        before = after
