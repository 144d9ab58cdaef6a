"""What a vendor of this dialect takes beyond, or refuses of, what OpenAI's chat completions have.

Many vendors refuse a whole request for one field that they do not know, so what one is known to refuse is not sent to
it. A vendor without a row, such as a server of one's own, is taken for one that follows OpenAI and knows what open
models are run with.

Sources: https://console.groq.com/docs/openai and https://console.groq.com/docs/reasoning,
https://docs.mistral.ai/api, https://api-docs.deepseek.com/guides/thinking_mode,
https://docs.z.ai/guides/capabilities/thinking-mode, https://openrouter.ai/docs/api-reference/parameters,
https://docs.vllm.ai/en/latest/features/reasoning_outputs.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from arouter.domain.value import value

Thoughts = Literal["none", "details", "content_parts", "reasoning", "reasoning_content"]
"""The place in an assistant's message for what it thought before: none, OpenRouter's `reasoning_details`, Mistral's
parts of `content`, vLLM's `reasoning`, or the `reasoning_content` that DeepSeek began with."""

_OPENAI_FIELDS = frozenset(
    {"audio", "logit_bias", "modalities", "moderation", "prediction", "prompt_cache_options", "verbosity"}
    | {"prompt_cache_retention", "web_search_options"}
)
"""Fields of OpenAI's own chat completions that the canonical form does not know."""

_OPEN_MODEL_FIELDS = frozenset({"chat_template_kwargs", "min_p", "repetition_penalty", "thinking"})
_EVERY_EFFORT = ("none", "minimal", "low", "medium", "high", "xhigh")
_OPENAI_TIERS = frozenset({"auto", "default", "flex", "scale", "priority"})


@value(frozen=True, slots=True, kw_only=True)
class Abilities:
    """The row of a vendor; the defaults are those of a vendor that has none."""

    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed: Literal["seed", "random_seed"] = "seed"
    developer: bool = False
    """It knows the role `developer`; to others such a message is the system's."""
    short_ids: bool = False
    """The id of a call must be nine letters and digits."""
    strict_thinkers: bool = False
    """Its models are OpenAI's, and those that think refuse some parameters."""
    names: bool = True
    """It takes `name` on a message."""
    thoughts: Thoughts = "reasoning_content"
    efforts: tuple[str, ...] = ("none", "low", "medium", "high")
    """The words of `reasoning_effort`, from the least to the most; others become the nearest."""
    thinking: bool = False
    """Thought is switched by `thinking: {"type": "enabled" | "disabled"}`."""
    hides: Literal["include_reasoning"] | None = None
    """The field that, set to false, keeps thoughts out of the answer."""
    shows: bool = True
    """Its answers show what the model thought, unless they are asked not to."""
    tiers: frozenset[str] = frozenset()
    """The service tiers that can be asked for."""
    allowed_tools: bool = False
    """It takes a choice among some of the tools; to others only those tools are sent."""
    other_tools: frozenset[str] = frozenset()
    """The types of its tools that are no functions."""
    tool_prefix: str | None = None
    """What the types of its own tools begin with."""
    cache_marks: bool = False
    """It takes `cache_control` on parts and tools."""
    file_urls: bool = False
    """It takes a file by its web address."""
    refuses: frozenset[str] = frozenset()
    """Canonical parameters that it refuses."""
    fields: frozenset[str] = _OPENAI_FIELDS | _OPEN_MODEL_FIELDS
    """Fields of `ChatRequest.rest` that it knows."""


_OPENAI = Abilities(
    limit="max_completion_tokens",
    developer=True,
    strict_thinkers=True,
    thoughts="none",
    efforts=_EVERY_EFFORT,
    shows=False,
    tiers=_OPENAI_TIERS,
    allowed_tools=True,
    other_tools=frozenset({"custom"}),
    refuses=frozenset({"top_k"}),
    fields=_OPENAI_FIELDS,
)

_BY_VENDOR: Mapping[str, Abilities] = MappingProxyType(
    {
        "openai": _OPENAI,
        "azure": _OPENAI,
        "groq": Abilities(
            names=False,
            thoughts="none",
            hides="include_reasoning",
            tiers=frozenset({"auto", "on_demand", "flex", "performance"}),
            other_tools=frozenset({"browser_search", "code_interpreter"}),
            refuses=frozenset({"top_k", "logprobs", "top_logprobs", "n"}),
            fields=frozenset({"compound_custom", "reasoning_format", "search_settings"}),
        ),
        "mistral": Abilities(
            seed="random_seed",
            short_ids=True,
            names=False,
            thoughts="content_parts",
            efforts=("none", "high"),
            refuses=frozenset({"top_k", "logprobs", "top_logprobs"}),
            fields=frozenset({"prediction", "prompt_mode", "safe_prompt"}),
        ),
        # They find the nearest of their efforts themselves.
        "deepseek": Abilities(thinking=True, efforts=_EVERY_EFFORT),
        "zai": Abilities(thinking=True, efforts=_EVERY_EFFORT),
        "moonshot": Abilities(thinking=True, efforts=("none", "low", "high")),
        "xai": Abilities(refuses=frozenset({"top_k"}), fields=frozenset({"logit_bias", "search_parameters"})),
        "cerebras": Abilities(
            thoughts="none",
            refuses=frozenset({"top_k", "frequency_penalty", "presence_penalty", "parallel_tool_calls"}),
            fields=frozenset({"prediction", "reasoning_format"}),
        ),
        "openrouter": Abilities(
            developer=True,
            thoughts="details",
            efforts=_EVERY_EFFORT,
            tiers=_OPENAI_TIERS,
            tool_prefix="openrouter:",
            cache_marks=True,
            file_urls=True,
            fields=_OPENAI_FIELDS | frozenset({"min_p", "repetition_penalty", "top_a"}),
        ),
        "perplexity": Abilities(
            thoughts="none",
            fields=frozenset({"search_domain_filter", "search_mode", "search_recency_filter", "web_search_options"}),
        ),
        "vllm": Abilities(thoughts="reasoning", hides="include_reasoning"),
        "ollama": Abilities(thoughts="reasoning"),
        "sandbox": Abilities(developer=True, efforts=_EVERY_EFFORT, tiers=_OPENAI_TIERS),
    }
)
_OF_NO_ROW = Abilities()


def abilities(vendor: str) -> Abilities:
    """The row of a vendor, by our name of it."""
    return _BY_VENDOR.get(vendor, _OF_NO_ROW)
