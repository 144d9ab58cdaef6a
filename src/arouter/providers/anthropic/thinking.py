"""How much the model may think: OpenAI's effort and OpenRouter's budget in Anthropic's words.

    generation         an effort becomes                          a budget becomes
    up to Claude 4.5   a share of `max_tokens` as the budget      `enabled` with `budget_tokens`
    Claude 4.6         `adaptive` and `output_config.effort`      `enabled` with `budget_tokens`
    later              `adaptive` and `output_config.effort`      `adaptive`; the figure is dropped and listed

The shares are those that OpenRouter documents
(https://openrouter.ai/docs/use-cases/reasoning-tokens): at least 1,024 tokens, and always below `max_tokens`.
An effort of `none` or a budget of 0 switches thinking off; a model that cannot be switched off thinks as little as
it can, and the wish is listed as dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from arouter.domain.chat import Json, ReasoningRequest
from arouter.providers.anthropic.abilities import Abilities, abilities

DEFAULT_MAX_TOKENS = 16_384
"""The room for an answer when the client did not say; Anthropic, unlike OpenAI, has no default of its own.

Every Claude model since 3.7 accepts it, and it stays below the 21,333 tokens above which Anthropic's own SDK
refuses to wait for an answer that is not streamed. Room for thought comes on top: still under 32,000 in total,
the smallest output limit among the models that think.
"""

MIN_BUDGET_TOKENS = 1024

_PERCENT_OF_EFFORT: Mapping[str, int] = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """What the request says about thinking."""

    config: Json | None = None
    """The `thinking` object."""
    effort: str | None = None
    """`output_config.effort`."""
    dropped: tuple[str, ...] = ()


_NOT_ASKED = Thinking()


def write_thinking(model: str, reasoning: ReasoningRequest | None, max_tokens: int | None) -> Thinking:
    """The words for `reasoning`; `max_tokens` is what the client said, None if it did not."""
    if reasoning is None or (reasoning.effort is None and reasoning.max_tokens is None):
        return _NOT_ASKED
    able = abilities(model)
    if reasoning.effort == "none" or reasoning.max_tokens == 0:
        return _without_thought(able, _named(reasoning))
    if able.budget and (reasoning.max_tokens is not None or not able.effort):
        return _with_budget(reasoning, max_tokens)
    return Thinking(
        config={"type": "adaptive", "display": "omitted" if reasoning.exclude else "summarized"},
        effort=None if reasoning.effort is None else _effort(able, reasoning.effort),
        dropped=() if reasoning.max_tokens is None else (_named(reasoning),),
    )


def room(stated: int | None, config: Json | None) -> int:
    """`max_tokens` of the request: as stated, else the default and the thinking budget on top of it."""
    if stated is not None:
        return stated
    budget = None if config is None else config.get("budget_tokens")
    return DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)


def _named(reasoning: ReasoningRequest) -> str:
    """The client's name of what counts."""
    return "reasoning_effort" if reasoning.max_tokens is None else "reasoning.max_tokens"


def _without_thought(able: Abilities, named: str) -> Thinking:
    if able.always_thinks:
        return Thinking(effort="low", dropped=(named,))
    return Thinking() if able.silent_is_off else Thinking(config={"type": "disabled"})


def _effort(able: Abilities, effort: str) -> str:
    """Anthropic's word for it: there is no `minimal`, and no `xhigh` in the generation that still takes budgets."""
    if effort == "minimal":
        return "low"
    return "high" if effort == "xhigh" and able.budget else effort


def _with_budget(reasoning: ReasoningRequest, max_tokens: int | None) -> Thinking:
    named = _named(reasoning)
    wanted = reasoning.max_tokens
    if wanted is None:
        percent = _PERCENT_OF_EFFORT.get(reasoning.effort or "")
        if percent is None:
            return Thinking(dropped=(named,))
        wanted = (DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens) * percent // 100
    budget = max(wanted, MIN_BUDGET_TOKENS)
    if max_tokens is not None:
        budget = min(budget, max_tokens - 1)
    if budget < MIN_BUDGET_TOKENS:
        return Thinking(dropped=(named,))
    config: Json = {"type": "enabled", "budget_tokens": budget}
    if reasoning.exclude:
        config["display"] = "omitted"
    return Thinking(config=config)
