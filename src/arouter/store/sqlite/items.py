"""What the writer's thread is asked to do."""

import asyncio
import concurrent.futures
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apsw

from arouter.domain.record import Opening, Record
from arouter.store.sqlite.connections import OUR_FAULTS
from arouter.store.written import Written

Append = tuple[Record, Written, bool]
"""A record to append, who waits for it, whether its intent may have been written. A bare tuple: there are many."""


@dataclass(slots=True, frozen=True)
class Command:
    """Anything else that writes: it runs in a transaction of its own items, its result is told after the commit."""

    run: Callable[[apsw.Connection], Any]
    done: asyncio.Future[Any]
    apart: bool = False
    """Whether it has nothing to do with records, nor with what is made of them: what has arrived may wait."""


@dataclass(slots=True, frozen=True)
class Chore:
    """Housekeeping: it runs in a short transaction of its own, between those of others."""

    run: Callable[[apsw.Connection], Any]
    done: "concurrent.futures.Future[Any]"


Item = Append | list[Opening] | Command
OnCommit = Callable[[int, float], None]
"""Is told how many records were committed and the seconds that it took, on the event loop's thread."""


Outcomes = list[tuple["asyncio.Future[Any] | Written", object]]
"""Who waits, and for what: a result, or an exception that is raised."""


def take_turn(_: apsw.Connection) -> None:
    """What a command does, or a chore, that wants nothing but what goes before it."""


def attempt(connection: apsw.Connection, command: Command) -> object:
    """What the command returns, or a ValueError for its own fault; the transaction goes on without it."""
    connection.execute("SAVEPOINT command")
    try:
        result: object = command.run(connection)
    except (*OUR_FAULTS, ValueError) as exc:
        connection.execute("ROLLBACK TO command")
        result = exc if isinstance(exc, ValueError) else ValueError(str(exc))
    connection.execute("RELEASE command")
    return result


def who_waits(item: Item) -> "asyncio.Future[Any] | Written | None":
    if type(item) is tuple:
        return item[1]
    return item.done if type(item) is Command else None
