"""A summary of the activity as JSON and as CSV: what `GET /v1/activity/summary` answers."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arouter.domain.activity import Dimension, Totals
from arouter.domain.ranking import METRICS, Ranking, mean_latency_ms
from arouter.wire import csv_cells
from arouter.wire.instants import write_instant
from arouter.wire.numbers import Dollars, exact_dollars


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the requests of a group. Tokens and cost count what is known; the two `requests_without_…` fields
    tell how many requests are missing from them."""

    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost: Dollars
    requests_without_usage: int
    requests_without_price: int
    users: int | None
    mean_latency_ms: float | None


class OtherMetrics(Metrics, frozen=True, kw_only=True):
    """The groups beyond the limit, as one. `users` is null unless the summary groups by user."""

    groups: int


class SummaryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`data` holds, for each group, its value for each dimension (`"user": "user_12345"`) and its metrics."""

    object: Literal["activity.summary"]
    data: list[dict[str, msgspec.Raw | str | int | float | None]]
    other: OtherMetrics | None
    totals: Metrics
    currency: Literal["USD"]
    as_of: str


def encode_summary(ranking: Ranking, group_by: Sequence[Dimension], totals: Totals, *, as_of_us: int) -> bytes:
    """The JSON answer. `totals` are over everything, whatever the ranking left out."""
    names = [dimension.value for dimension in group_by]
    rows = [dict(zip(names, row.group, strict=True)) | _fields(metrics(row.totals)) for row in ranking.rows]
    return msgspec.json.encode(
        SummaryAnswer(
            object="activity.summary",
            data=rows,
            other=_other(ranking),
            totals=metrics(totals),
            currency="USD",
            as_of=write_instant(as_of_us),
        )
    )


def encode_summary_csv(ranking: Ranking, group_by: Sequence[Dimension]) -> bytes:
    """The rows. The first column says `group`, or `other` for the row of everything beyond the limit."""
    names = [dimension.value for dimension in group_by]
    lines = [csv_cells.row(["row", *names, *METRICS])]
    lines += [csv_cells.row(["group", *row.group, *_cells(metrics(row.totals))]) for row in ranking.rows]
    other = _other(ranking)
    if other is not None:
        lines.append(csv_cells.row(["other", *[None for _ in names], *_cells(other)]))
    return "".join(lines).encode()


def metrics(totals: Totals) -> Metrics:
    """Totals in their public form."""
    return Metrics(
        requests=totals.requests,
        errors=totals.errors,
        prompt_tokens=totals.prompt_tokens,
        completion_tokens=totals.completion_tokens,
        total_tokens=totals.total_tokens,
        cached_tokens=totals.cached_tokens,
        reasoning_tokens=totals.reasoning_tokens,
        cost=exact_dollars(totals.cost),
        requests_without_usage=totals.requests_without_usage,
        requests_without_price=totals.requests_without_price,
        users=totals.users,
        mean_latency_ms=mean_latency_ms(totals),
    )


def _other(ranking: Ranking) -> OtherMetrics | None:
    rest = ranking.rest
    if rest is None:
        return None
    shown = msgspec.structs.replace(metrics(rest.totals), users=rest.users)
    return OtherMetrics(**msgspec.structs.asdict(shown), groups=rest.groups)


def _cells(shown: Metrics) -> list[msgspec.Raw | int | float | None]:
    return [getattr(shown, name) for name in METRICS]


def _fields(shown: Metrics) -> dict[str, msgspec.Raw | str | int | float | None]:
    return {name: getattr(shown, name) for name in METRICS}
