"""What a record adds to every sum that is kept of records, and the sums themselves.

The in-memory backend and the roll-ups of the SQL backends both count with `measures`, and the check of the ledger
compares what SQL counts with it.
"""

from collections.abc import Iterable, Sequence, Set
from operator import add, sub

from arouter.domain.activity import PERCENTILES, Totals
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
"""The sums of `Totals`, in their order; all but the distinct users and the percentiles."""

Measures = tuple[int, ...]
"""A value for each of `MEASURES`."""

NOTHING: Measures = (0,) * len(MEASURES)

Percentiles = tuple[int | None, int | None]
"""The latencies, in microseconds, that 50 and 95 per cent of the requests with one are not above."""

NO_PERCENTILES: Percentiles = (None, None)


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


def less(left: Measures, right: Measures) -> Measures:
    return tuple(map(sub, left, right))


def total(many: Iterable[Measures]) -> Measures:
    result = NOTHING
    for each in many:
        result = added(result, each)
    return result


def totals(sums: Measures, users: Set[str] | int | None, percentiles: Percentiles = NO_PERCENTILES) -> Totals:
    """The sums with the distinct users or their number, and the percentiles of the latency; None is not asked for."""
    # By place, since a summary has thousands of them; a test holds the places to `MEASURES`.
    return Totals(
        requests=sums[0],
        errors=sums[1],
        prompt_tokens=sums[2],
        completion_tokens=sums[3],
        cached_tokens=sums[4],
        reasoning_tokens=sums[5],
        total_tokens=sums[6],
        cost=Picodollars(sums[7]),
        requests_without_usage=sums[8],
        requests_without_price=sums[9],
        latency_us=sums[10],
        requests_with_latency=sums[11],
        users=users if users is None or isinstance(users, int) else len(users),
        latency_us_p50=percentiles[0],
        latency_us_p95=percentiles[1],
    )


def percentiles(latencies_us: Sequence[int]) -> Percentiles:
    """By nearest rank: the smallest value that so many per cent are not above."""
    if not latencies_us:
        return NO_PERCENTILES
    ordered = sorted(latencies_us)
    p50, p95 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in PERCENTILES.values())
    return p50, p95
