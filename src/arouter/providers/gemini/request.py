"""A canonical request as generateContent: path, body, and the names of what Gemini has no counterpart for.

Decisions beyond the plain renaming of fields:

- JSON Schemas go into `parametersJsonSchema` and `responseJsonSchema`, which take JSON Schema as it is; the older
  `parameters` and `responseSchema` take a subset of OpenAPI's and refuse the rest.
- `tool_choice`: auto → AUTO, none → NONE, required and named → ANY. A tool marked `strict`, or a choice narrowed to
  some tools while a text answer stays allowed, needs VALIDATED, which AUTO with both guarantees is; models before 2.5
  do not have it.
- `modalities` becomes `responseModalities`. `safetySettings` and `cachedContent`, in either spelling, pass through as
  they are: who sends them means Gemini.
- `service_tier`: default → standard; `auto` is Gemini's own default and is not sent.
- Who the end user is has no field here, and is never sent.
"""

from collections.abc import Mapping
from itertools import compress
from operator import attrgetter
from urllib.parse import quote

import msgspec

from arouter.domain.chat import ChatRequest, Image, Json, Tool
from arouter.domain.errors import InvalidRequest
from arouter.domain.value import constructor
from arouter.providers.asked import demands_a_call, marks_a_cache
from arouter.providers.base import Prepared
from arouter.providers.by_model import by_model
from arouter.providers.gemini.contents import contents, system_instruction
from arouter.providers.gemini.thinking import Version, thinking_config, version_of

_new_prepared = constructor(Prepared)

FIRST_WITH_VALIDATED = (2, 5)

_COLLECTIONS = ("models/", "tunedModels/")
_SERVICE_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_NATIVE = {
    "safetySettings": "safetySettings",
    "safety_settings": "safetySettings",
    "cachedContent": "cachedContent",
    "cached_content": "cachedContent",
}
"""Gemini's own top-level fields that a client of another dialect may send, by both spellings."""

_SETTINGS = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop",
    "candidateCount": "n",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
"""The fields of `generationConfig` that differ in name at most, with their canonical names."""
_settings_of = attrgetter(*_SETTINGS.values())


def prepare(request: ChatRequest) -> Prepared:
    """The request in Gemini's dialect. InvalidRequest, naming the param, if it cannot be said at all."""
    method = "streamGenerateContent" if request.stream else "generateContent"
    body, dropped = _body(request)
    return _new_prepared(
        path=f"/v1beta/{resource(request.model)}:{method}",
        query="alt=sse" if request.stream else "",
        body=msgspec.json.encode(body),
        dropped=tuple(dict.fromkeys(dropped)),
    )


@by_model
def resource(model: str) -> str:
    """`gemini-2.5-pro`, `models/gemini-2.5-pro` → `models/gemini-2.5-pro`; one segment after the collection."""
    collection = next((name for name in _COLLECTIONS if model.startswith(name)), "")
    name = model[len(collection) :]
    if not name:
        raise InvalidRequest("the model has no name", param="model")
    return (collection or _COLLECTIONS[0]) + quote(name, safe="", errors="replace")


def _body(request: ChatRequest) -> tuple[Json, list[str]]:
    version = version_of(request.model)
    dropped = _dropped_from_messages(request)
    body: Json = {"contents": contents(request.messages, version)}
    _set(body, "systemInstruction", system_instruction(request.messages))
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
        _set(body, "toolConfig", _tool_config(request, version))
    elif demands_a_call(request):
        dropped.append("tool_choice")
    config = _generation_config(request, dropped)
    if request.parallel_tool_calls is False:
        dropped.append("parallel_tool_calls")
    if _is_strict(request) and not _has_validated_mode(version):
        dropped.append("tools.strict")
    if request.service_tier not in (None, "auto"):
        _set_or_drop(body, "serviceTier", _SERVICE_TIERS.get(request.service_tier or ""), "service_tier", dropped)
    _add_rest(request.rest, body, config, dropped)
    if config:
        body["generationConfig"] = config
    return body, dropped


def _set(target: Json, name: str, value: object) -> None:
    if value is not None:
        target[name] = value


def _set_or_drop(target: Json, name: str, value: object, parameter: str, dropped: list[str]) -> None:
    if value is None:
        dropped.append(parameter)
    else:
        target[name] = value


# ---------------------------------------------------------------- tools


def _declaration(tool: Tool) -> Json:
    declaration: Json = {"name": tool.name}
    _set(declaration, "description", tool.description)
    _set(declaration, "parametersJsonSchema", tool.parameters)
    return declaration


def _tool_config(request: ChatRequest, version: Version | None) -> Json | None:
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        return {"functionCallingConfig": {"mode": "NONE"}}
    allowed = None if choice is None else choice.allowed
    if choice is not None and choice.mode == "named" and choice.name is not None:
        allowed = (choice.name,)
    if choice is not None and choice.mode in ("required", "named"):
        config: Json = {"mode": "ANY"}
    elif allowed is not None or (_is_strict(request) and _has_validated_mode(version)):
        config = {"mode": "VALIDATED"}
    elif choice is None:
        return None
    else:
        config = {"mode": "AUTO"}
    _set(config, "allowedFunctionNames", allowed)
    return {"functionCallingConfig": config}


def _is_strict(request: ChatRequest) -> bool:
    return any(tool.strict for tool in request.tools)


def _has_validated_mode(version: Version | None) -> bool:
    return version is None or version >= FIRST_WITH_VALIDATED


# ---------------------------------------------------------------- generation


def _generation_config(request: ChatRequest, dropped: list[str]) -> Json:
    config: Json = {}
    for name, value in zip(_SETTINGS, _settings_of(request), strict=True):
        if value is not None and value != ():
            config[name] = value
    _add_response_format(request, config)
    if request.reasoning is not None:
        parameter = "reasoning" if request.reasoning.effort is None else "reasoning_effort"
        thinking = thinking_config(request.model, request.reasoning)
        _set_or_drop(config, "thinkingConfig", thinking, parameter, dropped)
    return config


def _add_response_format(request: ChatRequest, config: Json) -> None:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return
    config["responseMimeType"] = "application/json"
    if wanted.kind == "json_schema":
        _set(config, "responseJsonSchema", wanted.schema)


# ---------------------------------------------------------------- what has no counterpart


def _add_rest(rest: Mapping[str, object], body: Json, config: Json, dropped: list[str]) -> None:
    for name, value in rest.items():
        if value is None:
            continue
        if name in _NATIVE:
            body[_NATIVE[name]] = value
        elif name == "modalities" and isinstance(value, list | tuple):
            config["responseModalities"] = [str(modality).upper() for modality in value]
        else:
            dropped.append(name)


def _dropped_from_messages(request: ChatRequest) -> list[str]:
    named = detailed = False
    for message in request.messages:
        named = named or (message.name is not None and message.role != "tool")
        for part in message.parts:
            detailed = detailed or (isinstance(part, Image) and part.detail not in (None, "auto"))
    lost = {
        "messages.name": named,
        "messages.image_url.detail": detailed,
        "cache_control": marks_a_cache(request),
    }
    return list(compress(lost, lost.values()))
