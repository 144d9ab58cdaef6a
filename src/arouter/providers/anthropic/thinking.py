"""How much the model may think: OpenAI's effort and OpenRouter's budget in Anthropic's words.

Claude learnt to think in two ways, and which one a model takes depends on its generation
(https://platform.claude.com/docs/en/build-with-claude/thinking):

    generation         an effort becomes                          a budget becomes
    up to Claude 4.5   a share of `max_tokens` as the budget      `enabled` with `budget_tokens`
    Claude 4.6         `adaptive` and `output_config.effort`      `enabled` with `budget_tokens`
    later              `adaptive` and `output_config.effort`      `adaptive`; the figure is dropped and listed

A model whose name is not Claude's, behind a server that speaks this dialect, is treated as the first row.
The shares are those that OpenRouter documents
(https://openrouter.ai/docs/use-cases/reasoning-tokens): at least 1,024 tokens, and always below `max_tokens`.
An effort of `none` or a budget of 0 switches thinking off.
"""

import re
from dataclasses import dataclass

from arouter.domain.chat import Json, ReasoningRequest

DEFAULT_MAX_TOKENS = 16_384
"""The room for an answer when the client did not say; Anthropic, unlike OpenAI, has no default of its own.

Every Claude model since 3.7 accepts it, and it stays below the 21,333 tokens above which Anthropic's own SDK
refuses to wait for an answer that is not streamed. Room for thought comes on top: still under 32,000 in total,
the smallest output limit among the models that think.
"""

MIN_BUDGET_TOKENS = 1024

_PERCENT_OF_EFFORT = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}
_EFFORT_WORDS = {"minimal": "low"}
"""Efforts that Anthropic calls by another name."""

_CLAUDE_4 = re.compile(r"claude-(?:opus|sonnet|haiku)-4(?:-(\d))?(?:[-@]\d{8}|-latest)?(?!-?\d)")
_CLAUDE_BEFORE_4 = re.compile(r"claude-(?:[123]|instant|v\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """What the request says about thinking."""

    config: Json | None = None
    """The `thinking` object."""
    effort: str | None = None
    """`output_config.effort`."""
    dropped: tuple[str, ...] = ()


def write_thinking(model: str, reasoning: ReasoningRequest | None, max_tokens: int | None) -> Thinking:
    """The words for `reasoning`; `max_tokens` is what the client said, None if it did not."""
    if reasoning is None or (reasoning.effort is None and reasoning.max_tokens is None):
        return Thinking()
    if reasoning.effort == "none" or reasoning.max_tokens == 0:
        return Thinking(config={"type": "disabled"})
    takes_budget, takes_effort = _abilities(model)
    if takes_budget and (reasoning.max_tokens is not None or not takes_effort):
        return _with_budget(reasoning, max_tokens)
    effort = reasoning.effort
    return Thinking(
        config={"type": "adaptive", "display": "omitted" if reasoning.exclude else "summarized"},
        effort=None if effort is None else _EFFORT_WORDS.get(effort, effort),
        dropped=() if reasoning.max_tokens is None else ("reasoning.max_tokens",),
    )


def room(stated: int | None, config: Json | None) -> int:
    """`max_tokens` of the request: as stated, else the default and the thinking budget on top of it."""
    if stated is not None:
        return stated
    budget = None if config is None else config.get("budget_tokens")
    return DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)


def _abilities(model: str) -> tuple[bool, bool]:
    """Whether the model takes a budget, and whether it takes an effort."""
    if _CLAUDE_BEFORE_4.search(model) or "claude" not in model:
        return True, False
    match = _CLAUDE_4.search(model)
    if match is None:
        return False, True
    minor = int(match[1] or 0)
    return minor <= 6, minor >= 6


def _with_budget(reasoning: ReasoningRequest, max_tokens: int | None) -> Thinking:
    named = "reasoning_effort" if reasoning.max_tokens is None else "reasoning.max_tokens"
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
