"""Passwords, hashed with argon2id: the one place that knows it. A hash takes tens of milliseconds, in a thread.

The library is imported with the first password: a gateway without any does without it.
"""

import asyncio
import importlib
from functools import cache
from typing import Any

_MEMORY_KIB, _PASSES, _LANES = 19_456, 2, 1
"""What OWASP asks for at least."""
MOST_AT_ONCE = 2
"""Each takes its memory, and a core: sign-ins must not starve requests."""


class Passwords:
    """Hashes and compares, some at once."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._nobodys: str | None = None

    async def hashed(self, password: str) -> str:
        """What is stored of a password."""
        async with self._turns:
            return await asyncio.to_thread(hash_now, password)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether it is the one that `stored` was made of. None takes as long, and fits nothing."""
        if stored is None:
            if self._nobodys is None:
                self._nobodys = await self.hashed("nobody's password")
            await self._compare(password, self._nobodys)
            return False
        return await self._compare(password, stored)

    async def _compare(self, password: str, stored: str) -> bool:
        async with self._turns:
            return await asyncio.to_thread(_fits, password, stored)


def hash_now(password: str) -> str:
    """As `Passwords.hashed`, for the command line and its thread."""
    made: str = _hasher().hash(_bytes(password))
    return made


@cache
def _library() -> Any:
    return importlib.import_module("argon2")


@cache
def _hasher() -> Any:
    return _library().PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


def _fits(password: str, stored: str) -> bool:
    wrong = _library().exceptions
    try:
        fitting: bool = _hasher().verify(stored, _bytes(password))
        return fitting
    except (wrong.VerificationError, wrong.InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
