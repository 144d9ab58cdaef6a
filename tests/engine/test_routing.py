"""Names in, deployments out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import ARouterError, InvalidRequest, NoProvider, NotFound
from arouter.engine.routing import Candidates, Deployment, ModelRoute, Routing
from arouter.providers.vendors import BY_NAME, Vendor
from tests.engine.samples import deployment

OWN = Vendor(name="x-ai", dialect="openai", base_url=None)
ROUTING = Routing(
    [deployment("openai"), deployment("xai"), deployment("openrouter")], off=[("google", "Set GEMINI_API_KEY.")]
)


@pytest.mark.parametrize(
    ("asked", "provider", "model"),
    [
        ("openai/gpt-5.4", "openai", "gpt-5.4"),
        ("gpt-5.4", "openai", "gpt-5.4"),
        ("x-ai/grok", "xai", "grok"),
        ("openrouter/anthropic/claude:free", "openrouter", "anthropic/claude:free"),
        ("openai/ft:gpt@org", "openai", "ft:gpt@org"),
    ],
)
def test_a_name_is_a_provider_and_the_providers_own_name(asked: str, provider: str, model: str) -> None:
    route = ROUTING.resolve(asked)
    assert (route.deployment.provider, route.model, route.name) == (provider, model, f"{provider}/{model}")


def test_a_route_knows_the_dialect_of_its_model() -> None:
    assert [ROUTING.resolve(name).dialect for name in ("gpt-5.4", "gpt-5.4-pro")] == ["openai", "responses"]
    routing = Routing(
        [deployment("openai"), deployment("anthropic")], models={"m": ModelRoute(names=("anthropic/c", "o3"))}
    )
    assert [route.dialect for route in routing.candidates("m").routes] == ["anthropic", "openai"]


def test_a_provider_of_ones_own_comes_before_an_alias() -> None:
    routing = Routing([deployment("x-ai", vendor=OWN), deployment("xai")])
    assert routing.resolve("x-ai/m").deployment.vendor is OWN
    assert routing.resolve("xai/m").deployment.vendor is BY_NAME["xai"]


def test_a_provider_that_is_off_says_what_turns_it_on() -> None:
    for asked in ("google/gemini", "gemini/gemini"):
        with pytest.raises(NoProvider, match=r"Set GEMINI_API_KEY\.") as off:
            ROUTING.resolve(asked)
        assert off.value.metadata == {"provider": "google", "configured": ["openai", "xai", "openrouter"]}


def test_a_provider_that_nobody_knows_is_not_found() -> None:
    with pytest.raises(NotFound, match="openai, openrouter, xai") as unknown:
        ROUTING.resolve("nobody/m")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(NotFound, match="configured: none"):
        Routing(()).resolve("gpt")


@pytest.mark.parametrize("asked", ["", "openai/", "/", "openai/a\nb", "a\0", "x" * 257, "openai/\u202e"])
def test_what_cannot_be_a_name_is_refused(asked: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ROUTING.resolve(asked)
    assert refused.value.param == "model"


@given(st.text())
def test_any_text_is_a_route_or_an_error_of_ours(asked: str) -> None:
    try:
        route = ROUTING.resolve(asked)
    except ARouterError:
        return
    assert asked.removesuffix(":free").removesuffix(":floor").removesuffix(":nitro").endswith(route.model)


# ---------------------------------------------------------------- suffixes


@pytest.mark.parametrize(
    ("asked", "model", "sort", "free"),
    [
        ("openai/gpt:floor", "gpt", "price", False),
        ("gpt:nitro", "gpt", "throughput", False),
        ("openai/gpt:free", "gpt", None, True),
        ("openai/gpt:other", "gpt:other", None, False),
        ("openai/gpt:floor:nitro", "gpt:floor", "throughput", False),
        ("openrouter/meta/llama:free", "meta/llama:free", None, False),
        ("openrouter/meta/llama:floor", "meta/llama:floor", None, False),
    ],
)
def test_a_suffix_says_how_to_choose_unless_the_name_is_the_providers_own(
    asked: str, model: str, sort: Any, free: bool
) -> None:
    found = ROUTING.candidates(asked)
    assert ([route.model for route in found.routes], found.sort, found.free) == ([model], sort, free)


def test_a_name_that_a_deployment_lists_with_its_suffix_is_its_own() -> None:
    routing = Routing([deployment("openai", models=frozenset({"m:free", "m"}))])
    assert routing.candidates("openai/m:free") == Candidates(routes=(routing.resolve("openai/m:free"),))
    assert routing.candidates("openai/m:floor").sort == "price"


@pytest.mark.parametrize("asked", [":free", "openai/:floor", "/:nitro"])
def test_a_suffix_alone_is_no_name(asked: str) -> None:
    with pytest.raises(InvalidRequest):
        ROUTING.resolve(asked)


# ---------------------------------------------------------------- several deployments, names of one's own


def test_every_deployment_that_has_the_model_is_a_candidate() -> None:
    eu = deployment("openai", name="eu", models=frozenset({"gpt"}))
    us = deployment("openai", name="us")
    routing = Routing([eu, us, deployment("groq")])
    assert [route.deployment for route in routing.candidates("gpt").routes] == [eu, us]
    assert [route.deployment for route in routing.candidates("openai/o3").routes] == [us]
    assert routing.providers == ("openai", "groq")
    with pytest.raises(NotFound, match="No deployment of 'openai' lists the model 'o3'"):
        Routing([eu]).resolve("o3")


def test_a_name_of_ones_own_comes_before_every_other_reading() -> None:
    models = {
        "gpt": ModelRoute(names=("groq/gpt-oss", "openai/gpt"), sort="latency"),
        "openai/x:free": ModelRoute(names=("groq/x",)),
    }
    routing = Routing([deployment("openai"), deployment("groq")], models=models)
    found = routing.candidates("gpt")
    assert [(route.name, route.listed) for route in found.routes] == [("groq/gpt-oss", True), ("openai/gpt", True)]
    assert found.sort == "latency"
    assert routing.candidates("gpt:floor").sort == "price"
    assert routing.candidates("gpt:free").sort == "latency"
    assert routing.resolve("openai/gpt").listed is False
    assert routing.resolve("openai/x:free").name == "groq/x"


# ---------------------------------------------------------------- an organization's own deployments


def mine(provider: str = "openai") -> Deployment:
    return deployment(provider, name="pkey_1", own_key="pkey_1")


def with_mine(operator: Routing, *own: Deployment, off: tuple[str, ...] = (), fallbacks: tuple[str, ...] = ()) -> Any:
    return operator.with_own(own, off=dict.fromkeys(off, "Store it again."), fallbacks=fallbacks, most_names=2)


def test_own_deployments_come_in_the_place_of_all_the_operators_of_that_provider() -> None:
    operator = Routing([deployment("openai", name="eu"), deployment("openai", name="us"), deployment("groq")])
    routing = with_mine(operator, mine())
    assert [route.deployment for route in routing.candidates("openai/gpt").routes] == [mine()]
    assert routing.candidates("groq/llama") == operator.candidates("groq/llama")
    assert len(operator.candidates("openai/gpt").routes) == 2
    assert routing.providers == ("openai", "groq")


def test_the_operators_stand_in_where_they_are_to_if_they_have_the_model() -> None:
    eu, us = deployment("openai", name="eu", models=frozenset({"gpt"})), deployment("openai", name="us")
    routing = with_mine(Routing([eu, us, deployment("groq")]), mine(), fallbacks=("openai", "groq"))
    told = {
        name: [(route.deployment, route.stands_in) for route in routing.candidates(name).routes]
        for name in ("openai/gpt", "openai/o3", "groq/llama")
    }
    assert told["openai/gpt"] == [(mine(), False), (eu, True), (us, True)]
    assert told["openai/o3"] == [(mine(), False), (us, True)]
    assert told["groq/llama"] == [(deployment("groq"), False)], "nothing of one's own to stand in for"


def test_a_provider_whose_own_key_cannot_be_read_is_off_with_the_reason() -> None:
    with pytest.raises(NoProvider, match=r"Store it again\."):
        with_mine(ROUTING, off=("openai",)).resolve("openai/gpt")
    assert with_mine(ROUTING, off=("openai",)).resolve("xai/grok").deployment == deployment("xai")


def test_the_operators_names_for_models_stand_for_own_deployments_too() -> None:
    models = {"gpt": ModelRoute(names=("groq/gpt-oss", "openai/gpt"))}
    operator = Routing([deployment("openai"), deployment("groq")], models=models, off=[("xai", "Set X.")])
    routing = with_mine(operator, mine(), mine("xai"), fallbacks=("openai",))
    assert [(route.deployment.label, route.listed, route.stands_in) for route in routing.candidates("gpt").routes] == [
        ("groq", True, False),
        ("openai/pkey_1", True, False),
        ("openai", True, True),
    ]
    assert routing.resolve("xai/grok").deployment.own_key == "pkey_1"


def test_a_name_that_the_operator_lists_with_its_suffix_stays_the_providers_own() -> None:
    operator = Routing([deployment("openai", models=frozenset({"m:free"}))])
    found = with_mine(operator, mine()).candidates("openai/m:free")
    assert ([route.model for route in found.routes], found.free) == (["m:free"], False)


def test_as_many_names_are_remembered_as_the_bound_says() -> None:
    routing = with_mine(ROUTING, mine())
    first = routing.candidates("openai/a")
    assert routing.candidates("openai/a") is first
    for name in ("openai/b", "openai/c"):
        routing.candidates(name)
    assert routing.candidates("openai/a") is not first


# ---------------------------------------------------------------- gateways


def test_a_gateway_takes_preferences_itself_unless_it_was_chosen_from_the_table() -> None:
    routing = Routing([deployment("openrouter")], models={"m": ModelRoute(names=("openrouter/a/m",))})
    assert routing.candidates("openrouter/a/m").beyond
    assert not routing.candidates("m").beyond
    assert not ROUTING.candidates("openai/m").beyond


def test_what_has_no_model_is_the_first_deployments() -> None:
    """Whatever models it lists: a file belongs to one account."""
    eu, us = deployment("openai", name="eu", models=frozenset({"gpt"})), deployment("openai", name="us")
    [route] = Routing([eu, us]).candidates("openai/*").routes
    assert (route.deployment, route.name) == (eu, "openai/*")


def test_what_providers_speak_is_known_by_all_their_names() -> None:
    known = Routing([deployment("x-ai", vendor=OWN), deployment("openai")], off=[("google", "Set it."), ("mine", "")])
    assert known.dialects == {"x-ai": "openai", "openai": "openai", "google": "gemini", "gemini": "gemini"}
