"""Anthropic's Messages, as its API reference and its recorded answers have them."""

from typing import Final

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import Ask, Counts, Offer, Reply
from arouter.sandbox.behaviour import UsageMode
from arouter.sandbox.dialect import Moments, Stamp, counts_after, decode, group
from arouter.wire import sse

REQUEST_ID: Final = b"request-id"

_SIGNATURE = "c2FuZGJveA=="
"""What proves a thought of the sandbox: the base64 of its name."""

_encode = msgspec.json.encode

# ---------------------------------------------------------------- the request


class _Block(msgspec.Struct):
    type: str
    text: str | None = None
    content: "str | list[_Block] | None" = None
    """Of a tool's result."""

    @property
    def all_text(self) -> str:
        return (self.text or "") + _text(self.content)


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Block]


class _Tool(msgspec.Struct):
    name: str
    input_schema: Json | None = None


class _ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None


class _Format(msgspec.Struct):
    type: str
    schema: Json | None = None


class _OutputConfig(msgspec.Struct):
    format: _Format | None = None


class _Request(msgspec.Struct):
    model: str
    max_tokens: int
    messages: list[_Message]
    system: str | list[_Block] | None = None
    stream: bool | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    """The name that `output_config.format` had in the beta."""


def read(body: bytes) -> Ask:
    """The request. InvalidRequest, naming the param, if it is none."""
    request = decode(body, _Request)
    _check(request)
    form = request.output_config.format if request.output_config is not None else request.output_format
    choice = request.tool_choice
    last = request.messages[-1]
    return Ask(
        model=request.model,
        stream=request.stream is True,
        characters=len(_text(request.system)) + sum([len(_text(message.content)) for message in request.messages]),
        last_user_text=_last_user_text(request.messages),
        answers_tool=not isinstance(last.content, str) and any(block.type == "tool_result" for block in last.content),
        offers=_offers(request),
        must_call=choice is not None and choice.type in ("any", "tool"),
        wants_json=form is not None and form.type == "json_schema",
        schema=form.schema if form is not None else None,
        limit=request.max_tokens,
    )


def _check(request: _Request) -> None:
    if request.max_tokens < 1:
        raise InvalidRequest("max_tokens: must be greater than or equal to 1", param="max_tokens")
    if not request.messages:
        raise InvalidRequest("messages: at least one message is required", param="messages")
    for index, message in enumerate(request.messages):
        if message.role not in ("user", "assistant", "system"):
            where = f"messages.{index}.role"
            raise InvalidRequest(f"{where}: must be user or assistant, not {message.role!r}", param=where)


