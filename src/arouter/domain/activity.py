"""Questions to the ledger and its answers."""

import base64
import binascii
import struct
from dataclasses import dataclass, field
from enum import StrEnum

from arouter.domain.adjustment import Adjustment
from arouter.domain.money import ZERO, Picodollars
from arouter.domain.record import Record
from arouter.domain.value import value


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose records may be seen. Every query has one; a narrower field is None where it does not narrow."""

    organization_id: str
    workspace_id: str | None = None
    key_hash: str | None = None
    creator: str | None = None
    """The member who made the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which of them. An empty tuple filters nothing; the values of one tuple are alternatives.

    Times are microseconds since the epoch; the range is half-open: `start_us <= created_at_us < end_us`.
    """

    users: tuple[str, ...] = ()
    """Exact, byte for byte; the empty string is a user."""
    unattributed: bool = False
    """Records without a user, in addition to those of `users`."""
    models: tuple[str, ...] = ()
    """Matches the routed model or the requested one."""
    providers: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    key_hashes: tuple[str, ...] = ()
    workspace_ids: tuple[str, ...] = ()
    session_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    start_us: int | None = None
    end_us: int | None = None
    updated_since_us: int | None = None
    """Written or re-priced since."""
    written_until_us: int | None = None
    """Written at or before. Of the costs it says nothing: they are those that hold when the question is asked."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order of records: after this one. Stable while new records arrive."""

    created_at_us: int
    id: str

    def to_text(self) -> str:
        """Opaque, safe in a URL."""
        return base64.urlsafe_b64encode(struct.pack(">q", self.created_at_us) + self.id.encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> "Cursor":
        """ValueError if `text` is not a cursor."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            (created_at_us,) = struct.unpack(">q", data[:8])
            return cls(created_at_us, data[8:].decode())
        except (binascii.Error, struct.error, UnicodeError) as exc:
            raise ValueError("not a cursor") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityQuery:
    scope: Scope
    filters: Filters = field(default_factory=Filters)
    descending: bool = True
    limit: int = 100
    after: Cursor | None = None


@value(frozen=True, slots=True, kw_only=True)
class ActivityRow:
    """A record as it is read back, with what the directory knows of its key."""

    record: Record
    """As it was written, but for the cost and its origin: they are those of the adjustment, if there is one."""
    written_at_us: int
    adjustment: Adjustment | None = None
    """The latest."""
    adjusted_at_us: int | None = None
    """When the ledger wrote the adjustment."""
    original_cost: Picodollars | None
    """The record's own; the same as its cost if nothing was adjusted."""
    key_name: str
    creator: str | None

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.record.opening.created_at_us, self.record.opening.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    rows: tuple[ActivityRow, ...]
    next_cursor: Cursor | None
    """None on the last page."""


class Dimension(StrEnum):
    """What a summary can be grouped by."""

    USER = "user"
    MODEL = "model"
    PROVIDER = "provider"
    API_KEY = "api_key"
    WORKSPACE = "workspace"
    ORGANIZATION = "organization"
    ENDPOINT = "endpoint"
    STATUS = "status"
    TAG = "tag"
    """A record with two tags is in two groups, one without any in that of none: such groups overlap."""
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


MOST_DIMENSIONS = 3

TIME_DIMENSIONS = frozenset({Dimension.HOUR, Dimension.DAY, Dimension.WEEK, Dimension.MONTH})

SUMMED_METRICS = (
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
    "requests_without_usage",
    "requests_without_price",
    "users",
    "mean_latency_ms",
)
"""What a summary tells of a group unless it is asked for something else."""

PERCENTILES = {"latency_ms_p50": 50, "latency_ms_p95": 95}
"""What it tells when asked for: they need every single record."""

METRICS = (*SUMMED_METRICS, *PERCENTILES)
"""All that it can tell, and be ordered by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`by` is one of `METRICS` or the name of a dimension that the summary groups by."""

    by: str
    descending: bool


@value(frozen=True, slots=True, kw_only=True)
class Totals:
    """Exact sums. A token sum counts what is known: `requests_without_usage` says how many told nothing.

    Rejected requests are not among those, since nobody was asked.
    """

    requests: int = 0
    errors: int = 0
    """Requests with a status other than success."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0
    cost: Picodollars = ZERO
    requests_without_usage: int = 0
    requests_without_price: int = 0
    """Requests that used tokens and whose price is unknown; their cost is not in `cost`."""
    latency_us: int = 0
    """The sum over `requests_with_latency`."""
    requests_with_latency: int = 0
    users: int | None = 0
    """Distinct users; requests without one do not count. None where the summary was not asked for them."""
    latency_us_p50: int | None = None
    """The median by nearest rank over `requests_with_latency`; None where there are none or nobody asked."""
    latency_us_p95: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a summary may cost at most; None is as much as it takes."""

    most_records: int | None = None
    """That are read one by one, where sums do not tell enough."""
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryQuery:
    scope: Scope
    filters: Filters = field(default_factory=Filters)
    group_by: tuple[Dimension, ...] = ()
    """Up to three."""
    timezone: str = "UTC"
    """An IANA name; where days, weeks and months begin."""
    metrics: frozenset[str] = frozenset(SUMMED_METRICS)
    """Of `METRICS`. Sums are there in any case; `users` and percentiles are only if they are asked for."""
    order: Order | None = None
    """None: by the group values, none first."""
    limit: int | None = None
    """How many rows at most; the others are added up in `Summary.other`."""
    bounds: Bounds = Bounds()

    def asks_for(self, metric: str) -> bool:
        """Whether it must be known, to be told or to order by it."""
        return metric in self.metrics or (self.order is not None and self.order.by == metric)


@value(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    group: tuple[str | None, ...]
    """One value for each dimension of the query, in its order. A time is the RFC 3339 start of its bucket."""
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The rows that a limit cut off, as one."""

    groups: int
    totals: Totals
    """Exact sums, without percentiles; for `users` see the next field."""
    users: int | None
    """Distinct users, where the groups tell: a person may be in several groups, so counts cannot be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    rows: tuple[SummaryRow, ...]
    """In the order of the query; equal ones in that of their group values."""
    totals: Totals
    """Over everything. Equal to the sum of the rows and `other`, but for `users`, which are distinct over everything,
    and for groups by tag, which overlap."""
    other: Rest | None = None
    """None if the limit cut nothing off."""
    groups: int = 0
    """How many there are, those in `other` included."""
    as_of_us: int = 0
    """Nothing that was written before this instant is missing."""
