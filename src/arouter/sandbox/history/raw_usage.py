"""Usage objects as providers write them: fixed texts, and numbers between them.

A model's texts and the names of its numbers are the same for every answer, so that single objects and whole columns of
them can be made from one description.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from arouter.domain.usage import Usage
from arouter.sandbox.history.population import Model

MOST_NUMBERS = 5
"""In any object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`texts[0]`, the first number, `texts[1]`, and so on: one text more than numbers."""

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    """What each is: a name of `numbers_of`."""


def shape_of(model: Model) -> Shape:
    """How the model's provider writes usage."""
    if model.dialect == "anthropic":
        return _shape(
            ('{"input_tokens":', "input"),
            (',"cache_creation_input_tokens":', "written"),
            (',"cache_read_input_tokens":', "read"),
            (',"output_tokens":', "completion"),
            end="}",
        )
    if model.dialect == "google":
        return _shape(
            ('{"promptTokenCount":', "prompt"),
            (',"candidatesTokenCount":', "said"),
            (',"totalTokenCount":', "total"),
            (',"cachedContentTokenCount":', "read"),
            *([(',"thoughtsTokenCount":', "reasoning")] if model.reasons else []),
            end="}",
        )
    parts = [('{"prompt_tokens":', "prompt"), (',"total_tokens":', "total")]
    end = "}"
    if model.output_middle:
        parts.append((',"completion_tokens":', "completion"))
    if model.caches:
        parts.append((',"prompt_tokens_details":{"cached_tokens":', "read"))
        end = "}}"
    if model.reasons:
        closed = "}" if model.caches else ""
        parts.append((closed + ',"completion_tokens_details":{"reasoning_tokens":', "reasoning"))
        end = "}}"
    return _shape(*parts, end=end)


def _shape(*parts: tuple[str, str], end: str) -> Shape:
    return Shape(texts=(*(text for text, _ in parts), end), numbers=tuple(name for _, name in parts))


def numbers_of(usage: Usage) -> Mapping[str, int]:
    """Everything that may stand in a usage object; what is not known is 0."""
    completion, reasoning = usage.completion_tokens or 0, usage.reasoning_tokens or 0
    return {
        "input": usage.input_tokens or 0,
        "read": usage.cache_read_tokens or 0,
        "written": usage.cache_write_tokens or 0,
        "prompt": usage.prompt_tokens or 0,
        "completion": completion,
        "said": completion - reasoning,
        "reasoning": reasoning,
        "total": usage.total_tokens or 0,
    }


def raw_usage(model: Model, usage: Usage) -> bytes:
    """The object of one answer."""
    shape, numbers = shape_of(model), numbers_of(usage)
    parts = [f"{text}{numbers[name]}" for text, name in zip(shape.texts, shape.numbers, strict=False)]
    return "".join((*parts, shape.texts[-1])).encode()
