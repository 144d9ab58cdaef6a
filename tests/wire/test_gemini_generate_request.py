"""The request: what each field is read as, and which field a malformed one is told about."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import ChatRequest, Message, ReasoningRequest, ResponseFormat, Text, Tool, ToolChoice
from arouter.domain.errors import InvalidRequest
from arouter.wire.gemini_generate.request import (
    CANONICAL_FIELDS,
    GATEWAY_FIELDS,
    labelled_user,
    read_generate,
    without_user,
)
from tests.wire.generate_bodies import HELLO, configured, read, read_bytes, read_with
from tests.wire.strategies import JSON, TEXT


def refused(body: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as refusal:
        read({"contents": HELLO, **body})
    return refusal.value.code, refusal.value.param


# ---------------------------------------------------------------- what the router knows


def test_model_identity_and_stream_come_from_the_router() -> None:
    fields = msgspec.json.decode(
        msgspec.json.encode({"model": "models/x", "user": "raw", "stream": False, "contents": HELLO}),
        type=dict[str, msgspec.Raw],
    )
    request = read_generate(fields, model="x", identity="pseudonym", stream=True)
    assert (request.model, request.identity, request.stream) == ("x", "pseudonym", True)
    assert request.messages == (Message(role="user", parts=(Text(text="Hello"),)),)
    assert request.rest == {}


def test_what_has_no_canonical_form_is_kept_and_the_gateways_own_is_not() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    request = read_with(
        **dict.fromkeys(GATEWAY_FIELDS, "x"),
        safety_settings=safety,
        cachedContent="cachedContents/1",
        some_thing=1,
        store=True,
        topA=None,
    )
    assert request.rest == {"safetySettings": safety, "cachedContent": "cachedContents/1", "some_thing": 1}


def test_a_null_says_nothing() -> None:
    assert read_with(**dict.fromkeys(CANONICAL_FIELDS - {"contents"})) == read_with()
    assert (
        configured(**dict.fromkeys(["topP", "seed", "thinkingConfig", "responseSchema", "speechConfig"])) == read_with()
    )


def test_both_spellings_are_one() -> None:
    camel = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "maxOutputTokens": 5,
            "stopSequences": ["x"],
            "thinkingConfig": {"thinkingBudget": 9, "includeThoughts": True},
        },
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
    }
    snake = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "generation_config": {
            "max_output_tokens": 5,
            "stop_sequences": ["x"],
            "thinking_config": {"thinking_budget": 9, "include_thoughts": True},
        },
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f", "g"]}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
    }
    assert read_with(**camel) == read_with(**snake)
    assert read_with(**camel).max_tokens == 5


def test_one_object_stands_for_a_list_of_one() -> None:
    request = read({"contents": {"parts": {"text": "Hello"}}, "systemInstruction": {"parts": {"text": "Be brief."}}})
    assert request.messages == (
        Message(role="system", parts=(Text(text="Be brief."),)),
        Message(role="user", parts=(Text(text="Hello"),)),
    )


# ---------------------------------------------------------------- the end user


def fields(**told: object) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(msgspec.json.encode(told), type=dict[str, msgspec.Raw])


@given(TEXT)
def test_the_label_names_the_user_byte_for_byte(user: str) -> None:
    assert labelled_user(fields(labels={"user": user, "team": "a"})) == user


def test_nobody_is_named() -> None:
    for labels in ({}, None, {"team": "a"}, {"user": None}):
        assert labelled_user(fields(labels=labels)) is None
    assert labelled_user({}) is None


def test_a_user_that_is_no_text_is_refused() -> None:
    for labels, param in (({"user": 7}, "labels.user"), ("x", "labels")):
        with pytest.raises(InvalidRequest) as refusal:
            labelled_user(fields(labels=labels))
        assert refusal.value.param == param


def test_the_user_is_in_no_label_that_goes_on() -> None:
    assert read_with(labels={"user": "me", "team": "a"}).rest == {"labels": {"team": "a"}}
    assert read_with(labels={"user": "me"}).rest == {}
    assert without_user(None) is None


# ---------------------------------------------------------------- tools


def test_functions() -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"a_b": {"type": "string"}}}
    declared = [
        {"name": "f", "description": "does f", "parametersJsonSchema": schema, "response": {"type": "STRING"}},
        {"name": "g", "parameters": {"type": "OBJECT", "properties": {"a_b": {"type": "STRING", "nullable": True}}}},
        {"name": "h"},
    ]
    request = read_with(tools=[{"functionDeclarations": declared[:2]}, {"functionDeclarations": declared[2:]}])
    assert request.tools == (
        Tool(name="f", description="does f", parameters=schema),
        Tool(name="g", parameters={"type": "object", "properties": {"a_b": {"type": ["string", "null"]}}}),
        Tool(name="h"),
    )
    assert request.rest == {}


def test_tools_that_are_no_functions_are_left_for_the_adapter() -> None:
    request = read_with(tools=[{"googleSearch": {}, "functionDeclarations": [{"name": "f"}]}, {"codeExecution": {}}])
    assert request.tools == (Tool(name="f"),)
    assert request.rest == {"tools": [{"googleSearch": {}}, {"codeExecution": {}}]}


@pytest.mark.parametrize(
    ("config", "choice", "rest"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), None),
        ({"mode": "auto", "allowedFunctionNames": ["f"]}, ToolChoice(mode="auto", allowed=("f",)), None),
        ({"mode": "ANY"}, ToolChoice(mode="required"), None),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode="named", name="f"), None),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice(mode="required", allowed=("f", "g")), None),
        ({"mode": "NONE"}, ToolChoice(mode="none"), None),
        ({"mode": "MODE_UNSPECIFIED"}, None, None),
        ({}, None, None),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto"), {"functionCallingConfig": {"mode": "VALIDATED"}}),
    ],
)
def test_tool_choice(config: dict[str, Any], choice: ToolChoice | None, rest: object) -> None:
    request = read_with(toolConfig={"functionCallingConfig": config})
    assert request.tool_choice == choice
    assert request.rest.get("toolConfig") == rest


def test_what_else_the_tool_config_says_is_left_for_the_adapter() -> None:
    request = read_with(toolConfig={"retrievalConfig": {"languageCode": "de"}})
    assert request.rest == {"toolConfig": {"retrievalConfig": {"languageCode": "de"}}}


# ---------------------------------------------------------------- generation


def test_plain_parameters() -> None:
    request = configured(
        maxOutputTokens="7",
        temperature=0.5,
        topP="0.25",
        topK=40.0,
        stopSequences=["a", "b"],
        candidateCount=2,
        seed=3,
        presencePenalty=0.1,
        frequencyPenalty=-0.1,
        responseLogprobs=True,
        logprobs=4,
    )
    assert request == ChatRequest(
        model="m",
        messages=read_with().messages,
        max_tokens=7,
        temperature=0.5,
        top_p=0.25,
        top_k=40,
        stop=("a", "b"),
        n=2,
        seed=3,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=4,
    )


def test_what_else_the_config_says_is_left_for_the_adapter() -> None:
    speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    assert configured(speechConfig=speech, media_resolution="LOW").rest == {
        "speechConfig": speech,
        "mediaResolution": "LOW",
    }


@pytest.mark.parametrize(
    ("modalities", "rest"),
    [
        (["TEXT"], {}),
        ([], {}),
        (["TEXT", "IMAGE"], {"modalities": ["text", "image"]}),
        (["AUDIO"], {"modalities": ["audio"]}),
    ],
)
def test_modalities(modalities: list[str], rest: dict[str, object]) -> None:
    assert configured(responseModalities=modalities).rest == rest


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({"responseMimeType": "text/plain"}, None),
        ({"responseMimeType": "application/json"}, ResponseFormat(kind="json_object")),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "ARRAY", "items": {"type": "INTEGER"}}},
            ResponseFormat(kind="json_schema", schema={"type": "array", "items": {"type": "integer"}}),
        ),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": ["string", "null"]}},
            ResponseFormat(kind="json_schema", schema={"type": ["string", "null"]}),
        ),
    ],
)
def test_response_format(config: dict[str, Any], form: ResponseFormat | None) -> None:
    assert configured(**config).response_format == form
    assert configured(**config).rest == {}


def test_a_media_type_that_nobody_else_has_is_left_for_the_adapter() -> None:
    assert configured(responseMimeType="text/x.enum").rest == {"responseMimeType": "text/x.enum"}


@pytest.mark.parametrize(
    ("thinking", "wanted"),
    [
        ({"thinkingBudget": 0}, ReasoningRequest(effort="none")),
        ({"thinkingBudget": 1024}, ReasoningRequest(max_tokens=1024, exclude=True)),
        ({"thinkingBudget": 1024, "includeThoughts": True}, ReasoningRequest(max_tokens=1024)),
        ({"thinkingBudget": -1, "includeThoughts": True}, ReasoningRequest()),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, ReasoningRequest(effort="high")),
        ({"thinkingLevel": "minimal"}, ReasoningRequest(effort="minimal", exclude=True)),
        ({"includeThoughts": False}, ReasoningRequest(exclude=True)),
    ],
)
def test_thinking(thinking: dict[str, Any], wanted: ReasoningRequest) -> None:
    assert configured(thinkingConfig=thinking).reasoning == wanted


@pytest.mark.parametrize(
    ("tier", "wanted"), [("standard", "default"), ("flex", "flex"), ("PRIORITY", "priority"), ("unspecified", None)]
)
def test_service_tier(tier: str, wanted: str | None) -> None:
    assert read_with(serviceTier=tier).service_tier == wanted


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"contents": None}, ("missing_required_parameter", "contents")),
        ({"contents": []}, ("invalid_value", "contents")),
        ({"contents": {}}, ("invalid_value", "contents")),
        ({"contents": "x"}, ("invalid_type", "contents")),
        ({"contents": [1]}, ("invalid_type", "contents[0]")),
        ({"contents": [{"role": "system", "parts": []}]}, ("invalid_value", "contents[0].role")),
        ({"contents": [{"parts": [{"text": 1}]}]}, ("invalid_type", "contents[0].parts[0].text")),
        ({"systemInstruction": "x"}, ("invalid_type", "systemInstruction")),
        ({"systemInstruction": {"parts": [{}]}}, ("invalid_value", "systemInstruction.parts[0]")),
        ({"generationConfig": {"topK": 1.5}}, ("invalid_type", "generationConfig.topK")),
        ({"generationConfig": {"topK": "x"}}, ("invalid_type", "generationConfig.topK")),
        ({"generationConfig": {"temperature": "hot"}}, ("invalid_type", "generationConfig.temperature")),
        ({"generationConfig": {"stopSequences": [1]}}, ("invalid_type", "generationConfig.stopSequences[0]")),
        (
            {"generationConfig": {"responseSchema": {"items": 1}}},
            ("invalid_type", "generationConfig.responseSchema.items"),
        ),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "x"}}},
            ("invalid_value", "generationConfig.thinkingConfig.thinkingLevel"),
        ),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}},
            ("invalid_value", "generationConfig.thinkingConfig.thinkingBudget"),
        ),
        (
            {"tools": [{"functionDeclarations": [{}]}]},
            ("missing_required_parameter", "tools[0].functionDeclarations[0].name"),
        ),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
            ("invalid_value", "toolConfig.functionCallingConfig.mode"),
        ),
        ({"labels": [1]}, ("invalid_type", "labels")),
    ],
)
def test_a_malformed_field_is_named(body: dict[str, Any], told: tuple[str, str]) -> None:
    assert refused(body) == told


@pytest.mark.parametrize(
    ("contents", "code"),
    [
        (b'[{"parts": [{"text": "\\ud800"}]}]', "invalid_json"),
        (b'[{"parts": [{"functionCall": {"name": "f", "args": {"a": [1,]}}}]}]', "invalid_json"),
        (b'[{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": "\xff"}}}]}]', "invalid_json"),
        (b"[" * 5000 + b"]" * 5000, "invalid_value"),
        (b'[{"parts": [{"functionCall": ' + b"[" * 5000 + b"]" * 5000 + b"}]}]", "invalid_value"),
    ],
)
def test_contents_that_are_no_json_inside_are_refused(contents: bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_generate({"contents": msgspec.Raw(contents)}, model="m", identity=None, stream=False)
    assert (refusal.value.code, refusal.value.param) == (code, "contents")


WORDS = st.sampled_from(
    [
        *CANONICAL_FIELDS,
        "parts",
        "role",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "function_response",
        "inlineData",
        "fileData",
        "mimeType",
        "data",
        "name",
        "args",
        "response",
        "functionDeclarations",
        "parameters",
        "properties",
        "type",
        "anyOf",
        "thinkingConfig",
        "responseSchema",
    ]
)
NESTED = st.recursive(
    JSON | st.sampled_from(["model", "user", "OBJECT", "AAAA", "image/png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(WORDS, NESTED, max_size=6))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        assert read_bytes(msgspec.json.encode(body)).messages
