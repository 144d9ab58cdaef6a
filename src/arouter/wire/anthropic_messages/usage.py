"""The `usage` object of an answer: Anthropic's counts, with what the request cost.

`input_tokens` are those that were neither read from a cache nor written to one, `output_tokens` include thought.
`cost` is US dollars as a JSON number with exactly the digits needed, and null where no price is known. What else is
unknown is left out, but for the two counts that every client reads: they are null.
"""

from arouter.domain.charge import Charge
from arouter.domain.chat import Json
from arouter.domain.usage import Usage
from arouter.wire.numbers import dollars


def message_usage(charge: Charge) -> Json:
    """The usage and the cost of an answer that is at its end."""
    return {
        **counts(charge.usage),
        "cost": dollars(charge.cost),
        "cost_details": {
            "upstream_inference_cost": None,
            "prompt_cost": dollars(charge.prompt_cost),
            "completion_cost": dollars(charge.completion_cost),
        },
    }


def counts(usage: Usage) -> Json:
    """The counts alone."""
    told: Json = {
        "input_tokens": _sum(
            usage.input_tokens, usage.input_audio_tokens, usage.input_image_tokens, usage.input_video_tokens
        ),
        "output_tokens": usage.completion_tokens,
    }
    written, written_1h = usage.cache_write_tokens, usage.cache_write_1h_tokens
    if usage.cache_written_tokens is not None:
        told["cache_creation_input_tokens"] = usage.cache_written_tokens
    if written is not None and written_1h is not None:
        told["cache_creation"] = {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": written_1h}
    if usage.cached_tokens is not None:
        told["cache_read_input_tokens"] = usage.cached_tokens
    if usage.reasoning_tokens is not None:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.web_searches is not None:
        # Fetching is a tool of Anthropic's own, so that no answer that was translated has used it.
        told["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    return told


def counts_at_start(usage: Usage | None) -> Json:
    """The counts of `message_start`, as far as they are known.

    They are those so far, and cumulative: what nobody has counted yet is 0, as it is at Anthropic, and not null,
    which clients that check the type of these two refuse.
    """
    told: Json = {"input_tokens": 0, "output_tokens": 0}
    if usage is not None:
        told |= {name: count for name, count in counts(usage).items() if count is not None}
    return told


def _sum(*parts: int | None) -> int | None:
    known = [tokens for tokens in parts if tokens is not None]
    return sum(known) if known else None
