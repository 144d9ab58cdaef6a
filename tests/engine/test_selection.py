"""Who is asked, and in which order."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest, NoProvider, NotFound, NotPermitted, UpstreamFailed
from arouter.domain.keys import KeyKind
from arouter.engine.admission import Admission
from arouter.engine.breaker import BreakerRules, Breakers
from arouter.engine.call import Call
from arouter.engine.preferences import MOST_NAMES
from arouter.engine.routing import Deployment, ModelRoute, Plan, Routing
from arouter.engine.selection import Selection, conversation_of
from arouter.engine.speeds import Speeds
from arouter.engine.standing import Standing
from tests.engine.samples import Cards, call, card, deployment, key
from tests.engine.scripted_clock import NOON_US, ScriptedClock
from tests.engine.test_speeds import record

LLAMA = {"llama": ModelRoute(names=("groq/llama", "together/Llama", "fireworks/llama-3"))}
NAMES = ["groq/llama", "together/Llama", "fireworks/llama-3"]
PRICES = {
    "groq/llama": card(input=3, output=3),
    "together/Llama": card(input=1, output=1),
    "openai/gpt": card(input=2, output=8),
}


class Chooser:
    """A selection, and what it goes by."""

    def __init__(
        self,
        *deployments: Deployment,
        models: dict[str, ModelRoute] | None = None,
        cards: dict[str, Any] | None = None,
        off: tuple[tuple[str, str], ...] = (),
        own: tuple[Deployment, ...] = (),
        fallbacks: tuple[str, ...] = (),
        **settings: Any,
    ) -> None:
        asked = deployments or tuple(deployment(name) for name in ("groq", "together", "fireworks", "openai"))
        self.breakers = Breakers(BreakerRules(failures=1))
        self.speeds = Speeds()
        standing = Standing(
            breakers=self.breakers,
            speeds=self.speeds,
            card=Cards(PRICES if cards is None else cards),
            clock=ScriptedClock(),
            random=Random(7).random,
        )
        routing = Routing(asked, models=LLAMA if models is None else models, off=off)
        if own:
            routing = routing.with_own(own, off={}, fallbacks=fallbacks, most_names=2)
        self.selection = Selection(routing, standing, **settings)
        self._admission = Admission()

    def plan(self, asked: Call) -> Plan:
        return self.selection.plan(asked, self._admission.check)

    def names(self, *models: str, **changes: Any) -> list[str]:
        """Whom it would ask, as `provider/model`."""
        return [route.name for route in self.plan(call(*(models or ("llama",)), **changes)).routes]

    def labels(self, *models: str, **changes: Any) -> list[str]:
        return [route.deployment.label for route in self.plan(call(*(models or ("llama",)), **changes)).routes]

    def refused(self, *models: str, **changes: Any) -> dict[str, str]:
        """Each that is left out, and why."""
        with pytest.raises(NotFound) as nobody:
            self.plan(call(*(models or ("llama",)), **changes))
        assert nobody.value.code == "no_matching_provider"
        told: Any = nobody.value.metadata["left_out"]
        return {one["provider"]: one["unmet"] for one in told}


# ---------------------------------------------------------------- names


def test_one_deployment_for_one_name_needs_no_choice_and_is_remembered() -> None:
    chooser = Chooser()
    plan = chooser.plan(call("openai/gpt"))
    assert [route.name for route in plan.routes] == ["openai/gpt"]
    assert chooser.plan(call("openai/gpt")) is plan
    with pytest.raises(NotPermitted):
        chooser.plan(call("openai/gpt", key=key(allowed_providers=("groq",))))


def test_a_name_of_the_operators_stands_for_all_its_providers_in_their_order() -> None:
    assert Chooser().names() == NAMES


def test_further_models_come_after_the_first_and_nobody_is_asked_twice() -> None:
    assert Chooser().names("together/Llama", "llama") == ["together/Llama", "groq/llama", "fireworks/llama-3"]
    assert Chooser().names("openai/gpt", "llama") == ["openai/gpt", *NAMES]


def test_a_provider_of_the_table_that_is_off_is_passed_over() -> None:
    off = (("together", "Set X."), ("fireworks", "Set Y."))
    assert Chooser(deployment("groq"), off=off).names() == ["groq/llama"]
    with pytest.raises(NoProvider, match="Set"):
        Chooser(deployment("openai"), off=(("groq", "Set Z."), *off)).names()


# ---------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        ({"only": ["together"]}, ["together/Llama"]),
        ({"only": ["FIREWORKS", "groq"]}, ["groq/llama", "fireworks/llama-3"]),
        ({"ignore": ["groq"]}, NAMES[1:]),
        ({"order": ["fireworks"]}, ["fireworks/llama-3", "groq/llama", "together/Llama"]),
        ({"order": ["nobody", "fireworks", "together"]}, ["fireworks/llama-3", "together/Llama", "groq/llama"]),
        ({"order": ["fireworks", "groq"], "allow_fallbacks": False}, ["fireworks/llama-3", "groq/llama"]),
        ({"allow_fallbacks": False}, ["groq/llama"]),
        ({"allow_fallbacks": False, "ignore": ["groq"]}, ["together/Llama"]),
        ({"sort": "price"}, ["together/Llama", "groq/llama", "fireworks/llama-3"]),
        ({"sort": "price", "order": ["groq"]}, ["groq/llama", "together/Llama", "fireworks/llama-3"]),
        ({"max_price": {"prompt": 1}}, ["together/Llama"]),
        ({"max_price": {"prompt": 3, "completion": 3, "request": 0}}, NAMES[:2]),
    ],
)
def test_the_client_says_who_may_answer_and_who_is_preferred(provider: dict[str, Any], names: list[str]) -> None:
    assert Chooser().names(provider=provider) == names


def test_nobody_left_is_an_error_that_says_why_for_each() -> None:
    assert Chooser().refused(provider={"only": ["groq"], "ignore": ["groq"]}) == {
        "groq": "ignore",
        "together": "only",
        "fireworks": "only",
    }
    assert set(Chooser().refused(provider={"max_price": {"prompt": "0.5"}}).values()) == {"max_price"}
    assert set(Chooser().refused(provider={"order": ["x"], "allow_fallbacks": False}).values()) == {"order"}


def test_what_a_provider_does_with_data_is_what_the_operator_says_and_nothing_else() -> None:
    kept = (deployment("groq"), deployment("together", collects_data=False), deployment("fireworks", zdr=True))
    chooser = Chooser(*kept)
    assert chooser.names(provider={"data_collection": "allow"}) == NAMES
    assert chooser.names(provider={"data_collection": "deny"}) == ["together/Llama"]
    assert chooser.names(provider={"zdr": True}) == ["fireworks/llama-3"]
    assert Chooser().refused("openai/gpt", provider={"data_collection": "deny"}) == {"openai": "data_collection"}


@pytest.mark.parametrize("condition", [{"quantizations": ["fp8"]}, {"enforce_distillable_text": True}])
def test_a_condition_that_nobody_can_judge_is_met_by_nobody(condition: dict[str, Any]) -> None:
    assert Chooser().refused(provider=condition) == dict.fromkeys(("groq", "together", "fireworks"), *condition)


def test_a_preference_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Chooser().names("openai/gpt", provider={"onyl": ["groq"]})
    assert refused.value.param == "provider.onyl"


def test_parameters_may_be_required() -> None:
    assert Chooser().plan(call("openai/gpt", provider={"require_parameters": True})).require_parameters
    assert not Chooser().plan(call("openai/gpt")).require_parameters


# ---------------------------------------------------------------- a gateway behind us


def test_a_gateway_that_is_asked_for_by_name_takes_the_preferences_itself() -> None:
    chooser = Chooser(deployment("openrouter"), deployment("openai"))
    wishes = {"only": ["anthropic"], "sort": "exacto", "whatever": 1}
    assert chooser.names("openrouter/anthropic/claude:floor", provider=wishes) == ["openrouter/anthropic/claude:floor"]
    with pytest.raises(InvalidRequest):
        chooser.names("openai/gpt", "openrouter/x", provider=wishes)
    known = {"ignore": ["openrouter"], "zdr": False}
    assert chooser.names("openai/gpt", "openrouter/x", provider=known) == ["openai/gpt", "openrouter/x"]


def test_one_that_the_operator_listed_is_chosen_like_any_other() -> None:
    models = {"claude": ModelRoute(names=("openai/claude", "openrouter/anthropic/claude"))}
    chooser = Chooser(deployment("openrouter"), deployment("openai"), models=models)
    assert chooser.names("claude", provider={"only": ["openrouter"]}) == ["openrouter/anthropic/claude"]


# ---------------------------------------------------------------- suffixes, sorting, the operator's order


def test_floor_is_the_cheapest_first_and_an_unknown_price_the_last() -> None:
    assert Chooser().names("llama:floor") == ["together/Llama", "groq/llama", "fireworks/llama-3"]


def test_nitro_is_the_fastest_first_after_whoever_was_not_measured_yet() -> None:
    chooser = Chooser()
    for name, tokens in (("groq/llama", 10), ("together/Llama", 30)):
        chooser.speeds.note(record(at_us=NOON_US, tokens=tokens, model=name))
    assert chooser.names("llama:nitro") == ["fireworks/llama-3", "together/Llama", "groq/llama"]
    chooser.speeds.note(record(at_us=NOON_US, tokens=20, first_us=1, model="fireworks/llama-3"))
    assert chooser.names("llama:nitro") == ["together/Llama", "fireworks/llama-3", "groq/llama"]
    assert chooser.names(provider={"sort": "latency"})[0] == "fireworks/llama-3"


def test_free_is_only_what_is_known_to_cost_nothing() -> None:
    free = {"groq/llama": card(input=0, output=0), "together/Llama": card()}
    assert Chooser(cards=free).names("llama:free") == ["groq/llama"]
    assert Chooser().refused("openai/gpt:free") == {"openai": ":free"}
    chooser = Chooser(cards=free)
    assert chooser.names("groq/llama:free") == ["groq/llama"]
    free["groq/llama"] = card()
    assert chooser.refused("groq/llama:free") == {"groq": ":free"}, "prices change"


def test_the_operator_may_sort_a_name_and_the_client_has_the_last_word() -> None:
    models = {"llama": ModelRoute(names=tuple(NAMES), sort="price")}
    chooser = Chooser(models=models, provider_order=("groq",))
    assert chooser.names()[0] == "together/Llama"
    assert chooser.names(provider={"order": ["fireworks"]})[0] == "fireworks/llama-3"


def test_the_operators_order_holds_where_nobody_sorts() -> None:
    chooser = Chooser(provider_order=("Fireworks", "together"))
    assert chooser.names() == ["fireworks/llama-3", "together/Llama", "groq/llama"]
    assert chooser.names("llama:floor")[0] == "together/Llama"
    assert chooser.names(provider={"order": ["groq"]})[0] == "groq/llama"


def test_models_may_be_sorted_together() -> None:
    by_model = {"sort": {"by": "price", "partition": "model"}}
    together = {"sort": {"by": "price", "partition": "none"}}
    assert Chooser().names("openai/gpt", "llama", provider=by_model)[0] == "openai/gpt"
    assert Chooser().names("openai/gpt", "llama", provider=together) == [
        *("together/Llama", "groq/llama", "openai/gpt", "fireworks/llama-3")
    ]


# ---------------------------------------------------------------- several deployments of one provider

KEYS = tuple(
    deployment("openai", name=name, weight=weight) for name, weight in (("a", 6), ("b", 3), ("c", 1), ("z", 0))
)


def test_deployments_are_drawn_by_their_weights() -> None:
    chooser = Chooser(*KEYS)
    drawn = Counter(chooser.labels("openai/gpt")[0] for _ in range(5000))
    assert drawn["openai/z"] == 0
    for label, share in (("openai/a", 0.6), ("openai/b", 0.3), ("openai/c", 0.1)):
        assert drawn[label] / 5000 == pytest.approx(share, abs=0.03)
    assert {chooser.labels("openai/gpt")[-1] for _ in range(50)} == {"openai/z"}, "it is still a fall-back"


def test_sessions_are_spread_by_the_weights() -> None:
    chooser = Chooser(*KEYS)
    drawn = Counter(chooser.labels("openai/gpt", session_id=str(number))[0] for number in range(1000))
    assert drawn["openai/a"] > drawn["openai/b"] > drawn["openai/c"] > 50


@given(session=st.text(max_size=20))
def test_a_session_stays_with_its_deployment_while_that_is_well(session: str) -> None:
    chooser = Chooser(*KEYS)
    first, second, *_ = chooser.labels("openai/gpt", session_id=session)
    assert {chooser.labels("openai/gpt", session_id=session)[0] for _ in range(5)} == {first}
    failed = next(one for one in KEYS if one.label == first)
    chooser.breakers.failed(failed, UpstreamFailed("down"), 0)
    assert chooser.labels("openai/gpt", session_id=session)[0] == second
    assert chooser.labels("openai/gpt", session_id=session)[-1] == first
    chooser.breakers.answered(failed)
    assert chooser.labels("openai/gpt", session_id=session)[0] == first


def test_a_conversation_is_the_session_else_the_key_of_the_cache() -> None:
    assert conversation_of(call()) is None
    assert conversation_of(call(prompt_cache_key=None)) is None
    cached = conversation_of(call(prompt_cache_key="k"))
    assert cached is not None
    assert cached != conversation_of(call(prompt_cache_key="l"))
    assert conversation_of(call(session_id="s", prompt_cache_key="k")) == conversation_of(call(session_id="s"))


def test_one_deployment_can_be_meant_by_its_label() -> None:
    chooser = Chooser(*KEYS)
    assert chooser.labels("openai/gpt", provider={"only": ["openai/b"]}) == ["openai/b"]
    assert chooser.labels("openai/gpt", provider={"order": ["openai/c"]})[0] == "openai/c"
    assert len(chooser.labels("openai/gpt", provider={"allow_fallbacks": False})) == len(KEYS), "one provider"


def test_who_rests_comes_last_but_may_be_the_only_one() -> None:
    chooser = Chooser()
    chooser.breakers.failed(deployment("groq"), UpstreamFailed("down"), 0)
    assert chooser.names() == [*NAMES[1:], "groq/llama"]
    assert chooser.names(provider={"order": ["groq"]})[-1] == "groq/llama"
    assert chooser.names(provider={"allow_fallbacks": False}) == ["groq/llama"]
    assert chooser.names("groq/llama") == ["groq/llama"]


# ---------------------------------------------------------------- an organization's own key, and who stands in for it

MINE = deployment("openai", name="pkey_1", own_key="pkey_1")
GPT = {"gpt": ModelRoute(names=("openai/gpt", "groq/llama"))}


def owner(*, fallbacks: tuple[str, ...] = ("openai",)) -> Chooser:
    """The operator's deployments of OpenAI are `KEYS`."""
    return Chooser(*KEYS, deployment("groq"), models=GPT, own=(MINE,), fallbacks=fallbacks)


