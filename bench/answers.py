"""What providers say, as bytes made once: whole answers, streams and errors, in three dialects."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Dialect = Literal["openai", "anthropic", "gemini"]

TEXT = "It looks, it thinks, it leaves. " * 5
STAMP_DIGITS = 19
STAMP = b"@" + b"0" * STAMP_DIGITS
"""Stands in a timed chunk where the upstream writes the monotonic clock, in nanoseconds."""

_FIELDS = (
    b"Date: Sun, 22 Nov 2026 12:00:00 GMT\r\nopenai-version: 2020-10-01\r\nopenai-processing-ms: 412\r\n"
    b"x-request-id: req_0123456789abcdef0123456789abcdef\r\nx-ratelimit-limit-requests: 30000\r\n"
    b"x-ratelimit-remaining-requests: 29999\r\nConnection: keep-alive\r\n"
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n%sTransfer-Encoding: chunked\r\n\r\n"
    % _FIELDS
)

Event = tuple[str, object]
"""An event's name, empty for none, and its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One dialect's way to say the same things."""

    whole: object
    begin: tuple[Event, ...]
    chunk: Callable[[str], Event]
    end: tuple[Event, ...]
    done: bytes = b""
    """What follows the last event."""
    line_end: bytes = b"\n"


# ---------------------------------------------------------------- OpenAI

_OPENAI_USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 100,
    "total_tokens": 142,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_OPENAI_COMMON = {
    "id": "chatcmpl-Bench0000000000000000000000000",
    "created": 1_790_000_000,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
}


def _openai_chunk(delta: Mapping[str, object], finish_reason: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return "", {"object": "chat.completion.chunk", **_OPENAI_COMMON, "choices": [choice], "usage": None}


_OPENAI = Said(
    whole={
        "object": "chat.completion",
        **_OPENAI_COMMON,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _OPENAI_USAGE,
    },
    begin=(_openai_chunk({"role": "assistant", "content": "", "refusal": None}),),
    chunk=lambda text: _openai_chunk({"content": text}),
    end=(
        _openai_chunk({}, "stop"),
        ("", {"object": "chat.completion.chunk", **_OPENAI_COMMON, "choices": [], "usage": _OPENAI_USAGE}),
    ),
    done=b"data: [DONE]\n\n",
)

# ---------------------------------------------------------------- Anthropic

_CLAUDE = {"id": "msg_Bench000000000000000000", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
_CLAUDE_USAGE = {
    "input_tokens": 42,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 100,
    "service_tier": "standard",
}


def _claude(name: str, **fields: object) -> Event:
    return name, {"type": name, **fields}


_ANTHROPIC = Said(
    whole={
        **_CLAUDE,
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _CLAUDE_USAGE,
    },
    begin=(
        _claude(
            "message_start",
            message={
                **_CLAUDE,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {**_CLAUDE_USAGE, "output_tokens": 1},
            },
        ),
        _claude("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ),
    chunk=lambda text: _claude("content_block_delta", index=0, delta={"type": "text_delta", "text": text}),
    end=(
        _claude("content_block_stop", index=0),
        _claude(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 100},
        ),
        _claude("message_stop"),
    ),
)

# ---------------------------------------------------------------- Gemini

_GEMINI_USAGE = {
    "promptTokenCount": 42,
    "candidatesTokenCount": 100,
    "totalTokenCount": 142,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}],
}


def _gemini(text: str, **candidate: object) -> Event:
    said = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **candidate}
    told = {"candidates": [said], "usageMetadata": _GEMINI_USAGE}
    return "", {**told, "modelVersion": "gemini-2.5-flash", "responseId": "Bench000000000000000000"}


_GEMINI = Said(
    whole=_gemini(TEXT, finishReason="STOP")[1],
    begin=(),
    chunk=_gemini,
    end=(_gemini("", finishReason="STOP"),),
    line_end=b"\r\n",
)

SAID: Mapping[Dialect, Said] = {"openai": _OPENAI, "anthropic": _ANTHROPIC, "gemini": _GEMINI}

# ---------------------------------------------------------------- as bytes


def whole_answer(dialect: Dialect) -> bytes:
    """A whole answer; OpenAI's has about 700 bytes, head not counted."""
    return _whole(b"200 OK", SAID[dialect].whole)


def error_answer(status: int) -> bytes:
    """An error as OpenAI words it."""
    error = {"message": f"The benchmark asked for {status}.", "type": "server_error", "param": None, "code": None}
    return _whole(b"%d Asked" % status, {"error": error})


def stream_pieces(dialect: Dialect, chunks: int, *, timed: bool = False) -> list[bytes]:
    """The writes of a stream: its head and first events, so many content chunks, and its end in one.

    In a timed stream each content chunk holds `STAMP`.
    """
    begin, *content, end = events_of(dialect, chunks, timed=timed)
    return [
        STREAM_HEAD + (_framed(begin) if begin else b""),
        *map(_framed, content),
        _framed(end) + b"0\r\n\r\n",
    ]


def events_of(dialect: Dialect, chunks: int, *, timed: bool = False) -> list[bytes]:
    """The events of a stream: the first ones, so many content chunks, each by itself, and the last ones."""
    said = SAID[dialect]
    texts = (f" {STAMP.decode()}" if timed else f" word{number:03d}" for number in range(chunks))
    return [
        b"".join(_event(event, said.line_end) for event in said.begin),
        *(_event(said.chunk(text), said.line_end) for text in texts),
        b"".join(_event(event, said.line_end) for event in said.end) + said.done,
    ]


def _whole(status: bytes, value: object) -> bytes:
    body = _dump(value)
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status,
        _FIELDS,
        len(body),
        body,
    )


def _event(event: Event, line_end: bytes) -> bytes:
    name, data = event
    lines = ([b"event: " + name.encode()] if name else []) + [b"data: " + _dump(data), b"", b""]
    return line_end.join(lines)


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
