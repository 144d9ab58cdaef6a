"""A canonical request as generateContent: canonical form on the left, Gemini's body on the right."""

import json
from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

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
    ToolCall,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.providers.base import Prepared
from arouter.providers.gemini import GeminiAdapter
from tests.recordings import Recording, need_recordings, recordings

Body = dict[str, Any]

PLACEHOLDER = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
GEMINI = "google-gemini-v1"


def user(text: str) -> Message:
    return Message(role="user", parts=(Text(text=text),))


HELLO = (user("Hello"),)
HELLO_TURN: Body = {"role": "user", "parts": [{"text": "Hello"}]}


def prepare(*messages: Message, model: str = "gemini-2.5-flash", **rest: Any) -> Prepared:
    return GeminiAdapter().prepare(ChatRequest(model=model, messages=messages or HELLO, **rest))


def body(*messages: Message, **rest: Any) -> Body:
    written: Body = msgspec.json.decode(prepare(*messages, **rest).body)
    return written


def parts(message: Message, **rest: Any) -> list[Body]:
    """The parts of the turn that one message becomes."""
    [turn] = body(message, **rest)["contents"]
    written: list[Body] = turn["parts"]
    return written


# ---------------------------------------------------------------- where it goes


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("models/gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1:generateContent"),
        ("a/../b?key=1#x y:é", "/v1beta/models/a%2F..%2Fb%3Fkey%3D1%23x%20y%3A%C3%A9:generateContent"),
    ],
)
def test_the_model_is_one_segment_of_the_path(model: str, path: str) -> None:
    prepared = prepare(model=model)
    assert (prepared.path, prepared.query) == (path, "")


def test_a_stream_is_another_method_and_asks_for_server_sent_events() -> None:
    prepared = prepare(stream=True)
    assert prepared.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    assert prepared.query == "alt=sse"


def test_a_model_without_a_name_cannot_be_asked() -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(model="models/")
    assert refused.value.param == "model"


def test_a_bare_request_is_its_contents_alone() -> None:
    assert body() == {"contents": [HELLO_TURN]}


# ---------------------------------------------------------------- messages


def test_system_and_developer_messages_become_the_system_instruction_in_their_order() -> None:
    written = body(
        Message(role="system", parts=(Text(text="Be brief."),)),
        user("Hello"),
        Message(role="developer", parts=(Text(text="Speak French."),)),
    )
    assert written == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Speak French."}]},
        "contents": [HELLO_TURN],
    }


def test_system_messages_alone_get_an_empty_user_turn() -> None:
    assert body(Message(role="system", parts=(Text(text="Say hi."),)))["contents"] == [
        {"role": "user", "parts": [{"text": ""}]}
    ]


def test_neighbouring_messages_of_one_side_become_one_turn_and_empty_ones_none() -> None:
    written = body(
        user("one"),
        user("two"),
        Message(role="assistant", parts=(Text(text="three"),)),
        Message(role="assistant", parts=(Refusal(text="four"),)),
        user("five"),
        Message(role="assistant"),
    )
    assert written["contents"] == [
        {"role": "user", "parts": [{"text": "one"}, {"text": "two"}]},
        {"role": "model", "parts": [{"text": "three"}, {"text": "four"}]},
        {"role": "user", "parts": [{"text": "five"}]},
    ]


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (Image(data="QUJD", media_type="image/png"), {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}),
        (Image(data="QUJD"), {"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}}),
        (Image(url="data:image/webp;base64,QUJD"), {"inlineData": {"mimeType": "image/webp", "data": "QUJD"}}),
        (Image(url="data:text/plain;charset=utf-8,A%42C"), {"inlineData": {"mimeType": "text/plain", "data": "QUJD"}}),
        (
            Image(url="https://example.com/a/cat.PNG?size=2#top"),
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a/cat.PNG?size=2#top"}},
        ),
        (
            Image(url="https://example.com/cat.png", media_type="image/gif"),
            {"fileData": {"mimeType": "image/gif", "fileUri": "https://example.com/cat.png"}},
        ),
        (Image(url="https://example.com/watch?v=1"), {"fileData": {"fileUri": "https://example.com/watch?v=1"}}),
        (Audio(data="QUJD", format="wav"), {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}),
        (Audio(data="QUJD", format="opus"), {"inlineData": {"mimeType": "audio/opus", "data": "QUJD"}}),
        (File(data="QUJD", name="report.pdf"), {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}}),
        (
            File(data="data:application/pdf;base64,QUJD", name="report"),
            {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}},
        ),
        (
            File(url="https://example.com/1", name="notes.md"),
            {"fileData": {"mimeType": "text/markdown", "fileUri": "https://example.com/1"}},
        ),
        (
            File(file_id="https://files.example/v1beta/files/abc", media_type="video/mp4"),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://files.example/v1beta/files/abc"}},
        ),
    ],
)
def test_media_travel_by_value_or_by_address(part: Image | Audio | File, written: Body) -> None:
    assert parts(Message(role="user", parts=(part,))) == [written]


