"""The body of a management request: small, whole, JSON."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from fastapi import Request

from arouter.domain.errors import RequestTooLarge
from arouter.wire.json_body import read_body

MOST_BYTES = 1024 * 1024

T = TypeVar("T", bound=msgspec.Struct)


async def read_struct(request: Request, form: type[T], *, not_yet: Iterable[str] = (), may_be_empty: bool = False) -> T:
    """The body as a `form`; see `arouter.wire.json_body`. RequestTooLarge before it fills the memory.

    If it `may_be_empty`, no body at all says what an empty object says.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise RequestTooLarge(f"The body is larger than {MOST_BYTES} bytes.")
    return read_body(bytes(body) if body or not may_be_empty else b"{}", form, not_yet=not_yet)
