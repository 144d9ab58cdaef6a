"""Nothing that a client asks for is lost in silence: each thing, asked for alone, of each provider.

A request is written without it and with it. Either what is sent differs, or the thing is named as dropped, or the
request is refused. What asks for nothing, because there is no more of it or it happens anyway, is neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.chat import (
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningRequest,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from arouter.domain.errors import InvalidRequest
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.base import Adapter, Prepared
from arouter.providers.converse import ConverseAdapter
from arouter.providers.gemini import GeminiAdapter
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.openai_responses import ResponsesAdapter
from arouter.providers.vendors import BY_NAME, VENDORS, Vendor
from tests.providers.chat_requests import assistant, call, request, requests, result, user

OWN = Vendor(name="my-server", dialect="openai", base_url=None, authentication="none")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A provider, and the model of it that is asked for."""

    name: str
    adapter: Adapter
    model: str

    def prepare(self, asked: ChatRequest) -> Prepared:
        return self.adapter.prepare(replace(asked, model=self.model))


PROVIDERS = (
    Asked(name="anthropic", adapter=AnthropicAdapter(), model="claude-sonnet-4-5"),
    Asked(name="anthropic-later", adapter=AnthropicAdapter(), model="claude-opus-4-8"),
    Asked(name="gemini", adapter=GeminiAdapter(), model="gemini-3-pro"),
    Asked(name="gemini-older", adapter=GeminiAdapter(), model="gemini-2.0-flash"),
    Asked(name="converse", adapter=ConverseAdapter(), model="amazon.nova-pro-v1:0"),
    Asked(name="responses", adapter=ResponsesAdapter(BY_NAME["openai"]), model="gpt-4.1"),
    Asked(name="responses-thinking", adapter=ResponsesAdapter(BY_NAME["openai"]), model="gpt-5"),
    *(
        Asked(name=vendor.name, adapter=ChatAdapter(vendor), model="a-model")
        for vendor in (*VENDORS, OWN)
        if vendor.dialect == "openai"
    ),
)

MARK: dict[str, object] = {"type": "ephemeral"}
TOOL = Tool(name="weather")
OTHER = Tool(name="time")
SCHEMA: dict[str, object] = {"type": "object"}
FORMAT = ResponseFormat(kind="json_schema", name="answer", schema=SCHEMA)

TEXT = Text(text="More")
IMAGE = Image(data="aGk=", media_type="image/png")
PDF = File(data="JVBERi0xLjQ=", media_type="application/pdf")
NOTES = File(data="aGk=", media_type="text/plain")
PARTS: Mapping[str, Part] = {
    "text": TEXT,
    "refusal": Refusal(text="No"),
    "image": IMAGE,
    "image by address": Image(url="https://x.example/a.png"),
    "sound": Audio(data="aGk=", format="wav"),
    "pdf": PDF,
    "notes": NOTES,
    "image as a file": File(data="aGk=", media_type="image/png"),
    "file by address": File(url="https://x.example/a.pdf", media_type="application/pdf"),
    "file by id": File(file_id="file-1"),
}


def _with_tool(**rest: Any) -> ChatRequest:
    return request(tools=(TOOL,), **rest)


def _called(given: Message, **rest: Any) -> ChatRequest:
    """A conversation in which a tool was called and gave something."""
    return request(user("Hi"), assistant(calls=(call(),)), given, tools=(TOOL,), **rest)


def _spoken(role: Any, *parts: Part, **rest: Any) -> ChatRequest:
    return request(user("Hi"), Message(role=role, parts=(Text(text="Hm"), *parts), **rest), user("Go on"))


@dataclass(frozen=True, kw_only=True)
class Case:
    """The same request `without` and `asking` for one thing, and the names by which it may be told as dropped."""

    what: str
    without: ChatRequest
    asking: ChatRequest
    names: tuple[str, ...]

    def __str__(self) -> str:
        return self.what


def _settings() -> list[Case]:
    asked: Mapping[str, Any] = {
        "max_tokens": 5000,
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 5,
        "stop": ("END",),
        "n": 2,
        "seed": 1,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.5,
        "logprobs": True,
        "top_logprobs": 3,
        "service_tier": "flex",
        "response_format": FORMAT,
        "stream": True,
        "tools": (TOOL,),
        "tool_choice": ToolChoice(mode="required"),
        "rest": {"unheard_of": 1},
    }
    return [
        Case(
            what=name,
            without=request(),
            asking=request(**{name: wanted}),
            names=("unheard_of",) if name == "rest" else (name,),
        )
        for name, wanted in asked.items()
    ]