@pytest.mark.parametrize("part", [Image(), File(name="a.pdf"), Image(url="data:image/png;base64")])
def test_media_without_content_cannot_be_said(part: Image | File) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(Message(role="user", parts=(part,)))
    assert refused.value.param == "messages"


# ---------------------------------------------------------------- tool calls and their results


def calls(*called: ToolCall, said: tuple[Text | Reasoning, ...] = ()) -> Message:
    return Message(role="assistant", parts=said, tool_calls=called)


def result(call_id: str, text: str, **rest: Any) -> Message:
    return Message(role="tool", tool_call_id=call_id, parts=(Text(text=text),), **rest)


def test_parallel_calls_and_their_results_are_one_turn_each() -> None:
    written = body(
        user("Weather in Paris and Rome?"),
        calls(
            ToolCall(id="c1", name="weather", arguments='{"city": "Paris"}', signature="c2ln"),
            ToolCall(id="c2", name="clock", arguments=""),
        ),
        result("c1", '{"degrees": 21.50}'),
        result("c2", "noon"),
        user("So?"),
    )
    assert written["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Paris"}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"id": "c2", "name": "clock", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"degrees": 21.5}}},
                {"functionResponse": {"id": "c2", "name": "clock", "response": {"result": "noon"}}},
                {"text": "So?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("text", "is_error", "response"),
    [
        ("sunny", False, '{"result":"sunny"}'),
        ("", False, '{"result":""}'),
        ("[1, 2]", False, '{"result":"[1, 2]"}'),
        ('{"b": 1.0, "a": 12345678901234567890123}', False, '{"b": 1.0, "a": 12345678901234567890123}'),
        ('{"half": ', False, '{"result":"{\\"half\\": "}'),
        ("no such city", True, '{"error":"no such city"}'),
        ('{"status": 404}', True, '{"error":{"status": 404}}'),
    ],
)
def test_a_response_is_an_object_and_json_stays_as_it_was_written(text: str, is_error: bool, response: str) -> None:
    call = calls(ToolCall(id="c1", name="f", arguments="{}"))
    written = prepare(user("?"), call, result("c1", text, is_error=is_error)).body.decode()
    assert f'"response":{response}' in written
    msgspec.json.decode(written)


def test_arguments_keep_every_digit_and_the_order_of_keys() -> None:
    arguments = '{"z": 0.10, "a": 123456789012345678901234567890}'
    assert f'"args":{arguments}' in prepare(calls(ToolCall(id="c", name="f", arguments=arguments))).body.decode()


def test_pictures_of_a_tool_follow_its_response() -> None:
    screenshot = Message(role="tool", tool_call_id="c1", parts=(Image(data="QUJD", media_type="image/png"),))
    written = body(calls(ToolCall(id="c1", name="shoot", arguments="{}")), screenshot)
    assert written["contents"][1]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "shoot", "response": {"result": ""}}},
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
    ]


