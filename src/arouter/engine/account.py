"""What the gateway knows of a request while it runs, and the record it becomes."""

from arouter.domain.errors import ARouterError
from arouter.domain.record import Opening, Record, Status
from arouter.engine.billing import NOTHING_USED, Bill
from arouter.engine.exchange import Exchange
from arouter.engine.routing import Route


class Account:
    """One request's bookkeeping; mutable, and owned by the pipeline."""

    __slots__ = (
        "answered",
        "attempts",
        "error",
        "exchange",
        "first_us",
        "gone",
        "http_status",
        "interrupted",
        "opening",
        "route",
        "started_us",
    )

    def __init__(self, opening: Opening, *, started_us: int) -> None:
        """`started_us` is a reading of the monotonic clock."""
        self.opening = opening
        self.started_us = started_us
        self.first_us: int | None = None
        """When the first byte of the answer went to the client."""
        self.route: Route | None = None
        self.exchange: Exchange | None = None
        self.attempts = 0
        self.answered = False
        """A provider began to answer this request: from then on it may charge for it."""
        self.error: ARouterError | None = None
        self.gone = False
        """The client left before the end."""
        self.interrupted = False
        """The gateway itself stopped."""
        self.http_status: int | None = None

    @property
    def status(self) -> Status:
        if self.interrupted:
            return Status.INTERRUPTED
        if self.gone:
            return Status.CLIENT_DISCONNECT
        if self.error is None:
            return Status.SUCCESS
        return Status.REJECTED if self.attempts == 0 else Status.UPSTREAM_ERROR

    def record(self, bill: Bill = NOTHING_USED, *, now_us: int, monotonic_us: int) -> Record:
        """The record, as things stand now."""
        told = self.exchange.told if self.exchange is not None else None
        route = self.route
        return Record(
            opening=self.opening,
            completed_at_us=now_us,
            status=self.status,
            http_status=self.http_status,
            model=route.name if route is not None else None,
            provider=route.deployment.provider if route is not None else None,
            upstream_model=told.upstream_model if told is not None else None,
            upstream_id=told.upstream_id if told is not None else None,
            finish_reason=told.finish_reason if told is not None else None,
            error_code=self.error.code if self.error is not None else None,
            service_tier=told.service_tier if told is not None else None,
            usage=bill.usage,
            raw_usage=told.raw_usage if told is not None else None,
            usage_source=bill.usage_source,
            cost=bill.cost,
            rated_cost=bill.rated_cost,
            reported_cost=bill.reported_cost,
            price_source=bill.price_source,
            price_version=bill.price_version,
            latency_us=monotonic_us - self.started_us,
            time_to_first_token_us=None if self.first_us is None else self.first_us - self.started_us,
            attempts=self.attempts,
        )
