"""A provider's own usage object, read into disjoint meters.

Input is the decoded JSON object exactly as the provider sent it (`usage`, or Gemini's `usageMetadata`); output is
`arouter.domain.usage.Usage`. Nothing here raises on what a provider may send, and nothing is made up:

1. A count is an integer from 0 to `LARGEST_COUNT`. A float without a fraction (`3.0`) is that integer. Everything
   else (text, a negative number, `2.5`, `true`, null, a number beyond reason) is a count that was not reported.
2. Details are parts of a whole. A whole that was not reported makes its details worthless: they are left unknown.
3. Parts that do not fit into their whole are left unknown, and the whole is counted at the general meter, so that
   the sum of the meters is always the provider's own total. Cached tokens are believed first, then those written to
   a cache (OpenRouter reports the same tokens as both for Gemini), then audio, images and video, because providers
   count the latter without saying what of them was cached.
4. Where a provider reports cached tokens and audio, image or video tokens, and not what of the one is the other,
   they are taken as disjoint when they fit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Annotated

import msgspec

from arouter.domain.money import LARGEST, PICODOLLARS_PER_DOLLAR, Picodollars, from_decimal, to_decimal
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.domain.value import unfilled
from arouter.providers.openai_error import MALFORMED

LARGEST_COUNT = 10**9
"""No request has a billion tokens; with this bound no cost at a real price exceeds what a record can hold."""

Meters = dict[str, int | None]
"""Keyword arguments of `Usage`."""

_NO_DETAILS: Mapping[str, object] = {}
_XAI_TICK = PICODOLLARS_PER_DOLLAR // 10**10
_DECIMAL = msgspec.json.Decoder(Decimal)
_OBJECT: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(dict[str, object])
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

# ---------------------------------------------------------------- OpenAI and its kin


def openai_usage(raw: Mapping[str, object], vendor: str = "") -> Usage:
    """Usage in the shape of OpenAI's chat completions, responses or embeddings, or a vendor's variant of it.

    `vendor` is our name of the vendor. Two of them count thinking beside the completion instead of in it: xai (in
    chat completions only, which its `total_tokens` shows) and perplexity, which also counts citations apart.
    Cached tokens are found under the names that deepseek (`prompt_cache_hit_tokens`), mistral (`num_cached_tokens`)
    and others (`cached_tokens` at the top) give them.
    """
    return Usage(**_openai_input(raw), **_openai_output(raw, vendor), web_searches=_openai_searches(raw))


Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)]


class _PlainInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    cached_tokens: Count | None = None
    audio_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _PlainOutput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    accepted_prediction_tokens: Count | None = None
    rejected_prediction_tokens: Count | None = None


_NO_INPUT = _PlainInput()
_NO_OUTPUT = _PlainOutput()


class _PlainUsage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count | None = None
    prompt_tokens_details: _PlainInput | None = None
    completion_tokens_details: _PlainOutput | None = None


_decode_plain = msgspec.json.Decoder(_PlainUsage).decode
_COUNTED_BESIDE = frozenset({"xai", "perplexity"})


def openai_usage_in(raw: bytes, vendor: str) -> Usage | None:
    """`openai_usage` of what is told as usage (JSON); None if it is no object, or tells nothing."""
    try:
        usage = openai_usage_from_json(raw, vendor)
    except MALFORMED:
        return None
    return usage if usage.prompt_tokens is not None or usage != NOTHING_REPORTED else None


def openai_usage_from_json(raw: bytes, vendor: str = "") -> Usage:
    """`openai_usage` of a JSON object. Raises msgspec.MsgspecError if `raw` is none."""
    usage = plain_usage(raw, vendor)
    return openai_usage(_OBJECT.decode(raw), vendor) if usage is None else usage


def plain_usage(raw: bytes, vendor: str) -> Usage | None:
    """`openai_usage` of the plain form that nearly every answer has: a JSON object of these members of OpenAI's alone,
    of which no one is a cost. None if it is anything else."""
    if vendor in _COUNTED_BESIDE:
        return None
    try:
        told = _decode_plain(raw)
    except MALFORMED:
        return None
    read, made = told.prompt_tokens_details or _NO_INPUT, told.completion_tokens_details or _NO_OUTPUT
    cached, written, heard = read.cached_tokens, read.cache_write_tokens, read.audio_tokens
    spoken, reasoning = made.audio_tokens, made.reasoning_tokens
    uncached = told.prompt_tokens - (cached or 0) - (written or 0) - (heard or 0)
    text = told.completion_tokens - (spoken or 0)
    if uncached < 0 or text < (reasoning or 0):
        return None  # The parts do not fit into their wholes.
    filled = unfilled(Usage)
    filled.input_tokens = uncached
    filled.input_audio_tokens = heard
    filled.input_image_tokens = None
    filled.input_video_tokens = None
    filled.cache_read_tokens = cached
    filled.cache_read_audio_tokens = None
    filled.cache_write_tokens = written
    filled.cache_write_1h_tokens = None
    filled.output_tokens = text
    filled.output_audio_tokens = spoken
    filled.output_image_tokens = None
    filled.reasoning_tokens = reasoning
    filled.web_searches = None
    filled.prompt_tokens = told.prompt_tokens
    filled.completion_tokens = told.completion_tokens
    usage: Usage = filled
    return usage


def _openai_input(raw: Mapping[str, object]) -> Meters:
    whole = _first(raw, "prompt_tokens", "input_tokens")
    details = _object(raw, "prompt_tokens_details", "input_tokens_details")
    cached = _first(details, "cached_tokens")
    if cached is None:
        cached = _first(
            raw, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cached_prompt_text_tokens"
        )
    cached_audio = _first(_object(details, "cached_tokens_details"), "audio_tokens")
    audio = _first(details, "audio_tokens")
    if cached_audio is not None and audio is not None:
        audio = audio - cached_audio if audio >= cached_audio else None
    return _input_meters(
        whole,
        cached=cached,
        cached_audio=cached_audio,
        written=_first(details, "cache_write_tokens"),
        modalities={
            "input_audio_tokens": audio,
            "input_image_tokens": _first(details, "image_tokens"),
            "input_video_tokens": _first(details, "video_tokens"),
        },
    )


def _openai_output(raw: Mapping[str, object], vendor: str) -> Meters:
    whole = _first(raw, "completion_tokens", "output_tokens")
    details = _object(raw, "completion_tokens_details", "output_tokens_details")
    reasoning = _first(details, "reasoning_tokens")
    if reasoning is None:
        reasoning = _first(raw, "reasoning_tokens")
    if whole is not None:
        whole += _beside_completion(raw, vendor, reasoning)
    modalities = {
        "output_audio_tokens": _first(details, "audio_tokens"),
        "output_image_tokens": _first(details, "image_tokens"),
    }
    return _output_meters(whole, modalities, reasoning)


def _beside_completion(raw: Mapping[str, object], vendor: str, reasoning: int | None) -> int:
    """The output tokens that the vendor does not count in `completion_tokens`."""
    thought = reasoning or 0
    if vendor == "perplexity":
        return (_first(raw, "reasoning_tokens") or 0) + (_first(raw, "citation_tokens") or 0)
    if vendor != "xai" or _first(raw, "completion_tokens") is None:
        return 0
    # https://docs.x.ai/docs/key-information/consumption-and-rate-limits: thinking is counted apart from
    # completion_tokens and within total_tokens. A total that has no room for it says that it is not apart.
    total, prompt, completion = (_first(raw, name) for name in ("total_tokens", "prompt_tokens", "completion_tokens"))
    if total is not None and prompt is not None and completion is not None and total == prompt + completion:
        return 0
    return thought


def _openai_searches(raw: Mapping[str, object]) -> int | None:
    searches = _first(raw, "num_search_queries")
    return _first(_object(raw, "server_tool_use"), "web_search_requests") if searches is None else searches


# ---------------------------------------------------------------- Anthropic


def anthropic_usage(raw: Mapping[str, object]) -> Usage:
    """Usage of Anthropic's Messages API; of a stream, what `merge_anthropic` made of its two objects.

    The counts at the top are the sums over `iterations` of type `message`. Server-side compaction is an iteration
    of its own, billed at the same prices and not in those sums: it is added. The iterations of an adviser are another
    model's: see `anthropic_advice`.
    """
    usage = _anthropic_counts(raw)
    for iteration in _iterations(raw, "compaction"):
        usage = _sum(usage, _anthropic_counts(iteration))
    return usage


def anthropic_advice(raw: Mapping[str, object]) -> tuple[tuple[str, Usage], ...]:
    """What other models used on behalf of this answer (the adviser tool): each model's name and usage, in order.

    It is billed at the adviser's prices and is not in the counts at the top.
    """
    return tuple(
        (model, _anthropic_counts(iteration))
        for iteration in _iterations(raw, "advisor_message")
        if isinstance(model := iteration.get("model"), str)
    )


def advice_in(raw: bytes) -> tuple[tuple[str, Usage], ...]:
    """`anthropic_advice` of a JSON object; nothing of any other, and of what is not an object."""
    if b'"iterations"' not in raw:
        return ()
    try:
        return anthropic_advice(_OBJECT.decode(raw))
    except msgspec.MsgspecError:
        return ()


def merge_anthropic(start_raw: Mapping[str, object], delta_raw: Mapping[str, object]) -> dict[str, object]:
    """The usage object of `message_start` with that of `message_delta` laid over it.

    The delta is cumulative, so what it tells replaces what was told; what it leaves out, or tells as null, stays.
    """
    return {**start_raw, **{name: value for name, value in delta_raw.items() if value is not None}}


def _anthropic_counts(raw: Mapping[str, object]) -> Usage:
    output = _first(raw, "output_tokens")
    written, written_1h = _anthropic_writes(raw)
    return Usage(
        input_tokens=_first(raw, "input_tokens"),
        cache_read_tokens=_first(raw, "cache_read_input_tokens"),
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        output_tokens=output,
        reasoning_tokens=_part(output, _first(_object(raw, "output_tokens_details"), "thinking_tokens")),
        web_searches=_first(_object(raw, "server_tool_use"), "web_search_requests"),
    )


def _anthropic_writes(raw: Mapping[str, object]) -> tuple[int | None, int | None]:
    """Tokens written for five minutes, and for an hour.

    The total is cumulative in a stream while the split by time may be the one of `message_start`: what the hour does
    not account for was written for the default time, five minutes.
    """
    total = _first(raw, "cache_creation_input_tokens")
    split = _object(raw, "cache_creation")
    hour = _first(split, "ephemeral_1h_input_tokens")
    if total is None:
        return _first(split, "ephemeral_5m_input_tokens"), hour
    hour = _part(total, hour)
    return total - (hour or 0), hour


def _iterations(raw: Mapping[str, object], kind: str) -> Iterator[Mapping[str, object]]:
    iterations = raw.get("iterations")
    for iteration in iterations if isinstance(iterations, list) else ():
        if isinstance(iteration, Mapping) and iteration.get("type") == kind:
            yield iteration


# ---------------------------------------------------------------- Gemini


def gemini_usage(raw: Mapping[str, object]) -> Usage:
    """Usage from a `usageMetadata` object; of a stream, from the last event that has one.

    Cached tokens are within the prompt, the prompt of server-side tools beside it, thoughts beside the candidates.
    Documents are counted as text. Searches are not in this object.
    """
    tool_prompt = _first(raw, "toolUsePromptTokenCount")
    whole = _first(raw, "promptTokenCount")
    if whole is not None:
        whole += tool_prompt or 0
    cached = _modalities(raw, "cacheTokensDetails")
    read = _modalities(raw, "promptTokensDetails", "toolUsePromptTokensDetails")
    made = _modalities(raw, "candidatesTokensDetails")
    thoughts = _first(raw, "thoughtsTokenCount")
    candidates = _first(raw, "candidatesTokenCount")
    return Usage(
        **_input_meters(
            whole,
            cached=_first(raw, "cachedContentTokenCount"),
            cached_audio=cached.get("AUDIO"),
            written=None,
            modalities={
                "input_audio_tokens": _uncached(read, cached, "AUDIO"),
                "input_image_tokens": _uncached(read, cached, "IMAGE"),
                "input_video_tokens": _uncached(read, cached, "VIDEO"),
            },
        ),
        **_output_meters(
            _added(candidates, thoughts),
            {"output_audio_tokens": made.get("AUDIO"), "output_image_tokens": made.get("IMAGE")},
            thoughts,
        ),
    )


def _modalities(raw: Mapping[str, object], *names: str) -> dict[str, int]:
    """Tokens by modality over all the lists of those names."""
    counts: dict[str, int] = {}
    for name in names:
        entries = raw.get(name)
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, Mapping):
                continue
            modality, count = entry.get("modality"), _count(entry.get("tokenCount"))
            if isinstance(modality, str) and count is not None:
                counts[modality] = counts.get(modality, 0) + count
    return counts


def _uncached(read: dict[str, int], cached: dict[str, int], modality: str) -> int | None:
    count = read.get(modality)
    if count is None:
        return None
    rest = count - cached.get(modality, 0)
    return rest if rest >= 0 else None


# ---------------------------------------------------------------- Converse


def converse_usage(raw: Mapping[str, object]) -> Usage:
    """Usage from the `usage` object of Amazon Bedrock's Converse: disjoint counts, but for the split of what was
    written to a cache by how long it is kept (`cacheDetails`)."""
    written = _first(raw, "cacheWriteInputTokens")
    details = raw.get("cacheDetails")
    hour = None
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, Mapping) and entry.get("ttl") == "1h":
            hour = _part(written, _first(entry, "inputTokens"))
    return Usage(
        input_tokens=_first(raw, "inputTokens"),
        cache_read_tokens=_first(raw, "cacheReadInputTokens"),
        cache_write_tokens=None if written is None else written - (hour or 0),
        cache_write_1h_tokens=hour,
        output_tokens=_first(raw, "outputTokens"),
    )


# ---------------------------------------------------------------- what a price depends on besides counts


class _Circumstances(msgspec.Struct):
    service_tier: str | None = None
    serviceTier: str | None = None  # noqa: N815 - Gemini's own name
    speed: str | None = None


_CIRCUMSTANCES = msgspec.json.Decoder(_Circumstances)


def circumstances(raw: bytes) -> tuple[str | None, str | None]:
    """The service tier and the speed that a usage object names (Anthropic's, Gemini's); None where it does not."""
    try:
        told = _CIRCUMSTANCES.decode(raw)
    except msgspec.MsgspecError:
        return None, None
    return (told.service_tier if told.service_tier is not None else told.serviceTier), told.speed


# ---------------------------------------------------------------- what a provider says it costs


def reported_cost(raw: bytes) -> Picodollars | None:
    """The cost that the provider itself reports in its usage object (JSON bytes), or None.

    Read from the digits, never through a float: OpenRouter's `cost`, Perplexity's `cost.total_cost`, and xAI's
    `cost_in_usd_ticks` (10⁻¹⁰ dollars). It means something only for a vendor whose row says so.
    """
    try:
        told = _FIELDS.decode(raw)
        if "cost" in told:
            cost = bytes(told["cost"])
            return _dollars(_DECIMAL.decode(_FIELDS.decode(cost)["total_cost"] if cost[:1] == b"{" else cost))
        return _ticks(_DECIMAL.decode(told["cost_in_usd_ticks"]))
    except (KeyError, msgspec.DecodeError):
        return None


def _dollars(cost: Decimal) -> Picodollars | None:
    return from_decimal(cost) if cost.is_finite() and 0 <= cost <= to_decimal(LARGEST) else None


def _ticks(ticks: Decimal) -> Picodollars | None:
    if not ticks.is_finite() or not 0 <= ticks <= LARGEST // _XAI_TICK or ticks != int(ticks):
        return None
    return Picodollars(int(ticks) * _XAI_TICK)


# ---------------------------------------------------------------- counts, wholes and parts


def _input_meters(
    whole: int | None,
    *,
    cached: int | None,
    cached_audio: int | None,
    written: int | None,
    modalities: Meters,
) -> Meters:
    """The input meters of a whole that includes what was cached and written; rule 3 at the head of this file."""
    if whole is None:
        return {}
    cached = _part(whole, cached)
    rest = whole - (cached or 0)
    written = _part(rest, written)
    rest -= written or 0
    cached_audio = _part(cached, cached_audio)
    parts = _fitting(rest, modalities)
    return {
        "input_tokens": rest - _known(parts),
        **parts,
        "cache_read_tokens": None if cached is None else cached - (cached_audio or 0),
        "cache_read_audio_tokens": cached_audio,
        "cache_write_tokens": written,
    }


def _output_meters(whole: int | None, modalities: Meters, reasoning: int | None) -> Meters:
    """The output meters of a whole that includes all of them."""
    if whole is None:
        return {}
    parts = _fitting(whole, modalities)
    text = whole - _known(parts)
    return {"output_tokens": text, **parts, "reasoning_tokens": _part(text, reasoning)}


def _fitting(whole: int, parts: Meters) -> Meters:
    """`parts` if they fit into `whole`, otherwise none of them."""
    return parts if _known(parts) <= whole else dict.fromkeys(parts)


def _known(parts: Meters) -> int:
    return sum(filter(None, parts.values()))


def _part(whole: int | None, part: int | None) -> int | None:
    """`part` if it can be a part of `whole`."""
    return None if whole is None or part is None or part > whole else part


def _sum(left: Usage, right: Usage) -> Usage:
    """Meter by meter. A meter known on one side only is known."""
    if left == NOTHING_REPORTED:
        return right
    return Usage(**{f.name: _added(getattr(left, f.name), getattr(right, f.name)) for f in fields(Usage)})


def _added(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


def _first(raw: Mapping[str, object], *names: str) -> int | None:
    """The first of the named members that is a count."""
    for name in names:
        value = raw.get(name)
        if value is not None and (count := _count(value)) is not None:
            return count
    return None


def _object(raw: Mapping[str, object], *names: str) -> Mapping[str, object]:
    """The first of the named members that is an object, or an empty one."""
    for name in names:
        value = raw.get(name)
        if value is not None and isinstance(value, Mapping):
            return value
    return _NO_DETAILS


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # Not a subclass: true is no count.
    return value if type(value) is int and 0 <= value <= LARGEST_COUNT else None
