"""A canonical request as generateContent: canonical form on the left, Gemini's body on the right."""

import json

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import (
    ChatRequest,
    Image,
    Message,
    Reasoning,
    ReasoningRequest,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.providers.gemini import GeminiAdapter
from tests.providers.gemini_requests import (
    CLOCK,
    GEMINI,
    HELLO_TURN,
    SCHEMA,
    WEATHER,
    Body,
    body,
    calls,
    prepare,
    result,
    user,
)
from tests.recordings import Recording, need_recordings, recordings

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


# ---------------------------------------------------------------- tools


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
    assert old.dropped == ("tools.strict",)


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
        [
            "messages.name",
            "messages.image_url.detail",
            "cache_control",
            "parallel_tool_calls",
            "logit_bias",
            "verbosity",
        ]
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
