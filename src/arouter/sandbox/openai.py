"""OpenAI's chat completions, as OpenAI's published API description has them.

Visible thought is told in `reasoning_content`, the field of the compatible providers that show it: OpenAI shows none.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import Ask, Counts, Offer, Reply
from arouter.sandbox.behaviour import UsageMode
from arouter.sandbox.dialect import Moments, Stamp, counts_after, decode, group
from arouter.wire import sse

REQUEST_ID: Final = b"x-request-id"

_MOST_CHOICES = 128
_encode = msgspec.json.encode

# ---------------------------------------------------------------- the request


class _Part(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "".join([part.text for part in self.content if part.text is not None])


class _Function(msgspec.Struct):
    name: str
    parameters: Json | None = None


class _Tool(msgspec.Struct):
    function: _Function | None = None


class _ToolChoice(msgspec.Struct):
    function: _Function | None = None


class _JsonSchema(msgspec.Struct):
    schema: Json | None = None


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
    response_format: _ResponseFormat | None = None


def read(body: bytes) -> Ask:
    """The request. InvalidRequest, naming the param, if it is none."""
    request = decode(body, _Request)
    if not request.messages:
        raise InvalidRequest("[] is too short - 'messages'", param="messages")
    texts = [message.text for message in request.messages]
    options = request.stream_options
    form = request.response_format
    return Ask(
        model=request.model,
        stream=request.stream is True,
        characters=sum(map(len, texts)),
        last_user_text=_last_user_text(request.messages, texts),
        answers_tool=request.messages[-1].role == "tool",
        offers=_offers(request) if request.tools else (),
        must_call=request.tool_choice == "required" or isinstance(request.tool_choice, _ToolChoice),
        wants_json=form is not None and form.type in ("json_object", "json_schema"),
        schema=form.json_schema.schema if form is not None and form.json_schema is not None else None,
        limit=_limit(request),
        choices=_choices(request.n),
        include_usage=options is not None and options.include_usage is True,
    )


def _last_user_text(messages: list[_Message], texts: list[str]) -> str:
    for at in range(len(messages) - 1, -1, -1):
        if messages[at].role == "user":
            return texts[at]
    return ""


def _offers(request: _Request) -> tuple[Offer, ...]:
    choice = request.tool_choice
    if choice == "none" or request.tools is None:
        return ()
    functions = [tool.function for tool in request.tools if tool.function is not None]
    if isinstance(choice, _ToolChoice) and choice.function is not None:
        name = choice.function.name
        functions = [function for function in functions if function.name == name]
        if not functions:
            raise InvalidRequest(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    return tuple([Offer(name=function.name, parameters=function.parameters) for function in functions])


def _limit(request: _Request) -> int | None:
    name, limit = "max_completion_tokens", request.max_completion_tokens
    if limit is None:
        name, limit = "max_tokens", request.max_tokens
    if limit is not None and limit < 1:
        raise InvalidRequest(f"Invalid '{name}': expected a value of at least 1, but got {limit}.", param=name)
    return limit


def _choices(n: int | None) -> int:
    if n is None:
        return 1
    if not 1 <= n <= _MOST_CHOICES:
        raise InvalidRequest(f"Invalid 'n': expected a value from 1 to {_MOST_CHOICES}, but got {n}.", param="n")
    return n


# ---------------------------------------------------------------- the answer


def whole(ask: Ask, reply: Reply, stamp: Stamp) -> bytes:
    """A `chat.completion` object."""
    answer = _head(ask, stamp, "chat.completion")
    answer["choices"] = [
        {
            "index": index,
            "message": _message(reply, stamp, index),
            "logprobs": None,
            "finish_reason": reply.finish_reason,
        }
        for index in range(ask.choices)
    ]
    if reply.counts is not None:
        answer["usage"] = _usage(reply.counts, ask.choices)
    return _encode(answer)


def stream(ask: Ask, reply: Reply, stamp: Stamp, usage: UsageMode) -> Moments:
    """`chat.completion.chunk` objects: per choice a role, the pieces, a finish; then usage if asked for; `[DONE]`."""
    chunks = _Chunks(ask, reply, stamp, usage)
    choices = range(ask.choices)
    if usage == "every_chunk" or ask.choices > 1:
        tokens = [[chunks.delta(index, delta, sent) for index in choices] for sent, delta in _deltas(reply)]
    else:
        before, after = chunks.around_delta()
        tokens = [[before + delta + after] for _, delta in _deltas(reply)]
    opening = [chunks.delta(index, _encode(_opening(reply, stamp, index)), 0) for index in choices]
    closing = [chunks.finish(index) for index in choices]
    if ask.include_usage and usage != "with_choices" and reply.counts is not None:
        closing.append(chunks.usage_alone())
    closing.append(sse.encode(sse.DONE))
    return group(opening, tokens, closing)


def error(status: int, message: str, param: str | None, retry_after_s: int | None) -> bytes:
    """OpenAI's error object."""
    kind, code = _error_words(status)
    return _encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


def stream_error(message: str) -> bytes:
    return sse.encode(error(500, message, None, None))


