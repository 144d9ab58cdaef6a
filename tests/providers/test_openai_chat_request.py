"""Canonical requests as chat completion bodies, for OpenAI and for vendors that differ from it."""

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from arouter.domain.chat import (
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    Reasoning,
    ReasoningRequest,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.providers.base import Prepared
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.vendors import BY_NAME, VENDORS, Vendor
from arouter.wire.openai_chat.request import read_chat
from tests.providers.chat_requests import TOOLS, assistant, call, request, requests, result, sent, user
from tests.wire.openai_schemas import validator

OWN = Vendor(name="my-server", dialect="openai", base_url=None, authentication="none")
ALL = [*(vendor for vendor in VENDORS if vendor.dialect == "openai"), OWN]


def vendor(name: str) -> Vendor:
    return BY_NAME.get(name) or Vendor(name=name, dialect="openai", base_url=None)


def prepared(asked: ChatRequest, name: str = "openai") -> Prepared:
    return ChatAdapter(vendor(name)).prepare(asked)


def body(asked: ChatRequest, name: str = "openai") -> Any:
    return sent(prepared(asked, name).body)


def message(said: Message, name: str = "openai") -> Any:
    [written] = body(request(said), name)["messages"]
    return written


def read_back(written: Prepared, asked: ChatRequest) -> ChatRequest:
    fields = msgspec.json.decode(written.body, type=dict[str, msgspec.Raw])
    return read_chat(fields, model=asked.model, identity=asked.identity, stream=asked.stream)


# ---------------------------------------------------------------- what holds for every request


@given(requests())
@settings(max_examples=100)
def test_what_is_written_for_openai_reads_as_the_request_that_it_was(asked: ChatRequest) -> None:
    written = prepared(asked)
    assert written.dropped == ()
    assert read_back(written, asked) == asked


@given(requests(thoughts=True))
@settings(max_examples=50)
def test_openrouter_takes_every_thought_with_its_proofs(asked: ChatRequest) -> None:
    again = read_back(prepared(asked, "openrouter"), asked)
    thoughts = [_said(one) for one in asked.messages]
    assert [_said(one) for one in again.messages] == thoughts


def _said(one: Message) -> list[tuple[Any, ...]]:
    """Thoughts as entries: one that has text and a ciphertext is two."""
    told: list[tuple[Any, ...]] = []
    for part in one.parts:
        if not isinstance(part, Reasoning):
            told.append((part,))
            continue
        if part.text or part.signature is not None:
            told.append((part.text, part.signature, None, part.format, part.id))
        if part.data is not None:
            told.append(("", None, part.data, part.format, part.id))
    return told


@pytest.mark.parametrize("to", ALL, ids=lambda to: to.name)
@given(asked=requests(thoughts=True))
@settings(max_examples=12)
def test_no_request_is_too_much_for_any_vendor(to: Vendor, asked: ChatRequest) -> None:
    # A name that is nothing else in the request.
    asked = replace(asked, identity=None if asked.identity is None else "one-of-a-kind")
    written = ChatAdapter(to).prepare(asked)
    assert written.path == "/chat/completions"
    again = read_back(written, asked)
    assert [one.role for one in again.messages if one.role in ("user", "assistant", "tool")] == [
        one.role for one in asked.messages if one.role in ("user", "assistant", "tool")
    ]
    told = sent(written.body)
    assert asked.identity is None or (asked.identity in told.values()) == (to.identity_field is not None)


@given(requests(thoughts=True))
@settings(max_examples=50)
def test_what_is_written_for_openai_is_in_its_published_schema(asked: ChatRequest) -> None:
    told = body(replace(asked, n=None, max_tokens=50))
    for name in ("temperature", "top_p", "top_logprobs", "stop", "tools"):
        told.pop(name, None)  # Bounds that the provider tells of by itself.
    assert [str(error) for error in validator("CreateChatCompletionRequest").iter_errors(told)] == []


# ---------------------------------------------------------------- messages


def test_a_conversation_with_a_tool() -> None:
    turns = (
        Message(role="system", parts=(Text(text="Be brief."),)),
        user("How is Ulm?"),
        assistant("I look.", calls=(call(),)),
        result("Sunny"),
    )
    assert body(request(*turns))["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How is Ulm?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
    ]


def test_a_call_without_text_has_none_and_arguments_of_nothing_are_an_object() -> None:
    said = message(assistant(calls=(call(arguments=""),)))
    assert said["content"] is None
    assert said["tool_calls"][0]["function"]["arguments"] == "{}"


def test_parts_of_every_kind() -> None:
    said = user(
        "Look:",
        Image(url="https://x.example/a.png", detail="low"),
        Image(data="QQ==", media_type="image/png"),
        Audio(data="QQ==", format="wav"),
        File(data="JVBERi0=", media_type="application/pdf", name="a.pdf"),
        File(file_id="file-1"),
        File(data="QQ==", media_type="image/gif"),
        File(data="SGFsbG8=", media_type="text/plain", name="a.txt"),
    )
    assert message(said)["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,QQ=="}},
        {"type": "text", "text": "Hallo"},
    ]