def test_who_stands_in_comes_right_behind_the_own_key_by_the_usual_weights() -> None:
    chooser = owner()
    second: Counter[str] = Counter()
    for _ in range(2000):
        first, *others, last = chooser.labels("gpt")
        assert (first, last) == ("openai/pkey_1", "groq")
        assert others[-1] == "openai/z"
        second[others[0]] += 1
    assert second["openai/a"] / 2000 == pytest.approx(0.6, abs=0.05)


def test_an_own_key_without_a_fall_back_has_nobody_behind_it() -> None:
    assert owner(fallbacks=()).labels("gpt") == ["openai/pkey_1", "groq"]
    assert owner(fallbacks=()).labels("openai/gpt") == ["openai/pkey_1"]


def test_an_own_key_that_rests_takes_those_behind_it_along() -> None:
    chooser = owner()
    chooser.breakers.failed(MINE, UpstreamFailed("down"), 0)
    first, second, *others = chooser.labels("gpt")
    assert (first, second) == ("groq", "openai/pkey_1")
    assert set(others) == {one.label for one in KEYS}
    assert chooser.labels("openai/gpt")[0] == "openai/pkey_1", "the operator's account is never the first"


def test_among_those_behind_it_who_rests_comes_last() -> None:
    chooser = owner()
    chooser.breakers.failed(KEYS[0], UpstreamFailed("down"), 0)
    assert chooser.labels("openai/gpt")[-1] == "openai/a"