def test_a_result_of_an_unknown_call_needs_a_name_of_its_own() -> None:
    [part] = parts(result("lost", "1", name="f"))
    assert part == {"functionResponse": {"id": "lost", "name": "f", "response": {"result": "1"}}}
    with pytest.raises(InvalidRequest) as refused:
        prepare(result("lost", "1"))
    assert refused.value.param == "messages"


@pytest.mark.parametrize("arguments", ["{", "[]", "1", "null", '{"a": 1} x', "[" * 100_000])
def test_arguments_that_are_no_json_object_cannot_be_said(arguments: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(calls(ToolCall(id="c", name="f", arguments=arguments)))
    assert refused.value.param == "messages"


# ---------------------------------------------------------------- thoughts and signatures


def test_a_signature_goes_back_on_the_text_it_came_with() -> None:
    said = (
        Reasoning(text="Let me think.", format=GEMINI),
        Reasoning(signature="c2ln", format=GEMINI),
        Text(text="Hi!"),
    )
    assert parts(Message(role="assistant", parts=said)) == [
        {"text": "Let me think.", "thought": True},
        {"text": "Hi!", "thoughtSignature": "c2ln"},
    ]


def test_several_signatures_go_on_several_parts_in_their_order_and_the_last_ones_on_empty_text() -> None:
    said = (
        Reasoning(signature="b25l", format=GEMINI),
        Reasoning(signature="dHdv", format=GEMINI),
        Reasoning(signature="dGhyZWU=", format=GEMINI),
        Text(text="Here:"),
        Image(data="QUJD", media_type="image/png"),
    )
    assert parts(Message(role="assistant", parts=said)) == [
        {"text": "Here:", "thoughtSignature": "b25l"},
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "dHdv"},
        {"text": "", "thoughtSignature": "dGhyZWU="},
    ]


def test_a_signature_with_the_id_of_a_call_goes_on_that_call() -> None:
    message = calls(
        ToolCall(id="c1", name="f", arguments="{}"),
        ToolCall(id="c2", name="g", arguments="{}"),
        said=(Reasoning(data="c2ln", id="c2", format=GEMINI),),
    )
    assert [part.get("thoughtSignature") for part in parts(message)] == [None, "c2ln"]


def test_proofs_of_another_provider_stay_behind_and_its_thoughts_do_not() -> None:
    said = (
        Reasoning(text="Hm.", signature="c2ln", format="anthropic-claude-v1"),
        Reasoning(data="c2VjcmV0", format="openai-responses-v1"),
        Text(text="Hi!"),
    )
    assert parts(Message(role="assistant", parts=said)) == [{"text": "Hm.", "thought": True}, {"text": "Hi!"}]


@pytest.mark.parametrize(
    ("model", "first"),
    [("gemini-3-flash-preview", PLACEHOLDER), ("gemini-2.5-pro", None), ("gemini-flash-latest", None)],
)
def test_gemini_3_gets_a_placeholder_on_the_first_call_that_has_no_signature(model: str, first: str | None) -> None:
    two = (ToolCall(id="c1", name="f", arguments="{}"), ToolCall(id="c2", name="g", arguments="{}"))
    assert [part.get("thoughtSignature") for part in parts(calls(*two), model=model)] == [first, None]


def test_a_real_signature_is_never_replaced() -> None:
    call = ToolCall(id="c1", name="f", arguments="{}", signature="cmVhbA==")
    [part] = parts(calls(call), model="gemini-3.1-pro-preview")
    assert part["thoughtSignature"] == "cmVhbA=="


# ---------------------------------------------------------------- tools

SCHEMA: Body = {"type": "object", "properties": {"city": {"type": ["string", "null"]}}, "additionalProperties": False}
WEATHER = Tool(name="weather", description="Tells the weather.", parameters=SCHEMA)
CLOCK = Tool(name="clock")


