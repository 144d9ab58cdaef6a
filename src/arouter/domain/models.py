"""What a client may know of a model before it asks it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model that the gateway can route to. None is what nobody knows."""

    id: str
    """`provider/model`."""
    name: str
    owned_by: str
    created: int | None = None
    """Unix seconds."""
    context_length: int | None = None
    """In tokens."""
    input_modalities: tuple[str, ...] | None = None
    """`text`, `image`, `audio`, `video`, `file`."""
    output_modalities: tuple[str, ...] | None = None
    pricing: Mapping[str, str] | None = None
    """By what a rate card has rates for: US dollars for one token, event or request, as decimal text."""
