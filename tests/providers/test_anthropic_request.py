"""A canonical request, written for the Messages API: on the left what the client said, on the right what is sent."""

import json
from typing import Any

import pytest

from arouter.domain.chat import (
    Audio,
    File,
    Image,
    Json,
    Message,
    Part,
    ReasoningRequest,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.providers.anthropic.thinking import DEFAULT_MAX_TOKENS
from tests.providers.anthropic_requests import EPHEMERAL, HELLO, prepare, sent, text

LOOK_UP = Tool(name="look_up", description="Looks it up.", parameters={"type": "object", "properties": {}})
ADD = Tool(name="add")
SENT_LOOK_UP = {
    "name": "look_up",
    "description": "Looks it up.",
    "input_schema": {"type": "object", "properties": {}},
}
SENT_ADD = {"name": "add", "input_schema": {"type": "object"}}

# ---------------------------------------------------------------- the whole


def test_the_least_request() -> None:
    prepared = prepare()
    assert prepared.path == "/v1/messages"
    assert prepared.query == ""
    assert prepared.headers == (("anthropic-version", "2023-06-01"),)
    assert prepared.dropped == ()
    assert json.loads(prepared.body) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": [text("Hello")]}],
    }


def test_the_fullest_request() -> None:
    prepared = prepare(
        Message(role="system", parts=(Text(text="Be brief.", cache_control=EPHEMERAL),)),
        HELLO,
        stream=True,
        tools=(LOOK_UP,),
        tool_choice=ToolChoice(mode="required"),
        parallel_tool_calls=False,
        max_tokens=500,
        temperature=0.2,
        top_p=0.9,
        top_k=40,
        stop=("END", "STOP"),
        n=1,
        response_format=ResponseFormat(kind="json_schema", name="city", schema={"type": "object"}, strict=True),
        service_tier="default",
        identity="f00d",
    )
    assert prepared.dropped == ()
    assert json.loads(prepared.body) == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 500,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [text("Hello")]}],
        "tools": [SENT_LOOK_UP],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "temperature": 0.2,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END", "STOP"],
        "metadata": {"user_id": "f00d"},
        "service_tier": "standard_only",
        "stream": True,
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }


# ---------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ({}, {"tools": [SENT_LOOK_UP, SENT_ADD]}),
        ({"parallel_tool_calls": True}, {"tools": [SENT_LOOK_UP, SENT_ADD]}),
        (
            {"parallel_tool_calls": False},
            {
                "tools": [SENT_LOOK_UP, SENT_ADD],
                "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            },
        ),
        (
            {"tool_choice": ToolChoice(mode="auto")},
            {"tools": [SENT_LOOK_UP, SENT_ADD], "tool_choice": {"type": "auto"}},
        ),
        (
            {"tool_choice": ToolChoice(mode="none"), "parallel_tool_calls": False},
            {"tools": [SENT_LOOK_UP, SENT_ADD], "tool_choice": {"type": "none"}},
        ),
        (
            {"tool_choice": ToolChoice(mode="required")},
            {"tools": [SENT_LOOK_UP, SENT_ADD], "tool_choice": {"type": "any"}},
        ),
        (
            {"tool_choice": ToolChoice(mode="named", name="add"), "parallel_tool_calls": False},
            {
                "tools": [SENT_LOOK_UP, SENT_ADD],
                "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
            },
        ),
        (
            {"tool_choice": ToolChoice(mode="required", allowed=("add",))},
            {"tools": [SENT_ADD], "tool_choice": {"type": "any"}},
        ),
    ],
)
def test_the_choice_of_tools(said: dict[str, Any], written: Json) -> None:
    body = sent(tools=(LOOK_UP, ADD), **said)
    assert {name: body[name] for name in ("tools", "tool_choice") if name in body} == written


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in sent(tool_choice=ToolChoice(mode="auto"), parallel_tool_calls=False)


def test_anthropics_own_tools_pass_as_the_client_wrote_them() -> None:
    search: Json = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    custom: Json = {"type": "custom", "custom": {"name": "x"}}
    prepared = prepare(tools=(ADD,), rest={"tools": [search, custom]})
    assert json.loads(prepared.body)["tools"] == [SENT_ADD, search]
    assert prepared.dropped == ("tools",)
    assert sent(rest={"tools": [search]})["tools"] == [search]


def test_a_tool_with_a_strict_schema_and_a_cache_mark() -> None:
    tool = Tool(name="add", parameters={"properties": {"a": {}}}, strict=True, cache_control=EPHEMERAL)
    lax = Tool(name="lax", strict=False)
    assert sent(tools=(tool, lax))["tools"] == [
        {
            "name": "add",
            "input_schema": {"type": "object", "properties": {"a": {}}},
            "strict": True,
            "cache_control": EPHEMERAL,
        },
        {"name": "lax", "input_schema": {"type": "object"}},
    ]


# ---------------------------------------------------------------- what passes and what is left out


