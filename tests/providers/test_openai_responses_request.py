"""Canonical requests as bodies of `POST /responses`."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from arouter.domain.chat import (
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    Reasoning,
    ReasoningDelta,
    ReasoningRequest,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.providers.base import Prepared
from arouter.providers.openai_responses import ResponsesAdapter
from arouter.providers.vendors import BY_NAME
from tests.providers.chat_requests import TOOLS, assistant, call, request, requests, result, sent, user
from tests.providers.openai_answers import fold
from tests.recordings import Recording, recordings
from tests.wire.openai_schemas import validator


def prepared(asked: ChatRequest, name: str = "openai") -> Prepared:
    return ResponsesAdapter(BY_NAME[name]).prepare(asked)


def body(asked: ChatRequest, name: str = "openai") -> Any:
    return sent(prepared(asked, name).body)


def items(*messages: Message, name: str = "openai") -> Any:
    return body(request(*messages), name)["input"]


# ---------------------------------------------------------------- what holds for every request


@given(requests(thoughts=True))
@settings(max_examples=100)
def test_what_is_written_is_in_the_published_schema(asked: ChatRequest) -> None:
    told = body(replace(asked, max_tokens=50))
    for name in ("temperature", "top_p", "top_logprobs", "tools"):
        told.pop(name, None)  # Bounds that the provider tells of by itself.
    for item in told.pop("input"):
        complaints = [str(error) for error in validator(schema_of(item)).iter_errors(item)]
        assert complaints == []
    assert [str(error) for error in validator("CreateResponse").iter_errors(told)] == []


def schema_of(item: Any) -> str:
    """The name of an item's schema. What the published one wants beyond what the API does is put into it."""
    if item["type"] != "message":
        item.setdefault("id", "rs_1")
        kinds = {"reasoning": "ReasoningItem", "function_call": "FunctionToolCall"}
        return kinds.get(item["type"], "FunctionCallOutputItemParam")
    # The published input has no sound yet.
    item["content"] = [part for part in item["content"] if part["type"] != "input_audio"]
    if item["role"] != "assistant":
        return "InputMessage"
    item |= {"id": "msg_1", "status": "completed"}
    for part in item["content"]:
        part.setdefault("logprobs", [])
    return "OutputMessage"


@given(requests(thoughts=True))
@settings(max_examples=100)
def test_every_message_is_there_in_its_order(asked: ChatRequest) -> None:
    told = body(asked)
    texts = [part.text for one in asked.messages for part in one.parts if isinstance(part, Text)]
    assert [text for item in told["input"] for text in texts_of(item)] == joined(asked, texts)
    calls = [item["call_id"] for item in told["input"] if item["type"] == "function_call"]
    assert calls == [one.id for said in asked.messages for one in said.tool_calls]
    assert told["store"] is False
    assert (told.get("safety_identifier"), told.get("user")) == (asked.identity, None)


def texts_of(item: Any) -> list[str]:
    if item["type"] == "function_call_output":
        return [item["output"]]
    return [part["text"] for part in item.get("content", []) if part["type"] in ("input_text", "output_text")]


def joined(asked: ChatRequest, texts: list[str]) -> list[str]:
    """The texts, with those of a result as one."""
    left = iter(texts)
    told = []
    for one in asked.messages:
        own = [next(left) for part in one.parts if isinstance(part, Text)]
        told += ["".join(own)] if one.role == "tool" else own
    return told


# ---------------------------------------------------------------- the conversation


def test_a_conversation_with_a_tool() -> None:
    turns = (
        Message(role="developer", parts=(Text(text="Be brief."),)),
        user("How is Ulm?"),
        assistant("I look.", calls=(call(),)),
        result("Sunny"),
    )
    assert items(*turns) == [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How is Ulm?"}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Ulm"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"},
    ]


def test_parts_of_every_kind() -> None:
    said = user(
        Image(url="https://x.example/a.png", detail="low"),
        Image(data="QQ==", media_type="image/png"),
        Audio(data="QQ==", format="wav"),
        File(data="JVBERi0=", media_type="application/pdf", name="a.pdf"),
        File(data="SGFsbG8=", media_type="text/plain"),
        File(file_id="file-1"),
        File(url="https://x.example/a.pdf"),
        File(data="QQ==", media_type="image/gif"),
    )
    [item] = items(said)
    assert item["content"] == [
        {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
        {"type": "input_file", "file_data": "data:text/plain;base64,SGFsbG8=", "filename": "file.txt"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://x.example/a.pdf"},
        {"type": "input_image", "image_url": "data:image/gif;base64,QQ==", "detail": "auto"},
    ]


def test_what_a_tool_gave_beside_text_is_given_as_parts() -> None:
    given_back = result("See", Image(data="QQ==", media_type="image/png"))
    [*_, item] = items(user("x"), assistant(calls=(call(),)), given_back)
    assert item["output"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"},
    ]


def test_a_result_must_name_its_call() -> None:
    with pytest.raises(InvalidRequest) as refused:
        items(user("x"), Message(role="tool", parts=()))
    assert refused.value.param == "messages[1].tool_call_id"


def test_a_long_id_is_bounded_in_the_call_and_in_its_result() -> None:
    long = "x" * 100
    [_, called, answered] = items(user("x"), assistant(calls=(call(long, arguments=""),)), result("y", call_id=long))
    assert called["call_id"] == answered["call_id"]
    assert len(called["call_id"]) <= 64
    assert called["arguments"] == "{}"


def test_a_refusal_is_one_and_a_picture_of_the_models_cannot_go_back() -> None:
    written = prepared(request(user("x"), assistant(Refusal(text="No."), Image(url="u"), "")))
    assert written.dropped == ("messages.content",)
    [_, said] = sent(written.body)["input"]
    assert said["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_name_has_no_place() -> None:
    written = prepared(request(Message(role="user", parts=(Text(text="x"),), name="Ann")))
    assert written.dropped == ("messages.name",)


# ---------------------------------------------------------------- earlier thoughts

OURS = "openai-responses-v1"
ITEM = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "So."}],
    "encrypted_content": "c",
}


