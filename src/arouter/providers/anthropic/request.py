"""A canonical request as a Messages body.

What has no counterpart is left out and named in `Prepared.dropped`, by OpenAI's name of the parameter; a value that
asks for nothing (`n` of 1, a penalty of 0, `logprobs` of false) is not named. Temperature, `top_p` and `top_k` pass as
they are to a model that has them (its range is narrower than OpenAI's, and the provider says so itself), and are left
out for one that refuses them.

Of the fields that the canonical form does not know (`ChatRequest.rest`), those in `NATIVE` pass as the client wrote
them and take precedence over what was translated; `betas` becomes the `anthropic-beta` header, as in the SDK.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import compress

import msgspec

from arouter.domain.chat import ChatRequest, Json, Tool, ToolChoice
from arouter.domain.errors import InvalidRequest
from arouter.domain.value import constructor
from arouter.providers.anthropic.abilities import abilities
from arouter.providers.anthropic.content import write_conversation
from arouter.providers.anthropic.thinking import room, write_thinking
from arouter.providers.asked import demands_a_call
from arouter.providers.base import Prepared

_new_prepared = constructor(Prepared)

PATH = "/v1/messages"
VERSION_HEADER = ("anthropic-version", "2023-06-01")

NATIVE = (
    "thinking",
    "context_management",
    "container",
    "mcp_servers",
    "cache_control",
    "inference_geo",
    "speed",
)
"""Fields of the Messages API that no other dialect has: passed on untouched. `output_config` is merged, key by key."""

_KNOWN = frozenset({*NATIVE, "output_config", "betas", "tools"})
"""The fields of `rest` that are used here."""

_ASKS_FOR_NOTHING: Mapping[str, object] = {"modalities": ["text"], "logit_bias": {}}

_SERVICE_TIERS: Mapping[str, str] = {
    "auto": "auto",
    "priority": "auto",
    "default": "standard_only",
    "standard_only": "standard_only",
}
"""Anthropic has one switch: whether priority capacity, where the account has it, may be used."""

_NATIVE_TOOL = re.compile(r"[a-z0-9_]+_20\d{6}|mcp_toolset")
"""Anthropic's own tools have their date in their type: `web_search_20250305`. They pass as the client wrote them."""

_BETA_NAME = re.compile(r"[A-Za-z0-9._-]+")


def write_request(request: ChatRequest) -> Prepared:
    """The request for `/v1/messages`. InvalidRequest, naming the param, if it cannot be said at all."""
    conversation = write_conversation(request.messages)
    thinking = write_thinking(request.model, request.reasoning, request.max_tokens)
    rest = request.rest
    native = {name: rest[name] for name in NATIVE if rest.get(name) is not None} if rest else {}
    if thinking.config is not None:
        native.setdefault("thinking", thinking.config)
    body: Json = {
        "model": request.model,
        "max_tokens": room(request.max_tokens, _as_object(native.get("thinking"), "thinking")),
        "messages": conversation.messages,
    }
    if conversation.system:
        body["system"] = conversation.system
    tools = _tools(request)
    body |= tools | _settings(request) | _output_config(request, thinking.effort) | native
    dropped = (*conversation.dropped, *thinking.dropped, *_dropped(request, tools))
    return _new_prepared(
        path=PATH,
        body=msgspec.json.encode(body),
        headers=(VERSION_HEADER, *_beta_header(request.rest.get("betas"))),
        dropped=tuple(dict.fromkeys(dropped)),
    )


