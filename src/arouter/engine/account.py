"""What the gateway knows of a request while it runs, and the record it becomes."""

from typing import Any

from arouter.domain.attempt import Attempt
from arouter.domain.errors import ARouterError, UpstreamFailed
from arouter.domain.record import Opening, Record, Status
from arouter.domain.value import unfilled
from arouter.engine.billing import NOTHING_USED, Bill
from arouter.engine.exchange import Exchange
from arouter.engine.hold import Hold
from arouter.engine.routing import Route
from arouter.providers.told import Told

_NOTHING_TOLD = Told()
_SUCCESS = Status.SUCCESS


class Account:
    """One request's bookkeeping; mutable, and owned by the pipeline."""

    __slots__ = (
        "answered",
        "asked_us",
        "attempts",
        "error",
        "exchange",
        "failed",
        "first_us",
        "gone",
        "hold",
        "http_status",
        "interrupted",
        "is_byok",
        "opening",
        "passed_on",
        "route",
        "started_us",
        "told",
        "tried",
        "upstream_status",
    )

    def __init__(self, opening: Opening, *, started_us: int) -> None:
        """`started_us` is a reading of the monotonic clock."""
        self.opening = opening
        self.started_us = started_us
        self.first_us: int | None = None
        """When the first byte of the answer went to the client."""
        self.route: Route | None = None
        self.exchange: Exchange | None = None
        self.told = _NOTHING_TOLD
        """What the provider that was asked last has told."""
        self.hold: Hold | None = None
        """What is held of budgets and rates until it is settled."""
        self.is_byok = False
        """The provider was asked last with a key of the organization's own."""
        self.attempts = 0
        self.asked_us = 0
        """When the provider was asked last, by the monotonic clock."""
        self.upstream_status: int | None = None
        """What it answered, as an HTTP status."""
        self.tried: tuple[Attempt, ...] = ()
        """The attempts that failed and were followed by another one."""
        self.failed: Attempt | None = None
        """The last attempt, if it failed before an answer began."""
        self.answered = False
        """A provider began to answer this request: from then on it may charge for it."""
        self.error: ARouterError | None = None
        self.passed_on: int | None = None
        """The status of the answer, if it goes on to the client as the provider told it."""
        self.gone = False
        """The client left before the end."""
        self.interrupted = False
        """The gateway itself stopped."""
        self.http_status: int | None = None

    @property
    def provider_metadata(self) -> dict[str, object]:
        """What an error tells of the provider that was asked last."""
        return {"provider": self.route.deployment.provider} if self.route is not None else {}

    @property
    def status(self) -> Status:
        if self.interrupted:
            return Status.INTERRUPTED
        if self.gone:
            return Status.CLIENT_DISCONNECT
        if self.error is None:
            return _SUCCESS
        return Status.REJECTED if self.attempts == 0 else Status.UPSTREAM_ERROR

    def asks(self, route: Route, exchange: Exchange, monotonic_us: int) -> None:
        """A provider is about to be asked."""
        if self.failed is not None:
            self.tried += (self.failed,)
            self.failed = None
        self.route = route
        self.is_byok = route.deployment.own_key is not None
        self.exchange = exchange
        self.told = exchange.told
        self.attempts += 1
        self.asked_us = monotonic_us
        self.upstream_status = None

    def fails(self, failure: UpstreamFailed, monotonic_us: int) -> None:
        """The last attempt failed, and had no answer that could have cost anything. There may be another one."""
        self.failed = self._attempt(failure.code, monotonic_us)

    def attempts_until(self, monotonic_us: int) -> tuple[Attempt, ...]:
        """All of them, in order, as things stand now; at least one has been made."""
        last = self.failed if self.failed is not None else self._attempt(None, monotonic_us)
        return (*self.tried, last)

    def _attempt(self, error_code: str | None, monotonic_us: int) -> Attempt:
        assert self.route is not None
        deployment = self.route.deployment
        return Attempt(
            provider=deployment.provider,
            deployment=deployment.name,
            model=self.route.model,
            http_status=self.upstream_status,
            error_code=error_code,
            latency_us=monotonic_us - self.asked_us,
            is_byok=self.is_byok,
        )

    def record(self, bill: Bill = NOTHING_USED, *, now_us: int, monotonic_us: int) -> Record:
        """The record, as things stand now."""
        route, first_us, error = self.route, self.first_us, self.error
        made = record_of(self.told, bill)
        made.opening = self.opening
        made.completed_at_us = now_us
        made.status = self.status
        made.http_status = self.http_status
        made.model = None if route is None else route.name
        made.provider = None if route is None else route.deployment.provider
        made.error_code = error_code = None if error is None else error.code
        made.is_byok = self.is_byok
        made.latency_us = monotonic_us - self.started_us
        made.time_to_first_token_us = None if first_us is None else first_us - self.started_us
        made.attempts = self.attempts
        made.tried = self.tried and (*self.tried, self.failed or self._attempt(error_code, monotonic_us))
        record: Record = made
        return record


def record_of(told: Told, bill: Bill) -> Any:
    """A record with what a provider told and what that costs; its other fields are still to be filled."""
    made = unfilled(Record)
    made.upstream_model = told.upstream_model
    made.upstream_id = told.upstream_id
    made.finish_reason = told.finish_reason
    made.service_tier = told.service_tier
    made.usage = bill.usage
    made.raw_usage = told.raw_usage
    made.usage_source = bill.usage_source
    made.cost = bill.cost
    made.rated_cost = bill.rated_cost
    made.reported_cost = bill.reported_cost
    made.price_source = bill.price_source
    made.price_version = bill.price_version
    return made
