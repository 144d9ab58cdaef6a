"""How fast each provider's model was lately, as records tell it: a moving mean, forgotten when it gets old.

A figure that is missing is not a slow one: whoever has none is asked first where speed is what counts, and has one
then. Figures are hints for a choice and never on a record.
"""

from arouter.domain.record import Record, Status

NEW_SHARE = 0.2
"""The weight of the newest measurement."""
LIFETIME_US = 600_000_000
"""After so long without a measurement a figure is forgotten."""
LEAST_APART_US = 10_000
"""Whole answers that end sooner after a measurement are none: under load the mean is that of a moment, not of the last
five answers."""
MOST_MODELS = 10_000
SECOND_US = 1_000_000
_SUCCESS = Status.SUCCESS
"""By itself: to look a member of an enumeration up takes three times as long as to compare it."""


class _Speed:
    """One model at one provider."""

    __slots__ = ("at_us", "latency_us", "tokens_per_s")

    def __init__(self) -> None:
        self.at_us = 0
        """When it was measured last."""
        self.latency_us: float | None = None
        """To the first token of a stream."""
        self.tokens_per_s: float | None = None


class Speeds:
    """By `provider/model`, in this process."""

    def __init__(self) -> None:
        self._known: dict[str, _Speed] = {}

    def latency_us(self, name: str, now_us: int) -> float | None:
        known = self._fresh(name, now_us)
        return None if known is None else known.latency_us

    def tokens_per_s(self, name: str, now_us: int) -> float | None:
        known = self._fresh(name, now_us)
        return None if known is None else known.tokens_per_s

    def note(self, record: Record) -> None:
        """A request ended. What failed, or was asked for more than once, tells nothing about speed."""
        name, now_us, first_us = record.model, record.completed_at_us, record.time_to_first_token_us
        known = self._known.get(name or "")
        if known is not None and first_us is None and 0 <= now_us - known.at_us < LEAST_APART_US:
            return
        if record.status is not _SUCCESS or record.attempts != 1 or name is None:
            return
        if known is None or now_us - known.at_us >= LIFETIME_US:
            if len(self._known) >= MOST_MODELS:
                self._known.clear()
            known = self._known[name] = _Speed()
        known.at_us = now_us
        whole_us, tokens = record.latency_us, record.usage.completion_tokens
        if first_us is not None:
            before_us = known.latency_us
            known.latency_us = first_us if before_us is None else before_us + NEW_SHARE * (first_us - before_us)
        if tokens and whole_us:
            speed, before = tokens * SECOND_US / whole_us, known.tokens_per_s
            known.tokens_per_s = speed if before is None else before + NEW_SHARE * (speed - before)

    def _fresh(self, name: str, now_us: int) -> _Speed | None:
        known = self._known.get(name)
        return known if known is not None and now_us - known.at_us < LIFETIME_US else None
