"""The high-usage list as JSON and as CSV: what `GET /v1/activity/users` answers."""

from fractions import Fraction
from typing import Annotated, Literal

import msgspec

from arouter.domain.activity import SUMMED_METRICS
from arouter.domain.high_usage import Concentration, HighUsage, Usage
from arouter.wire import csv_cells
from arouter.wire.instants import write_instant
from arouter.wire.numbers import Dollars, exact_dollars
from arouter.wire.summary import Metrics, metrics

Number = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "number"})]
"""A JSON number with its exact digits: dollars, tokens or requests."""

_DECIMALS = 6


Row = dict[str, msgspec.Raw | str | int | float | None]


class RestUsage(Metrics, frozen=True, kw_only=True):
    """Several users, or requests without one. `share` and what follows is by the measure that the list is ordered by:
    `share` is of the totals, null where they are nothing; `previous` is the measure in the range before, `change` what
    was added to it, `ratio` the measure over `previous`, null if that is nothing."""

    share: float | None
    previous: Number
    change: Number
    ratio: float | None


TREND = ("share", "previous", "change", "ratio")
"""What `RestUsage` has beside its metrics."""


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """The first so many percent of users, at least one."""

    users: int
    cost: Dollars
    share: float | None


class ConcentrationObject(msgspec.Struct, frozen=True, kw_only=True):
    """How few users make how much of what all users cost. Requests without a user are not in it."""

    users: int
    cost: Dollars
    top_1_percent: Top
    top_10_percent: Top
    users_of_half_the_cost: int | None


class HighUsageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`data` holds, for each user, `rank` and `user`, its metrics and what `RestUsage` has beside them; users with the
    same measure share a rank. `data`, `unattributed` and `other` add up to `totals`, in both ranges."""

    object: Literal["activity.users"]
    order_by: Literal["cost", "tokens", "requests"]
    start: str
    end: str
    previous_start: str
    previous_end: str
    data: list[Row]
    unattributed: RestUsage | None
    other: RestUsage | None
    totals: RestUsage
    concentration: ConcentrationObject
    currency: Literal["USD"]
    as_of: str


def high_usage_answer(
    found: HighUsage,
    order_by: Literal["cost", "tokens", "requests"],
    *,
    range_us: tuple[int, int],
    before_us: tuple[int, int],
    as_of_us: int,
) -> HighUsageAnswer:
    """The answer. The ranges are half-open."""
    start, end, previous_start, previous_end = map(write_instant, (*range_us, *before_us))
    return HighUsageAnswer(
        object="activity.users",
        order_by=order_by,
        start=start,
        end=end,
        previous_start=previous_start,
        previous_end=previous_end,
        data=[{"rank": one.rank, "user": one.user, **_fields(one.usage, order_by)} for one in found.users],
        unattributed=None if found.unattributed is None else rest_usage(found.unattributed, order_by),
        other=None if found.other is None else rest_usage(found.other, order_by),
        totals=rest_usage(found.everything, order_by),
        concentration=_concentration(found.concentration),
        currency="USD",
        as_of=write_instant(as_of_us),
    )


def encode_high_usage_csv(found: HighUsage, order_by: str) -> bytes:
    """The rows. The first column says `user`, `unattributed`, `other` or `total`."""
    lines = [csv_cells.row(["row", "rank", "user", *SUMMED_METRICS, *TREND])]
    lines += [csv_cells.row(["user", one.rank, one.user, *_cells(one.usage, order_by)]) for one in found.users]
    rests = (("unattributed", found.unattributed), ("other", found.other), ("total", found.everything))
    lines += [csv_cells.row([name, None, None, *_cells(one, order_by)]) for name, one in rests if one is not None]
    return "".join(lines).encode()


def rest_usage(usage: Usage, order_by: str) -> RestUsage:
    """A usage beside the one before, in its public form."""
    return RestUsage(
        **msgspec.structs.asdict(metrics(usage.totals)),
        share=fraction(usage.share),
        previous=_number(usage.previous, order_by),
        change=_number(usage.change, order_by),
        ratio=fraction(usage.ratio),
    )


def fraction(value: Fraction | None) -> float | None:
    """A quotient with six decimals."""
    return None if value is None else float(round(value, _DECIMALS))


def _number(value: int, order_by: str) -> msgspec.Raw:
    return exact_dollars(value) if order_by == "cost" else msgspec.Raw(b"%d" % value)


def _fields(usage: Usage, order_by: str) -> Row:
    shown = rest_usage(usage, order_by)
    return {name: getattr(shown, name) for name in (*SUMMED_METRICS, *TREND)}


def _cells(usage: Usage, order_by: str) -> list[msgspec.Raw | str | int | float | None]:
    return [*_fields(usage, order_by).values()]


def _concentration(found: Concentration) -> ConcentrationObject:
    one, ten = (Top(users=top.users, cost=exact_dollars(top.cost), share=fraction(top.share)) for top in found.tops)
    return ConcentrationObject(
        users=found.users,
        cost=exact_dollars(found.cost),
        top_1_percent=one,
        top_10_percent=ten,
        users_of_half_the_cost=found.users_of_half,
    )
