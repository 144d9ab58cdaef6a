"""Names in, deployments out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import ARouterError, InvalidRequest, NoProvider, NotFound
from arouter.engine.routing import Routing
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
    assert asked.endswith(route.model)
