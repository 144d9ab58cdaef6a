"""Reasoning effort in the terms of each generation of Gemini models.

The rule, after https://ai.google.dev/gemini-api/docs/thinking and …/docs/openai, where Google maps efforts itself:

- before 2.5: nothing; a `thinkingConfig` is an error there, so the parameter is dropped;
- 2.5, and names without a version (`gemini-flash-latest`): `thinkingBudget`, where none is 0, minimal and low 1,024,
  medium 8,192, high and above 24,576;
- 3 and later: `thinkingLevel`. The budget is kept for a client that named a number of tokens.

Not every model can stop thinking: 2.5 Pro then gets its least budget, Gemini 3 its lowest level.
Thoughts are shown (`includeThoughts`) unless the client excluded them; a request without a word on reasoning gets no
`thinkingConfig` at all, which leaves the model its own default and keeps the thoughts to itself.
"""

import re

from arouter.domain.chat import Json, ReasoningRequest
from arouter.providers.by_model import by_model

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?(?!\d)")

FIRST_THINKING = (2, 5)
FIRST_WITH_LEVELS = (3, 0)
FIRST_PRO_WITH_MEDIUM = (3, 1)

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
_LEAST_BUDGET_OF_2_5_PRO = 128
_LEVELS = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
}

Version = tuple[int, int]


@by_model
def version_of(model: str) -> Version | None:
    """`gemini-2.5-pro` → (2, 5), `gemini-3-flash-preview` → (3, 0); None where the name does not say."""
    match = _VERSION.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else None


def thinking_config(model: str, reasoning: ReasoningRequest) -> Json | None:
    """The `thinkingConfig`; None if the model or the effort has no counterpart, so that the parameter is dropped."""
    version = version_of(model)
    if version is not None and version < FIRST_THINKING:
        return None
    amount = _amount(model, version, reasoning)
    if amount is None:
        return None
    if amount.get("thinkingBudget") == 0:
        # Asking to see thoughts is an error where there are none.
        return amount
    return {**amount, "includeThoughts": not reasoning.exclude}


def _amount(model: str, version: Version | None, reasoning: ReasoningRequest) -> Json | None:
    """How much to think; empty if the client left it to the model."""
    if reasoning.max_tokens is not None:
        return {"thinkingBudget": reasoning.max_tokens}
    if reasoning.effort is None:
        return {}
    if reasoning.effort not in _BUDGETS:
        return None
    if version is not None and version >= FIRST_WITH_LEVELS:
        return {"thinkingLevel": _level(model, version, reasoning.effort)}
    budget = _BUDGETS[reasoning.effort]
    if budget == 0 and version == FIRST_THINKING and "-pro" in model:
        budget = _LEAST_BUDGET_OF_2_5_PRO
    return {"thinkingBudget": budget}


def _level(model: str, version: Version, effort: str) -> str:
    level = _LEVELS[effort]
    if "-pro" not in model:
        return level
    if level == "MINIMAL":
        return "LOW"
    if level == "MEDIUM" and version < FIRST_PRO_WITH_MEDIUM:
        return "HIGH"
    return level