def test_a_file_by_its_address_goes_where_it_is_taken() -> None:
    said = user(File(url="https://x.example/a.pdf"))
    [part] = message(said, "openrouter")["content"]
    assert part == {"type": "file", "file": {"file_data": "https://x.example/a.pdf"}}
    with pytest.raises(InvalidRequest) as refused:
        message(said)
    assert refused.value.param == "messages[0].content"


def test_a_text_file_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        message(user("x", File(data="/w==", media_type="text/plain")))
    assert refused.value.param == "messages[0].content"


def test_pictures_that_tools_gave_follow_all_results_of_their_turn() -> None:
    picture = Image(data="QQ==", media_type="image/png")
    turns = (
        user("Go"),
        assistant(calls=(call("a"), call("b"))),
        result("first", picture, call_id="a"),
        result("second", call_id="b"),
        user("And?"),
    )
    told = body(request(*turns))["messages"]
    assert [(one["role"], one["content"]) for one in told[2:]] == [
        ("tool", "first"),
        ("tool", "second"),
        ("user", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]),
        ("user", "And?"),
    ]


def test_a_result_must_name_its_call() -> None:
    with pytest.raises(InvalidRequest) as refused:
        body(request(user("x"), Message(role="tool", parts=(Text(text="y"),))))
    assert refused.value.param == "messages[1].tool_call_id"


def test_what_the_model_refused_has_its_own_field() -> None:
    assert message(assistant(Refusal(text="No."))) == {"role": "assistant", "content": None, "refusal": "No."}


def test_a_picture_that_the_model_made_cannot_be_sent_back() -> None:
    written = prepared(request(user("Draw"), assistant("Here", Image(data="QQ==", media_type="image/png"))))
    assert written.dropped == ("messages.content",)
    assert sent(written.body)["messages"][1] == {"role": "assistant", "content": "Here"}


@pytest.mark.parametrize(("name", "role"), [("openai", "developer"), ("mistral", "system"), ("my-server", "system")])
def test_the_developer_is_the_system_to_those_who_do_not_know_the_role(name: str, role: str) -> None:
    assert message(Message(role="developer", parts=(Text(text="x"),)), name)["role"] == role


def test_a_name_goes_to_those_who_take_it() -> None:
    said = Message(role="user", parts=(Text(text="x"),), name="Ann")
    assert message(said)["name"] == "Ann"
    written = prepared(request(said), "groq")
    assert written.dropped == ("messages.name",)
    assert "name" not in sent(written.body)["messages"][0]


def test_cache_marks_go_only_to_a_gateway_that_passes_them_on() -> None:
    mark: dict[str, object] = {"type": "ephemeral"}
    marked = Text(text="x", cache_control=mark)
    tools = (Tool(name="weather", cache_control=mark),)
    told = body(request(user(marked), tools=tools), "openrouter")
    assert told["messages"][0]["content"] == [{"type": "text", "text": "x", "cache_control": mark}]
    assert told["tools"][0]["cache_control"] == mark
    assert "cache_control" not in prepared(request(user(marked), tools=tools)).body.decode()


