"""Attempts as the JSON text that backends keep with a record. What is unknown is left out."""

from dataclasses import fields
from typing import Any

import msgspec

from arouter.domain.attempt import Attempt
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage, UsageSource


class _Stored(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The fields of `Attempt`; `usage` has the meters that are known."""

    provider: str
    model: str
    http_status: int | None = None
    error_code: str | None = None
    latency_us: int
    usage: dict[str, int] | None = None
    usage_source: UsageSource = UsageSource.NONE
    cost: int | None = None
    deployment: str | None = None
    is_byok: bool = False


_decoder = msgspec.json.Decoder(tuple[_Stored, ...])
_METERS = tuple(field.name for field in fields(Usage))


def write_attempts(tried: tuple[Attempt, ...]) -> str:
    """A JSON array. ValueError for a text that is not Unicode."""
    return msgspec.json.encode([_Stored(**_values(attempt)) for attempt in tried]).decode()


def read_attempts(text: str) -> tuple[Attempt, ...]:
    """The same back."""
    return tuple(
        Attempt(
            provider=stored.provider,
            model=stored.model,
            http_status=stored.http_status,
            error_code=stored.error_code,
            latency_us=stored.latency_us,
            usage=None if stored.usage is None else Usage(**stored.usage),
            usage_source=stored.usage_source,
            cost=None if stored.cost is None else Picodollars(stored.cost),
            deployment=stored.deployment,
            is_byok=stored.is_byok,
        )
        for stored in _decoder.decode(text)
    )


def _values(attempt: Attempt) -> dict[str, Any]:
    usage = attempt.usage
    return {
        **{field.name: getattr(attempt, field.name) for field in fields(attempt)},
        "usage": None if usage is None else _known(usage),
    }


def _known(usage: Usage) -> dict[str, int]:
    return {meter: count for meter in _METERS if (count := getattr(usage, meter)) is not None}
