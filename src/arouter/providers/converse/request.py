"""A canonical request as Converse: path, body, and the names of what has no counterpart.

What has no counterpart is left out and named in `Prepared.dropped`, by OpenAI's name of the parameter; a value that
asks for nothing (`n` of 1, a penalty of 0) is not named. Converse's own fields in `NATIVE` pass as the client wrote
them; what only some makers know (`top_k`, how much to think) goes into `additionalModelRequestFields`, which the client
writes, because it has another name with each of them.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

import msgspec

from arouter.domain.chat import ChatRequest, Image, Json, Message, Tool
from arouter.providers.asked import demands_a_call
from arouter.providers.base import Prepared
from arouter.providers.converse.contents import cache_point, write_conversation

NATIVE = (
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
)
"""Fields of Converse that no other dialect has: passed on untouched."""

_SERVICE_TIERS = frozenset({"default", "flex", "priority", "reserved"})
_ASKS_FOR_NOTHING: Mapping[str, object] = {"modalities": ["text"], "logit_bias": {}}


def write_request(request: ChatRequest) -> Prepared:
    """The request for `/model/{id}/converse`. InvalidRequest, naming the param, if it cannot be said at all."""
    system, messages = write_conversation(request.messages)
    body: Json = {"messages": messages}
    body |= {
        name: value
        for name, value in (
            ("system", system),
            ("inferenceConfig", _inference(request)),
            ("toolConfig", _tools(request)),
            ("outputConfig", _output(request)),
            ("serviceTier", {"type": request.service_tier} if request.service_tier in _SERVICE_TIERS else None),
        )
        if value
    }
    body |= {name: request.rest[name] for name in NATIVE if request.rest.get(name) is not None}
    operation = "converse-stream" if request.stream else "converse"
    return Prepared(
        path=f"/model/{quote(request.model, safe='', errors='replace')}/{operation}",
        body=msgspec.json.encode(body),
        dropped=tuple(dict.fromkeys(_dropped(request))),
    )


def _inference(request: ChatRequest) -> Json:
    config: Json = {
        "maxTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": [sequence for sequence in request.stop if sequence] or None,
    }
    return {name: value for name, value in config.items() if value is not None}


# ---------------------------------------------------------------- tools


def _tools(request: ChatRequest) -> Json | None:
    """A conversation with calls in it needs its tools even where none may be called."""
    choice = request.tool_choice
    if not request.tools or (choice is not None and choice.mode == "none" and not _has_calls(request)):
        return None
    allowed = None if choice is None else choice.allowed
    tools: list[Json] = []
    for tool in request.tools:
        if allowed is not None and tool.name not in allowed:
            continue
        tools.append({"toolSpec": _specification(tool)})
        if tool.cache_control is not None:
            tools.append(cache_point(tool.cache_control))
    config: Json = {"tools": tools}
    if choice is not None and choice.mode == "named":
        config["toolChoice"] = {"tool": {"name": choice.name}}
    elif choice is not None and choice.mode == "required":
        config["toolChoice"] = {"any": {}}
    return config if tools else None


def _specification(tool: Tool) -> Json:
    specification: Json = {"name": tool.name, "inputSchema": {"json": {"type": "object", **(tool.parameters or {})}}}
    if tool.description:
        specification["description"] = tool.description
    if tool.strict:
        specification["strict"] = True
    return specification


def _has_calls(request: ChatRequest) -> bool:
    return any(message.tool_calls or message.role == "tool" for message in request.messages)


# ---------------------------------------------------------------- the answer's form


def _output(request: ChatRequest) -> Json | None:
    wanted = request.response_format
    if wanted is None or wanted.kind != "json_schema" or wanted.schema is None:
        return None
    schema: Json = {"schema": msgspec.json.encode(wanted.schema).decode()}
    if wanted.name is not None:
        schema["name"] = wanted.name
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


# ---------------------------------------------------------------- what has no counterpart


def _dropped(request: ChatRequest) -> Iterator[str]:
    """The names of the parameters that this dialect cannot say."""
    wanted = request.response_format
    reasoning = request.reasoning
    without_counterpart = {
        "n": request.n not in (None, 1),
        "seed": request.seed is not None,
        "top_k": request.top_k is not None,
        "frequency_penalty": request.frequency_penalty not in (None, 0),
        "presence_penalty": request.presence_penalty not in (None, 0),
        "logprobs": request.logprobs is True,
        "top_logprobs": request.top_logprobs is not None,
        "stop": "" in request.stop,
        "service_tier": request.service_tier not in (None, "auto", *_SERVICE_TIERS),
        "response_format": wanted is not None and wanted.kind != "text" and _output(request) is None,
        "parallel_tool_calls": request.parallel_tool_calls is False,
        "tool_choice": _forbids_calls_in_vain(request) if request.tools else demands_a_call(request),
        "reasoning_effort": reasoning is not None and reasoning.effort is not None,
        "reasoning": reasoning is not None and reasoning.effort is None,
        "messages.image_url.detail": any(_wants_detail(message) for message in request.messages),
        "messages.name": any(message.name is not None and message.role != "tool" for message in request.messages),
    }
    yield from (name for name, missing in without_counterpart.items() if missing)
    for name, value in request.rest.items():
        asks = value is not None and not (name in _ASKS_FOR_NOTHING and _ASKS_FOR_NOTHING[name] == value)
        if asks and name not in NATIVE:
            yield name


def _forbids_calls_in_vain(request: ChatRequest) -> bool:
    """No tool is to be called, and yet the tools must be sent."""
    return request.tool_choice is not None and request.tool_choice.mode == "none" and _has_calls(request)


def _wants_detail(message: Message) -> bool:
    return any(isinstance(part, Image) and part.detail not in (None, "auto") for part in message.parts)
