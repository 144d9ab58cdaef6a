"""Usage of text alone, which nearly every answer has, read without a look at each member: for Gemini and Anthropic.

An object of another form (other kinds of content, tools of the provider's own, members that are not known here, counts
that do not fit into their whole) is None here: it is for the general readers in `arouter.providers.usage`, and where
both can read an object they agree.
"""

from typing import Literal

import msgspec

from arouter.domain.usage import Usage
from arouter.providers.usage import Count


class _TextTokens(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A part of a whole that is text, too, and so says nothing new."""

    modality: Literal["TEXT"]
    token_count: Count


class _OfGemini(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    prompt_token_count: Count
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    total_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    prompt_tokens_details: list[_TextTokens] | None = None
    candidates_tokens_details: list[_TextTokens] | None = None
    cache_tokens_details: list[_TextTokens] | None = None
    traffic_type: str | None = None
    service_tier: str | None = None


class _Written(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    ephemeral_5m_input_tokens: Count
    ephemeral_1h_input_tokens: Count


class _Thought(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    thinking_tokens: Count | None = None


class _OfAnthropic(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    input_tokens: Count
    output_tokens: Count
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation: _Written | None = None
    output_tokens_details: _Thought | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None


_decode_gemini = msgspec.json.Decoder(_OfGemini).decode
_decode_anthropic = msgspec.json.Decoder(_OfAnthropic).decode


def gemini_text_usage(raw: msgspec.Raw) -> Usage | None:
    """Of a `usageMetadata` object. Raises only what decoding bytes that are no JSON raises."""
    try:
        told = _decode_gemini(raw)
    except msgspec.ValidationError:
        return None
    read, thoughts, made = told.prompt_token_count, told.thoughts_token_count, told.candidates_token_count
    cached = told.cached_content_token_count
    uncached = read if cached is None else read - cached
    if uncached < 0:
        return None
    written = made if thoughts is None else thoughts + (made or 0)
    return Usage(input_tokens=uncached, cache_read_tokens=cached, output_tokens=written, reasoning_tokens=thoughts)


def anthropic_text_usage(raw: bytes) -> Usage | None:
    """Of a `usage` object that is whole. Raises only what decoding bytes that are no JSON raises."""
    try:
        told = _decode_anthropic(raw)
    except msgspec.ValidationError:
        return None
    cached, written, hour = told.cache_read_input_tokens, told.cache_creation_input_tokens, None
    if told.cache_creation is not None:
        hour = told.cache_creation.ephemeral_1h_input_tokens
        if written is None or hour > written:
            return None
        written -= hour
    details = told.output_tokens_details
    thoughts = None if details is None else details.thinking_tokens
    if thoughts is not None and thoughts > told.output_tokens:
        return None
    return Usage(
        input_tokens=told.input_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        output_tokens=told.output_tokens,
        reasoning_tokens=thoughts,
    )