@pytest.mark.parametrize(("name", "fits"), [("mistral", r"[a-zA-Z0-9]{9}"), ("openai", r".{1,40}")])
def test_ids_of_other_providers_fit(name: str, fits: str) -> None:
    long = "toolu_" + "x" * 50
    told = body(request(user("x"), assistant(calls=(call(long),)), result("y", call_id=long)), name)["messages"]
    [written] = told[1]["tool_calls"]
    assert written["id"] == told[2]["tool_call_id"]
    assert re.fullmatch(fits, written["id"])


def test_an_id_that_fits_stays() -> None:
    assert message(assistant(calls=(call("Df1cqWOle"),)), "mistral")["tool_calls"][0]["id"] == "Df1cqWOle"
    assert message(assistant(calls=(call(),)))["tool_calls"][0]["id"] == "call_1"


# ---------------------------------------------------------------- earlier thoughts


PLAIN = Reasoning(text="Hm.")
SIGNED = Reasoning(text="Sealed.", signature="s", format="anthropic-claude-v1")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai", {"content": "Yes"}),
        ("groq", {"content": "Yes"}),
        ("deepseek", {"content": "Yes", "reasoning_content": "Hm."}),
        ("my-server", {"content": "Yes", "reasoning_content": "Hm."}),
        ("vllm", {"content": "Yes", "reasoning": "Hm."}),
        (
            "mistral",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "Yes"},
                ]
            },
        ),
        (
            "openrouter",
            {
                "content": "Yes",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Hm."},
                    {
                        "type": "reasoning.text",
                        "text": "Sealed.",
                        "signature": "s",
                        "format": "anthropic-claude-v1",
                    },
                ],
            },
        ),
    ],
)
def test_thoughts_go_back_in_the_form_that_the_vendor_takes(name: str, expected: dict[str, Any]) -> None:
    assert message(assistant(PLAIN, SIGNED, "Yes"), name) == {"role": "assistant", **expected}


def test_the_proof_of_a_call_goes_back_to_openrouter_under_the_id_of_the_call() -> None:
    told = message(assistant(calls=(call(signature="proof"),)), "openrouter")
    assert told["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "proof", "format": "google-gemini-v1", "id": "call_1"}
    ]


def test_a_summary_goes_back_to_openrouter_as_one() -> None:
    thought = Reasoning(text="So.", data="c", format="openai-responses-v1", id="rs_1")
    assert message(assistant(thought, "x"), "openrouter")["reasoning_details"] == [
        {"type": "reasoning.summary", "summary": "So.", "format": "openai-responses-v1", "id": "rs_1"},
        {"type": "reasoning.encrypted", "data": "c", "format": "openai-responses-v1", "id": "rs_1"},
    ]


def test_deepseek_gets_an_empty_thought_for_a_call_that_nobody_thought_about() -> None:
    assert message(assistant(SIGNED, calls=(call(),)), "deepseek")["reasoning_content"] == ""
    assert "reasoning_content" not in message(assistant("x"), "deepseek")
    assert "reasoning_content" not in message(assistant(calls=(call(),)), "my-server")


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("name", "field"), [("openai", "max_completion_tokens"), ("azure", "max_completion_tokens"), ("groq", "max_tokens")]
)
def test_the_limit_has_two_names(name: str, field: str) -> None:
    told = body(request(max_tokens=7), name)
    assert {key: value for key, value in told.items() if key.startswith("max_")} == {field: 7}


