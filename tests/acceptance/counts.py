"""What a usage object counts, by plain lookups: a provider's own, or what a client was told, in OpenAI's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

CACHED_ELSEWHERE = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
"""Where vendors of chat completions count cached tokens that do not do it where OpenAI does."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Tokens by OpenAI's names; None is what was not told."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None


NOTHING = Counts(
    prompt_tokens=None,
    completion_tokens=None,
    total_tokens=None,
    cached_tokens=None,
    cache_write_tokens=None,
    reasoning_tokens=None,
)


def chat(usage: Json) -> Counts:
    """As OpenAI's chat completions have it, and those who speak like it."""
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


def responses(usage: Json) -> Counts:
    """As OpenAI's Responses have it."""
    read = usage.get("input_tokens_details") or {}
    made = usage.get("output_tokens_details") or {}
    return Counts(
        prompt_tokens=usage["input_tokens"],
        completion_tokens=usage["output_tokens"],
        total_tokens=usage["total_tokens"],
        cached_tokens=read.get("cached_tokens"),
        cache_write_tokens=read.get("cache_write_tokens"),
        reasoning_tokens=made.get("reasoning_tokens"),
    )


def messages(usage: Json) -> Counts:
    """As Anthropic has it. What the server compacted is billed beside the counts at the top."""
    billed = [usage, *(one for one in usage.get("iterations") or () if one["type"] == "compaction")]
    cached = _sum(*(one.get("cache_read_input_tokens") for one in billed))
    written = _sum(*(one.get("cache_creation_input_tokens") for one in billed))
    prompt = _sum(*(one["input_tokens"] for one in billed), cached, written)
    completion = _sum(*(one["output_tokens"] for one in billed))
    return Counts(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=_sum(prompt, completion),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )


def generate(usage: Json) -> Counts:
    """As Google has it: thoughts are beside the candidates, and what its own tools read is beside the prompt."""
    thoughts = usage.get("thoughtsTokenCount")
    return Counts(
        prompt_tokens=_sum(usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")),
        completion_tokens=_sum(usage.get("candidatesTokenCount"), thoughts),
        total_tokens=usage.get("totalTokenCount"),
        cached_tokens=usage.get("cachedContentTokenCount"),
        cache_write_tokens=None,
        reasoning_tokens=thoughts,
    )


IN: Mapping[str, Callable[[Json], Counts]] = {
    "chat": chat,
    "responses": responses,
    "messages": messages,
    "generate": generate,
}
"""By dialect."""


def recorded(record: Json) -> Counts:
    """What the activity says."""
    return Counts(**{name: record[name] for name in Counts.__dataclass_fields__})


def _first(*candidates: int | None) -> int | None:
    return next((count for count in candidates if count is not None), None)


def _sum(*parts: int | None) -> int | None:
    known = [count for count in parts if count is not None]
    return sum(known) if known else None
