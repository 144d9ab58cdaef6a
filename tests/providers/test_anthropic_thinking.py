"""How much the model may think, by its generation: on the left what the client said, on the right what is sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import Json, ReasoningRequest
from arouter.providers.anthropic.thinking import DEFAULT_MAX_TOKENS
from tests.providers.anthropic_requests import budget, prepare, sent

ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "reasoning", "max_tokens", "thinking", "effort", "dropped"),
    [
        # An effort is a share of the room up to Claude 4.5, and a word from 4.6 on.
        ("claude-sonnet-4-5", ReasoningRequest(effort="high"), 10_000, budget(8000), None, ()),
        ("claude-sonnet-4-5", ReasoningRequest(effort="low"), 10_000, budget(2000), None, ()),
        ("claude-sonnet-4-5", ReasoningRequest(effort="minimal"), 10_000, budget(1024), None, ()),
        ("claude-opus-4-20250514", ReasoningRequest(effort="medium"), 4096, budget(2048), None, ()),
        ("claude-sonnet-4-0", ReasoningRequest(effort="xhigh"), 10_000, budget(9500), None, ()),
        ("claude-3-7-sonnet-latest", ReasoningRequest(effort="high"), 10_000, budget(8000), None, ()),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", ReasoningRequest(effort="low"), 1025, budget(1024), None, ()),
        ("another-vendors-model", ReasoningRequest(effort="high"), 10_000, budget(8000), None, ()),
        ("claude-sonnet-4-5", ReasoningRequest(effort="high"), 1024, None, None, ("reasoning_effort",)),
        ("claude-sonnet-4-5", ReasoningRequest(effort="cosmic"), 9000, None, None, ("reasoning_effort",)),
        ("claude-opus-4-6", ReasoningRequest(effort="high"), 4096, ADAPTIVE, "high", ()),
        ("claude-opus-4-6", ReasoningRequest(effort="xhigh"), 4096, ADAPTIVE, "high", ()),
        ("claude-opus-5", ReasoningRequest(effort="xhigh"), None, ADAPTIVE, "xhigh", ()),
        ("claude-opus-5", ReasoningRequest(effort="minimal"), None, ADAPTIVE, "low", ()),
        ("claude-something-new", ReasoningRequest(effort="max"), None, ADAPTIVE, "max", ()),
        # A budget is a budget up to Claude 4.6.
        ("claude-sonnet-4-5", ReasoningRequest(max_tokens=3000), 4096, budget(3000), None, ()),
        ("claude-sonnet-4-6", ReasoningRequest(max_tokens=3000), 4096, budget(3000), None, ()),
        ("claude-sonnet-4-6-20260217", ReasoningRequest(max_tokens=10), 4096, budget(1024), None, ()),
        ("claude-sonnet-4-6", ReasoningRequest(max_tokens=9000), 4096, budget(4095), None, ()),
        ("claude-sonnet-4-6", ReasoningRequest(max_tokens=2000), 1000, None, None, ("reasoning.max_tokens",)),
        ("claude-opus-4-7", ReasoningRequest(max_tokens=3000), 4096, ADAPTIVE, None, ("reasoning.max_tokens",)),
        # Nothing, and not to be shown.
        ("claude-opus-5", ReasoningRequest(effort="none"), None, {"type": "disabled"}, None, ()),
        ("claude-opus-5", ReasoningRequest(max_tokens=0), None, {"type": "disabled"}, None, ()),
        ("another-vendors-model", ReasoningRequest(effort="none"), None, {"type": "disabled"}, None, ()),
        ("claude-opus-4-7", ReasoningRequest(effort="none"), None, None, None, ()),
        ("claude-sonnet-4-5", ReasoningRequest(max_tokens=0), None, None, None, ()),
        ("claude-fable-5-1", ReasoningRequest(effort="none"), None, None, "low", ("reasoning_effort",)),
        ("claude-mythos-5", ReasoningRequest(max_tokens=0), None, None, "low", ("reasoning.max_tokens",)),
        ("claude-opus-5", ReasoningRequest(exclude=True), None, None, None, ()),
        (
            "claude-opus-5",
            ReasoningRequest(effort="low", exclude=True),
            None,
            {"type": "adaptive", "display": "omitted"},
            "low",
            (),
        ),
        (
            "claude-sonnet-4-5",
            ReasoningRequest(max_tokens=2000, exclude=True),
            4096,
            {**budget(2000), "display": "omitted"},
            None,
            (),
        ),
    ],
)
def test_reasoning(
    model: str,
    reasoning: ReasoningRequest,
    max_tokens: int | None,
    thinking: Json | None,
    effort: str | None,
    dropped: tuple[str, ...],
) -> None:
    prepared = prepare(model=model, reasoning=reasoning, max_tokens=max_tokens)
    body = json.loads(prepared.body)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == (None if effort is None else {"effort": effort})
    assert prepared.dropped == dropped


@given(
    st.sampled_from(["minimal", "low", "medium", "high", "xhigh"]) | st.none(),
    st.integers(0, 200_000) | st.none(),
    st.integers(0, 200_000) | st.none(),
)
def test_a_budget_always_fits(effort: str | None, tokens: int | None, max_tokens: int | None) -> None:
    body = sent(reasoning=ReasoningRequest(effort=effort, max_tokens=tokens), max_tokens=max_tokens)
    thinking = body.get("thinking", {"type": "disabled"})
    assert thinking["type"] == "disabled" or 1024 <= thinking["budget_tokens"] < body["max_tokens"]
    assert body["max_tokens"] == max_tokens or max_tokens is None


def test_thinking_has_its_own_room_when_the_client_set_no_limit() -> None:
    body = sent(reasoning=ReasoningRequest(effort="xhigh"))
    assert body["max_tokens"] == DEFAULT_MAX_TOKENS + body["thinking"]["budget_tokens"] < 32_000
    native = sent(rest={"thinking": budget(5000)})
    assert native["max_tokens"] == DEFAULT_MAX_TOKENS + 5000
