"""Who is asked next after a failure, and when. No clock and no chance: both are arguments.

1. Everybody on the list is asked once, in order and without a pause.
2. Then, and only then, those are asked again whose failure may pass: after a pause that doubles, with jitter, or the
   one that the provider asked for. A provider that asks for a longer pause than we wait is not asked again.
3. Repetitions are a share of all requests (`RetryBudget`): when a provider is down for everybody, they stop.
4. Nothing begins after the deadline.

A failure that would be the same anywhere is not followed by anything.
"""

from arouter.domain.errors import UpstreamBusy, UpstreamFailed
from arouter.domain.value import value
from arouter.engine.routing import Route

SECOND_US = 1_000_000
_PASSING = frozenset({408, 425, 429})
_SERVER_ERRORS = range(500, 600)
_NOT_IMPLEMENTED = 501
_MOST_DOUBLINGS = 64


@value(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """Each is a setting."""

    retries: int = 0
    """Repetitions of one request, once everybody was asked."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0
    total_s: float = 900.0
    """From the first time that somebody is asked."""


@value(frozen=True, slots=True, kw_only=True)
class Turn:
    """Who is asked next."""

    route: Route
    wait_s: float = 0.0
    repeats: bool = False
    """It was asked before."""


def may_pass(failure: UpstreamFailed) -> bool:
    """Whether the same deployment may answer a little later: not where it refuses our key, or our own queue is full."""
    if not failure.retryable or isinstance(failure, UpstreamBusy):
        return False
    status = failure.upstream_status
    return status is None or status in _PASSING or (status in _SERVER_ERRORS and status != _NOT_IMPLEMENTED)


def wait_s(rules: RetryRules, repeated: int, asked_s: float | None, draw: float) -> float | None:
    """How long to wait before the repetition after `repeated` others; None: it is not worth it.

    `asked_s` is what the provider asked for, `draw` is from [0, 1).
    """
    backoff_s = min(rules.first_wait_s * 2.0 ** min(repeated, _MOST_DOUBLINGS), rules.longest_wait_s) * (1 + draw) / 2
    if asked_s is None:
        return backoff_s
    return None if asked_s > rules.longest_wait_s else max(backoff_s, asked_s + draw * rules.first_wait_s)


class RetryBudget:
    """Repetitions are a share of all requests, with some in reserve for a quiet time."""

    __slots__ = ("lacks",)

    PRICE = 5
    """One repetition for so many requests."""
    MOST = 100 * PRICE

    def __init__(self) -> None:
        self.lacks = 0
        """So many requests, until there is most of it. While it lacks nothing there is nothing to `earn`."""

    def earn(self) -> None:
        """A request came."""
        if self.lacks:
            self.lacks -= 1

    def spend(self) -> bool:
        """Whether there is one more repetition; it is then used up."""
        if self.lacks > self.MOST - self.PRICE:
            return False
        self.lacks += self.PRICE
        return True


class Turns:
    """The turns of one request."""

    __slots__ = ("_again", "_asked", "_deadline_us", "_repeated", "_routes", "_rules")

    def __init__(self, routes: tuple[Route, ...], rules: RetryRules, *, began_us: int) -> None:
        """`routes[0]` is asked first, without being asked for here."""
        self._routes = routes
        self._rules = rules
        self._deadline_us = began_us + int(rules.total_s * SECOND_US)
        self._asked = 1
        self._repeated = 0
        self._again: tuple[tuple[Route, UpstreamFailed], ...] = ()

    def left_s(self, now_us: int) -> float:
        """Until the deadline."""
        return max(0, self._deadline_us - now_us) / SECOND_US

    def failed(self, route: Route, failure: UpstreamFailed) -> None:
        if may_pass(failure):
            self._again += ((route, failure),)

    def next(self, now_us: int, draw: float) -> Turn | None:
        """None: there is nobody left, no time left, or no use."""
        if self._asked < len(self._routes):
            self._asked += 1
            return Turn(route=self._routes[self._asked - 1]) if now_us < self._deadline_us else None
        if self._repeated >= self._rules.retries or not self._again:
            return None
        soonest = min(self._again, key=lambda one: one[1].retry_after_s or 0.0)
        route, failure = soonest
        pause_s = wait_s(self._rules, self._repeated, failure.retry_after_s, draw)
        if pause_s is None or pause_s >= self.left_s(now_us):
            return None
        self._again = tuple(one for one in self._again if one is not soonest)
        self._repeated += 1
        return Turn(route=route, wait_s=pause_s, repeats=True)
