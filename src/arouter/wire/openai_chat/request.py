"""A chat completion request of the OpenAI format, read into the canonical form."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from arouter.domain.chat import ChatRequest, Json, ReasoningRequest, ResponseFormat
from arouter.wire.efforts import read_effort, read_reasoning
from arouter.wire.fields import Fields, decoded, wrong_type, wrong_value
from arouter.wire.gateway_fields import GATEWAY_FIELDS
from arouter.wire.openai_chat.messages import read_messages
from arouter.wire.openai_chat.tools import read_tool_choice, read_tools


def read_chat(fields: Mapping[str, msgspec.Raw], *, model: str, identity: str | None, stream: bool) -> ChatRequest:
    """The canonical form of a request.

    `fields` is the top-level object with its values undecoded; `model` is the upstream's own name of the model and
    `identity` the pseudonym of the end user. InvalidRequest, naming the field, if something is missing or malformed.
    """
    values = {name: decoded(name, raw) for name, raw in fields.items() if name not in GATEWAY_FIELDS}
    request = Fields(values)
    rest: Json = {}
    if not CANONICAL_FIELDS.issuperset(values):
        rest = {name: value for name, value in values.items() if name not in CANONICAL_FIELDS and value is not None}
    told: dict[str, Any] = {}
    if not _OF_TOOLS.isdisjoint(values):
        told["tools"], other_tools = read_tools(request)
        told["tool_choice"], other_choice = read_tool_choice(request)
        if other_tools:
            rest["tools"] = list(other_tools)
        if other_choice is not None:
            rest["tool_choice"] = other_choice
    request.integer("max_completion_tokens")  # Checked before the messages.
    messages = read_messages(request)
    for name in _READERS:
        if name in values:
            field, read = _READERS[name]
            told[field] = read(request, name)
    return ChatRequest(model=model, messages=messages, stream=stream, identity=identity, rest=rest, **told)


def _limit(request: Fields, _: str) -> int | None:
    """The newer name comes first."""
    limit = request.integer("max_completion_tokens")
    return request.integer("max_tokens") if limit is None else limit


def _stop(request: Fields, name: str) -> tuple[str, ...]:
    value = request.get(name)
    match value:
        case None:
            return ()
        case str():
            return (value,)
        case list():
            return tuple(_stop_sequence(sequence, f"stop[{at}]") for at, sequence in enumerate(value))
        case _:
            raise wrong_type("stop", "a string or an array of strings", value)


def _stop_sequence(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(param, "a string", value)
    return value


def _response_format(request: Fields, name: str) -> ResponseFormat | None:
    form = request.child(name)
    if form is None:
        return None
    match form.required_text("type"):
        case "text" | "json_object" as kind:
            return ResponseFormat(kind=kind)
        case "json_schema":
            described = form.required_child("json_schema")
            return ResponseFormat(
                kind="json_schema",
                name=described.text("name"),
                schema=described.json("schema"),
                strict=described.flag("strict"),
            )
        case _:
            raise wrong_value(form.param("type"), "text, json_object or json_schema")


def _reasoning(request: Fields, _: str) -> ReasoningRequest | None:
    """OpenRouter's `reasoning` object, which is the more precise, over OpenAI's `reasoning_effort`."""
    effort = read_effort(request, "reasoning_effort")
    wanted = request.child("reasoning")
    if wanted is None:
        return None if effort is None else ReasoningRequest(effort=effort)
    own_effort = read_effort(wanted, "effort")
    return read_reasoning(wanted, effort if own_effort is None else own_effort)


_READERS: Mapping[str, tuple[str, Callable[[Fields, str], object]]] = MappingProxyType(
    {
        "parallel_tool_calls": ("parallel_tool_calls", Fields.flag),
        "max_completion_tokens": ("max_tokens", _limit),
        "max_tokens": ("max_tokens", _limit),
        "temperature": ("temperature", Fields.number),
        "top_p": ("top_p", Fields.number),
        "top_k": ("top_k", Fields.integer),
        "stop": ("stop", _stop),
        "n": ("n", Fields.integer),
        "seed": ("seed", Fields.integer),
        "frequency_penalty": ("frequency_penalty", Fields.number),
        "presence_penalty": ("presence_penalty", Fields.number),
        "logprobs": ("logprobs", Fields.flag),
        "top_logprobs": ("top_logprobs", Fields.integer),
        "response_format": ("response_format", _response_format),
        "reasoning": ("reasoning", _reasoning),
        "reasoning_effort": ("reasoning", _reasoning),
        "service_tier": ("service_tier", Fields.text),
    }
)
"""The canonical field that a field is read into, and how: in the order in which they are checked."""
_OF_TOOLS = frozenset({"tools", "functions", "tool_choice", "function_call"})
CANONICAL_FIELDS = frozenset({"messages", *_OF_TOOLS, *_READERS})
"""Read into fields of `ChatRequest`."""
