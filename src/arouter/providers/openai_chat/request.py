"""A canonical request as a chat completion body, for one vendor.

What has no counterpart is left out and named in `Prepared.dropped`, by OpenAI's name of the parameter; a value that
asks for nothing (`n` of 1, a penalty of 0, `logprobs` of false) is not named. Of the fields that the canonical form
does not know (`ChatRequest.rest`), those that the vendor knows pass as the client wrote them.

A stream is always asked for its usage, where the vendor does not tell it anyway.
"""

from collections.abc import Iterator, Mapping

import msgspec

from arouter.domain.chat import ChatRequest, Json, ResponseFormat, Tool, ToolChoice
from arouter.providers.asked import demands_a_call, marks_a_cache, names_effort_and_budget
from arouter.providers.base import Prepared
from arouter.providers.effort import effort_of
from arouter.providers.openai_chat.abilities import Abilities, abilities
from arouter.providers.openai_chat.messages import write_messages
from arouter.providers.openai_models import refused_in_thought
from arouter.providers.vendors import Vendor

PATH = "/chat/completions"
"""Appended to the base URL."""

_ASKS_FOR_NOTHING: Mapping[str, object] = {"modalities": ["text"], "logit_bias": {}}
_NEUTRAL: Mapping[str, object] = {
    "n": 1,
    "temperature": 1,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
}
_KNOWN = frozenset({"tools", "tool_choice"})
"""The fields of `rest` that are used here, beside those of `Abilities.fields`."""


def write_request(request: ChatRequest, vendor: Vendor) -> Prepared:
    """The request for `/chat/completions`. InvalidRequest, naming the param, if it cannot be said at all."""
    able = abilities(vendor.name)
    conversation = write_messages(request.messages, able)
    dropped = list(conversation.dropped)
    body: Json = {"model": request.model, "messages": conversation.messages}
    body |= _tools(request, able, dropped)
    body |= _settings(request, able, dropped)
    body |= _thinking(request, able, vendor, dropped)
    body |= {name: told for name, told in request.rest.items() if name in able.fields and told is not None}
    if request.identity is not None and vendor.identity_field is not None:
        body[vendor.identity_field] = request.identity
    if request.stream:
        body["stream"] = True
        if vendor.takes_stream_options:
            body["stream_options"] = {"include_usage": True}
    if marks_a_cache(request) and not able.cache_marks:
        dropped.append("cache_control")
    dropped.extend(_unknown_fields(request, able))
    return Prepared(path=PATH, body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


def _settings(request: ChatRequest, able: Abilities, dropped: list[str]) -> Json:
    """The parameters that differ in name at most."""
    asked: Json = {
        able.limit: request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": list(request.stop) or None,
        "n": request.n,
        able.seed: request.seed,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        "response_format": None if request.response_format is None else _response_format(request.response_format),
        "service_tier": request.service_tier,
    }
    settings = {name: told for name, told in asked.items() if told is not None}
    for name in sorted(_refused(request, able) & settings.keys()):
        if not (name in _NEUTRAL and settings[name] == _NEUTRAL[name]):
            dropped.append(name)
        del settings[name]
    return settings


def _refused(request: ChatRequest, able: Abilities) -> frozenset[str]:
    """The parameters that the vendor, or this model of it, refuses."""
    refused = able.refuses if request.service_tier in able.tiers else able.refuses | {"service_tier"}
    if able.strict_thinkers:
        refused |= refused_in_thought(request.model, effort_of(request.reasoning, request.max_tokens))
    return refused


def _response_format(wanted: ResponseFormat) -> Json:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    # Other dialects have no name for it; this one demands one.
    described: Json = {"name": wanted.name or "answer"}
    if wanted.schema is not None:
        described["schema"] = wanted.schema
    if wanted.strict is not None:
        described["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": described}


# ---------------------------------------------------------------- thinking


def _thinking(request: ChatRequest, able: Abilities, vendor: Vendor, dropped: list[str]) -> Json:
    asked = request.reasoning
    if asked is None:
        return {}
    if vendor.takes_routing_fields:
        told = {"effort": asked.effort, "max_tokens": asked.max_tokens, "exclude": asked.exclude or None}
        return {"reasoning": {name: value for name, value in told.items() if value is not None}}
    if names_effort_and_budget(request):
        dropped.append("reasoning.max_tokens")
    written: Json = {}
    effort = effort_of(asked, request.max_tokens)
    if effort is not None and able.thinking:
        written["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
        effort = None if effort == "none" else effort
    if effort is not None:
        written["reasoning_effort"] = _nearest(effort, able.efforts)
    if asked.exclude and able.hides is not None:
        written[able.hides] = False
    elif asked.exclude and able.shows:
        dropped.append("reasoning.exclude")
    return written


def _nearest(effort: str, known: tuple[str, ...]) -> str:
    """The vendor's word for an effort: the least that is not less, and not none where thought was asked for."""
    if effort in known:
        return effort
    order = ("none", "minimal", "low", "medium", "high", "xhigh")
    enough = [word for word in known if order.index(word) >= order.index(effort)] if effort in order else []
    return enough[0] if enough else known[-1]


# ---------------------------------------------------------------- tools


def _tools(request: ChatRequest, able: Abilities, dropped: list[str]) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls`; nothing where there is no tool, which would be refused."""
    choice = request.tool_choice
    allowed = None if choice is None or able.allowed_tools else choice.allowed
    tools: list[object] = [_tool(tool, able) for tool in request.tools if allowed is None or tool.name in allowed]
    others = request.rest.get("tools")
    for tool in others if isinstance(others, list) else ():
        if _is_known(tool, able):
            tools.append(tool)
        else:
            dropped.append("tools")
    if not tools:
        if demands_a_call(request):
            dropped.append("tool_choice")
        return {}
    written: Json = {"tools": tools}
    other_choice = request.rest.get("tool_choice")
    if choice is not None:
        written["tool_choice"] = _tool_choice(choice, able)
    elif _is_known(other_choice, able):
        written["tool_choice"] = other_choice
    elif other_choice is not None:
        dropped.append("tool_choice")
    if request.parallel_tool_calls is not None:
        if "parallel_tool_calls" not in able.refuses:
            written["parallel_tool_calls"] = request.parallel_tool_calls
        elif not request.parallel_tool_calls:
            dropped.append("parallel_tool_calls")
    return written


def _is_known(tool: object, able: Abilities) -> bool:
    """Whether a tool, or a choice of one, that is no function is one of the vendor's own, in this dialect's form."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(kind, str):
        return False
    if able.tool_prefix is not None and kind.startswith(able.tool_prefix):
        return True
    if kind not in able.other_tools:
        return False
    return kind != "custom" or (isinstance(tool, dict) and isinstance(tool.get("custom"), dict))


def _tool(tool: Tool, able: Abilities) -> Json:
    function: Json = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    written: Json = {"type": "function", "function": function}
    if able.cache_marks and tool.cache_control is not None:
        written["cache_control"] = tool.cache_control
    return written


def _tool_choice(choice: ToolChoice, able: Abilities) -> str | Json:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    if choice.allowed is None or not able.allowed_tools:
        return choice.mode
    tools = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}


def _unknown_fields(request: ChatRequest, able: Abilities) -> Iterator[str]:
    for name, told in request.rest.items():
        asks = told is not None and not (name in _ASKS_FOR_NOTHING and _ASKS_FOR_NOTHING[name] == told)
        if asks and name not in able.fields and name not in _KNOWN:
            yield name