def test_preferences_pick_among_those_behind_it_and_never_put_them_first() -> None:
    chooser = owner()
    assert chooser.labels("openai/gpt", provider={"order": ["openai/b"]})[:2] == ["openai/pkey_1", "openai/b"]
    assert chooser.labels("openai/gpt", provider={"order": ["openai/b"], "sort": "price"})[0] == "openai/pkey_1"
    assert chooser.labels("openai/gpt", provider={"only": ["openai/pkey_1", "openai/c"]}) == [
        "openai/pkey_1",
        "openai/c",
    ]
    assert chooser.labels("gpt", provider={"ignore": ["openai/pkey_1"]}) == ["groq"]
    assert chooser.refused("openai/gpt", provider={"only": ["openai/a"]})["openai/pkey_1"] == "only"
    assert chooser.labels("gpt", provider={"allow_fallbacks": False})[0] == "openai/pkey_1"
    assert "groq" not in chooser.labels("gpt", provider={"allow_fallbacks": False})
    assert chooser.labels("gpt", provider={"allow_fallbacks": False, "ignore": ["openai/pkey_1"]}) == ["groq"]


def test_models_sorted_together_keep_those_behind_each_own_key() -> None:
    together = {"sort": {"by": "price", "partition": "none"}}
    labels = owner().labels("groq/llama", "openai/gpt", provider=together)
    assert labels[:2] == ["groq", "openai/pkey_1"], "3 + 3 is less than 2 + 8"
    assert set(labels[2:]) == {one.label for one in KEYS}
    assert len(labels) == 2 + len(KEYS)


