# ruff: noqa: N815 - the fields are named as Google writes them
"""Gemini's generateContent, as its API reference and its recorded answers have them.

Fields are read in both spellings that Google's JSON allows, `generationConfig` and `generation_config`.
"""

from typing import Final, TypeVar

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import Ask, Counts, Offer, Reply
from arouter.sandbox.behaviour import UsageMode
from arouter.sandbox.dialect import Moments, Stamp, counts_after, decode, group
from arouter.wire import sse

REQUEST_ID: Final = b"x-request-id"

_encode = msgspec.json.encode
_T = TypeVar("_T")

# ---------------------------------------------------------------- the request


class _Part(msgspec.Struct):
    text: str | None = None
    functionResponse: Json | None = None
    function_response: Json | None = None

    @property
    def response(self) -> Json | None:
        return self.functionResponse if self.functionResponse is not None else self.function_response

    @property
    def all_text(self) -> str:
        response = self.response
        return (self.text or "") + ("" if response is None else _encode(response.get("response")).decode())


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None
    role: str | None = None

    @property
    def text(self) -> str:
        return "".join([part.all_text for part in self.parts]) if self.parts is not None else ""


class _Declaration(msgspec.Struct):
    name: str
    parameters: Json | None = None
    parametersJsonSchema: Json | None = None
    parameters_json_schema: Json | None = None


class _Tool(msgspec.Struct):
    functionDeclarations: list[_Declaration] | None = None
    function_declarations: list[_Declaration] | None = None


class _FunctionCalling(msgspec.Struct):
    mode: str | None = None
    allowedFunctionNames: list[str] | None = None
    allowed_function_names: list[str] | None = None


class _ToolConfig(msgspec.Struct):
    functionCallingConfig: _FunctionCalling | None = None
    function_calling_config: _FunctionCalling | None = None


class _Generation(msgspec.Struct):
    maxOutputTokens: int | None = None
    max_output_tokens: int | None = None
    responseMimeType: str | None = None
    response_mime_type: str | None = None
    responseSchema: Json | None = None
    response_schema: Json | None = None
    responseJsonSchema: Json | None = None
    response_json_schema: Json | None = None


class _Request(msgspec.Struct):
    contents: list[_Content] | _Content
    systemInstruction: _Content | None = None
    system_instruction: _Content | None = None
    tools: list[_Tool] | None = None
    toolConfig: _ToolConfig | None = None
    tool_config: _ToolConfig | None = None
    generationConfig: _Generation | None = None
    generation_config: _Generation | None = None


def read(body: bytes) -> Ask:
    """The request without its model and whether it is streamed: both stand in the path. InvalidRequest if none."""
    request = decode(body, _Request)
    contents = [request.contents] if isinstance(request.contents, _Content) else request.contents
    if not contents:
        raise InvalidRequest("* GenerateContentRequest.contents: contents is not specified", param="contents")
    system = _either(request.systemInstruction, request.system_instruction)
    generation = _either(request.generationConfig, request.generation_config) or _Generation()
    calling = _calling(request)
    schema = _either(
        _either(generation.responseJsonSchema, generation.response_json_schema),
        _either(generation.responseSchema, generation.response_schema),
    )
    return Ask(
        model="",
        stream=False,
        characters=sum([len(content.text) for content in contents]) + (len(system.text) if system is not None else 0),
        last_user_text=next((content.text for content in reversed(contents) if content.role in (None, "user")), ""),
        answers_tool=any(part.response is not None for part in contents[-1].parts or ()),
        offers=_offers(request, calling),
        must_call=calling.mode == "ANY",
        wants_json=_either(generation.responseMimeType, generation.response_mime_type) == "application/json",
        schema=schema,
        limit=_limit(generation),
    )


def _either(camel: _T | None, snake: _T | None) -> _T | None:
    return camel if camel is not None else snake


def _calling(request: _Request) -> _FunctionCalling:
    config = _either(request.toolConfig, request.tool_config)
    if config is None:
        return _FunctionCalling()
    return _either(config.functionCallingConfig, config.function_calling_config) or _FunctionCalling()


def _offers(request: _Request, calling: _FunctionCalling) -> tuple[Offer, ...]:
    if request.tools is None or calling.mode == "NONE":
        return ()
    allowed = _either(calling.allowedFunctionNames, calling.allowed_function_names)
    declarations = [
        declaration
        for tool in request.tools
        for declaration in _either(tool.functionDeclarations, tool.function_declarations) or ()
        if not allowed or declaration.name in allowed
    ]
    return tuple([Offer(name=one.name, parameters=_parameters(one)) for one in declarations])


def _parameters(declaration: _Declaration) -> Json | None:
    json_schema = _either(declaration.parametersJsonSchema, declaration.parameters_json_schema)
    return _either(json_schema, declaration.parameters)


