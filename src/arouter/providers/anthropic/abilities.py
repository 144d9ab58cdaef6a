"""What a model of this dialect understands, told from its name: the API has no other way to say it beforehand.

    generation          a budget   an effort   temperature, top_p, top_k   thinking, if the request says nothing
    up to Claude 4.5    yes        no          yes                         off
    Claude 4.6          yes        yes         yes                         off
    Claude 4.7 and 4.8  no         yes         no                          off
    later               no         yes         no                          depends on the model
    Fable and Mythos    no         yes         no                          on, and cannot be switched off

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking for thinking;
https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7 for the sampling parameters, which a
request to Claude 4.7 fails with and Anthropic's SDK no longer has. A model with another name than Claude's, behind a
server that speaks this dialect, is taken for one of the first row, whose thinking must be switched off by word.
"""

import re
from dataclasses import dataclass

from arouter.providers.by_model import by_model

_CLAUDE_4 = re.compile(r"claude-(?:opus|sonnet|haiku)-4(?:-(\d))?(?:[-@]\d{8}|-latest)?(?!-?\d)")
_CLAUDE_BEFORE_4 = re.compile(r"claude-(?:[123]|instant|v\d)")
_ALWAYS_THINKS = re.compile(r"claude-(?:fable|mythos)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    budget: bool
    """`thinking` of type `enabled` with `budget_tokens`."""
    effort: bool
    """`thinking` of type `adaptive` with `output_config.effort`."""
    silent_is_off: bool
    """A request that does not mention thinking gets none."""
    always_thinks: bool = False

    @property
    def sampling(self) -> bool:
        """`temperature`, `top_p` and `top_k`."""
        return self.budget


@by_model
def abilities(model: str) -> Abilities:
    """What the model, by the provider's own name, can be asked for."""
    if "claude" not in model:
        return Abilities(budget=True, effort=False, silent_is_off=False)
    if _CLAUDE_BEFORE_4.search(model):
        return Abilities(budget=True, effort=False, silent_is_off=True)
    match = _CLAUDE_4.search(model)
    if match is None:
        return Abilities(
            budget=False, effort=True, silent_is_off=False, always_thinks=_ALWAYS_THINKS.search(model) is not None
        )
    minor = int(match[1] or 0)
    return Abilities(budget=minor <= 6, effort=minor >= 6, silent_is_off=True)
