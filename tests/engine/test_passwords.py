"""Passwords: hashed so that they fit again, and nothing else does."""

import asyncio
import subprocess
import sys

import pytest

from arouter.engine.passwords import Passwords, hash_now


@pytest.mark.parametrize("password", ["correct horse battery", "ü" * 12, "\udcff" * 12, " " * 256])
def test_what_was_hashed_fits_and_nothing_else(password: str) -> None:
    async def run() -> None:
        passwords = Passwords()
        stored = await passwords.hashed(password)
        assert password not in stored
        assert stored != await passwords.hashed(password)
        assert stored.startswith("$argon2id$")
        assert await passwords.fits(password, stored)
        assert not await passwords.fits(password + "x", stored)

    asyncio.run(run())


def test_nobodys_hash_and_a_broken_one_fit_nothing() -> None:
    async def run() -> None:
        passwords = Passwords()
        assert not await passwords.fits("nobody's password", None)
        assert not await passwords.fits("x", "$argon2id$broken")
        assert await passwords.fits("x", hash_now("x"))

    asyncio.run(run())


def test_the_libraries_of_signing_in_are_not_imported_before_somebody_does() -> None:
    code = "import sys, arouter.wiring.gateway, arouter.web.api.app; print(*{'argon2', 'jwt'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
