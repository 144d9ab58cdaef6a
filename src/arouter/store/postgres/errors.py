"""What may go wrong with PostgreSQL, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from arouter.domain.errors import StorageUnavailable

_MESSAGE = "The storage cannot be reached or written to at the moment."

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""Everything that the driver raises when it cannot do what it was asked. Its own confusion is among them: uvloop lets
it write to a connection that the server has cut, after which it knows no more what state that is in."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what the driver raises into StorageUnavailable."""
    try:
        yield
    except FAILURES as exc:
        raise unavailable(exc) from exc


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what the database refuses to store, whenever it is asked, into ValueError. It tells no value: it may be a
    secret."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as exc:
        raise ValueError(f"the constraint {exc.constraint_name} does not hold") from None
    except asyncpg.DataError:
        raise ValueError(
            "a value cannot be stored: a text that is not Unicode, or a number that is too great"
        ) from None


def unavailable(exc: BaseException) -> StorageUnavailable:
    """The error for the client; what the server said is for the log. It may name the server, never a password."""
    return StorageUnavailable(_MESSAGE, detail=f"{type(exc).__name__}: {exc}")