def test_the_plan_for_an_own_key_alone_is_remembered_too_up_to_the_bound() -> None:
    chooser = owner(fallbacks=())
    plan = chooser.plan(call("openai/gpt"))
    assert chooser.plan(call("openai/gpt")) is plan
    for number in range(3):
        chooser.plan(call(f"openai/{number}"))
    assert chooser.plan(call("openai/gpt")) is not plan


LABELS = ("openai", "groq", "openai/pkey_1", *(one.label for one in KEYS))


@given(
    provider=st.fixed_dictionaries(
        {},
        optional={
            "order": st.lists(st.sampled_from(LABELS), max_size=MOST_NAMES),
            "only": st.lists(st.sampled_from(LABELS), max_size=MOST_NAMES),
            "ignore": st.lists(st.sampled_from(LABELS), max_size=2),
            "allow_fallbacks": st.booleans(),
            "sort": st.sampled_from(["price", "latency", "throughput"]),
        },
    ),
    resting=st.sets(st.sampled_from([MINE, deployment("groq"), *KEYS])),
    model=st.sampled_from(["gpt", "openai/gpt", "openai/gpt:floor"]),
    session=st.none() | st.text(max_size=3),
)
def test_the_operators_account_is_asked_after_the_own_key_or_not_at_all(
    provider: dict[str, Any], resting: set[Deployment], model: str, session: str | None
) -> None:
    chooser = owner()
    for one in resting:
        chooser.breakers.failed(one, UpstreamFailed("down"), 0)
    try:
        labels = chooser.labels(model, provider=provider, session_id=session)
    except NotFound:
        return
    assert len(labels) == len(set(labels))
    operators = [at for at, label in enumerate(labels) if label in LABELS[3:]]
    if operators:
        own = labels.index("openai/pkey_1")
        assert operators == list(range(own + 1, own + 1 + len(operators)))