@pytest.mark.parametrize(
    "thoughts",
    [
        [Reasoning(text="So.", data="c", format=OURS, id="rs_1")],
        [Reasoning(text="So.", format=OURS), Reasoning(data="c", format=OURS, id="rs_1")],
        [Reasoning(text="So.", format=OURS, id="rs_1"), Reasoning(data="c", format=OURS, id="rs_1")],
        [Reasoning(text="So.", id="rs_1"), Reasoning(data="c")],
        [Reasoning(text="Gone", format=OURS, id="rs_0"), Reasoning(text="So.", data="c", format=OURS, id="rs_1")],
    ],
)
def test_a_thought_goes_back_as_the_item_that_it_was(thoughts: list[Reasoning]) -> None:
    [_, thought, said] = items(user("x"), assistant(*thoughts, "Yes"))
    assert thought == ITEM
    assert said["content"][0]["text"] == "Yes"


def test_several_thoughts_keep_their_places() -> None:
    first = Reasoning(data="a", format=OURS, id="rs_1")
    second = Reasoning(data="b", format=OURS)
    told = items(user("x"), assistant(first, "One", second, "Two", calls=(call(),)))
    assert [item["type"] for item in told] == ["message", *["reasoning", "message"] * 2, "function_call"]
    assert told[3] == {"type": "reasoning", "summary": [], "encrypted_content": "b"}


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning(text="Plain"),
        Reasoning(text="No ciphertext", format=OURS, id="rs_1"),
        Reasoning(text="Signed", signature="s", format="anthropic-claude-v1"),
        Reasoning(data="theirs", format="xai-responses-v1"),
        Reasoning(data="redacted", format="anthropic-claude-v1"),
    ],
)
def test_what_this_provider_did_not_encrypt_is_not_sent(thought: Reasoning) -> None:
    told = items(user("x"), assistant(thought, "Yes"))
    assert [item["type"] for item in told] == ["message", "message"]


def test_each_provider_gets_its_own_ciphertexts() -> None:
    thoughts = [Reasoning(data=name, format=f"{name}responses-v1") for name in ("openai-", "azure-openai-", "xai-")]
    sent_to = {
        name: [item["encrypted_content"] for item in items(user("x"), assistant(*thoughts, "y"), name=name)[1:-1]]
        for name in ("openai", "azure", "xai")
    }
    assert sent_to == {"openai": ["openai-"], "azure": ["azure-openai-"], "xai": ["xai-"]}


WITH_THOUGHTS = [
    recording
    for recording in recordings("openai.responses")
    if not recording.stream and any(item["type"] == "reasoning" for item in recording.body["output"])
]


@pytest.mark.parametrize("recording", WITH_THOUGHTS, ids=lambda recording: recording.id)
def test_what_the_model_said_goes_back_as_it_said_it(recording: Recording) -> None:
    adapter = ResponsesAdapter(BY_NAME["openai"])
    events = adapter.read_answer(recording.response_text.encode())
    kept = tuple(
        Reasoning(text=event.text, data=event.data, format=event.format, id=event.id)
        for event in events
        if isinstance(event, ReasoningDelta)
    )
    calls = tuple(call(call_id, name, arguments) for call_id, name, arguments in fold(events).only.calls)
    told = items(user("x"), Message(role="assistant", parts=kept, tool_calls=calls))[1:]
    said = recording.body["output"]
    thoughts = [item for item in said if item["type"] == "reasoning" and item.get("encrypted_content")]
    assert [(item["id"], item["encrypted_content"]) for item in told if item["type"] == "reasoning"] == [
        (item["id"], item["encrypted_content"]) for item in thoughts
    ]
    assert [(item["call_id"], item["name"], item["arguments"]) for item in told if item["type"] == "function_call"] == [
        (item["call_id"], item["name"], item["arguments"]) for item in said if item["type"] == "function_call"
    ]


# ---------------------------------------------------------------- parameters


