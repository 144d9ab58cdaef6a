"""Why an answer ended: Gemini's words and the canonical ones.

`finishReason` of https://ai.google.dev/api/generate-content and of Vertex AI. A word that says that something broke
(OTHER, MALFORMED_FUNCTION_CALL), and one that we do not know, is `error`: nobody must take it for a full answer.
"""

from collections.abc import Mapping
from types import MappingProxyType

from arouter.domain.chat import Finished, FinishReason

MALFORMED_CALL = "MALFORMED_FUNCTION_CALL"

_FILTERED = (
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "ESCALATION",
    "MODEL_ARMOR",
    "PUP_LIMITED_DISABLED",
)
_REASONS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "STOP": FinishReason.STOP,
        "MAX_TOKENS": FinishReason.LENGTH,
        "CONTINUATION": FinishReason.LENGTH,
        **dict.fromkeys(_FILTERED, FinishReason.CONTENT_FILTER),
    }
)
_WORDS: Mapping[FinishReason, str] = MappingProxyType(
    {
        FinishReason.STOP: "STOP",
        FinishReason.LENGTH: "MAX_TOKENS",
        FinishReason.TOOL_CALLS: "STOP",
        FinishReason.CONTENT_FILTER: "SAFETY",
        FinishReason.ERROR: "OTHER",
    }
)


def read_reason(word: str, *, called: bool) -> FinishReason:
    """What `word` means; `called` says whether the answer holds calls, for which Gemini has no word of its own."""
    if word == "STOP" and called:
        return FinishReason.TOOL_CALLS
    return _REASONS.get(word, FinishReason.ERROR)


def write_reason(end: Finished) -> str:
    """Gemini's word; the provider's own where it is one of Gemini's that says the same."""
    native = end.native_reason
    if native is not None and native not in ("STOP", "CONTINUATION") and _REASONS.get(native) is end.reason:
        return native
    return MALFORMED_CALL if native == MALFORMED_CALL else _WORDS[end.reason]
