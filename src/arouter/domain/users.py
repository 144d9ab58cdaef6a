"""End users as the ledger knows them: when each was seen, and pages of them."""

import base64
import binascii
import struct
from dataclasses import dataclass
from enum import StrEnum

from arouter.domain.activity import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpan:
    """A user, and the creation of the first and the last request that names it. Microseconds since the epoch.

    It outlives the records: it is kept on its own.
    """

    user: str
    """Byte for byte; the empty string is a user."""
    first_seen_us: int
    last_seen_us: int


class UserOrder(StrEnum):
    """What a list of users goes by. Users of one instant are ordered by name."""

    LAST_SEEN = "last_seen"
    FIRST_SEEN = "first_seen"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCursor:
    """A place in a list of users: after this one. `at_us` is 0 in a list by name."""

    at_us: int
    user: str

    def to_text(self) -> str:
        """Opaque, safe in a URL."""
        return base64.urlsafe_b64encode(struct.pack(">q", self.at_us) + self.user.encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> "UserCursor":
        """ValueError if `text` is not a cursor."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            (at_us,) = struct.unpack(">q", data[:8])
            return cls(at_us=at_us, user=data[8:].decode())
        except (binascii.Error, struct.error, ValueError) as exc:
            raise ValueError("not a cursor") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersQuery:
    """Users of whom the scope covers any request. In the scope of a key or a workspace, they were seen when it was."""

    scope: Scope
    prefix: str = ""
    """What their names begin with, code point by code point."""
    order: UserOrder = UserOrder.LAST_SEEN
    descending: bool = True
    limit: int = 100
    after: UserCursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersPage:
    users: tuple[UserSpan, ...]
    next_cursor: UserCursor | None
    """None on the last page."""


def place_of(span: UserSpan, order: UserOrder) -> UserCursor:
    """Where a user stands in a list."""
    at_us = {UserOrder.LAST_SEEN: span.last_seen_us, UserOrder.FIRST_SEEN: span.first_seen_us, UserOrder.NAME: 0}
    return UserCursor(at_us=at_us[order], user=span.user)


def end_of_prefix(prefix: str) -> str | None:
    """The first text, by code points, behind all that begin with `prefix`; None if there is none."""
    for place in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[place])
        if code < _LAST_CODE_POINT:
            after = code + 1
            return prefix[:place] + chr(_AFTER_SURROGATES if after == _FIRST_SURROGATE else after)
    return None


_FIRST_SURROGATE, _AFTER_SURROGATES, _LAST_CODE_POINT = 0xD800, 0xE000, 0x10FFFF
