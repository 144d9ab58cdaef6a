"""The attempts of a request as JSON, in the list of activity and in a single record."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from arouter.domain.attempt import Attempt
from arouter.domain.usage import NOTHING_REPORTED
from arouter.wire.numbers import Dollars, dollars, milliseconds


class AttemptRecord(msgspec.Struct, frozen=True, gc=False):
    """A provider was asked. The last attempt's tokens and cost are in the record itself, and null here."""

    provider: str
    deployment: str | None
    model: str
    http_status: int | None
    error_code: str | None
    latency_ms: float
    prompt_tokens: int | None
    completion_tokens: int | None
    usage_source: Literal["provider", "estimated", "partial", "none"]
    cost: Dollars | None
    is_byok: bool


def attempt_records(tried: Iterable[Attempt]) -> tuple[AttemptRecord, ...]:
    """In their order."""
    return tuple(_attempt(attempt) for attempt in tried)


def _attempt(attempt: Attempt) -> AttemptRecord:
    usage = NOTHING_REPORTED if attempt.usage is None else attempt.usage
    return AttemptRecord(
        provider=attempt.provider,
        deployment=attempt.deployment,
        model=attempt.model,
        http_status=attempt.http_status,
        error_code=attempt.error_code,
        latency_ms=milliseconds(attempt.latency_us),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        usage_source=attempt.usage_source.value,
        cost=dollars(attempt.cost),
        is_byok=attempt.is_byok,
    )
