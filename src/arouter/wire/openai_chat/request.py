"""A chat completion request of the OpenAI format, read into the canonical form."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from arouter.domain.chat import ChatRequest, ReasoningRequest, ResponseFormat
from arouter.wire.fields import Fields, decoded, wrong_type, wrong_value
from arouter.wire.openai_chat.messages import read_messages
from arouter.wire.openai_chat.tools import read_tool_choice, read_tools

CANONICAL_FIELDS = frozenset(
    {
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "n",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
        "response_format",
        "reasoning",
        "reasoning_effort",
        "service_tier",
    }
)
"""Read into fields of `ChatRequest`."""

ROUTING_FIELDS = frozenset({"model", "models", "route", "provider", "stream", "stream_options", "usage"})
"""They say where the request goes and how the answer comes back: obeyed here, never an adapter's business."""

IDENTITY_FIELDS = frozenset({"user", "safety_identifier", "session_id", "metadata", "trace"})
"""They say for whom the request is: recorded here, and never sent raw to a provider."""

HOUSE_FIELDS = frozenset({"prompt_cache_key", "store", "transforms", "plugins"})
"""They address a service of the API that is asked (OpenAI's cache and storage, OpenRouter's rewriting). Without them
the answer is the same, so that a provider of another dialect that lacks them has not dropped anything."""

GATEWAY_FIELDS = ROUTING_FIELDS | IDENTITY_FIELDS | HOUSE_FIELDS
"""Fields that are never in `ChatRequest.rest`."""

_EFFORTS: Mapping[str, str | None] = MappingProxyType(
    {
        "none": "none",
        "minimal": "minimal",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "xhigh",
        "max": "xhigh",  # The most that the canonical form can ask for.
        "default": None,  # Groq's word for the model's own choice.
    }
)


def read_chat(fields: Mapping[str, msgspec.Raw], *, model: str, identity: str | None, stream: bool) -> ChatRequest:
    """The canonical form of a request.

    `fields` is the top-level object with its values undecoded; `model` is the upstream's own name of the model and
    `identity` the pseudonym of the end user. InvalidRequest, naming the field, if something is missing or malformed.
    """
    request = Fields({name: decoded(name, raw) for name, raw in fields.items() if name not in GATEWAY_FIELDS})
    tools, other_tools = read_tools(request)
    tool_choice, other_choice = read_tool_choice(request)
    rest = {name: value for name, value in request.values.items() if name not in CANONICAL_FIELDS and value is not None}
    if other_tools:
        rest["tools"] = list(other_tools)
    if other_choice is not None:
        rest["tool_choice"] = other_choice
    limit = request.integer("max_completion_tokens")
    return ChatRequest(
        model=model,
        messages=read_messages(request),
        stream=stream,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=request.flag("parallel_tool_calls"),
        max_tokens=request.integer("max_tokens") if limit is None else limit,
        temperature=request.number("temperature"),
        top_p=request.number("top_p"),
        top_k=request.integer("top_k"),
        stop=_stop(request),
        n=request.integer("n"),
        seed=request.integer("seed"),
        frequency_penalty=request.number("frequency_penalty"),
        presence_penalty=request.number("presence_penalty"),
        logprobs=request.flag("logprobs"),
        top_logprobs=request.integer("top_logprobs"),
        response_format=_response_format(request),
        reasoning=_reasoning(request),
        service_tier=request.text("service_tier"),
        identity=identity,
        rest=rest,
    )


def _stop(request: Fields) -> tuple[str, ...]:
    value = request.get("stop")
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


def _response_format(request: Fields) -> ResponseFormat | None:
    form = request.child("response_format")
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


def _reasoning(request: Fields) -> ReasoningRequest | None:
    """OpenRouter's `reasoning` object, which is the more precise, over OpenAI's `reasoning_effort`."""
    effort = _effort(request, "reasoning_effort")
    wanted = request.child("reasoning")
    if wanted is None:
        return None if effort is None else ReasoningRequest(effort=effort)
    own_effort = _effort(wanted, "effort")
    effort = effort if own_effort is None else own_effort
    max_tokens = wanted.integer("max_tokens")
    enabled = wanted.flag("enabled")
    exclude = wanted.flag("exclude") is True
    if enabled is False:
        effort, max_tokens = "none", None
    elif enabled and effort is None and max_tokens is None:
        effort = "medium"
    if effort is None and max_tokens is None and not exclude:
        return None
    return ReasoningRequest(effort=effort, max_tokens=max_tokens, exclude=exclude)


def _effort(fields: Fields, name: str) -> str | None:
    value = fields.text(name)
    if value is None:
        return None
    if value not in _EFFORTS:
        raise wrong_value(fields.param(name), f"one of {', '.join(_EFFORTS)}")
    return _EFFORTS[value]
