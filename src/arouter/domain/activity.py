"""Questions to the ledger and its answers."""

import base64
import binascii
import struct
from dataclasses import dataclass, field
from enum import StrEnum

from arouter.domain.adjustment import Adjustment
from arouter.domain.money import ZERO, Picodollars
from arouter.domain.record import Record


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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


MOST_DIMENSIONS = 3

TIME_DIMENSIONS = frozenset({Dimension.HOUR, Dimension.DAY, Dimension.WEEK, Dimension.MONTH})


@dataclass(frozen=True, slots=True, kw_only=True)
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
    users: int = 0
    """Distinct users; requests without one do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryQuery:
    scope: Scope
    filters: Filters = field(default_factory=Filters)
    group_by: tuple[Dimension, ...] = ()
    """Up to three."""
    timezone: str = "UTC"
    """An IANA name; where days, weeks and months begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    group: tuple[str | None, ...]
    """One value for each dimension of the query, in its order. A time is the RFC 3339 start of its bucket."""
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    rows: tuple[SummaryRow, ...]
    totals: Totals
    """Over all rows. Equal to the sum of the rows, but for `users`, which are distinct over everything."""