def test_the_parameters_and_their_names_here() -> None:
    asked = request(
        model="gpt-4o",
        stream=True,
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        logprobs=True,
        top_logprobs=2,
        service_tier="flex",
        identity="pseudonym",
        rest={"verbosity": "low", "truncation": "auto"},
    )
    written = prepared(asked)
    assert (written.path, written.dropped) == ("/responses", ())
    assert sent(written.body) == {
        "model": "gpt-4o",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "store": False,
        "stream": True,
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
        "service_tier": "flex",
        "safety_identifier": "pseudonym",
        "text": {"verbosity": "low"},
        "truncation": "auto",
    }


@pytest.mark.parametrize(
    ("asked", "dropped"),
    [
        ({"stop": ("x",), "n": 2, "seed": 1, "top_k": 3}, ("n", "top_k", "stop", "seed")),
        ({"frequency_penalty": 1, "presence_penalty": 1}, ("frequency_penalty", "presence_penalty")),
        ({"n": 1, "frequency_penalty": 0, "logprobs": False}, ()),
        ({"rest": {"logit_bias": {}, "modalities": ["text"], "prediction": {}}}, ("prediction",)),
        ({"model": "gpt-5", "temperature": 0.5, "logprobs": True}, ("temperature", "logprobs")),
        ({"model": "gpt-5", "temperature": 1, "top_p": 1}, ()),
        ({"model": "gpt-5.2", "temperature": 0.5}, ()),
    ],
)
def test_what_has_no_counterpart_is_left_out_and_named(asked: dict[str, Any], dropped: tuple[str, ...]) -> None:
    written = prepared(request(**asked))
    assert written.dropped == dropped
    assert not {*dropped, "n", "frequency_penalty"} & sent(written.body).keys()


@pytest.mark.parametrize(
    ("model", "effort", "asked_for"),
    [("gpt-5", None, True), ("gpt-5.4", None, True), ("gpt-4o", None, False), ("m", None, False), ("m", "high", True)],
)
def test_a_model_that_thinks_is_asked_for_its_ciphertexts(model: str, effort: str | None, asked_for: bool) -> None:
    reasoning = None if effort is None else ReasoningRequest(effort=effort)
    include = body(request(model=model, reasoning=reasoning)).get("include", [])
    assert ("reasoning.encrypted_content" in include) == asked_for


def test_thoughts_of_the_history_ask_for_more() -> None:
    thought = Reasoning(data="c", format=OURS)
    assert body(request(user("x"), assistant(thought, "y")))["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (None, None),
        (ReasoningRequest(exclude=True), None),
        (ReasoningRequest(effort="low"), {"effort": "low", "summary": "auto"}),
        (ReasoningRequest(effort="low", exclude=True), {"effort": "low"}),
        (ReasoningRequest(effort="none"), {"effort": "none"}),
        (ReasoningRequest(max_tokens=16_000), {"effort": "high", "summary": "auto"}),
    ],
)
def test_how_much_to_think(asked: ReasoningRequest | None, told: dict[str, str] | None) -> None:
    assert body(request(reasoning=asked)).get("reasoning") == told


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (ResponseFormat(kind="text"), {"type": "text"}),
        (ResponseFormat(kind="json_object"), {"type": "json_object"}),
        (
            ResponseFormat(kind="json_schema", name="city", schema={"type": "object"}, strict=True),
            {"type": "json_schema", "name": "city", "schema": {"type": "object"}, "strict": True},
        ),
        (ResponseFormat(kind="json_schema"), {"type": "json_schema", "name": "answer", "schema": {}}),
    ],
)
def test_the_form_of_the_answer(wanted: ResponseFormat, told: dict[str, Any]) -> None:
    assert body(request(response_format=wanted))["text"] == {"format": told}


# ---------------------------------------------------------------- tools


def test_a_function_is_not_strict_unless_it_says_so() -> None:
    tools = (*TOOLS, Tool(name="strict", strict=True))
    told = body(request(tools=tools, parallel_tool_calls=False))
    assert told["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "How it is",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {"type": "function", "name": "strict", "parameters": {"type": "object", "properties": {}}, "strict": True},
    ]
    assert told["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="named", name="weather"), {"type": "function", "name": "weather"}),
        (
            ToolChoice(mode="auto", allowed=("weather",)),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
        ),
    ],
)
def test_the_choice_of_a_tool(choice: ToolChoice, told: object) -> None:
    assert body(request(tools=TOOLS, tool_choice=choice))["tool_choice"] == told
    assert "tool_choice" not in body(request(tool_choice=choice))


def test_tools_that_are_no_functions() -> None:
    search = {"type": "web_search", "search_context_size": "low"}
    nested = {"type": "custom", "custom": {"name": "shell"}}
    foreign = [{"type": "web_search_20250305"}, {"googleSearch": {}}, "nonsense", {"type": []}]
    written = prepared(request(rest={"tools": [search, nested, *foreign], "tool_choice": nested}))
    told = sent(written.body)
    assert told["tools"] == [search, {"type": "custom", "name": "shell"}]
    assert told["tool_choice"] == {"type": "custom", "name": "shell"}
    assert written.dropped == ("tools",)
    assert prepared(request(tools=TOOLS, rest={"tool_choice": {"type": "tool"}})).dropped == ("tool_choice",)