def _text(content: str | list[_Block] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join([block.all_text for block in content])


def _last_user_text(messages: list[_Message]) -> str:
    return next((_text(message.content) for message in reversed(messages) if message.role == "user"), "")


def _offers(request: _Request) -> tuple[Offer, ...]:
    choice = request.tool_choice
    if request.tools is None or (choice is not None and choice.type == "none"):
        return ()
    tools = request.tools
    if choice is not None and choice.type == "tool":
        tools = [tool for tool in tools if tool.name == choice.name]
        if not tools:
            raise InvalidRequest(f"tool_choice: there is no tool {choice.name!r}", param="tool_choice")
    return tuple([Offer(name=tool.name, parameters=tool.input_schema) for tool in tools])


# ---------------------------------------------------------------- the answer

_STOP_REASONS = (
    ("stop", "end_turn"),
    ("length", "max_tokens"),
    ("tool_calls", "tool_use"),
    ("content_filter", "refusal"),
)


def whole(ask: Ask, reply: Reply, stamp: Stamp) -> bytes:
    """A `message` object. A call whose arguments a limit cut short is left out, as it could not be written."""
    content: list[dict[str, object]] = []
    if reply.thoughts:
        content.append({"type": "thinking", "thinking": reply.thought, "signature": _SIGNATURE})
    if reply.kind != "tool_call":
        content.append({"type": "text", "text": reply.text})
    elif reply.complete:
        content.append({**_call(reply, stamp), "input": msgspec.Raw(reply.text.encode())})
    answer = _message(ask, stamp, content)
    answer["stop_reason"] = _stop_reason(reply)
    if reply.counts is not None:
        answer["usage"] = _usage(reply.counts)
    return _encode(answer)


def stream(ask: Ask, reply: Reply, stamp: Stamp, usage: UsageMode) -> Moments:
    """`message_start`, `ping`, the blocks, `message_delta` with the final usage, `message_stop`."""
    start = _message(ask, stamp, [])
    if reply.counts is not None:
        start["usage"] = {**_usage(reply.counts.after(0, 0)), "output_tokens": 0 if usage == "zero" else 1}
    opening = [_event("message_start", {"message": start}), _event("ping", {})]
    tokens = _blocks(reply, stamp)
    if usage == "every_chunk":
        for sent, events in enumerate(tokens, start=1):
            events.append(_delta(None, counts_after(reply, sent)))
    closing = [_delta(_stop_reason(reply), reply.counts), _event("message_stop", {})]
    return group(opening, tokens, closing)


def error(status: int, message: str, param: str | None, retry_after_s: int | None) -> bytes:
    """Anthropic's error object."""
    return _encode({"type": "error", "error": {"type": _error_type(status), "message": message}, "request_id": None})


def stream_error(message: str) -> bytes:
    return sse.encode(error(529, message, None, None), b"error")


def _error_type(status: int) -> str:
    """From the list of errors in Anthropic's API reference."""
    match status:
        case 401:
            return "authentication_error"
        case 402:
            return "billing_error"
        case 403:
            return "permission_error"
        case 404:
            return "not_found_error"
        case 413:
            return "request_too_large"
        case 429:
            return "rate_limit_error"
        case 504:
            return "timeout_error"
        case 529:
            return "overloaded_error"
        case _:
            return "api_error" if status >= 500 else "invalid_request_error"


def _message(ask: Ask, stamp: Stamp, content: list[dict[str, object]]) -> dict[str, object]:
    return {
        "id": f"msg_sandbox{stamp.serial:08d}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(reply: Reply, stamp: Stamp) -> list[list[bytes]]:
    """The events of each token, with those that open and close a block beside its first and last one."""
    tokens: list[list[bytes]] = []
    index = 0
    if reply.thoughts:
        thinking = {"type": "thinking", "thinking": "", "signature": ""}
        signature = _event("content_block_delta", {"index": 0, "delta": _signature_delta()})
        tokens += _block(index, thinking, "thinking_delta", "thinking", reply.thoughts, [signature])
        index = 1
    if reply.kind == "tool_call":
        tokens += _block(index, {**_call(reply, stamp), "input": {}}, "input_json_delta", "partial_json", reply.pieces)
    else:
        tokens += _block(index, {"type": "text", "text": ""}, "text_delta", "text", reply.pieces)
    return tokens


def _block(
    index: int, block: object, delta: str, field: str, pieces: tuple[str, ...], last: list[bytes] | None = None
) -> list[list[bytes]]:
    before = f'{{"type":"content_block_delta","index":{index},"delta":{{"type":"{delta}","{field}":'.encode()
    tokens = [[sse.encode(before + _encode(piece) + b"}}", b"content_block_delta")] for piece in pieces]
    start = _event("content_block_start", {"index": index, "content_block": block})
    stop = _event("content_block_stop", {"index": index})
    if not tokens:
        return [[start, *(last or []), stop]]
    tokens[0].insert(0, start)
    tokens[-1] += [*(last or []), stop]
    return tokens


def _signature_delta() -> dict[str, object]:
    return {"type": "signature_delta", "signature": _SIGNATURE}


def _call(reply: Reply, stamp: Stamp) -> dict[str, object]:
    return {"type": "tool_use", "id": f"toolu_sandbox{stamp.serial:08d}", "name": reply.tool}


def _delta(stop_reason: str | None, counts: Counts | None) -> bytes:
    event: dict[str, object] = {"delta": {"stop_reason": stop_reason, "stop_sequence": None}}
    if counts is not None:
        event["usage"] = _usage(counts)
    return _event("message_delta", event)


def _event(name: str, fields: dict[str, object]) -> bytes:
    return sse.encode(_encode({"type": name, **fields}), name.encode())


def _stop_reason(reply: Reply) -> str:
    if reply.kind == "refusal" and reply.finish_reason == "stop":
        return "refusal"
    return dict(_STOP_REASONS).get(reply.finish_reason, reply.finish_reason)


def _usage(counts: Counts) -> dict[str, object]:
    usage: dict[str, object] = {
        # Anthropic's input tokens are those that no cache had anything to do with.
        "input_tokens": counts.prompt - counts.cached - counts.cache_written,
        "cache_creation_input_tokens": counts.cache_written,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.completion,
    }
    if counts.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
    return usage
