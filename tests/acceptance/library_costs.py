"""What a recorded answer costs by the `genai-prices` library, and where that is no answer, why, and what is instead."""

from datetime import datetime
from typing import Any

from arouter.domain.money import Picodollars
from tests.providers.test_recorded_costs import (
    EMPTY_PRICES,
    MISTRAL_CACHED_ELSEWHERE,
    NOT_OURS,
    OVERLAPPING_CACHE,
    RESOURCE_NAME,
    UNKNOWN_MODELS,
    merged_body,
    model_of,
    their_cost,
    usage_object,
)
from tests.recordings import Recording

Body = dict[str, Any]


def body_of(recording: Recording) -> Body:
    """The answer's body; of a stream, one with its model and its usage."""
    return merged_body(recording) if recording.stream else recording.body


def library_cost(recording: Recording, body: Body, at: datetime) -> Picodollars | None:
    """None where no price is known.

    The library prices what the answering model used. What it had other models do on its behalf (an adviser's
    iterations) is charged too, and is priced by the library for itself.
    """
    if is_unknown(recording, body):
        return None
    advice = [one for one in usage_object(body).get("iterations") or () if one["type"] == "advisor_message"]
    answers = [_readable(body), *({"model": one["model"], "usage": one} for one in advice)]
    return Picodollars(sum(their_cost(recording, answer, at) for answer in answers))


def is_unknown(recording: Recording, body: Body) -> bool:
    """We have no price for the model, or nothing of the vendor at all, which has only the name that the operator gave.

    The library does know one of these vendors, Hugging Face's router, by its URL; we know vendors by name.
    """
    return recording.host in NOT_OURS or model_of(body) in UNKNOWN_MODELS or recording.id in EMPTY_PRICES


def is_comparable(recording: Recording) -> bool:
    """The library raises on one: OpenRouter counts the same tokens as read from the cache and written to it."""
    return recording.id != OVERLAPPING_CACHE


def _readable(body: Body) -> Body:
    """The same body in the words that the library reads: it does not know Mistral's older name of cached tokens,
    nor a Gemini model by its resource name."""
    if model_of(body) == RESOURCE_NAME:
        return {**body, "modelVersion": RESOURCE_NAME.removeprefix("models/")}
    cached = usage_object(body).get(MISTRAL_CACHED_ELSEWHERE, 0)
    if cached > 0:
        return {**body, "usage": {**body["usage"], "prompt_tokens_details": {"cached_tokens": cached}}}
    return body