def test_tools_are_declared_with_their_json_schema_as_it_is() -> None:
    assert body(tools=(WEATHER, CLOCK))["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "Tells the weather.", "parametersJsonSchema": SCHEMA},
                {"name": "clock"},
            ]
        }
    ]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        (ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (ToolChoice(mode="none"), {"mode": "NONE"}),
        (ToolChoice(mode="required"), {"mode": "ANY"}),
        (ToolChoice(mode="named", name="clock"), {"mode": "ANY", "allowedFunctionNames": ["clock"]}),
        (ToolChoice(mode="required", allowed=("clock",)), {"mode": "ANY", "allowedFunctionNames": ["clock"]}),
        (ToolChoice(mode="auto", allowed=("clock",)), {"mode": "VALIDATED", "allowedFunctionNames": ["clock"]}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, config: Body | None) -> None:
    written = body(tools=(WEATHER, CLOCK), tool_choice=choice)
    assert written.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})


def test_a_choice_among_no_tools_is_no_choice() -> None:
    assert "toolConfig" not in body(tool_choice=ToolChoice(mode="auto"))


def test_a_strict_tool_is_validated_where_the_model_can() -> None:
    strict = Tool(name="f", parameters=SCHEMA, strict=True)
    new = prepare(tools=(strict,))
    assert json.loads(new.body)["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert new.dropped == ()
    old = prepare(tools=(strict,), model="gemini-2.0-flash")
    assert "toolConfig" not in json.loads(old.body)
    assert old.dropped == ("strict",)


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("parameters", "config"),
    [
        ({"max_tokens": 100}, {"maxOutputTokens": 100}),
        ({"temperature": 0.0, "top_p": 0.9, "top_k": 40}, {"temperature": 0.0, "topP": 0.9, "topK": 40}),
        ({"stop": ("END", "\n")}, {"stopSequences": ["END", "\n"]}),
        ({"n": 2, "seed": 0}, {"candidateCount": 2, "seed": 0}),
        ({"presence_penalty": 0.5, "frequency_penalty": -0.5}, {"presencePenalty": 0.5, "frequencyPenalty": -0.5}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"response_format": ResponseFormat(kind="json_object")}, {"responseMimeType": "application/json"}),
        (
            {"response_format": ResponseFormat(kind="json_schema", name="city", schema=SCHEMA, strict=True)},
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
        ({"rest": {"modalities": ["text", "image"]}}, {"responseModalities": ["TEXT", "IMAGE"]}),
    ],
)
def test_parameters_that_gemini_has_by_another_name(parameters: Body, config: Body) -> None:
    prepared = prepare(**parameters)
    assert json.loads(prepared.body) == {"contents": [HELLO_TURN], "generationConfig": config}
    assert prepared.dropped == ()


