"""How much a model may think, in the one word that OpenAI's dialects have for it."""

from arouter.domain.chat import ReasoningRequest

_DEFAULT_ROOM = 16_384
"""What a budget is compared with where the client gave the answer no limit."""

_LEAST_PERCENT = (("high", 65), ("medium", 35), ("low", 0))
"""The efforts from the shares of the room that OpenRouter documents for them (low 20, medium 50, high 80 percent,
https://openrouter.ai/docs/use-cases/reasoning-tokens), each for what is nearest to it."""


def effort_of(reasoning: ReasoningRequest | None, max_tokens: int | None) -> str | None:
    """The effort that was asked for; of a budget the nearest one. None where nothing was asked."""
    if reasoning is None:
        return None
    budget = reasoning.max_tokens
    if reasoning.effort is not None or budget is None:
        return reasoning.effort
    if budget <= 0:
        return "none"
    room = _DEFAULT_ROOM if max_tokens is None else max_tokens
    return next((effort for effort, percent in _LEAST_PERCENT if budget * 100 >= room * percent), "low")
