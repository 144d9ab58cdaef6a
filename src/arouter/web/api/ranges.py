"""The range that a view of users is about, the one before it, and the zone of its days."""

from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from zoneinfo import available_timezones

from arouter.domain.activity import Filters
from arouter.domain.errors import InvalidRequest
from arouter.domain.windows import DAY_US
from arouter.store.buckets import time_zone
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.wire.nearest import unknown

DEFAULT_DAYS = 30

TIMEZONE = Parameter(
    name="timezone",
    schema={"type": "string", "default": "UTC"},
    description="An IANA name: where days and months begin, and where a `start` or `end` without an offset is meant.",
)
RANGE = (
    Parameter(name="start", description=f"Default: {DEFAULT_DAYS} days of 24 hours before `end`."),
    Parameter(name="end", description="Default: now. The range is half-open."),
    TIMEZONE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Half-open, in microseconds since the epoch."""

    start_us: int
    end_us: int

    @property
    def before(self) -> "Range":
        """The one of the same length that ends where this one begins."""
        return Range(start_us=2 * self.start_us - self.end_us, end_us=self.start_us)

    def of(self, filters: Filters) -> Filters:
        """`filters` within this range."""
        return replace(filters, start_us=self.start_us, end_us=self.end_us)


def whole_range(start_us: int | None, end_us: int | None, *, now_us: int) -> Range:
    """A range with its defaults. InvalidRequest if it ends before it begins."""
    end_us = now_us + 1 if end_us is None else end_us
    start_us = end_us - DEFAULT_DAYS * DAY_US if start_us is None else start_us
    if end_us < start_us:
        raise invalid("end", "lies before `start`")
    return Range(start_us=start_us, end_us=end_us)


def read_range(parameters: Parameters, zone: tzinfo, *, now_us: int) -> Range:
    """The range of a request with the parameters of `RANGE`."""
    return whole_range(parameters.instant("start", zone), parameters.instant("end", zone), now_us=now_us)


def read_zone(parameters: Parameters) -> tuple[str, tzinfo]:
    """The zone of `timezone` with its name; UTC without it."""
    name = parameters.one("timezone")
    return ("UTC", UTC) if name is None else (name, zone_of(name))


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name. InvalidRequest if there is none."""
    try:
        return time_zone(name)
    except ValueError as exc:
        message = unknown("time zone", name, sorted(available_timezones()))
        raise InvalidRequest(message, code="invalid_parameter", param="timezone") from exc
