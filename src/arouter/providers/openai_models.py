"""What a model of OpenAI's understands, told from its name: the API has no other way to say it beforehand.

    o1, o3, o4 …, gpt-5, gpt-5-mini   always think, and refuse sampling parameters and log probabilities
    gpt-5.1 and later, gpt-oss        think as they are told; where they do, they refuse the same
    …-chat…, gpt-4 and before         do not think

All that think refuse stop sequences too, but for o1 and o3-mini. Sources:
https://platform.openai.com/docs/guides/reasoning, and a recorded o3-mini that takes them. A name may have something
before it, as deployments of Azure have. A model that is not known here is taken for one that does not think unless it
is asked to.
"""

import re

_SAMPLING = frozenset(
    {"temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"},
)
_NOTHING: frozenset[str] = frozenset()

_ALWAYS = re.compile(r"(?<![a-z0-9])(?:o[1-9](?![a-z0-9.])|gpt-5(?![.\d]))")
_ABLE = re.compile(r"(?<![a-z0-9])(?:o[1-9](?![a-z0-9.])|gpt-(?:[5-9]|[1-9]\d)|gpt-oss|codex)")
_NEVER = re.compile(r"-chat|-search|-realtime|-audio|-image|-tts|-transcribe")
_STOPS = re.compile(r"(?<![a-z0-9])(?:o1(?![a-z0-9.])|o3-mini)")


def able_to_think(model: str) -> bool:
    """Whether the model's thoughts can be asked for."""
    return _ABLE.search(model) is not None and _NEVER.search(model) is None


def refused_in_thought(model: str, effort: str | None) -> frozenset[str]:
    """The parameters that the model refuses because it thinks, whatever their values but the neutral ones.

    `effort` is what the request asks for; None: nothing in particular.
    """
    if _NEVER.search(model) is not None:
        return _NOTHING
    if _ALWAYS.search(model) is None and effort in (None, "none"):
        return _NOTHING
    return _SAMPLING if _STOPS.search(model) is not None else _SAMPLING | {"stop"}