def test_native_fields_pass_untouched_and_take_precedence() -> None:
    prepared = prepare(
        model="claude-opus-5",
        reasoning=ReasoningRequest(effort="high"),
        rest={
            "thinking": {"type": "between_tools"},
            "output_config": {"task_budget": {"type": "tokens", "total": 20_000}},
            "mcp_servers": [{"type": "url", "name": "wiki", "url": "https://example.com"}],
            "container": "container_1",
            "context_management": {"edits": []},
            "betas": ["mcp-client-2025-11-20", "context-management-2025-06-27"],
        },
    )
    body = json.loads(prepared.body)
    assert body["thinking"] == {"type": "between_tools"}
    assert body["output_config"] == {"effort": "high", "task_budget": {"type": "tokens", "total": 20_000}}
    assert body["mcp_servers"] == [{"type": "url", "name": "wiki", "url": "https://example.com"}]
    assert body["container"] == "container_1"
    assert body["context_management"] == {"edits": []}
    assert "betas" not in body
    assert prepared.headers[1:] == (("anthropic-beta", "mcp-client-2025-11-20,context-management-2025-06-27"),)
    assert prepared.dropped == ()


@pytest.mark.parametrize(
    ("rest", "param"),
    [
        ({"betas": "one"}, "betas"),
        ({"betas": ["a\r\nx-api-key: b"]}, "betas"),
        ({"betas": ["a", 1]}, "betas"),
        ({"thinking": "much"}, "thinking"),
        ({"output_config": []}, "output_config"),
    ],
)
def test_native_fields_of_another_shape_are_refused_by_name(rest: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(rest=rest)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        ({"n": 2}, ("n",)),
        ({"seed": 0}, ("seed",)),
        ({"frequency_penalty": 0.5, "presence_penalty": -1.0}, ("frequency_penalty", "presence_penalty")),
        ({"logprobs": True, "top_logprobs": 0}, ("logprobs", "top_logprobs")),
        ({"response_format": ResponseFormat(kind="json_object")}, ("response_format",)),
        ({"service_tier": "flex"}, ("service_tier",)),
        ({"stop": ("\n", "END")}, ("stop",)),
        ({"rest": {"logit_bias": {"1": 2}, "verbosity": "low"}}, ("logit_bias", "verbosity")),
        ({"rest": {"tools": [{"type": "custom", "custom": {"name": "x"}}]}}, ("tools",)),
        ({"rest": {"tool_choice": {"type": "custom", "custom": {"name": "x"}}}}, ("tool_choice",)),
        # These ask for nothing that would be missing.
        ({"n": 1, "frequency_penalty": 0.0, "presence_penalty": 0.0, "logprobs": False}, ()),
        ({"response_format": ResponseFormat(kind="text"), "service_tier": "auto"}, ()),
        ({"rest": {"modalities": ["text"], "logit_bias": {}, "prediction": None}}, ()),
    ],
)
def test_what_has_no_counterpart_is_left_out_and_named(said: dict[str, Any], dropped: tuple[str, ...]) -> None:
    prepared = prepare(**said)
    assert prepared.dropped == dropped
    allowed = {"model", "messages", "max_tokens", "stop_sequences", "service_tier"}
    assert set(json.loads(prepared.body)) <= allowed


@pytest.mark.parametrize(
    "sound",
    [
        Audio(data="AAAA", format="wav"),
        File(data="AAAA", media_type="audio/wav"),
        File(url="https://example.com/a", media_type="audio/mpeg"),
    ],
)
def test_sound_is_left_out_however_it_comes(sound: Part) -> None:
    prepared = prepare(Message(role="user", parts=(Text(text="Hear!"), sound)))
    assert prepared.dropped == ("messages.input_audio",)
    assert json.loads(prepared.body)["messages"] == [{"role": "user", "content": [text("Hear!")]}]


def test_what_a_message_cannot_carry_is_named_once() -> None:
    prepared = prepare(
        Message(role="user", name="Ann", parts=(Audio(data="AAAA", format="wav"), Text(text="Hear!"))),
        Message(role="user", name="Bob", parts=(Image(url="https://example.com/a.png", detail="high"),)),
    )
    assert prepared.dropped == ("messages.name", "messages.input_audio", "messages.image_url.detail")
    assert json.loads(prepared.body)["messages"] == [
        {
            "role": "user",
            "content": [
                text("Hear!"),
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("tier", "written"),
    [("auto", "auto"), ("priority", "auto"), ("default", "standard_only"), ("flex", None), (None, None)],
)
def test_service_tiers(tier: str | None, written: str | None) -> None:
    assert sent(service_tier=tier).get("service_tier") == written


def test_zeros_are_sent_as_zeros() -> None:
    body = sent(temperature=0.0, top_p=0.0, top_k=0, max_tokens=0)
    assert (body["temperature"], body["top_p"], body["top_k"], body["max_tokens"]) == (0.0, 0.0, 0, 0)


def test_whitespace_is_no_stop_sequence_and_the_others_are_kept() -> None:
    assert sent(stop=("\n", "END"))["stop_sequences"] == ["END"]
    assert "stop_sequences" not in sent(stop=("\n",))


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-sonnet-5", "claude-fable-5-1"])
def test_a_model_without_sampling_parameters_gets_none(model: str) -> None:
    prepared = prepare(model=model, temperature=0.0, top_p=0.5)
    assert prepared.dropped == ("temperature", "top_p")
    assert set(json.loads(prepared.body)) == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize("model", ["claude-3-5-haiku-latest", "claude-opus-4-6", "another-vendors-model"])
def test_a_model_with_sampling_parameters_gets_them_even_out_of_its_range(model: str) -> None:
    body = sent(model=model, temperature=1.9, top_k=3)
    assert (body["temperature"], body["top_k"]) == (1.9, 3)
