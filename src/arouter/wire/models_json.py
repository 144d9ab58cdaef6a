"""Models as JSON: OpenAI's list, with OpenRouter's prices and architecture."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arouter.domain.models import ModelInfo

PRICE_NAMES = {
    "input_tokens": "prompt",
    "output_tokens": "completion",
    "cache_read_tokens": "input_cache_read",
    "cache_write_tokens": "input_cache_write",
    "cache_write_1h_tokens": "input_cache_write_1h",
    "input_audio_tokens": "audio",
    "cache_read_audio_tokens": "input_audio_cache",
    "output_audio_tokens": "audio_output",
    "input_image_tokens": "image_token",
    "output_image_tokens": "image_output",
    "input_video_tokens": "video",
    "web_searches": "web_search",
    "reasoning_tokens": "internal_reasoning",
    "requests": "request",
    "audio_hours": "audio_hour",
    "characters": "character",
}
"""OpenRouter's names of what a rate card has rates for, and names in their manner where it has none."""


class Architecture(msgspec.Struct, frozen=True):
    modality: str | None
    input_modalities: tuple[str, ...] | None
    output_modalities: tuple[str, ...] | None


class Model(msgspec.Struct, frozen=True):
    """A model. `pricing` is US dollars for one token or event as decimal text; null where no price is known."""

    id: str
    object: Literal["model"]
    created: int | None
    owned_by: str
    name: str
    context_length: int | None
    architecture: Architecture
    pricing: dict[str, str] | None


class ModelList(msgspec.Struct, frozen=True):
    object: Literal["list"]
    data: list[Model]


def encode_models(models: Sequence[ModelInfo]) -> bytes:
    return msgspec.json.encode(ModelList("list", [_model(model) for model in models]))


def encode_model(model: ModelInfo) -> bytes:
    return msgspec.json.encode(_model(model))


def _model(info: ModelInfo) -> Model:
    return Model(
        id=info.id,
        object="model",
        created=info.created,
        owned_by=info.owned_by,
        name=info.name,
        context_length=info.context_length,
        architecture=Architecture(_modality(info), info.input_modalities, info.output_modalities),
        pricing=named_prices(info),
    )


def named_prices(info: ModelInfo) -> dict[str, str] | None:
    """Prices by the names that clients know; None where no price is known."""
    return None if info.pricing is None else {PRICE_NAMES[meter]: price for meter, price in info.pricing.items()}


def _modality(info: ModelInfo) -> str | None:
    """`text+image->text`."""
    if info.input_modalities is None or info.output_modalities is None:
        return None
    return f"{'+'.join(info.input_modalities)}->{'+'.join(info.output_modalities)}"
