"""What chooses providers and asks them, as the settings say."""

from random import SystemRandom

from arouter.engine.adapters import Adapters
from arouter.engine.attempts import Attempts
from arouter.engine.billing import CardFinder
from arouter.engine.breaker import BreakerRules, Breakers
from arouter.engine.clock import Clock
from arouter.engine.retrying import RetryRules
from arouter.engine.routing import ModelRoute, Routing
from arouter.engine.selection import Selection
from arouter.engine.speeds import Speeds
from arouter.engine.standing import Standing
from arouter.engine.upstream import Client, Timeouts
from arouter.settings import Settings, Upstream


class Asking:
    """Built once, with what is learnt about the deployments while it runs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._random = SystemRandom().random
        self.breakers = Breakers(breaker_rules(settings))
        self.speeds = Speeds()

    @property
    def resting(self) -> int:
        """Deployments of the operator's that failed lately, and are asked last."""
        return len(self.breakers.resting(self._clock.monotonic_us()))

    def selection(self, routing: Routing, card: CardFinder) -> Selection:
        standing = Standing(
            breakers=self.breakers, speeds=self.speeds, card=card, clock=self._clock, random=self._random
        )
        return Selection(routing, standing, provider_order=self._settings.routing.provider_order)

    def attempts(self, upstream: Client, adapters: Adapters) -> Attempts:
        return Attempts(
            upstream=upstream,
            adapters=adapters,
            breakers=self.breakers,
            rules=retry_rules(self._settings),
            clock=self._clock,
            random=self._random,
            timeouts=timeouts_of(self._settings.upstream),
        )


def model_routes(settings: Settings) -> dict[str, ModelRoute]:
    """The operator's table of models."""
    return {name: ModelRoute(names=model.providers, sort=model.sort) for name, model in settings.models.items()}


def timeouts_of(upstream: Upstream) -> Timeouts:
    """Those of a deployment that has none of its own."""
    return Timeouts(
        connect_s=upstream.connect_timeout_s,
        first_byte_s=upstream.first_byte_timeout_s,
        idle_s=upstream.idle_timeout_s,
        total_s=upstream.total_timeout_s,
    )


def retry_rules(settings: Settings) -> RetryRules:
    chosen = settings.routing
    return RetryRules(
        retries=chosen.retries,
        first_wait_s=chosen.first_wait_s,
        longest_wait_s=chosen.longest_wait_s,
        total_s=chosen.total_timeout_s,
    )


def breaker_rules(settings: Settings) -> BreakerRules:
    chosen = settings.routing
    return BreakerRules(
        failures=chosen.breaker_failures,
        rest_s=chosen.breaker_rest_s,
        longest_rest_s=chosen.breaker_longest_rest_s,
    )
