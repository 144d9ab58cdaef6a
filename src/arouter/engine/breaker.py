"""When a deployment is left alone: it failed too often in a row, or it asked for a pause.

    closed      failures in a row are counted; a success forgets them
    open        it rests, and others are asked before it. What fails now was under way before, and counts for nothing
    half-open   the rest is over: one request is let through at a time. If it fails, the next rest is twice as long

To rest is to be the last choice, not to be forbidden: where nobody else can answer, a deployment that rests is asked.
Only what is the provider's doing counts: never a request that the client got wrong, never a queue of ours.
"""

from arouter.domain.errors import UpstreamBusy, UpstreamFailed
from arouter.domain.value import value
from arouter.engine.routing import Deployment

SECOND_US = 1_000_000
MOST_OWN = 10_000
"""Organizations' own keys whose failures are known at a time."""
_MOST_DOUBLINGS = 20


@value(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """Each is a setting."""

    failures: int = 5
    """In a row, until it opens; 0: it never opens."""
    rest_s: float = 30.0
    """The first rest."""
    longest_rest_s: float = 300.0
    """The longest, also where the provider asks for a longer pause."""


@value(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of a deployment that failed lately. Times are microseconds of a monotonic clock."""

    failures: int = 0
    """In a row."""
    rests: int = 0
    """In a row, that began because it failed."""
    until_us: int | None = None
    """When its rest ends; None: it does not rest, and did not since its last success."""
    probed_until_us: int = 0
    """Until when one request is taken to find out whether it is well again."""

    def rests_at(self, now_us: int) -> bool:
        """Whether others are to be asked first."""
        return self.until_us is not None and now_us < max(self.until_us, self.probed_until_us)


WELL = Health()


def counts(failure: UpstreamFailed) -> bool:
    """Whether a failure says anything about the deployment."""
    return not failure.client_fault and not isinstance(failure, UpstreamBusy)


def after_failure(health: Health, rules: BreakerRules, *, now_us: int, pause_s: float | None) -> Health:
    """A failure that counts; `pause_s` is the pause that the provider asked for, if it did."""
    if pause_s is not None:
        until_us = now_us + int(min(pause_s, rules.longest_rest_s) * SECOND_US)
        return Health(
            failures=health.failures,
            rests=health.rests,
            until_us=until_us if health.until_us is None else max(until_us, health.until_us),
        )
    if health.until_us is not None and now_us < health.until_us:
        return health
    failures = health.failures + 1
    if not rules.failures or (health.until_us is None and failures < rules.failures):
        return Health(failures=failures)
    rest_s = min(rules.rest_s * 2 ** min(health.rests, _MOST_DOUBLINGS), rules.longest_rest_s)
    return Health(failures=failures, rests=health.rests + 1, until_us=now_us + int(rest_s * SECOND_US))


def probed(health: Health, rules: BreakerRules, *, now_us: int) -> Health:
    """It is asked now. If that finds out whether it is well, nobody else need find out at the same time; should
    nothing come of it, somebody else may later."""
    if health.until_us is None or health.rests_at(now_us):
        return health
    return Health(
        failures=health.failures,
        rests=health.rests,
        until_us=health.until_us,
        probed_until_us=now_us + int(rules.rest_s * SECOND_US),
    )


class Breakers:
    """The health of every deployment, in this process. While all are well there is nothing in it.

    Of organizations' own keys there may be any number: of those that failed, the one that is longest known gives way to
    another.
    """

    def __init__(self, rules: BreakerRules, *, most_own: int = MOST_OWN) -> None:
        """`most_own` are the own keys that are known to have failed."""
        self._rules = rules
        self._most_own = most_own
        self.some_failed = False
        """Whether there is one that failed and has not answered since."""
        self._known: dict[str, Health] = {}
        self._own: dict[str, None] = {}
        """The labels among them of own keys, the longest known first."""

    def resting(self, now_us: int) -> tuple[str, ...]:
        """The labels of the operator's that rest."""
        return tuple(
            label for label, health in self._known.items() if label not in self._own and health.rests_at(now_us)
        )

    def rests(self, deployment: Deployment, now_us: int) -> bool:
        health = self._known.get(deployment.label) if self._known else None
        return health is not None and health.rests_at(now_us)

    def asked(self, deployment: Deployment, now_us: int) -> None:
        if self._known and (health := self._known.get(deployment.label)) is not None:
            self._known[deployment.label] = probed(health, self._rules, now_us=now_us)

    def answered(self, deployment: Deployment) -> None:
        if self.some_failed:
            self._known.pop(deployment.label, None)
            self._own.pop(deployment.label, None)
            self.some_failed = bool(self._known)

    def failed(self, deployment: Deployment, failure: UpstreamFailed, now_us: int) -> None:
        if counts(failure):
            known = self._known.get(deployment.label, WELL)
            after = after_failure(known, self._rules, now_us=now_us, pause_s=failure.retry_after_s)
            self._known[deployment.label] = after
            if deployment.own_key is not None:
                self._bound_own(deployment.label)
            self.some_failed = bool(self._known)

    def _bound_own(self, failed: str) -> None:
        self._own[failed] = None
        if len(self._own) > self._most_own:
            oldest = next(iter(self._own))
            del self._own[oldest], self._known[oldest]
