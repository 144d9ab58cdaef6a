"""A summary of the activity as JSON and as CSV: what `GET /v1/activity/summary` answers."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from arouter.domain.activity import METRICS, SUMMED_METRICS, Dimension, Rest, Summary, SummaryRow, Totals
from arouter.domain.money import Picodollars
from arouter.domain.ranking import value_of
from arouter.wire import csv_cells
from arouter.wire.instants import write_instant
from arouter.wire.numbers import Dollars, exact_dollars

Cell = msgspec.Raw | int | float | None


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the requests of a group, those that were asked for. Tokens and cost count what is known; the two
    `requests_without_…` fields tell how many requests are missing from them."""

    requests: int | UnsetType = UNSET
    errors: int | UnsetType = UNSET
    prompt_tokens: int | UnsetType = UNSET
    completion_tokens: int | UnsetType = UNSET
    total_tokens: int | UnsetType = UNSET
    cached_tokens: int | UnsetType = UNSET
    reasoning_tokens: int | UnsetType = UNSET
    cost: Dollars | UnsetType = UNSET
    requests_without_usage: int | UnsetType = UNSET
    requests_without_price: int | UnsetType = UNSET
    users: int | UnsetType | None = UNSET
    mean_latency_ms: float | UnsetType | None = UNSET
    latency_ms_p50: float | UnsetType | None = UNSET
    latency_ms_p95: float | UnsetType | None = UNSET


class ComparedMetrics(Metrics, frozen=True, kw_only=True):
    """With `compare=previous`, the same of the range before and by how much it is more now; null where one of them is
    not known."""

    previous: Metrics | UnsetType | None = UNSET
    difference: Metrics | UnsetType | None = UNSET


class OtherMetrics(Metrics, frozen=True, kw_only=True):
    """The groups beyond the limit, as one. `users` is null unless the summary groups by user."""

    groups: int


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Half-open."""

    start: str
    end: str


class SummaryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`data` holds, for each group, its value for each dimension (`"user": "user_12345"`) and its metrics."""

    object: Literal["activity.summary"]
    data: list[dict[str, msgspec.Raw | str | int | float | Metrics | None]]
    other: OtherMetrics | None
    totals: ComparedMetrics
    groups: int
    currency: Literal["USD"]
    as_of: str
    previous: Range | UnsetType = UNSET


class Previous(Protocol):
    """What a summary is compared with."""

    @property
    def start_us(self) -> int: ...
    @property
    def end_us(self) -> int: ...
    @property
    def rows(self) -> Sequence[Totals | None]:
        """The totals of each row's group in the range before, None if there is no such bucket in it."""

    @property
    def totals(self) -> Totals: ...


def encode_summary(
    summary: Summary, group_by: Sequence[Dimension], metrics: Sequence[str], previous: Previous | None = None
) -> bytes:
    """The JSON answer with `metrics`, of `domain.activity.METRICS`."""
    names = [dimension.value for dimension in group_by]
    rows = [dict(zip(names, row.group, strict=True)) | _cells(row.totals, metrics) for row in summary.rows]
    answer = SummaryAnswer(
        object="activity.summary",
        data=rows,  # type: ignore[arg-type]  # a dictionary of fewer types
        other=None if summary.other is None else _other(summary.other, metrics),
        totals=ComparedMetrics(**_cells(summary.totals, metrics)),  # type: ignore[arg-type]
        groups=summary.groups,
        currency="USD",
        as_of=write_instant(summary.as_of_us),
    )
    if previous is not None:
        for fields, now, before in zip(answer.data, summary.rows, previous.rows, strict=True):
            fields.update(_compared(now.totals, before, metrics))
        answer = msgspec.structs.replace(
            answer,
            totals=msgspec.structs.replace(answer.totals, **_compared(summary.totals, previous.totals, metrics)),
            previous=Range(start=write_instant(previous.start_us), end=write_instant(previous.end_us)),
        )
    return msgspec.json.encode(answer)


def encode_summary_csv(
    summary: Summary, group_by: Sequence[Dimension], metrics: Sequence[str], previous: Previous | None = None
) -> bytes:
    """The rows. The first column says `group`, or `other` for the row of everything beyond the limit.

    Compared with another range, each has the columns `previous_…` and `difference_…` too.
    """
    names = [dimension.value for dimension in group_by]
    columns = [*metrics]
    if previous is not None:
        columns += [f"{kind}_{name}" for kind in ("previous", "difference") for name in metrics]
    lines = [csv_cells.row(["row", *names, *columns])]
    for place, row in enumerate(summary.rows):
        cells = [*_cells(row.totals, metrics).values()]
        if previous is not None:
            before = previous.rows[place]
            cells += [*_cells(before, metrics).values()] if before is not None else [None for _ in metrics]
            cells += [*_differences(row.totals, before, metrics).values()]
        lines.append(csv_cells.row(["group", *row.group, *cells]))
    if summary.other is not None:
        other = _other_cells(summary.other, metrics)
        lines.append(csv_cells.row(["other", *[None for _ in names], *(other.get(name) for name in columns)]))
    return "".join(lines).encode()


def metrics(totals: Totals) -> Metrics:
    """All sums in their public form."""
    return Metrics(**_cells(totals, SUMMED_METRICS))  # type: ignore[arg-type]  # a dictionary of fewer types


def whole(summary: Summary) -> Summary:
    """One that groups by nothing, with one row of everything even where there is nothing."""
    return Summary(
        rows=(SummaryRow(group=(), totals=summary.totals),),
        totals=summary.totals,
        groups=1,
        as_of_us=summary.as_of_us,
    )


def told(totals: Totals, metrics: Sequence[str] = SUMMED_METRICS) -> Metrics:
    """Totals in their public form."""
    return Metrics(**_cells(totals, metrics))  # type: ignore[arg-type]


def _cells(totals: Totals, metrics: Sequence[str]) -> dict[str, Cell]:
    """Metrics in their public form, in the order of `METRICS`."""
    return {
        name: exact_dollars(totals.cost) if name == "cost" else value_of(name, totals)
        for name in METRICS
        if name in metrics
    }


def _other_cells(rest: Rest, metrics: Sequence[str]) -> dict[str, Cell]:
    cells = _cells(rest.totals, metrics)
    return cells | {"users": rest.users} if "users" in cells else cells


def _other(rest: Rest, metrics: Sequence[str]) -> OtherMetrics:
    return OtherMetrics(groups=rest.groups, **_other_cells(rest, metrics))  # type: ignore[arg-type]


def _compared(now: Totals, before: Totals | None, metrics: Sequence[str]) -> Mapping[str, Metrics | None]:
    if before is None:
        return {"previous": None, "difference": None}
    return {
        "previous": told(before, metrics),
        "difference": Metrics(**_differences(now, before, metrics)),  # type: ignore[arg-type]
    }


def _differences(now: Totals, before: Totals | None, metrics: Sequence[str]) -> dict[str, Cell]:
    return {name: _difference(name, now, before) for name in METRICS if name in metrics}


def _difference(name: str, now: Totals, before: Totals | None) -> Cell:
    if before is None:
        return None
    if name == "cost":
        return exact_dollars(Picodollars(now.cost - before.cost))
    left, right = value_of(name, now), value_of(name, before)
    if left is None or right is None:
        return None
    # Milliseconds have three decimals: without rounding, their difference has the noise of floats.
    return left - right if isinstance(left, int) and isinstance(right, int) else round(left - right, 3)