def test_a_text_format_is_what_gemini_does_anyway() -> None:
    assert body(response_format=ResponseFormat(kind="text")) == {"contents": [HELLO_TURN]}


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-2.5-flash", {"effort": "none"}, {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"effort": "none"}, {"thinkingBudget": 128, "includeThoughts": True}),
        ("gemini-2.5-flash", {"effort": "minimal"}, {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", {"effort": "low"}, {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", {"effort": "medium"}, {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.5-pro", {"effort": "high"}, {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.5-pro", {"effort": "xhigh"}, {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.5-pro", {"max_tokens": 5000}, {"thinkingBudget": 5000, "includeThoughts": True}),
        ("gemini-2.5-flash", {"max_tokens": 0}, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", {}, {"includeThoughts": True}),
        ("gemini-2.5-flash", {"exclude": True}, {"includeThoughts": False}),
        ("gemini-flash-latest", {"effort": "low"}, {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-3-flash-preview", {"effort": "none"}, {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3-flash-preview", {"effort": "medium"}, {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-3-pro-preview", {"effort": "minimal"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-pro-preview", {"effort": "medium"}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("models/gemini-3.1-pro", {"effort": "medium"}, {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        (
            "gemini-3.5-flash",
            {"effort": "xhigh", "exclude": True},
            {"thinkingLevel": "HIGH", "includeThoughts": False},
        ),
        ("gemini-3-flash-preview", {"max_tokens": 512}, {"thinkingBudget": 512, "includeThoughts": True}),
    ],
)
def test_reasoning_in_the_terms_of_each_generation(model: str, reasoning: Body, config: Body) -> None:
    prepared = prepare(model=model, reasoning=ReasoningRequest(**reasoning))
    assert json.loads(prepared.body)["generationConfig"] == {"thinkingConfig": config}
    assert prepared.dropped == ()


@pytest.mark.parametrize(
    ("model", "reasoning", "dropped"),
    [
        ("gemini-2.0-flash", {"effort": "high"}, "reasoning_effort"),
        ("gemini-1.5-pro", {"max_tokens": 100}, "reasoning"),
        ("gemini-2.5-flash", {"effort": "heroic"}, "reasoning_effort"),
    ],
)
def test_reasoning_that_cannot_be_said(model: str, reasoning: Body, dropped: str) -> None:
    prepared = prepare(model=model, reasoning=ReasoningRequest(**reasoning))
    assert "generationConfig" not in json.loads(prepared.body)
    assert prepared.dropped == (dropped,)


@pytest.mark.parametrize(
    ("tier", "sent", "dropped"),
    [
        ("auto", None, ()),
        ("default", "standard", ()),
        ("flex", "flex", ()),
        ("priority", "priority", ()),
        ("scale", None, ("service_tier",)),
    ],
)
def test_service_tiers(tier: str, sent: str | None, dropped: tuple[str, ...]) -> None:
    prepared = prepare(service_tier=tier)
    assert json.loads(prepared.body).get("serviceTier") == sent
    assert prepared.dropped == dropped


def test_the_end_user_is_never_sent() -> None:
    prepared = prepare(identity="0123456789abcdef")
    assert b"0123456789abcdef" not in prepared.body
    assert prepared.dropped == ()


def test_geminis_own_fields_pass_through_in_either_spelling() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    written = body(rest={"safety_settings": safety, "cachedContent": "cachedContents/1"})
    assert written == {"contents": [HELLO_TURN], "safetySettings": safety, "cachedContent": "cachedContents/1"}
    assert body(rest={"safetySettings": safety, "cached_content": "cachedContents/1"}) == written


def test_what_has_no_counterpart_is_named_once() -> None:
    mark: Body = {"type": "ephemeral"}
    prepared = prepare(
        Message(role="system", parts=(Text(text="Be brief.", cache_control=mark),)),
        Message(role="user", name="ann", parts=(Image(data="QUJD", detail="low"), Image(data="QUJD", detail="auto"))),
        parallel_tool_calls=False,
        tools=(Tool(name="f", cache_control=mark),),
        rest={"logit_bias": {"1": 5}, "verbosity": "low", "prediction": None},
    )
    assert sorted(prepared.dropped) == sorted(
        ["name", "detail", "cache_control", "parallel_tool_calls", "logit_bias", "verbosity"]
    )


def test_what_gemini_does_by_itself_is_not_dropped() -> None:
    assert prepare(parallel_tool_calls=True, tools=(CLOCK,)).dropped == ()


# ---------------------------------------------------------------- against Google's own reading


def everything() -> ChatRequest:
    return ChatRequest(
        model="gemini-3-flash-preview",
        messages=(
            Message(role="system", parts=(Text(text="Be brief."),)),
            Message(role="user", parts=(Text(text="?"), Image(data="QUJD"), Image(url="https://example.com/a.png"))),
            calls(ToolCall(id="c1", name="weather", arguments='{"city": "Paris"}', signature="c2ln")),
            result("c1", "sunny"),
            Message(role="assistant", parts=(Reasoning(signature="c2ln", format=GEMINI), Text(text="Sunny."))),
        ),
        tools=(WEATHER,),
        tool_choice=ToolChoice(mode="named", name="weather"),
        max_tokens=10,
        stop=("END",),
        n=2,
        logprobs=True,
        top_logprobs=2,
        response_format=ResponseFormat(kind="json_schema", schema=SCHEMA),
        reasoning=ReasoningRequest(effort="low"),
        service_tier="flex",
    )


def test_googles_sdk_knows_every_field_that_is_written() -> None:
    """Its models refuse a field that they do not know."""
    written = msgspec.json.decode(GeminiAdapter().prepare(everything()).body)
    for turn in (*written["contents"], written["systemInstruction"]):
        types.Content.model_validate(turn)
    types.GenerationConfig.model_validate(written["generationConfig"])
    for tool in written["tools"]:
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(written["toolConfig"])
    assert types.ServiceTier(written["serviceTier"]) is types.ServiceTier.FLEX


RECORDED_CONVERSATIONS = [
    recording for recording in recordings("google.generate") if "functionResponse" in json.dumps(recording.request)
]


@pytest.mark.parametrize("recording", RECORDED_CONVERSATIONS, ids=lambda recording: recording.id)
def test_calls_and_results_are_written_like_the_recorded_ones(recording: Recording) -> None:
    """Reads the calls and results of a recorded request into canonical messages, and compares what is written."""
    turns = recording.request["contents"]
    messages = [message for turn in turns for part in turn["parts"] for message in _canonical(part)]
    prepared = GeminiAdapter().prepare(ChatRequest(model=_model(recording), messages=tuple(messages)))
    written = [part for turn in json.loads(prepared.body)["contents"] for part in turn["parts"]]
    assert written == [_expected(part) for turn in turns for part in turn["parts"] if _canonical(part)]


def _model(recording: Recording) -> str:
    return recording.path.split("/models/")[1].partition(":")[0]


def _canonical(part: Body) -> list[Message]:
    if "functionCall" in part:
        call = part["functionCall"]
        arguments = json.dumps(call.get("args", {}))
        signature = part.get("thoughtSignature")
        return [calls(ToolCall(id=call["id"], name=call["name"], arguments=arguments, signature=signature))]
    if "functionResponse" in part:
        response = part["functionResponse"]
        return [result(response["id"], json.dumps(response["response"]))]
    return []


def _expected(part: Body) -> Body:
    """The recorded part without the media inside a response, which are parts beside it here."""
    if "functionResponse" not in part:
        return part
    response = {name: value for name, value in part["functionResponse"].items() if name != "parts"}
    return {"functionResponse": response}


def test_the_recordings_are_there() -> None:
    need_recordings()
    assert RECORDED_CONVERSATIONS


# ---------------------------------------------------------------- whatever comes

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)


ARGUMENTS = TEXTS | st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=2).map(json.dumps)


@given(model=TEXTS.filter(bool), text=TEXTS, arguments=ARGUMENTS, tool_text=ARGUMENTS)
def test_any_text_is_written_as_valid_json_or_refused_by_name(
    model: str, text: str, arguments: str, tool_text: str
) -> None:
    messages = (user(text), calls(ToolCall(id="c", name="f", arguments=arguments)), result("c", tool_text))
    request = ChatRequest(model=model, messages=messages)
    if not _can_be_said(model, arguments):
        with pytest.raises(InvalidRequest):
            GeminiAdapter().prepare(request)
        return
    prepared = GeminiAdapter().prepare(request)
    assert json.loads(prepared.body)["contents"][0]["parts"][0] == {"text": text}
    assert prepared.path.isascii()
    assert prepared.path.count("/") == 3


def _can_be_said(model: str, arguments: str) -> bool:
    if model in ("models/", "tunedModels/"):
        return False
    try:
        return isinstance(json.loads(arguments or "{}"), dict)
    except ValueError:
        return False
