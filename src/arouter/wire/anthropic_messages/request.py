"""A request of the Messages API, read into the canonical form."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from arouter.domain.chat import ChatRequest, Json, ReasoningRequest, ResponseFormat
from arouter.wire.anthropic_messages.messages import read_messages, read_system
from arouter.wire.anthropic_messages.parts import Lost
from arouter.wire.anthropic_messages.tools import read_tool_choice, read_tools
from arouter.wire.fields import Fields, decoded, missing, wrong_type, wrong_value
from arouter.wire.gateway_fields import GATEWAY_FIELDS

CANONICAL_FIELDS = frozenset(
    {
        "system",
        "messages",
        "tools",
        "tool_choice",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
    }
)
"""Read into fields of `ChatRequest`."""

DEFAULT_EFFORT = "high"
"""What Anthropic's models think with where a request with adaptive thinking names no effort
(https://platform.claude.com/docs/en/build-with-claude/effort)."""

_EFFORTS: Mapping[str, str] = MappingProxyType(
    {
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "xhigh",
        "max": "xhigh",  # The most that the canonical form can ask for.
    }
)

_SERVICE_TIERS: Mapping[str, str] = MappingProxyType({"standard_only": "default"})
"""OpenAI's word, where it has another one."""


def read_messages_request(
    fields: Mapping[str, msgspec.Raw], *, model: str, identity: str | None, stream: bool
) -> ChatRequest:
    """The canonical form of a request.

    `fields` is the top-level object with its values undecoded; `model` is the upstream's own name of the model and
    `identity` the pseudonym of the end user. InvalidRequest, naming the field, if something is missing or malformed.
    """
    request = Fields({name: decoded(name, raw) for name, raw in fields.items() if name not in GATEWAY_FIELDS})
    lost = Lost()
    tools, other_tools = read_tools(request, lost)
    tool_choice, parallel = read_tool_choice(request)
    output = request.child("output_config") or Fields({}, "output_config")
    reasoning, other_thinking = _reasoning(request, output)
    tier = request.text("service_tier")
    messages = (*read_system(request, lost), *read_messages(request, fields.get("messages"), lost))
    others = {"tools": other_tools, "output_config": _other_output(output), "thinking": other_thinking}
    return ChatRequest(
        model=model,
        messages=messages,
        stream=stream,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        max_tokens=request.integer("max_tokens"),
        temperature=request.number("temperature"),
        top_p=request.number("top_p"),
        top_k=request.integer("top_k"),
        stop=_stop(request),
        response_format=_response_format(request, output),
        reasoning=reasoning,
        service_tier=None if tier is None else _SERVICE_TIERS.get(tier, tier),
        identity=identity,
        rest={**_rest(request), **{name: value for name, value in others.items() if value}, **lost.as_rest()},
    )


def _rest(request: Fields) -> dict[str, object]:
    """What this form does not know: `container`, `mcp_servers`, `context_management`, …, as it came."""
    return {name: value for name, value in request.values.items() if name not in CANONICAL_FIELDS and value is not None}


def _stop(request: Fields) -> tuple[str, ...]:
    sequences = request.array("stop_sequences")
    return tuple(_stop_sequence(sequence, f"stop_sequences[{at}]") for at, sequence in enumerate(sequences or ()))


def _stop_sequence(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(param, "a string", value)
    return value


def _response_format(request: Fields, output: Fields) -> ResponseFormat | None:
    """`output_config.format`, or `output_format`, which was its name before."""
    form = output.child("format")
    if form is None:
        form = request.child("output_format")
    if form is None:
        return None
    if form.required_text("type") != "json_schema":
        raise wrong_value(form.param("type"), "json_schema")
    schema = form.json("schema")
    if schema is None:
        raise missing(form.param("schema"))
    return ResponseFormat(kind="json_schema", schema=schema)


def _other_output(output: Fields) -> Json:
    """The keys of `output_config` that have no canonical form."""
    return {
        name: value for name, value in output.values.items() if name not in ("effort", "format") and value is not None
    }


def _reasoning(request: Fields, output: Fields) -> tuple[ReasoningRequest | None, object]:
    """How much to think, and `thinking` as it came where it is of a type that has no canonical form."""
    effort = _effort(output)
    thinking = request.child("thinking")
    if thinking is None:
        return (None if effort is None else ReasoningRequest(effort=effort)), None
    exclude = thinking.text("display") == "omitted"
    match thinking.required_text("type"):
        case "enabled":
            budget = thinking.integer("budget_tokens")
            if budget is None and effort is None:
                effort = DEFAULT_EFFORT
            return ReasoningRequest(effort=effort, max_tokens=budget, exclude=exclude), None
        case "adaptive":
            return ReasoningRequest(effort=DEFAULT_EFFORT if effort is None else effort, exclude=exclude), None
        case "disabled":
            return ReasoningRequest(effort="none"), None
        case _:
            return (None if effort is None else ReasoningRequest(effort=effort)), thinking.values


def _effort(output: Fields) -> str | None:
    value = output.text("effort")
    if value is None:
        return None
    if value not in _EFFORTS:
        raise wrong_value(output.param("effort"), f"one of {', '.join(_EFFORTS)}")
    return _EFFORTS[value]
