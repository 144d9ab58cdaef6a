"""The time zone of a request."""

from datetime import UTC, tzinfo
from zoneinfo import available_timezones

from arouter.domain.errors import InvalidRequest
from arouter.store.buckets import time_zone
from arouter.web.api.parameters import Parameters
from arouter.wire.nearest import unknown


def read_zone(parameters: Parameters) -> tuple[str, tzinfo]:
    """The parameter `timezone`: an IANA name and its zone; UTC if it is not given."""
    name = parameters.one("timezone")
    if name is None:
        return "UTC", UTC
    try:
        return name, time_zone(name)
    except ValueError as exc:
        message = unknown("time zone", name, sorted(available_timezones()))
        raise InvalidRequest(message, code="invalid_parameter", param="timezone") from exc