def _thinking() -> list[Case]:
    asked = {
        **{f"effort {effort}": ReasoningRequest(effort=effort) for effort in ("low", "high", "xhigh", "unheard_of")},
        "budget": ReasoningRequest(max_tokens=2000),
        "hidden": ReasoningRequest(effort="high", exclude=True),
    }
    names = ("reasoning_effort", "reasoning", "reasoning.max_tokens")
    return [
        *(
            Case(what=what, without=request(), asking=request(reasoning=wanted), names=names)
            for what, wanted in asked.items()
        ),
        Case(
            what="budget beside an effort",
            without=request(),
            asking=request(reasoning=ReasoningRequest(effort="low", max_tokens=12_000)),
            names=names,
        ),
    ]


def _tools() -> list[Case]:
    fields: Mapping[str, Any] = {"description": "How it is", "parameters": {"type": "object", "properties": {"a": {}}}}
    fields = {**fields, "strict": True, "cache_control": MARK}
    two = (TOOL, OTHER)
    return [
        *(
            Case(
                what=f"a tool's {name}",
                without=_with_tool(),
                asking=request(tools=(replace(TOOL, **{name: wanted}),)),
                names=("cache_control",) if name == "cache_control" else (f"tools.{name}",),
            )
            for name, wanted in fields.items()
        ),
        *(
            Case(
                what=f"choice {choice.mode}",
                without=_with_tool(),
                asking=_with_tool(tool_choice=choice),
                names=("tool_choice",),
            )
            for choice in (
                ToolChoice(mode="none"),
                ToolChoice(mode="required"),
                ToolChoice(mode="named", name="weather"),
            )
        ),
        Case(
            what="no call after calls",
            without=_called(result("Warm")),
            asking=_called(result("Warm"), tool_choice=ToolChoice(mode="none")),
            names=("tool_choice",),
        ),
        Case(
            what="choice among some",
            without=request(tools=two),
            asking=request(tools=two, tool_choice=ToolChoice(mode="auto", allowed=("weather",))),
            names=("tool_choice",),
        ),
        Case(
            what="one call at a time",
            without=_with_tool(),
            asking=_with_tool(parallel_tool_calls=False),
            names=("parallel_tool_calls",),
        ),
        Case(
            what="a tool that is no function",
            without=_with_tool(),
            asking=_with_tool(rest={"tools": [{"type": "unheard_of"}]}),
            names=("tools",),
        ),
        Case(
            what="a choice of a tool that is no function",
            without=request(),
            asking=request(rest={"tool_choice": {"type": "unheard_of"}}),
            names=("tool_choice",),
        ),
    ]


def _messages() -> list[Case]:
    roles = ("user", "system", "developer", "assistant")
    lost = ("messages.content", "messages.input_audio")
    return [
        *(
            Case(what=f"{what} of the {role}", without=_spoken(role), asking=_spoken(role, part), names=lost)
            for role in roles
            for what, part in PARTS.items()
        ),
        *(
            Case(
                what=f"{what} of a tool",
                without=_called(result("Warm")),
                asking=_called(result("Warm", part)),
                names=lost,
            )
            for what, part in PARTS.items()
        ),
        *(
            Case(
                what=f"the name of the {role}",
                without=_spoken(role),
                asking=_spoken(role, name="ann"),
                names=("messages.name",),
            )
            for role in roles
        ),
        *(
            Case(
                what=f"a mark on {what} of the {role}",
                without=_spoken(role, part),
                asking=_spoken(role, replace(part, cache_control=MARK)),
                names=("cache_control",),
            )
            for role in ("user", "system", "developer")
            for what, part in PARTS.items()
            if isinstance(part, Text | Image | File)
        ),
        *(
            Case(
                what=f"a mark on {what} of a tool",
                without=_called(result(part)),
                asking=_called(result(replace(part, cache_control=MARK))),
                names=("cache_control",),
            )
            for what, part in PARTS.items()
            if isinstance(part, Text | Image | File)
        ),
        Case(
            what="a mark on text of the assistant",
            without=_spoken("assistant", TEXT),
            asking=_spoken("assistant", replace(TEXT, cache_control=MARK)),
            names=("cache_control",),
        ),
        Case(
            what="image detail",
            without=request(user(IMAGE)),
            asking=request(user(replace(IMAGE, detail="high"))),
            names=("messages.image_url.detail",),
        ),
        Case(
            what="failure of a tool",
            without=_called(result("Warm")),
            asking=_called(result("Warm", is_error=True)),
            names=("messages.is_error",),
        ),
    ]