# ---------------------------------------------------------------- keys


def test_a_key_chooses_among_what_it_may_take() -> None:
    assert Chooser().names(key=key(allowed_providers=("together",))) == ["together/Llama"]
    with pytest.raises(NotPermitted, match="'groq' is not allowed"):
        Chooser().names(key=key(allowed_providers=("openai",)))
    with pytest.raises(NotPermitted):
        Chooser().names("openai/gpt", "llama", key=key(allowed_providers=("openai",)))


def test_a_test_key_reaches_the_sandbox_alone() -> None:
    models = {"m": ModelRoute(names=("openai/m", "sandbox/m"))}
    chooser = Chooser(deployment("openai"), deployment("sandbox"), models=models)
    assert chooser.names("m", key=key(kind=KeyKind.TEST)) == ["sandbox/m"]


@given(
    provider=st.fixed_dictionaries(
        {},
        optional={
            "order": st.lists(st.sampled_from(["groq", "together", "fireworks", "x"]), max_size=MOST_NAMES),
            "only": st.lists(st.sampled_from(["groq", "together", "fireworks", "x"]), max_size=MOST_NAMES),
            "ignore": st.lists(st.sampled_from(["groq", "together", "fireworks", "x"]), max_size=MOST_NAMES),
            "allow_fallbacks": st.booleans(),
            "sort": st.sampled_from(["price", "latency", "throughput"]),
            "zdr": st.booleans(),
            "max_price": st.fixed_dictionaries({}, optional={"prompt": st.integers(0, 5)}),
        },
    ),
    resting=st.sets(st.sampled_from(["groq", "together", "fireworks"])),
)
def test_nobody_is_asked_twice_or_against_a_condition(provider: dict[str, Any], resting: set[str]) -> None:
    chooser = Chooser()
    for name in resting:
        chooser.breakers.failed(deployment(name), UpstreamFailed("down"), 0)
    try:
        routes = chooser.plan(call("llama", provider=provider)).routes
    except NotFound:
        return
    asked = [route.deployment.provider for route in routes]
    assert asked == list(dict.fromkeys(asked))
    assert not set(asked) & set(provider.get("ignore", ()))
    assert set(asked) <= set(provider.get("only") or asked)
    at_rest = [name in resting for name in asked]
    assert at_rest == sorted(at_rest)
    if not provider.get("allow_fallbacks", True) and not provider.get("order"):
        assert len(asked) == 1
