"""What is asked of a summary, by its parameters; without the HTTP around it, which a command does not need."""

from collections.abc import Sequence

from arouter.domain.activity import (
    METRICS,
    MOST_DIMENSIONS,
    SUMMED_METRICS,
    Dimension,
    Order,
    Scope,
    Summary,
    SummaryQuery,
)
from arouter.domain.errors import InvalidRequest
from arouter.domain.ranking import default_order
from arouter.engine.comparison import Comparison, compare
from arouter.store.base import Ledger
from arouter.web.api.filters import FILTERS, read_filters
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.ranges import read_zone
from arouter.wire.nearest import unknown
from arouter.wire.summary import whole

DEFAULT_LIMIT, MOST_LIMIT = 1000, 10_000
FORMATS = ("json", "csv")
ORDERS = ("desc", "asc")
PREVIOUS = "previous"
DIMENSIONS = tuple(dimension.value for dimension in Dimension)

PARAMETERS = (
    Parameter(
        name="group_by",
        repeatable=True,
        schema={"type": "string", "enum": list(DIMENSIONS)},
        description=f"Up to {MOST_DIMENSIONS}, repeated or separated by commas. Without it, one row of everything. "
        "`tag`: a record with two tags counts under both, one without any under null.",
    ),
    Parameter(
        name="metrics",
        repeatable=True,
        schema={"type": "string", "enum": list(METRICS)},
        description="What to tell, repeated or separated by commas. Default: all but the percentiles of the latency, "
        "which need every single record. Without `users` a summary is faster.",
    ),
    *FILTERS,
    Parameter(
        name="timezone",
        schema={"type": "string", "default": "UTC"},
        description="An IANA name: where hours, days, weeks and months begin, and where a `start` or `end` without an "
        "offset is meant.",
    ),
    Parameter(
        name="order_by",
        schema={"type": "string", "enum": [*METRICS, *DIMENSIONS]},
        description="A metric or one of the dimensions grouped by. Default: `cost`, or the time where one leads.",
    ),
    Parameter(
        name="order",
        schema={"type": "string", "enum": list(ORDERS)},
        description="Default: `desc` for a metric, `asc` for a dimension.",
    ),
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
        description="How many groups at most; the others are added up in `other`, and `totals` are over everything.",
    ),
    Parameter(
        name="compare",
        schema={"type": "string", "enum": [PREVIOUS]},
        description="With the range before, of equal length (in the time zone, for whole days and months): each row "
        "and `totals` get `previous` and `difference`. Needs `start`; `end` is now unless it is given.",
    ),
    Parameter(
        name="format",
        schema={"type": "string", "enum": list(FORMATS), "default": "json"},
        description="Also by the `Accept` header.",
    ),
)


async def answer(
    ledger: Ledger, query: SummaryQuery, *, is_compared: bool, now_us: int
) -> tuple[Summary, Comparison | None]:
    """The summary, and the range before if it is compared."""
    summary = await ledger.summary(query)
    before = await compare(ledger, query, summary, now_us=now_us) if is_compared else None
    return summary if query.group_by else whole(summary), before


def wants_comparison(parameters: Parameters) -> bool:
    return parameters.choice("compare", (PREVIOUS,)) is not None


def read_summary_query(parameters: Parameters, scope: Scope) -> SummaryQuery:
    """What is asked for. InvalidRequest names what does not fit."""
    group_by = _read_group_by(parameters.every("group_by"))
    metrics = _read_metrics(parameters.every("metrics"))
    limit = parameters.whole("limit", least=1, most=MOST_LIMIT)
    zone_name, zone = read_zone(parameters)
    return SummaryQuery(
        scope=scope,
        filters=read_filters(parameters, zone),
        group_by=group_by,
        timezone=zone_name,
        metrics=metrics,
        order=_read_order(parameters, group_by),
        limit=DEFAULT_LIMIT if limit is None else limit,
    )


def shown_metrics(query: SummaryQuery) -> Sequence[str]:
    """In their own order."""
    return tuple(name for name in METRICS if name in query.metrics)


def _read_metrics(values: Sequence[str]) -> frozenset[str]:
    names = [name.strip() for value in values for name in value.split(",")]
    for name in names:
        if name not in METRICS:
            raise InvalidRequest(unknown("metric", name, METRICS), code="invalid_parameter", param="metrics")
    return frozenset(names or SUMMED_METRICS)


def _read_group_by(values: Sequence[str]) -> tuple[Dimension, ...]:
    names = [name.strip() for value in values for name in value.split(",")]
    for name in names:
        if name not in DIMENSIONS:
            raise InvalidRequest(unknown("dimension", name, DIMENSIONS), code="invalid_parameter", param="group_by")
    if len(set(names)) < len(names):
        raise invalid("group_by", "names a dimension twice")
    if len(names) > MOST_DIMENSIONS:
        raise invalid("group_by", f"takes at most {MOST_DIMENSIONS} dimensions")
    return tuple(Dimension(name) for name in names)


def _read_order(parameters: Parameters, group_by: Sequence[Dimension]) -> Order:
    direction = parameters.choice("order", ORDERS)
    by = parameters.choice("order_by", (*METRICS, *(dimension.value for dimension in group_by)))
    order = default_order(group_by) if by is None else Order(by=by, descending=by in METRICS)
    return order if direction is None else Order(by=order.by, descending=direction == "desc")