def _error_words(status: int) -> tuple[str, str | None]:
    match status:
        case 401:
            return "invalid_request_error", "invalid_api_key"
        case 404:
            return "invalid_request_error", "not_found"
        case 429:
            return "requests", "rate_limit_exceeded"
        case _ if status >= 500:
            return "server_error", None
        case _:
            return "invalid_request_error", None


def _head(ask: Ask, stamp: Stamp, kind: str) -> dict[str, object]:
    return {
        "id": f"chatcmpl-sandbox{stamp.serial:08d}",
        "object": kind,
        "created": stamp.created_s,
        "model": ask.model,
        "system_fingerprint": "fp_sandbox",
    }


def _message(reply: Reply, stamp: Stamp, index: int) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    if reply.thoughts:
        message["reasoning_content"] = reply.thought
    if reply.kind == "tool_call":
        function = {"name": reply.tool, "arguments": reply.text}
        message["tool_calls"] = [{"id": _call_id(stamp, index), "type": "function", "function": function}]
    else:
        message["refusal" if reply.kind == "refusal" else "content"] = reply.text
    return message


def _opening(reply: Reply, stamp: Stamp, index: int) -> dict[str, object]:
    delta: dict[str, object] = {"role": "assistant", "content": "" if reply.kind == "text" else None, "refusal": None}
    if reply.kind == "tool_call":
        call = {"index": 0, "id": _call_id(stamp, index), "type": "function"}
        delta["tool_calls"] = [{**call, "function": {"name": reply.tool, "arguments": ""}}]
    return delta


def _call_id(stamp: Stamp, index: int) -> str:
    return f"call_sandbox{stamp.serial:08d}x{index}"


def _deltas(reply: Reply) -> Iterator[tuple[int, bytes]]:
    """The delta of each token as JSON, with the number of tokens that are sent with it."""
    sent = 0
    for thought in reply.thoughts:
        sent += 1
        yield sent, b'{"reasoning_content":' + _encode(thought) + b"}"
    before, after = {
        "text": (b'{"content":', b"}"),
        "refusal": (b'{"refusal":', b"}"),
        "tool_call": (b'{"tool_calls":[{"index":0,"function":{"arguments":', b"}}]}"),
    }[reply.kind]
    for piece in reply.pieces:
        sent += 1
        yield sent, before + _encode(piece) + after


class _Chunks:
    """Writes the chunks of one stream: what they have in common is encoded once."""

    __slots__ = ("_ask", "_before", "_mode", "_reply", "_usage_null")

    def __init__(self, ask: Ask, reply: Reply, stamp: Stamp, mode: UsageMode) -> None:
        self._ask = ask
        self._reply = reply
        self._mode = mode
        self._before = b"data: " + _encode(_head(ask, stamp, "chat.completion.chunk"))[:-1] + b',"choices":['
        self._usage_null = b',"usage":null' if ask.include_usage and reply.counts is not None else b""

    def delta(self, index: int, delta: bytes, sent: int) -> bytes:
        """A chunk with a delta, when `sent` tokens of each choice have been sent."""
        return self._delta(index, delta, self._usage_after(sent) if self._mode == "every_chunk" else self._usage_null)

    def _delta(self, index: int, delta: bytes, usage: bytes) -> bytes:
        choice = b'{"index":%d,"delta":%b,"logprobs":null,"finish_reason":null}' % (index, delta)
        return self._before + choice + b"]" + usage + b"}\n\n"

    def around_delta(self) -> tuple[bytes, bytes]:
        """What stands before and after each delta of the only choice, where no usage is told in between."""
        before, _, after = self._delta(0, b"@", self._usage_null).rpartition(b"@")
        return before, after

    def finish(self, index: int) -> bytes:
        """The chunk that ends a choice."""
        last = index == self._ask.choices - 1
        told = self._mode == "every_chunk" or (self._mode == "with_choices" and last)
        usage = self._usage_now(self._reply.counts) if told else self._usage_null
        reason = _encode(self._reply.finish_reason)
        choice = b'{"index":%d,"delta":{},"logprobs":null,"finish_reason":%b}' % (index, reason)
        return self._before + choice + b"]" + usage + b"}\n\n"

    def usage_alone(self) -> bytes:
        """The chunk without choices."""
        return self._before + b"]" + self._usage_now(self._reply.counts) + b"}\n\n"

    def _usage_after(self, sent: int) -> bytes:
        return self._usage_now(counts_after(self._reply, sent))

    def _usage_now(self, counts: Counts | None) -> bytes:
        return b"" if counts is None else b',"usage":' + _encode(_usage(counts, self._ask.choices))


def _usage(counts: Counts, choices: int) -> msgspec.Raw:
    completion = counts.completion * choices
    told = (counts.prompt, completion, counts.prompt + completion, counts.cached, counts.cache_written)
    return msgspec.Raw(_USAGE % (*told, counts.reasoning * choices))


_USAGE: Final = (
    b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
    b'"prompt_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d,"audio_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0,'
    b'"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
)

# ---------------------------------------------------------------- the models


def models(names: Sequence[str]) -> bytes:
    """The list of models."""
    return _encode({"object": "list", "data": [_model(name) for name in names]})


def model(name: str) -> bytes:
    """One model."""
    return _encode(_model(name))


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "sandbox"}
