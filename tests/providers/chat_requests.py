"""Canonical requests: short ones to write by hand, and any, for what must hold for all."""

import json
from base64 import b64encode
from typing import Any

from hypothesis import strategies as st

from arouter.domain.chat import (
    Audio,
    ChatRequest,
    File,
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

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_MAYBE_TEXT = st.none() | TEXT
_NUMBER = st.none() | st.integers(-2, 2) | st.floats(-2, 2)
_COUNT = st.none() | st.integers(1, 100)
_BASE64 = st.binary(max_size=6).map(lambda raw: b64encode(raw).decode())
_SCHEMA = st.just({"type": "object", "properties": {"city": {"type": "string"}}})


def user(*parts: Any) -> Message:
    return Message(role="user", parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Any, calls: tuple[ToolCall, ...] = ()) -> Message:
    said = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    return Message(role="assistant", parts=said, tool_calls=calls)


def call(call_id: str = "call_1", name: str = "weather", arguments: str = '{"city":"Ulm"}', **rest: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments, **rest)


def result(*parts: Any, call_id: str = "call_1", **rest: Any) -> Message:
    given = tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    return Message(role="tool", parts=given, tool_call_id=call_id, **rest)


def request(*messages: Message, model: str = "m", **rest: Any) -> ChatRequest:
    return ChatRequest(model=model, messages=messages or (user("Hi"),), **rest)


TOOLS = (Tool(name="weather", description="How it is", parameters={"type": "object", "properties": {}}),)


def sent(body: bytes) -> Any:
    return json.loads(body)


# ---------------------------------------------------------------- any request


def _data(kind: type, **fields: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind, **fields)


_IMAGES = _data(Image, url=TEXT.map("https://x.example/{}".format), detail=st.sampled_from([None, "low", "high"]))
_IMAGES |= _data(Image, data=_BASE64, media_type=st.just("image/png"))
_FILES = _data(File, data=_BASE64, media_type=st.just("application/pdf"), name=_MAYBE_TEXT)
_FILES |= _data(File, file_id=TEXT, name=_MAYBE_TEXT)
_AUDIO = _data(Audio, data=_BASE64, format=st.sampled_from(["wav", "mp3"]))
_TEXTS = _data(Text, text=TEXT)
_THOUGHTS = _data(
    Reasoning,
    text=st.just("") | TEXT,
    signature=_MAYBE_TEXT,
    data=_MAYBE_TEXT,
    format=st.sampled_from([None, "anthropic-claude-v1", "openai-responses-v1", "google-gemini-v1"]),
    id=_MAYBE_TEXT,
)


@st.composite
def _turn(draw: st.DrawFn, number: int, *, thoughts: bool) -> list[Message]:
    """What the user says, what the model answers, and what its tools give."""
    asked = Message(
        role="user",
        parts=tuple(draw(st.lists(_TEXTS | _IMAGES | _FILES | _AUDIO, min_size=1, max_size=3))),
        name=draw(_MAYBE_TEXT),
    )
    calls = tuple(
        ToolCall(id=f"call_{number}_{place}", name=draw(TEXT), arguments=draw(st.sampled_from(["{}", '{ "a": 1.50}'])))
        for place in range(draw(st.integers(0, 2)))
    )
    thought = draw(st.lists(_THOUGHTS, max_size=2)) if thoughts else []
    said = draw(st.lists(_TEXTS, min_size=0 if calls else 1, max_size=2))
    answered = Message(role="assistant", parts=(*thought, *said), tool_calls=calls)
    results = [
        Message(role="tool", parts=tuple(draw(st.lists(_TEXTS, min_size=1, max_size=2))), tool_call_id=one.id)
        for one in calls
    ]
    return [asked, answered, *results]


_SYSTEM = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "developer"]),
        parts=st.lists(_TEXTS, min_size=1, max_size=2).map(tuple),
    ),
    max_size=2,
)
_TOOL = st.builds(
    Tool,
    name=TEXT,
    description=_MAYBE_TEXT,
    parameters=st.none() | _SCHEMA,
    strict=st.sampled_from([None, True, False]),
)
_FORMATS = st.builds(ResponseFormat, kind=st.sampled_from(["text", "json_object"])) | st.builds(
    ResponseFormat,
    kind=st.just("json_schema"),
    name=TEXT,
    schema=_SCHEMA,
    strict=st.sampled_from([None, True, False]),
)


@st.composite
def _tools(draw: st.DrawFn) -> dict[str, Any]:
    tools = tuple(draw(st.lists(_TOOL, max_size=3, unique_by=lambda tool: tool.name)))
    if not tools:
        return {}
    names = [tool.name for tool in tools]
    choices = st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"]))
    choices |= st.builds(ToolChoice, mode=st.just("named"), name=st.sampled_from(names))
    choices |= st.builds(
        ToolChoice,
        mode=st.sampled_from(["auto", "required"]),
        allowed=st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple),
    )
    return {
        "tools": tools,
        "tool_choice": draw(st.none() | choices),
        "parallel_tool_calls": draw(st.sampled_from([None, True, False])),
    }


@st.composite
def requests(draw: st.DrawFn, *, model: str = "gpt-4o", thoughts: bool = False) -> ChatRequest:
    """Any request of a client that says what the dialects have in common."""
    messages = draw(_SYSTEM)
    for number in range(draw(st.integers(1, 2))):
        messages += draw(_turn(number, thoughts=thoughts))
    return ChatRequest(
        model=model,
        messages=tuple(messages),
        stream=draw(st.booleans()),
        **draw(_tools()),
        max_tokens=draw(_COUNT),
        temperature=draw(_NUMBER),
        top_p=draw(_NUMBER),
        stop=tuple(draw(st.lists(TEXT, max_size=2))),
        n=draw(_COUNT),
        seed=draw(_COUNT),
        frequency_penalty=draw(_NUMBER),
        presence_penalty=draw(_NUMBER),
        logprobs=draw(st.sampled_from([None, True, False])),
        top_logprobs=draw(_COUNT),
        response_format=draw(st.none() | _FORMATS),
        reasoning=draw(
            st.none() | st.builds(ReasoningRequest, effort=st.sampled_from(["none", "minimal", "low", "high", "xhigh"]))
        )
        if thoughts
        else None,
        service_tier=draw(st.sampled_from([None, "auto", "flex", "priority"])),
        identity=draw(_MAYBE_TEXT),
    )