CASES = [*_settings(), *_thinking(), *_tools(), *_messages()]


def _is_told(provider: Asked, case: Case) -> bool:
    without = _prepared(provider, case.without)
    asking = _prepared(provider, case.asking)
    if without is None or asking is None:
        return asking is None
    return _said(asking) != _said(without) or bool(set(case.names) & set(asking.dropped))


def _prepared(provider: Asked, asked: ChatRequest) -> Prepared | None:
    """None if it is refused."""
    try:
        return provider.prepare(asked)
    except InvalidRequest as error:
        assert error.param is not None  # noqa: PT017
        return None


def _said(prepared: Prepared) -> tuple[object, ...]:
    return prepared.path, prepared.query, prepared.headers, prepared.body


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_thing_is_sent_or_named(case: Case) -> None:
    silent = {provider.name for provider in PROVIDERS if not _is_told(provider, case)}
    assert silent == set()


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
@given(asked=requests(thoughts=True), data=st.data())
@settings(max_examples=15)
def test_a_mark_anywhere_is_sent_or_named(provider: Asked, asked: ChatRequest, data: st.DataObject) -> None:
    places = [
        (at, inner)
        for at, message in enumerate(asked.messages)
        for inner, part in enumerate(message.parts)
        if isinstance(part, Text | Image | File)
    ]
    at, inner = data.draw(st.sampled_from(places))
    case = Case(what="", without=asked, asking=_marked(asked, at, inner), names=("cache_control",))
    assert _is_told(provider, case)


def _marked(asked: ChatRequest, at: int, inner: int) -> ChatRequest:
    message = asked.messages[at]
    part: Any = message.parts[inner]
    parts = (*message.parts[:inner], replace(part, cache_control=MARK), *message.parts[inner + 1 :])
    return replace(asked, messages=(*asked.messages[:at], replace(message, parts=parts), *asked.messages[at + 1 :]))


# ---------------------------------------------------------------- what asks for nothing

LABELS = (
    # OpenAI's dialects demand both; where they have no field, nothing else becomes of them.
    request(response_format=replace(FORMAT, name="city")),
    request(user(replace(PDF, name="a.pdf"))),
    # The tool is known from its call.
    _called(result("Warm", name="weather")),
)
ANYWAY = (
    request(n=1, frequency_penalty=0, presence_penalty=0, logprobs=False),
    request(response_format=ResponseFormat(kind="text")),
    request(reasoning=ReasoningRequest()),
    _with_tool(tool_choice=ToolChoice(mode="auto"), parallel_tool_calls=True),
    request(tool_choice=ToolChoice(mode="none"), parallel_tool_calls=True),
    request(user(replace(IMAGE, detail="auto"))),
    request(rest={"modalities": ["text"], "unheard_of": None}),
)
SEALED = (
    # What one provider proved is nothing to another one: a conversation that moves goes on without.
    request(user("Hi"), assistant(Reasoning(text="Hm", signature="s", format="another-v1"), "Yes"), user("Why?")),
    request(user("Hi"), assistant(calls=(call(signature="s"),)), result("Warm"), tools=(TOOL,)),
)


@pytest.mark.parametrize("asked", [*LABELS, *ANYWAY, *SEALED])
def test_what_asks_for_nothing_is_not_named(asked: ChatRequest) -> None:
    named = {
        (provider.name, name)
        for provider in PROVIDERS
        for name in provider.prepare(asked).dropped
        if (provider.name, name) not in UNTOLD
    }
    assert named == set()


UNTOLD = {("gemini-older", "reasoning"), ("converse", "reasoning")}
"""They cannot be told anything about thought."""
