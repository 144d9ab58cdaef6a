"""What a record adds to every sum that is kept of records, and the sums themselves.

The in-memory backend and the roll-ups of the SQL backends both count with `measures`, and the check of the ledger
compares what SQL counts with it.
"""

from collections.abc import Iterable, Set
from operator import add

from arouter.domain.activity import Totals
from arouter.domain.money import Picodollars
from arouter.domain.record import Record, Status

MEASURES = (
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost",
    "requests_without_usage",
    "requests_without_price",
    "latency_us",
    "requests_with_latency",
)
"""The sums of `Totals`, in their order; all but the distinct users."""

Measures = tuple[int, ...]
"""A value for each of `MEASURES`."""

NOTHING: Measures = (0,) * len(MEASURES)


def measures(record: Record) -> Measures:
    """What `record` adds."""
    # Nothing known and zero add the same to a sum; what is unknown is counted on its own.
    usage = record.usage
    cached = sum(filter(None, (usage.cache_read_tokens, usage.cache_read_audio_tokens)))
    prompt = cached + sum(
        filter(
            None,
            (
                usage.input_tokens,
                usage.input_audio_tokens,
                usage.input_image_tokens,
                usage.input_video_tokens,
                usage.cache_write_tokens,
                usage.cache_write_1h_tokens,
            ),
        )
    )
    completion = sum(filter(None, (usage.output_tokens, usage.output_audio_tokens, usage.output_image_tokens)))
    total = prompt + completion
    status, cost, latency_us = record.status, record.cost, record.latency_us
    return (
        1,
        0 if status is Status.SUCCESS else 1,
        prompt,
        completion,
        cached,
        0 if usage.reasoning_tokens is None else usage.reasoning_tokens,
        total,
        0 if cost is None else cost,
        1 if total == 0 and status is not Status.REJECTED and usage.total_tokens is None else 0,
        1 if cost is None and total > 0 else 0,
        0 if latency_us is None else latency_us,
        0 if latency_us is None else 1,
    )


def cost_measures(cost: Picodollars | None, *, has_tokens: bool) -> Measures:
    """What of the measures of a record depends on its cost; nothing of the others."""
    values = dict.fromkeys(MEASURES, 0)
    if cost is None:
        values["requests_without_price"] = int(has_tokens)
    else:
        values["cost"] = cost
    return tuple(values.values())


def added(left: Measures, right: Measures) -> Measures:
    return tuple(map(add, left, right))


def total(many: Iterable[Measures]) -> Measures:
    result = NOTHING
    for each in many:
        result = added(result, each)
    return result


def totals(sums: Measures, users: Set[str] | int) -> Totals:
    """The sums with the distinct users, or their number."""
    values = dict(zip(MEASURES, sums, strict=True))
    cost = Picodollars(values.pop("cost"))
    return Totals(**values, cost=cost, users=users if isinstance(users, int) else len(users))
