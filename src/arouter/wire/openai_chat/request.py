"""A chat completion request of the OpenAI format, read into the canonical form."""

from collections.abc import Mapping

import msgspec

from arouter.domain.chat import ChatRequest, ReasoningRequest, ResponseFormat
from arouter.wire.efforts import read_effort, read_reasoning
from arouter.wire.fields import Fields, decoded, wrong_type, wrong_value
from arouter.wire.gateway_fields import GATEWAY_FIELDS
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
    effort = read_effort(request, "reasoning_effort")
    wanted = request.child("reasoning")
    if wanted is None:
        return None if effort is None else ReasoningRequest(effort=effort)
    own_effort = read_effort(wanted, "effort")
    return read_reasoning(wanted, effort if own_effort is None else own_effort)