def _limit(generation: _Generation) -> int | None:
    limit = _either(generation.maxOutputTokens, generation.max_output_tokens)
    if limit is not None and limit < 1:
        where = "generation_config.max_output_tokens"
        raise InvalidRequest(f"* {where}: must be positive, not {limit}", param=where)
    return limit


# ---------------------------------------------------------------- the answer

_FINISH_REASONS = (
    ("stop", "STOP"),
    ("length", "MAX_TOKENS"),
    ("tool_calls", "STOP"),
    ("content_filter", "SAFETY"),
)


def whole(ask: Ask, reply: Reply, stamp: Stamp) -> bytes:
    """A `GenerateContentResponse`. A call whose arguments a limit cut short is left out, as it could not be written."""
    parts = [_thought(reply.thought)] if reply.thoughts else []
    if reply.kind != "tool_call":
        parts.append({"text": reply.text})
    elif reply.complete:
        parts.append(_call(reply))
    return _encode(_response(ask, stamp, parts, _finish_reason(reply), reply.counts))


def stream(ask: Ask, reply: Reply, stamp: Stamp, usage: UsageMode) -> Moments:
    """Responses with a piece each, usage in every one, the reason to finish in the last. A call comes in one piece."""
    parts = [_thought(thought) for thought in reply.thoughts]
    if reply.kind != "tool_call":
        parts += [{"text": piece} for piece in reply.pieces]
    elif reply.complete:
        parts.append(_call(reply))
    tokens = []
    for sent, part in enumerate(parts[:-1], start=1):
        tokens.append([_event(_response(ask, stamp, [part], None, counts_after(reply, sent)))])
    last = _response(ask, stamp, parts[-1:], _finish_reason(reply), reply.counts)
    return group([], [*tokens, [_event(last)]], [])


def as_array(moments: Moments) -> Moments:
    """The same stream as one JSON array, which is what Gemini streams without `alt=sse`."""
    before = b"["
    array: list[list[bytes]] = []
    for events in moments:
        array.append([])
        for event in events:
            array[-1].append(before + event.removeprefix(b"data: ").rstrip(b"\n"))
            before = b",\r\n"
    array[-1][-1] += b"]"
    return array


def error(status: int, message: str, param: str | None, retry_after_s: int | None) -> bytes:
    """Google's error object."""
    told: dict[str, object] = {"code": status, "message": message, "status": _error_status(status)}
    if retry_after_s is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        told["details"] = [{"@type": kind, "retryDelay": f"{retry_after_s}s"}]
    return _encode({"error": told})


def stream_error(message: str) -> bytes:
    return sse.encode(error(503, message, None, None))


def _error_status(status: int) -> str:
    """The canonical name of an HTTP status in google.rpc.Code."""
    match status:
        case 401:
            return "UNAUTHENTICATED"
        case 403:
            return "PERMISSION_DENIED"
        case 404:
            return "NOT_FOUND"
        case 409:
            return "ABORTED"
        case 429:
            return "RESOURCE_EXHAUSTED"
        case 499:
            return "CANCELLED"
        case 501:
            return "UNIMPLEMENTED"
        case 503:
            return "UNAVAILABLE"
        case 504:
            return "DEADLINE_EXCEEDED"
        case _:
            return "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"


def _response(
    ask: Ask, stamp: Stamp, parts: list[dict[str, object]], finish: str | None, counts: Counts | None
) -> dict[str, object]:
    candidate: dict[str, object] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    response: dict[str, object] = {"candidates": [candidate]}
    if counts is not None:
        response["usageMetadata"] = _usage(counts)
    response["modelVersion"] = ask.model
    response["responseId"] = f"sandbox{stamp.serial:08d}"
    return response


def _thought(text: str) -> dict[str, object]:
    return {"text": text, "thought": True}


def _call(reply: Reply) -> dict[str, object]:
    return {"functionCall": {"name": reply.tool, "args": msgspec.Raw(reply.text.encode())}}


def _event(response: dict[str, object]) -> bytes:
    return sse.encode(_encode(response))


def _finish_reason(reply: Reply) -> str:
    if reply.kind == "refusal" and reply.finish_reason == "stop":
        return "SAFETY"
    return dict(_FINISH_REASONS).get(reply.finish_reason, reply.finish_reason)


def _usage(counts: Counts) -> dict[str, object]:
    usage: dict[str, object] = {
        "promptTokenCount": counts.prompt,
        "candidatesTokenCount": counts.completion - counts.reasoning,
        "totalTokenCount": counts.prompt + counts.completion,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.prompt}],
    }
    if counts.cached:
        usage["cachedContentTokenCount"] = counts.cached
    if counts.reasoning:
        usage["thoughtsTokenCount"] = counts.reasoning
    return usage
