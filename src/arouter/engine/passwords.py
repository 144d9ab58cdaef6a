"""Passwords, hashed with argon2id: the one place that knows it. A hash takes tens of milliseconds, in a thread."""

import asyncio

import argon2

_MEMORY_KIB, _PASSES, _LANES = 19_456, 2, 1
"""What OWASP asks for at least."""
MOST_AT_ONCE = 2
"""Each takes its memory, and a core: sign-ins must not starve requests."""

_hasher = argon2.PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)


class Passwords:
    """Hashes and compares, some at once."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._nobodys: str | None = None

    async def hashed(self, password: str) -> str:
        """What is stored of a password."""
        async with self._turns:
            return await asyncio.to_thread(_hasher.hash, _bytes(password))

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
    """As `Passwords.hashed`, for the command line."""
    return _hasher.hash(_bytes(password))


def _fits(password: str, stored: str) -> bool:
    try:
        return _hasher.verify(stored, _bytes(password))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