def test_usage_is_always_asked_for_in_a_stream() -> None:
    assert body(request(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body(request(stream=True), "mistral")
    assert body(request(stream=True), "mistral")["stream"] is True
    assert "stream_options" not in body(request())
    assert "stream" not in body(request())


@pytest.mark.parametrize("to", ALL, ids=lambda to: to.name)
def test_the_pseudonym_goes_where_the_vendor_has_a_field_for_it(to: Vendor) -> None:
    told = sent(ChatAdapter(to).prepare(request(identity="pseudonym")).body)
    named: dict[str, str] = {} if to.identity_field is None else {to.identity_field: "pseudonym"}
    assert told == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **named}


@pytest.mark.parametrize(
    ("name", "asked", "dropped"),
    [
        ("openai", {"top_k": 5}, ("top_k",)),
        ("openrouter", {"top_k": 5, "seed": 1}, ()),
        ("groq", {"n": 2, "logprobs": True, "top_logprobs": 3}, ("logprobs", "n", "top_logprobs")),
        ("groq", {"n": 1, "logprobs": False}, ()),
        ("cerebras", {"frequency_penalty": 0, "presence_penalty": 0.5}, ("presence_penalty",)),
        ("openai", {"service_tier": "flex"}, ()),
        ("openai", {"service_tier": "standard_only"}, ("service_tier",)),
        ("deepseek", {"service_tier": "flex"}, ("service_tier",)),
        ("openai", {"rest": {"logit_bias": {"1": 2}, "verbosity": "low"}}, ()),
        (
            "openai",
            {"rest": {"safetySettings": [], "modalities": ["text"], "cachedContent": None}},
            ("safetySettings",),
        ),
        ("mistral", {"rest": {"verbosity": "low", "safe_prompt": True}}, ("verbosity",)),
        ("my-server", {"rest": {"min_p": 0.1, "context_management": {}}}, ("context_management",)),
    ],
)
def test_what_a_vendor_does_not_take_is_left_out_and_named(name: str, asked: Any, dropped: tuple[str, ...]) -> None:
    written = prepared(request(**asked), name)
    assert written.dropped == dropped
    told = sent(written.body)
    assert not set(dropped) & told.keys()
    values = {**{key: value for key, value in asked.items() if key != "rest"}, **asked.get("rest", {})}
    passed = {"logit_bias", "verbosity", "safe_prompt", "min_p", "service_tier", "top_k", "seed"} - set(dropped)
    assert {key: told[key] for key in passed & values.keys()} == {key: values[key] for key in passed & values.keys()}


def test_mistral_has_another_name_for_the_seed() -> None:
    told = body(request(seed=3), "mistral")
    assert told["random_seed"] == 3
    assert "seed" not in told


@pytest.mark.parametrize(
    ("model", "effort", "dropped"),
    [
        ("gpt-4o", None, ()),
        ("gpt-5", None, ("stop", "temperature")),
        ("my-o3-deployment", None, ("stop", "temperature")),
        ("o3-mini", None, ("temperature",)),
        ("gpt-5.2", None, ()),
        ("gpt-5.2", "none", ()),
        ("gpt-5.2", "high", ("stop", "temperature")),
        ("gpt-5-chat-latest", None, ()),
    ],
)
def test_a_model_that_thinks_refuses_sampling(model: str, effort: str | None, dropped: tuple[str, ...]) -> None:
    asked = request(
        model=model,
        temperature=0.5,
        top_p=1,
        stop=("x",),
        reasoning=None if effort is None else ReasoningRequest(effort=effort),
    )
    written = prepared(asked)
    assert written.dropped == dropped
    assert not set(dropped) & sent(written.body).keys()


def test_a_schema_without_a_name_gets_one() -> None:
    asked = request(response_format=ResponseFormat(kind="json_schema", schema={"type": "object"}, strict=True))
    assert body(asked)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }


