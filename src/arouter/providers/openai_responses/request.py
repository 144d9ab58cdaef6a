"""A canonical request as the body of `POST /responses`.

The conversation is sent whole and nothing is kept at the provider (`store: false`): whoever answers the next request
needs nobody's memory. A model that thinks is asked for the ciphertexts of its thoughts, so that they can go back.

What has no counterpart is left out and named in `Prepared.dropped`, by OpenAI's name of the parameter; a value that
asks for nothing (`n` of 1, a penalty of 0, `logprobs` of false) is not named. Of the fields that the canonical form
does not know (`ChatRequest.rest`), those in `NATIVE` pass as the client wrote them.
"""

from collections.abc import Iterator, Mapping

import msgspec

from arouter.domain.chat import ChatRequest, Json, ResponseFormat, Tool, ToolChoice
from arouter.providers.asked import demands_a_call, marks_a_cache, names_effort_and_budget
from arouter.providers.base import Prepared
from arouter.providers.effort import effort_of
from arouter.providers.openai_models import able_to_think, refused_in_thought
from arouter.providers.openai_responses.answer import thought_format
from arouter.providers.openai_responses.items import Input, write_input
from arouter.providers.vendors import Vendor

PATH = "/responses"
"""Appended to the base URL."""

NATIVE = ("max_tool_calls", "moderation", "prompt_cache_options", "prompt_cache_retention", "truncation")
"""Fields that this dialect has and the canonical form has not: passed on untouched."""

_OWN_TOOLS = frozenset(
    {"apply_patch", "code_interpreter", "computer_use_preview", "custom", "file_search", "image_generation"}
    | {"local_shell", "mcp", "shell", "web_search", "web_search_preview"}
)
_KNOWN = frozenset({*NATIVE, "tools", "tool_choice", "verbosity"})
_ASKS_FOR_NOTHING: Mapping[str, object] = {"modalities": ["text"], "logit_bias": {}}
_NEUTRAL = {"temperature": 1, "top_p": 1}


def write_request(request: ChatRequest, vendor: Vendor) -> Prepared:
    """The request for `/responses`. InvalidRequest, naming the param, if it cannot be said at all."""
    written = write_input(request.messages, thought_format(vendor.name))
    dropped = [*written.dropped, *_dropped(request)]
    body: Json = {"model": request.model, "input": written.items, "store": False}
    body |= _tools(request, dropped) | _settings(request, dropped)
    if include := _include(request, written, dropped):
        body["include"] = include
    body |= {name: request.rest[name] for name in NATIVE if request.rest.get(name) is not None}
    if request.identity is not None and vendor.identity_field is not None:
        body[vendor.identity_field] = request.identity
    if request.stream:
        body["stream"] = True
    return Prepared(path=PATH, body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


def _settings(request: ChatRequest, dropped: list[str]) -> Json:
    """The parameters that differ in name at most."""
    sampling: Json = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_logprobs": request.top_logprobs,
    }
    if _thinks(request):
        dropped.extend(name for name, told in sampling.items() if told not in (None, _NEUTRAL.get(name)))
        sampling = {}
    settings: Json = {
        **sampling,
        "max_output_tokens": request.max_tokens,
        "text": _text(request),
        "reasoning": _reasoning(request),
        "service_tier": request.service_tier,
    }
    return {name: told for name, told in settings.items() if told is not None}


def _thinks(request: ChatRequest) -> bool:
    return bool(refused_in_thought(request.model, effort_of(request.reasoning, request.max_tokens)))


def _reasoning(request: ChatRequest) -> Json | None:
    """How much to think; and a summary of it, which is all of it that is ever shown, unless nobody wants to see it."""
    asked = request.reasoning
    effort = effort_of(asked, request.max_tokens)
    if asked is None or effort is None:
        return None
    told: Json = {"effort": effort}
    if not asked.exclude and effort != "none":
        told["summary"] = "auto"
    return told


def _include(request: ChatRequest, written: Input, dropped: list[str]) -> list[str]:
    """What the answer shall hold beyond the usual. A model that does not think refuses to be asked for thoughts."""
    include = []
    if written.has_thoughts or able_to_think(request.model) or _thinks(request):
        include.append("reasoning.encrypted_content")
    if request.logprobs:
        if _thinks(request):
            dropped.append("logprobs")
        else:
            include.append("message.output_text.logprobs")
    return include


def _text(request: ChatRequest) -> Json | None:
    text: Json = {}
    if request.response_format is not None:
        text["format"] = _format(request.response_format)
    if request.rest.get("verbosity") is not None:
        text["verbosity"] = request.rest["verbosity"]
    return text or None


def _format(wanted: ResponseFormat) -> Json:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    # Other dialects have no name for it; this one demands one, and a schema.
    told: Json = {"type": "json_schema", "name": wanted.name or "answer", "schema": wanted.schema or {}}
    if wanted.strict is not None:
        told["strict"] = wanted.strict
    return told


# ---------------------------------------------------------------- tools


def _tools(request: ChatRequest, dropped: list[str]) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls`; nothing where there is no tool, which would be refused."""
    tools = [_tool(tool) for tool in request.tools]
    others = request.rest.get("tools")
    for other in others if isinstance(others, list) else ():
        own = _own_tool(other)
        if own is None:
            dropped.append("tools")
        else:
            tools.append(own)
    if not tools:
        if demands_a_call(request):
            dropped.append("tool_choice")
        return {}
    written: Json = {"tools": tools}
    if request.tool_choice is not None:
        written["tool_choice"] = _tool_choice(request.tool_choice)
    elif (other_choice := request.rest.get("tool_choice")) is not None:
        own = _own_tool(other_choice)
        if own is None:
            dropped.append("tool_choice")
        else:
            written["tool_choice"] = own
    if request.parallel_tool_calls is not None:
        written["parallel_tool_calls"] = request.parallel_tool_calls
    return written


def _tool(tool: Tool) -> Json:
    """A function. What is not said to be strict is not: the API's own default is that it is."""
    written: Json = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}},
        "strict": tool.strict is True,
    }
    if tool.description is not None:
        written["description"] = tool.description
    return written


def _own_tool(tool: object) -> Json | None:
    """A tool that is no function, or a choice of one, if this dialect has it; chat nests its custom tools."""
    if not isinstance(tool, dict):
        return None
    kind, custom = tool.get("type"), tool.get("custom")
    if kind == "custom" and isinstance(custom, dict):
        return {"type": "custom", **custom}
    return tool if isinstance(kind, str) and kind in _OWN_TOOLS else None


def _tool_choice(choice: ToolChoice) -> str | Json:
    if choice.mode == "named":
        return {"type": "function", "name": choice.name}
    if choice.allowed is None:
        return choice.mode
    tools = [{"type": "function", "name": name} for name in choice.allowed]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}


def _dropped(request: ChatRequest) -> Iterator[str]:
    """The names of the parameters that this dialect cannot say."""
    without_counterpart = {
        "n": request.n not in (None, 1),
        "top_k": request.top_k is not None,
        "stop": bool(request.stop),
        "seed": request.seed is not None,
        "frequency_penalty": request.frequency_penalty not in (None, 0),
        "presence_penalty": request.presence_penalty not in (None, 0),
        "cache_control": marks_a_cache(request),
        "reasoning.max_tokens": names_effort_and_budget(request),
    }
    yield from (name for name, missing in without_counterpart.items() if missing)
    for name, told in request.rest.items():
        asks = told is not None and not (name in _ASKS_FOR_NOTHING and _ASKS_FOR_NOTHING[name] == told)
        if asks and name not in _KNOWN:
            yield name
