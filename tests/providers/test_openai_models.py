"""What OpenAI's models understand, by their names."""

import pytest

from arouter.providers.openai_models import able_to_think, refused_in_thought

ALWAYS = ["o1", "o1-2024-12-17", "o3-mini", "o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5-2025-08-07", "my-gpt-5-eu"]
SOMETIMES = ["gpt-5.1", "gpt-5.4", "gpt-5.6-sol", "gpt-6", "gpt-oss-120b", "openai/gpt-oss-20b", "codex-mini-latest"]
NEVER = ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "chatgpt-4o-latest", "gpt-5-chat-latest", "gpt-4o-search-preview"]
NEVER += ["gpt-4o1", "foo3", "llama-3.3-70b", ""]


@pytest.mark.parametrize("model", ALWAYS)
def test_models_that_always_think(model: str) -> None:
    assert able_to_think(model)
    assert "temperature" in refused_in_thought(model, None)
    assert "temperature" in refused_in_thought(model, "none")


@pytest.mark.parametrize("model", SOMETIMES)
def test_models_that_think_as_they_are_told(model: str) -> None:
    assert able_to_think(model)
    assert refused_in_thought(model, None) == frozenset()
    assert refused_in_thought(model, "none") == frozenset()
    assert "top_p" in refused_in_thought(model, "low")


@pytest.mark.parametrize("model", NEVER)
def test_models_that_do_not_think(model: str) -> None:
    assert not able_to_think(model)
    assert refused_in_thought(model, None) == frozenset()


@pytest.mark.parametrize(("model", "refuses"), [("o1", False), ("o3-mini", False), ("o3", True), ("gpt-5", True)])
def test_stop_sequences_came_and_went(model: str, refuses: bool) -> None:
    assert ("stop" in refused_in_thought(model, None)) == refuses


def test_a_model_that_is_not_known_thinks_if_it_is_asked_to() -> None:
    assert "temperature" in refused_in_thought("grok-9", "high")
    assert refused_in_thought("gpt-5-chat-latest", "high") == frozenset()
