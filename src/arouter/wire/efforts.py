"""How much to think, in OpenAI's words and those of the vendors who speak its formats."""

from collections.abc import Mapping
from types import MappingProxyType

from arouter.domain.chat import ReasoningRequest
from arouter.wire.fields import Fields, wrong_value

_EFFORTS: Mapping[str, str | None] = MappingProxyType(
    {
        "none": "none",
        "minimal": "minimal",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "xhigh",
        "max": "xhigh",  # The most that the canonical form can ask for.
        "default": None,  # Groq's word for the model's own choice.
    }
)


def read_effort(fields: Fields, name: str) -> str | None:
    """The canonical word in a field; None where the client left it to the model."""
    value = fields.text(name)
    if value is None:
        return None
    if value not in _EFFORTS:
        raise wrong_value(fields.param(name), f"one of {', '.join(_EFFORTS)}")
    return _EFFORTS[value]


def read_reasoning(wanted: Fields, effort: str | None) -> ReasoningRequest | None:
    """What a `reasoning` object asks for beside its effort, by OpenRouter's names; None if it asks for nothing."""
    max_tokens = wanted.integer("max_tokens")
    enabled = wanted.flag("enabled")
    exclude = wanted.flag("exclude") is True
    if enabled is False:
        effort, max_tokens = "none", None
    elif enabled and effort is None and max_tokens is None:
        effort = "medium"
    if effort is None and max_tokens is None and not exclude:
        return None
    return ReasoningRequest(effort=effort, max_tokens=max_tokens, exclude=exclude)
