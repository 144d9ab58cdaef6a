"""What a recorded answer says, taken from its JSON by plain lookups, and what a client heard, in the same words."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.recordings import Recording

Json = dict[str, Any]

REASONS = {"end_turn": "stop", "tool_use": "tool_calls", "STOP": "stop", "MAX_TOKENS": "length"}
"""Anthropic's and Google's words for why a recorded answer ended, in OpenAI's."""

CACHED_ELSEWHERE = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
"""Where vendors count cached tokens that do not do it where OpenAI does."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer, however it was cut."""

    text: object
    """Text; of one recorded vendor a list of parts."""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Name and arguments: in OpenAI's dialect as text, in the others as the object that they are."""
    finish_reason: str | None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Tokens by OpenAI's names; None is what the provider did not tell."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None


# ---------------------------------------------------------------- events


def events(text: str) -> list[str]:
    """The server-sent events of a stream, each without the empty line that ends it."""
    separator = "\r\n\r\n" if "\r\n\r\n" in text else "\n\n"
    assert text.endswith(separator)
    return text.removesuffix(separator).split(separator)


def data(event: str) -> str | None:
    """The JSON of an event; None for a comment and for the end mark."""
    lines = [line for line in event.split("\n") if line.startswith("data:")]
    if not lines or lines == ["data: [DONE]"]:
        return None
    [line] = lines
    return line.removeprefix("data:").strip()


def written(recording: Recording) -> list[str]:
    """The JSON of the answer as it is written; of a stream, that of each event."""
    if not recording.stream:
        return [recording.response_text]
    return [written for event in events(recording.response_text) if (written := data(event)) is not None]


def _told(recording: Recording) -> list[Json]:
    return [json.loads(text) for text in written(recording)]


# ---------------------------------------------------------------- what was said


def said(recording: Recording) -> Said:
    """By the provider."""
    if recording.api == "anthropic.messages":
        return _said_by_anthropic(recording)
    if recording.api == "google.generate":
        return _said_by_google(_told(recording))
    return heard_stream(_told(recording)) if recording.stream else heard(recording.body)


def _said_by_anthropic(recording: Recording) -> Said:
    told = _told(recording)
    blocks = list(_streamed_blocks(told)) if recording.stream else recording.body["content"]
    reasons = [one["delta"]["stop_reason"] for one in told if one["type"] == "message_delta"]
    reason = reasons[-1] if recording.stream else recording.body["stop_reason"]
    return Said(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        calls=[(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        finish_reason=REASONS[reason],
    )


def _streamed_blocks(told: list[Json]) -> Iterator[Json]:
    """The content blocks of a Messages stream, put together again."""
    for start in (one for one in told if one["type"] == "content_block_start"):
        deltas = [
            one["delta"] for one in told if one["type"] == "content_block_delta" and one["index"] == start["index"]
        ]
        block = dict(start["content_block"])
        if block["type"] == "text":
            block["text"] += "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")
        elif block["type"] == "tool_use":
            written = "".join(delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta")
            block["input"] = json.loads(written) if written else {}
        yield block


def _said_by_google(told: list[Json]) -> Said:
    candidates = [candidate for one in told for candidate in one["candidates"]]
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts", [])]
    calls = [(part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part]
    reasons = [candidate["finishReason"] for candidate in candidates if "finishReason" in candidate]
    return Said(
        text="".join(part["text"] for part in parts if "text" in part and not part.get("thought")),
        calls=calls,
        finish_reason="tool_calls" if calls else REASONS[reasons[-1]],
    )


# ---------------------------------------------------------------- what was heard


def heard(completion: Json) -> Said:
    """By the client, in one `chat.completion`."""
    [choice] = completion["choices"]
    message = choice["message"]
    calls = message.get("tool_calls") or []
    return Said(
        text=_text(message.get("content")),
        calls=[(call["function"]["name"], call["function"].get("arguments", "")) for call in calls],
        finish_reason=choice["finish_reason"],
    )


def heard_stream(chunks: list[Json]) -> Said:
    """By the client, in `chat.completion.chunk`s."""
    choices = [choice for chunk in chunks for choice in chunk.get("choices", [])]
    deltas = [choice["delta"] for choice in choices]
    calls: dict[int, tuple[str, str]] = {}
    for piece in (call for delta in deltas for call in delta.get("tool_calls") or []):
        name, arguments = calls.get(piece["index"], ("", ""))
        function = piece["function"]
        calls[piece["index"]] = (name + (function.get("name") or ""), arguments + (function.get("arguments") or ""))
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    return Said(
        text="".join(delta.get("content") or "" for delta in deltas),
        calls=[calls[index] for index in sorted(calls)],
        finish_reason=reasons[-1] if reasons else None,
    )


def with_objects(answer: Said) -> Said:
    """The same with the arguments of its calls decoded."""
    calls = [(name, json.loads(arguments)) for name, arguments in answer.calls]
    return Said(text=answer.text, calls=calls, finish_reason=answer.finish_reason)


def _text(content: object) -> object:
    """No text and an empty one are the same: what they mean is compared elsewhere, field by field."""
    return "" if content is None else content


# ---------------------------------------------------------------- usage


def counts(recording: Recording, usage: Json) -> Counts:
    """What the provider's own usage object means."""
    if recording.api == "anthropic.messages":
        return _anthropic_counts(usage)
    return _google_counts(usage) if recording.api == "google.generate" else _openai_counts(usage)


def _openai_counts(usage: Json) -> Counts:
    read = usage.get("prompt_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    return Counts(
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
        cached_tokens=_first(read.get("cached_tokens"), *(usage.get(name) for name in CACHED_ELSEWHERE)),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=_first(made.get("reasoning_tokens"), usage.get("reasoning_tokens")),
    )


def _anthropic_counts(usage: Json) -> Counts:
    """Server-side compaction is billed beside the counts at the top."""
    billed = [usage, *(one for one in usage.get("iterations") or () if one["type"] == "compaction")]
    cached = sum(one["cache_read_input_tokens"] for one in billed)
    written = sum(one["cache_creation_input_tokens"] for one in billed)
    prompt = sum(one["input_tokens"] for one in billed) + cached + written
    completion = sum(one["output_tokens"] for one in billed)
    return Counts(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )


def _google_counts(usage: Json) -> Counts:
    thoughts = usage.get("thoughtsTokenCount")
    made = [count for count in (usage.get("candidatesTokenCount"), thoughts) if count is not None]
    return Counts(
        prompt_tokens=usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0),
        completion_tokens=sum(made) if made else None,
        total_tokens=usage["totalTokenCount"],
        cached_tokens=usage.get("cachedContentTokenCount"),
        cache_write_tokens=None,
        reasoning_tokens=thoughts,
    )


def heard_counts(usage: Json) -> Counts:
    """What the client's usage object says."""
    read = usage.get("prompt_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    return Counts(
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
        cached_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=made.get("reasoning_tokens"),
    )


def recorded_counts(record: Json) -> Counts:
    """What the activity says."""
    return Counts(**{name: record[name] for name in Counts.__dataclass_fields__})


def _first(*candidates: int | None) -> int | None:
    return next((count for count in candidates if count is not None), None)
