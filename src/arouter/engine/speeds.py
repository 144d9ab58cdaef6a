"""How fast each provider's model was lately, as records tell it: a moving mean, forgotten when it gets old.

A figure that is missing is not a slow one: whoever has none is asked first where speed is what counts, and has one
then. Figures are hints for a choice and never on a record.
"""

from arouter.domain.record import Record, Status
from arouter.domain.value import value

NEW_SHARE = 0.2
"""The weight of the newest measurement."""
LIFETIME_US = 600_000_000
"""After so long without a measurement a figure is forgotten."""
MOST_MODELS = 10_000
SECOND_US = 1_000_000


@value(frozen=True, slots=True, kw_only=True)
class Speed:
    """One model at one provider."""

    latency_us: float | None
    """To the first token of a stream."""
    tokens_per_s: float | None
    at_us: int
    """When it was measured last."""


class Speeds:
    """By `provider/model`, in this process."""

    def __init__(self) -> None:
        self._known: dict[str, Speed] = {}

    def latency_us(self, name: str, now_us: int) -> float | None:
        known = self._fresh(name, now_us)
        return None if known is None else known.latency_us

    def tokens_per_s(self, name: str, now_us: int) -> float | None:
        known = self._fresh(name, now_us)
        return None if known is None else known.tokens_per_s

    def note(self, record: Record) -> None:
        """A request ended. What failed, or was asked for more than once, tells nothing about speed."""
        name = record.model
        if record.status is not Status.SUCCESS or record.attempts != 1 or name is None:
            return
        known = self._fresh(name, record.completed_at_us)
        first_us, tokens, whole_us = record.time_to_first_token_us, record.usage.completion_tokens, record.latency_us
        rate = tokens * SECOND_US / whole_us if tokens and whole_us else None
        if len(self._known) >= MOST_MODELS:
            self._known.clear()
        self._known[name] = Speed(
            latency_us=_mean(None if known is None else known.latency_us, first_us),
            tokens_per_s=_mean(None if known is None else known.tokens_per_s, rate),
            at_us=record.completed_at_us,
        )

    def _fresh(self, name: str, now_us: int) -> Speed | None:
        known = self._known.get(name)
        return known if known is not None and now_us - known.at_us < LIFETIME_US else None


def _mean(before: float | None, new: float | None) -> float | None:
    if before is None or new is None:
        return before if new is None else float(new)
    return before + NEW_SHARE * (new - before)
