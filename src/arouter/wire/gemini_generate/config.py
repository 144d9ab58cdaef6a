"""`generationConfig`: how to answer.

- Whether thoughts are shown is said by `includeThoughts`, and they are not unless it is true. A budget of -1 leaves
  the amount to the model.
- An answer in JSON is `responseMimeType`; `responseJsonSchema` is a JSON Schema, `responseSchema` one of Google's.
- What has no canonical form goes into `rest` under its own name, but `responseModalities`, which is OpenAI's
  `modalities` there; text alone is what everybody answers with, and says nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType

from arouter.domain.chat import Json, ReasoningRequest, ResponseFormat
from arouter.wire.fields import wrong_value
from arouter.wire.gemini_generate.fields import ProtoFields
from arouter.wire.gemini_generate.json_schema import json_schema

JSON = "application/json"

_CANONICAL = frozenset(
    {
        "maxOutputTokens",
        "temperature",
        "topP",
        "topK",
        "stopSequences",
        "candidateCount",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "thinkingConfig",
        "responseModalities",
    }
)
_EFFORTS: Mapping[str, str | None] = MappingProxyType(
    {
        "THINKING_LEVEL_UNSPECIFIED": None,
        "MINIMAL": "minimal",
        "LOW": "low",
        "MEDIUM": "medium",
        "HIGH": "high",
        "XHIGH": "xhigh",
    }
)
_DYNAMIC = -1


def read_rest(config: ProtoFields) -> Json:
    """What the canonical form has no field for."""
    rest = {name: value for name, value in config.values.items() if name not in _CANONICAL and value is not None}
    modalities = [modality.lower() for modality in config.texts("responseModalities")]
    if modalities not in ([], ["text"]):
        rest["modalities"] = modalities
    media_type = config.text("responseMimeType")
    if media_type not in (None, "", "text/plain", JSON):
        rest["responseMimeType"] = media_type
    return rest


def read_response_format(config: ProtoFields) -> ResponseFormat | None:
    """The form of the answer; None for plain text."""
    schema, google_schema = config.json("responseJsonSchema"), config.child("responseSchema")
    if schema is None and google_schema is not None:
        schema = json_schema(google_schema)
    if schema is not None:
        return ResponseFormat(kind="json_schema", schema=schema)
    return ResponseFormat(kind="json_object") if config.text("responseMimeType") == JSON else None


def read_reasoning(config: ProtoFields) -> ReasoningRequest | None:
    """How much to think, and whether to show it."""
    thinking = config.child("thinkingConfig")
    if thinking is None:
        return None
    budget = thinking.integer("thinkingBudget")
    effort = _effort(thinking)
    if budget == 0:
        return ReasoningRequest(effort="none")
    if budget is not None and budget < _DYNAMIC:
        raise wrong_value(thinking.param("thinkingBudget"), "a number of tokens, 0 or -1")
    shown = thinking.flag("includeThoughts") is True
    return ReasoningRequest(effort=effort, max_tokens=None if budget == _DYNAMIC else budget, exclude=not shown)


def _effort(thinking: ProtoFields) -> str | None:
    level = thinking.text("thinkingLevel")
    if level is None:
        return None
    if level.upper() not in _EFFORTS:
        raise wrong_value(thinking.param("thinkingLevel"), f"one of {', '.join(_EFFORTS)}")
    return _EFFORTS[level.upper()]
