"""Pages of lists: how many, and from where on."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from arouter.domain.errors import InvalidRequest
from arouter.web.api.parameters import Parameter, Parameters, invalid

T = TypeVar("T")

DEFAULT_PAGE, MOST_PAGE = 100, 1000
MOST_OFFSET = 10**9


def page_parameters(what: str) -> tuple[Parameter, ...]:
    """Those of a list of `what`."""
    return (
        Parameter(
            name="page_size",
            schema={"type": "integer", "minimum": 1, "maximum": MOST_PAGE, "default": DEFAULT_PAGE},
            description=f"How many {what} at most.",
        ),
        Parameter(name="page_token", description="`next_page_token` of the page before."),
        Parameter(
            name="offset",
            schema={"type": "integer", "minimum": 0, "default": 0},
            description=f"How many {what} to skip; instead of `page_token`.",
        ),
    )


LIST_PARAMETERS = (
    *page_parameters("keys"),
    Parameter(
        name="include_disabled",
        schema={"type": "boolean", "default": False},
        description="Disabled keys as well.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWanted:
    """Part of a list."""

    offset: int
    size: int

    @property
    def next_token(self) -> str:
        """What asks for the page behind it."""
        return base64.urlsafe_b64encode(str(self.offset + self.size).encode()).decode().rstrip("=")

    def cut(self, found: Sequence[T]) -> tuple[Sequence[T], str | None]:
        """What is shown of `found`, of which one row more than `size` was asked for; the token of the page behind it,
        None if there is none."""
        return found[: self.size], self.next_token if len(found) > self.size else None


def read_page(parameters: Parameters) -> PageWanted:
    """The page that `page_parameters` ask for."""
    size = parameters.whole("page_size", least=1, most=MOST_PAGE)
    return PageWanted(offset=_read_offset(parameters), size=DEFAULT_PAGE if size is None else size)


def _read_offset(parameters: Parameters) -> int:
    token = parameters.one("page_token")
    offset = parameters.whole("offset", least=0, most=MOST_OFFSET)
    if token is None or token == "":  # the SDKs' first page
        return 0 if offset is None else offset
    if offset is not None:
        raise InvalidRequest(
            "`offset` and `page_token` exclude each other.", code="invalid_parameter", param="page_token"
        )
    try:
        place = int(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as exc:
        raise invalid("page_token", "is not a page token; send `next_page_token` as it came") from exc
    if not 0 <= place <= MOST_OFFSET:
        raise invalid("page_token", "is not a page token; send `next_page_token` as it came")
    return place
