"""Options that choose records."""

from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo
from urllib.parse import quote, urlencode

from arouter.domain.activity import Filters
from arouter.web.api.filters import FILTERS, read_filters
from arouter.web.api.parameters import Parameter, Parameters


def read_options(*, zone: tzinfo = UTC, **options: object) -> Filters:
    """The options as the API's parameters of the same names, read by the same rules."""
    return read_filters(parameters_of(FILTERS, **options), zone)


def parameters_of(known: Sequence[Parameter], **options: object) -> Parameters:
    """The options as parameters of the API. InvalidRequest names one that is not among `known`."""
    query = urlencode(list(_pairs(options)), quote_via=quote, errors="surrogateescape")
    return Parameters(query.encode("ascii"), known)


def _pairs(options: dict[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        if isinstance(value, list):
            yield from ((name, str(one)) for one in value)
        elif value is True:
            yield name, "true"
        elif isinstance(value, str | int) and not isinstance(value, bool):
            yield name, str(value)
