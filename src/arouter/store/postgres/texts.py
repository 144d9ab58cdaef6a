"""Texts of any characters in PostgreSQL, whose own cannot hold U+0000.

U+0000 is kept as U+0001 "0", and U+0001 as U+0001 "1"; everything else as it is. The order by code point is kept with
it: whatever is compared or sorted in the database, with the collation "C", comes out as it would in Python.

Single texts go through this by themselves (`use_texts`). The driver has no such place for lists (`text[]`): `listed`
makes one to send, `unlisted` reads one.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg


def to_stored(text: str) -> bytes:
    """What the database gets. ValueError (UnicodeEncodeError) for a text that is not Unicode."""
    data = text.encode()
    if b"\x00" in data or b"\x01" in data:
        data = data.replace(b"\x01", b"\x011").replace(b"\x00", b"\x010")
    return data


def from_stored(data: bytes) -> str:
    """The text that was stored."""
    if b"\x01" in data:
        data = data.replace(b"\x010", b"\x00").replace(b"\x011", b"\x01")
    return bytes(data).decode()


def listed(texts: Iterable[str]) -> list[str]:
    """A list of texts to send as `text[]`."""
    return [to_stored(text).decode() for text in texts]


def listed_or_none(texts: Iterable[str | None]) -> list[str | None]:
    """The same for texts that may be NULL; made for many, few of which have such a character."""
    return [
        text if text is None or ("\x00" not in text and "\x01" not in text) else to_stored(text).decode()
        for text in texts
    ]


def unlisted(texts: Iterable[str]) -> list[str]:
    """The texts of a `text[]` that was received."""
    return [from_stored(text.encode()) for text in texts]


async def use_texts(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Make every single text that this connection sends or gets go through the two."""
    await connection.set_type_codec(
        "text", schema="pg_catalog", format="binary", encoder=to_stored, decoder=from_stored
    )
