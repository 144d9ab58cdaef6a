"""The list of models in the words of Anthropic's and Gemini's API, with our prices beside their fields."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from arouter.domain.models import ModelInfo
from arouter.wire.models_json import named_prices

RESOURCE = "models/"
"""What the name of a model begins with in Gemini's API."""

_GENERATE = ("generateContent", "streamGenerateContent")
_EPOCH = 0
"""Of a model whose age nobody knows: Anthropic's own documentation has it so."""


class AnthropicModel(msgspec.Struct, frozen=True):
    id: str
    display_name: str
    created_at: str
    max_input_tokens: int | None
    pricing: dict[str, str] | None
    lifecycle: Literal["active"] = "active"
    type: Literal["model"] = "model"


class AnthropicModels(msgspec.Struct, frozen=True):
    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class GeminiModel(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What nobody knows is left out. What has no price for its output generates nothing, as far as is known."""

    name: str
    display_name: str
    supported_generation_methods: tuple[str, ...] | None = None
    input_token_limit: int | None = None
    pricing: dict[str, str] | None = None


class GeminiModels(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    models: list[GeminiModel]
    next_page_token: str | None = None


def encode_anthropic_models(models: Sequence[ModelInfo], *, has_more: bool) -> bytes:
    """One page."""
    data = [_anthropic(model) for model in models]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return msgspec.json.encode(AnthropicModels(data, has_more, first, last))


def encode_anthropic_model(model: ModelInfo) -> bytes:
    return msgspec.json.encode(_anthropic(model))


def encode_gemini_models(models: Sequence[ModelInfo], next_page_token: str | None) -> bytes:
    """One page."""
    return msgspec.json.encode(GeminiModels([_gemini(model) for model in models], next_page_token))


def encode_gemini_model(model: ModelInfo) -> bytes:
    return msgspec.json.encode(_gemini(model))


def _anthropic(info: ModelInfo) -> AnthropicModel:
    created = datetime.fromtimestamp(_EPOCH if info.created is None else info.created, UTC)
    return AnthropicModel(
        id=info.id,
        display_name=info.name,
        created_at=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        max_input_tokens=info.context_length,
        pricing=named_prices(info),
    )


def _gemini(info: ModelInfo) -> GeminiModel:
    return GeminiModel(
        name=RESOURCE + info.id,
        display_name=info.name,
        supported_generation_methods=_GENERATE if info.pricing and "output_tokens" in info.pricing else None,
        input_token_limit=info.context_length,
        pricing=named_prices(info),
    )
