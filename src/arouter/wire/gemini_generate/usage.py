"""`usageMetadata`: Gemini's counts, with what the request cost.

The prompt includes what was cached, thoughts are beside the candidates. `cost` is US dollars as a JSON number with
exactly the digits needed, and null where no price is known. Every count that is not known is left out.
"""

from arouter.domain.charge import Charge
from arouter.domain.chat import Json
from arouter.domain.usage import Usage
from arouter.wire.numbers import dollars


def usage_metadata(charge: Charge) -> Json:
    """The object that tells `charge`."""
    usage = charge.usage
    made, thoughts = usage.completion_tokens, usage.reasoning_tokens
    if made is None or (thoughts is not None and thoughts > made):
        thoughts = None
    counts = {
        "promptTokenCount": usage.prompt_tokens,
        "cachedContentTokenCount": usage.cached_tokens,
        "candidatesTokenCount": made if made is None or thoughts is None else made - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": usage.total_tokens,
        "promptTokensDetails": _modalities(usage.prompt_tokens, _read(usage)),
        "cacheTokensDetails": _modalities(usage.cached_tokens, {"AUDIO": usage.cache_read_audio_tokens}),
        "candidatesTokensDetails": _modalities(
            made if made is None or thoughts is None else made - thoughts,
            {"AUDIO": usage.output_audio_tokens, "IMAGE": usage.output_image_tokens},
        ),
    }
    told: Json = {name: count for name, count in counts.items() if count is not None}
    told["cost"] = dollars(charge.cost)
    return told


def _read(usage: Usage) -> dict[str, int | None]:
    audio, cached_audio = usage.input_audio_tokens, usage.cache_read_audio_tokens
    if audio is not None and cached_audio is not None:
        audio += cached_audio
    return {
        "AUDIO": cached_audio if audio is None else audio,
        "IMAGE": usage.input_image_tokens,
        "VIDEO": usage.input_video_tokens,
    }


def _modalities(whole: int | None, parts: dict[str, int | None]) -> list[Json] | None:
    """The tokens of each modality, of which text is the rest; None where no other modality is known."""
    known = {modality: count for modality, count in parts.items() if count is not None}
    if whole is None or not known:
        return None
    rest = whole - sum(known.values())
    counts = {"TEXT": rest, **known} if rest > 0 else known
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items()]