def _settings(request: ChatRequest) -> Json:
    """The parameters that differ in name at most."""
    stop = [sequence for sequence in request.stop if sequence.strip()]
    tier = None if request.service_tier is None else _SERVICE_TIERS.get(request.service_tier)
    settings: Json = {
        **(_sampling(request) if abilities(request.model).sampling else {}),
        "stop_sequences": stop or None,
        "metadata": None if request.identity is None else {"user_id": request.identity},
        "service_tier": tier,
        "stream": True if request.stream else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _sampling(request: ChatRequest) -> Json:
    return {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}


def _tools(request: ChatRequest) -> Json:
    """`tools` and `tool_choice`; neither where there is no tool, which the API would refuse."""
    choice = request.tool_choice
    allowed = None if choice is None else choice.allowed
    tools: list[object] = [_tool(tool) for tool in request.tools if allowed is None or tool.name in allowed]
    tools += [tool for tool in _other_tools(request) if _is_native(tool)]
    if not tools:
        return {}
    written = _tool_choice(choice, one_at_a_time=request.parallel_tool_calls is False)
    return {"tools": tools} if written is None else {"tools": tools, "tool_choice": written}


def _other_tools(request: ChatRequest) -> list[object]:
    """The tools that are no functions, as the client wrote them."""
    tools = request.rest.get("tools")
    return tools if isinstance(tools, list) else []


def _is_native(tool: object) -> bool:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return isinstance(kind, str) and _NATIVE_TOOL.fullmatch(kind) is not None


def _tool(tool: Tool) -> Json:
    schema: Json = {"type": "object"}
    schema.update(tool.parameters or {})
    written: Json = {"name": tool.name, "input_schema": schema}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.strict:
        written["strict"] = True
    if tool.cache_control is not None:
        written["cache_control"] = tool.cache_control
    return written


def _tool_choice(choice: ToolChoice | None, *, one_at_a_time: bool) -> Json | None:
    if choice is None and not one_at_a_time:
        return None
    mode = "auto" if choice is None else choice.mode
    written: Json
    if mode == "none":
        return {"type": "none"}
    if mode == "named":
        written = {"type": "tool", "name": None if choice is None else choice.name}
    else:
        written = {"type": "any" if mode == "required" else "auto"}
    if one_at_a_time:
        written["disable_parallel_tool_use"] = True
    return written


def _output_config(request: ChatRequest, effort: str | None) -> Json:
    config: Json = {}
    if effort is not None:
        config["effort"] = effort
    wanted = request.response_format
    if wanted is not None and wanted.kind == "json_schema" and wanted.schema is not None:
        config["format"] = {"type": "json_schema", "schema": wanted.schema}
    config.update(_as_object(request.rest.get("output_config"), "output_config") or {})
    return {"output_config": config} if config else {}


def _dropped(request: ChatRequest, tools: Json) -> Iterator[str]:
    """The names of the parameters that this dialect cannot say; `tools` is what it says of them."""
    if not abilities(request.model).sampling:
        yield from (name for name, value in _sampling(request).items() if value is not None)
    wanted = request.response_format
    without_counterpart = {
        "n": request.n not in (None, 1),
        "seed": request.seed is not None,
        "frequency_penalty": request.frequency_penalty not in (None, 0),
        "presence_penalty": request.presence_penalty not in (None, 0),
        "logprobs": request.logprobs is True,
        "top_logprobs": request.top_logprobs is not None,
        "stop": any(not sequence.strip() for sequence in request.stop),
        "service_tier": request.service_tier is not None and request.service_tier not in _SERVICE_TIERS,
        "response_format": wanted is not None and wanted.kind != "text" and wanted.schema is None,
        "tool_choice": not tools and demands_a_call(request),
        "tools": not all(_is_native(tool) for tool in _other_tools(request)),
    }
    yield from compress(without_counterpart, without_counterpart.values())
    for name, value in request.rest.items():
        asks = value is not None and not (name in _ASKS_FOR_NOTHING and _ASKS_FOR_NOTHING[name] == value)
        if asks and name not in _KNOWN:
            yield name


def _beta_header(betas: object) -> tuple[tuple[str, str], ...]:
    if betas is None:
        return ()
    if not isinstance(betas, list) or not all(isinstance(name, str) and _BETA_NAME.fullmatch(name) for name in betas):
        raise InvalidRequest("betas must be a list of the names of beta versions.", param="betas")
    return (("anthropic-beta", ",".join(betas)),) if betas else ()


def _as_object(value: object, name: str) -> Json | None:
    if value is None or isinstance(value, dict):
        return value
    raise InvalidRequest(f"{name} must be an object.", param=name)
