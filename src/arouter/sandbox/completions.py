"""OpenAI's completions from before chat: a prompt in, a text out."""

from typing import Final

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.sandbox import openai
from arouter.sandbox.answers import Ask, Counts, Reply
from arouter.sandbox.behaviour import UsageMode
from arouter.sandbox.dialect import Moments, Stamp, counts_after, decode, group
from arouter.wire import sse

REQUEST_ID: Final = openai.REQUEST_ID

_encode = msgspec.json.encode

error = openai.error
stream_error = openai.stream_error


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Request(msgspec.Struct):
    model: str
    prompt: str | list[str | int | list[int]]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None


def read(body: bytes) -> Ask:
    """The request. InvalidRequest, naming the param, if it is none. Several prompts get one answer."""
    request = decode(body, _Request)
    if request.max_tokens is not None and request.max_tokens < 1:
        raise InvalidRequest("max_tokens must be at least 1", param="max_tokens")
    prompt = request.prompt if isinstance(request.prompt, str) else _joined(request.prompt)
    options = request.stream_options
    return Ask(
        model=request.model,
        stream=request.stream is True,
        characters=len(prompt),
        last_user_text=prompt,
        limit=request.max_tokens,
        include_usage=options is not None and options.include_usage is True,
    )


def _joined(prompts: list[str | int | list[int]]) -> str:
    return " ".join([one if isinstance(one, str) else str(one) for one in prompts])


def whole(ask: Ask, reply: Reply, stamp: Stamp) -> bytes:
    """A `text_completion` object."""
    answer = {**_head(ask, stamp), "choices": [_choice(reply.text, reply.finish_reason)]}
    if reply.counts is not None:
        answer["usage"] = _usage(reply.counts)
    return _encode(answer)


def stream(ask: Ask, reply: Reply, stamp: Stamp, usage: UsageMode) -> Moments:
    """`text_completion` objects, one for each piece, a finish, the usage if asked for, `[DONE]`."""
    head = _head(ask, stamp)

    def event(text: str, finish: str | None, counts: Counts | None) -> bytes:
        told = {} if counts is None else {"usage": _usage(counts)}
        return sse.encode(_encode({**head, "choices": [_choice(text, finish)], **told}))

    every = usage == "every_chunk"
    tokens = [
        [event(piece, None, counts_after(reply, sent) if every else None)] for sent, piece in enumerate(reply.pieces, 1)
    ]
    told_with = reply.counts if every or usage == "with_choices" else None
    closing = [event("", reply.finish_reason, told_with)]
    if ask.include_usage and usage != "with_choices" and reply.counts is not None:
        closing.append(sse.encode(_encode({**head, "choices": [], "usage": _usage(reply.counts)})))
    closing.append(sse.encode(sse.DONE))
    return group([], tokens, closing)


def _head(ask: Ask, stamp: Stamp) -> dict[str, object]:
    return {
        "id": f"cmpl-sandbox{stamp.serial:08d}",
        "object": "text_completion",
        "created": stamp.created_s,
        "model": ask.model,
    }


def _choice(text: str, finish: str | None) -> dict[str, object]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


def _usage(counts: Counts) -> dict[str, int]:
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
    }
