"""The usage objects of OpenAI's other endpoints, as meters; rules as in `arouter.providers.usage`.

1. Transcriptions name their details `input_token_details`, all others `input_tokens_details`.
2. Where only a total is told (embeddings and rankings of several vendors), all of it was input: nothing is generated.
3. The output tokens of images are image tokens where nothing says that some are text (OpenAI's description of
   `ImageGenCompletedEvent`: "the number of image tokens in the output image").
4. What is measured in seconds counts no token; see `arouter.providers.quantity`.
"""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.providers.quantity import quantity_in
from arouter.providers.usage import openai_usage

_decode = msgspec.json.Decoder(dict[str, object]).decode


def endpoint_usage(raw_usage: bytes, vendor: str, *, of_images: bool = False) -> Usage | None:
    """The usage that a usage object (JSON) tells; None if it tells nothing."""
    try:
        told = _decode(raw_usage)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    usage = openai_usage(_in_chat_words(told), vendor)
    if of_images and usage.output_tokens is not None and usage.output_image_tokens is None:
        usage = replace(usage, output_tokens=None, output_image_tokens=usage.output_tokens)
    if usage == NOTHING_REPORTED and quantity_in(raw_usage) is None:
        return None
    return usage


def added(left: Usage, right: Usage) -> Usage:
    """Meter by meter; what only one of them knows is known."""
    sums = {}
    for name in Usage.__dataclass_fields__:
        one, other = getattr(left, name), getattr(right, name)
        sums[name] = one if other is None else other if one is None else one + other
    return Usage(**sums)


def _in_chat_words(told: Mapping[str, object]) -> Mapping[str, object]:
    if "input_token_details" in told:
        told = {"input_tokens_details": told["input_token_details"], **told}
    counts = ("prompt_tokens", "input_tokens", "completion_tokens", "output_tokens")
    if told.get("total_tokens") is not None and all(told.get(name) is None for name in counts):
        told = {**told, "prompt_tokens": told["total_tokens"]}
    return told
