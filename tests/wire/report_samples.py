"""Reports to draw, from made-up sums that add up: ordinary ones and extreme ones.

`python -m tests.wire.report_samples FILE` writes the PDF whose first page is shown in docs/reports.md.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from arouter.domain.activity import Filters, Scope, Summary, SummaryRow, Totals
from arouter.domain.money import Picodollars
from arouter.domain.report import KeyName, Report, ReportHead, Span, Sums, make_report
from arouter.domain.totals import SUMMED

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MODELS = (
    "anthropic/claude-sonnet-4.6",
    "openai/gpt-5.4",
    "google/gemini-2.5-flash",
    "openai/gpt-5.4-mini",
    "anthropic/claude-haiku-4.5",
    "mistral/mistral-large",
)
KEYS = {
    "4f2a91c0d7e35b86": KeyName(name="prod", creator="mem_ada"),
    "9b07e2f41ac8d365": KeyName(name="batch", creator="mem_ada"),
    "c1d85a3e70f9b246": KeyName(name="staging", creator="mem_grace"),
    "07ab44d19e6f2c58": KeyName(name="demo", creator=None),
}
STATUSES = ("success", "upstream_error", "client_disconnect", "rejected")


def us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def totals(weight: int, *, users: int = 1, scale: int = 1) -> Totals:
    """Something of that size, with digits in every place."""
    requests = weight * scale
    prompt, completion = 1_731 * requests + weight % 7, 411 * requests + weight % 5
    return Totals(
        requests=requests,
        errors=requests // 37,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=prompt * 3 // 8,
        reasoning_tokens=completion // 4,
        total_tokens=prompt + completion,
        cost=Picodollars(7_412_345_678 * requests + weight % 1000),
        requests_without_usage=requests // 211,
        requests_without_price=requests // 463,
        latency_us=812_400 * requests,
        requests_with_latency=requests,
        users=users,
    )


def added(parts: Sequence[Totals], *, users: int) -> Totals:
    return replace(Totals(), **{name: sum(getattr(part, name) for part in parts) for name in SUMMED}, users=users)


def _split(whole: Totals, names: Sequence[str | None], weights: Sequence[int], users: int) -> Summary:
    """`whole` among groups by their weights; the last one has what is left."""
    left = whole
    rows = []
    for name, weight in zip(names[:-1], weights, strict=False):
        part = replace(
            Totals(), **{field: getattr(whole, field) * weight // sum(weights) for field in SUMMED}, users=users
        )
        left = replace(left, **{field: getattr(left, field) - getattr(part, field) for field in SUMMED})
        rows.append(SummaryRow(group=(name,), totals=part))
    if names and whole.requests:
        rows.append(SummaryRow(group=(names[-1],), totals=replace(left, users=users)))
    return Summary(rows=tuple(rows), totals=whole)


def _over_time(starts: Sequence[str], weights: Sequence[int], *, scale: int, users: int) -> Summary:
    rows = tuple(
        SummaryRow(group=(start,), totals=totals(weight, users=users // 2, scale=scale))
        for start, weight in zip(starts, weights, strict=True)
        if weight
    )
    return Summary(rows=rows, totals=added([row.totals for row in rows], users=users if rows else 0))


def _by_month(days: Summary) -> Summary:
    months: dict[str, list[Totals]] = {}
    for row in days.rows:
        months.setdefault(f"{str(row.group[0])[:7]}-01T00:00:00Z", []).append(row.totals)
    rows = tuple(
        SummaryRow(group=(start,), totals=added(parts, users=max(part.users for part in parts)))
        for start, parts in months.items()
    )
    return Summary(rows=rows, totals=days.totals)


def _starts(first: date, days: int) -> list[str]:
    return [f"{first + timedelta(days=number)}T00:00:00Z" for number in range(days)]


def _months_of(starts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(f"{start[:7]}-01T00:00:00Z" for start in starts))


def _weights(days: int, *, phase: int) -> list[int]:
    """Weekdays and weekends, and a slow growth."""
    return [
        (520 if (number + phase) % 7 < 5 else 170) + 7 * (number % 30) + (number * 7919 + phase * 31) % 97
        for number in range(days)
    ]


def sample(
    *,
    first: str = "2026-10-01",
    days: int = 31,
    days_before: int | None = None,
    scale: int = 1,
    users: Sequence[str | None] | None = None,
    idle: bool = False,
    limit: int = 15,
    **head: Any,
) -> Report:
    """A report on `days` days; `idle` ones have no requests at all."""
    start = date.fromisoformat(first)
    earlier = days if days_before is None else days_before
    now, before = _starts(start, days), _starts(start - timedelta(days=earlier), earlier)
    names = [f"user_{number * 7919 % 90_000 + 10_000}" for number in range(180)] if users is None else list(users)
    if users is None:
        names[1:5] = ["acme/Zoë", "acme/Ελένη", "", None]  # type: ignore[list-item]
    by_day = _over_time(now, [0] * days if idle else _weights(days, phase=3), scale=scale, users=len(names))
    by_day_before = _over_time(
        before, [0] * earlier if idle else _weights(earlier, phase=0), scale=scale, users=len(names)
    )
    whole = by_day.totals
    span = Span(start_us=us(now[0][:10]), end_us=us(str(start + timedelta(days=days))))
    made = ReportHead(
        title="Activity",
        scope=Scope(organization_id="org_7d0c41e2"),
        filters=Filters(),
        timezone="UTC",
        asked=span,
        span=span,
        before=Span(start_us=us(before[0][:10]), end_us=span.start_us),
        as_of_us=us("2027-11-02T08:30:12"),
        made_by="ARouter 0.1.0",
    )
    tail = [max(1, 9000 // (number + 2)) for number in range(len(names))]
    sums = Sums(
        days=(by_day, by_day_before) if days <= 400 else None,
        months=(_by_month(by_day), _by_month(by_day_before)),
        models=_split(whole, MODELS, [46, 23, 14, 9, 5, 3], users=max(1, len(names) // 3)),
        keys=_split(whole, list(KEYS), [61, 24, 11, 4], users=max(1, len(names) // 2)),
        users=_split(whole, names, tail, users=1),
        statuses=_split(whole, STATUSES, [96, 2, 1, 1], users=max(1, len(names) // 4)),
    )
    return make_report(
        replace(made, **head),
        sums,
        days=(now, before),
        months=(_months_of(now), _months_of(before)),
        keys=KEYS,
        limit=limit,
    )


if __name__ == "__main__":
    from arouter.wire.report.pdf import render_pdf

    Path(sys.argv[1]).write_bytes(
        render_pdf(sample(title="Acme, October 2026", days_before=30, as_of_us=us("2026-11-02T08:30:12")))
    )
