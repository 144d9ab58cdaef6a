"""What a backend can store. A record outside is refused alone, with ValueError, by every backend alike."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

import msgspec

from arouter.domain.adjustment import Adjustment
from arouter.domain.money import LARGEST, Picodollars
from arouter.domain.record import Record
from arouter.domain.usage import METERS

MOST = 10**12
"""Of the tokens of one meter, or the microseconds of one latency: below it, sums over millions of records are exact."""
LATEST_US = 2**62
_LEAST: Final = -LARGEST

_meters_of = attrgetter(*METERS, "reasoning_tokens")


def check_record(record: Record) -> None:
    """ValueError if a number is out of all proportion, or a text is not Unicode."""
    check_numbers(record)
    msgspec.json.encode(record)


def check_numbers(record: Record) -> None:
    """ValueError if a number is out of all proportion: negative, or too great for exact sums in 64 bits."""
    check_with_counts(
        record, (*_meters_of(record.usage), record.latency_us, record.time_to_first_token_us, record.attempts)
    )


def check_with_counts(record: Record, counts: Iterable[int | None]) -> None:
    """The same of a record whose counts are at hand: of the meters, of the latencies and of the attempts."""
    # Without a call for each: every record passes here, and calls cost more than all the comparisons.
    for count in filter(None, counts):
        if not 0 < count <= MOST:
            raise ValueError(f"a count of {count} cannot be stored")
    created_at_us, completed_at_us = record.opening.created_at_us, record.completed_at_us
    if not (0 <= created_at_us <= LATEST_US and 0 <= completed_at_us <= LATEST_US):
        _check_time(created_at_us)
        _check_time(completed_at_us)
    cost, rated_cost, reported_cost = record.cost, record.rated_cost, record.reported_cost
    if cost is not None and not _LEAST <= cost <= LARGEST:
        _check_amount(cost)
    if rated_cost is not None and not _LEAST <= rated_cost <= LARGEST:
        _check_amount(rated_cost)
    if reported_cost is not None and not _LEAST <= reported_cost <= LARGEST:
        _check_amount(reported_cost)
    for attempt in record.tried:
        _check_counts((attempt.http_status, attempt.latency_us))
        _check_amount(attempt.cost)
        if attempt.usage is not None:
            _check_counts(_meters_of(attempt.usage))


def check_adjustment(adjustment: Adjustment) -> None:
    """ValueError if a number is out of all proportion."""
    _check_time(adjustment.created_at_us)
    _check_amount(adjustment.cost)


def _check_counts(counts: Iterable[int | None]) -> None:
    for count in counts:
        if count is not None and not 0 <= count <= MOST:
            raise ValueError(f"a count of {count} cannot be stored")


def _check_time(time_us: int) -> None:
    if not 0 <= time_us <= LATEST_US:
        raise ValueError(f"a time of {time_us} microseconds cannot be stored")


def _check_amount(amount: Picodollars | None) -> None:
    if amount is not None and not _LEAST <= amount <= LARGEST:
        raise ValueError(f"an amount of {amount} picodollars cannot be stored")