# ---------------------------------------------------------------- thinking


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("openai", ReasoningRequest(effort="xhigh"), {"reasoning_effort": "xhigh"}),
        ("openai", ReasoningRequest(effort="none", exclude=True), {"reasoning_effort": "none"}),
        ("openai", ReasoningRequest(max_tokens=9000), {"reasoning_effort": "medium"}),
        ("openai", ReasoningRequest(exclude=True), {}),
        ("my-server", ReasoningRequest(effort="minimal"), {"reasoning_effort": "low"}),
        ("my-server", ReasoningRequest(effort="xhigh"), {"reasoning_effort": "high"}),
        ("mistral", ReasoningRequest(effort="low"), {"reasoning_effort": "high"}),
        ("mistral", ReasoningRequest(effort="none"), {"reasoning_effort": "none"}),
        ("groq", ReasoningRequest(effort="low", exclude=True), {"reasoning_effort": "low", "include_reasoning": False}),
        ("deepseek", ReasoningRequest(effort="none"), {"thinking": {"type": "disabled"}}),
        (
            "deepseek",
            ReasoningRequest(effort="high"),
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        ),
        (
            "openrouter",
            ReasoningRequest(effort="low", max_tokens=2000, exclude=True),
            {"reasoning": {"effort": "low", "max_tokens": 2000, "exclude": True}},
        ),
    ],
)
def test_how_much_to_think(name: str, asked: ReasoningRequest, expected: dict[str, Any]) -> None:
    written = prepared(request(reasoning=asked), name)
    told = sent(written.body)
    assert {key: value for key, value in told.items() if key not in ("model", "messages")} == expected
    assert written.dropped == ()


def test_a_vendor_that_cannot_hide_its_thoughts_says_so() -> None:
    assert prepared(request(reasoning=ReasoningRequest(exclude=True)), "mistral").dropped == ("reasoning.exclude",)


# ---------------------------------------------------------------- tools


def test_tools_and_the_choice_among_them() -> None:
    told = body(request(tools=TOOLS, tool_choice=ToolChoice(mode="named", name="weather"), parallel_tool_calls=False))
    assert told["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "How it is",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]
    assert told["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert told["parallel_tool_calls"] is False


def test_without_a_tool_there_is_no_choice() -> None:
    told = body(request(tool_choice=ToolChoice(mode="none"), parallel_tool_calls=True))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & told.keys()


def test_a_choice_among_some_tools_is_said_or_made() -> None:
    tools = (Tool(name="a"), Tool(name="b"))
    asked = request(tools=tools, tool_choice=ToolChoice(mode="required", allowed=("b",)))
    told = body(asked)
    assert [tool["function"]["name"] for tool in told["tools"]] == ["a", "b"]
    assert told["tool_choice"]["allowed_tools"] == {
        "mode": "required",
        "tools": [{"type": "function", "function": {"name": "b"}}],
    }
    told = body(asked, "groq")
    assert [tool["function"]["name"] for tool in told["tools"]] == ["b"]
    assert told["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("name", "tool", "passes"),
    [
        ("openai", {"type": "custom", "custom": {"name": "shell"}}, True),
        ("openai", {"type": "custom", "name": "shell"}, False),
        ("openai", {"type": "web_search_20250305", "name": "web_search"}, False),
        ("openai", "nonsense", False),
        ("groq", {"type": "browser_search"}, True),
        ("openrouter", {"type": "openrouter:web_search"}, True),
        ("my-server", {"type": "custom", "custom": {"name": "shell"}}, False),
        ("my-server", {"type": ["x"]}, False),
    ],
)
def test_tools_that_are_no_functions_pass_where_they_are_known(name: str, tool: object, passes: bool) -> None:
    written = prepared(request(tools=TOOLS, rest={"tools": [tool]}), name)
    assert (tool in sent(written.body)["tools"]) == passes
    assert written.dropped == (() if passes else ("tools",))


def test_a_choice_of_a_tool_that_is_no_function() -> None:
    choice = {"type": "custom", "custom": {"name": "shell"}}
    asked = request(tools=TOOLS, rest={"tools": [choice], "tool_choice": choice})
    assert body(asked)["tool_choice"] == choice
    written = prepared(request(tools=TOOLS, rest={"tool_choice": {"type": "mcp"}}))
    assert written.dropped == ("tool_choice",)


def test_cerebras_refuses_to_be_told_of_parallel_calls() -> None:
    written = prepared(request(tools=TOOLS, parallel_tool_calls=False), "cerebras")
    assert written.dropped == ("parallel_tool_calls",)
    assert prepared(request(tools=TOOLS, parallel_tool_calls=True), "cerebras").dropped == ()
