"""What the threads that write are asked to do."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.store.sqlite.connections import OUR_FAULTS, unavailable
from arouter.store.written import Tell

MOST_IN_ONE: Final = 2_000
"""Items in one group or one transaction: a bound on its time, about a tenth of a second."""

Append = tuple[Record, Tell]
"""A record to append, and who is told of it. A bare tuple: there are many."""


@dataclass(slots=True, frozen=True)
class Command:
    """Anything else that writes: it runs in a transaction of its own items, its result is told after the commit."""

    run: Callable[[apsw.Connection], Any]
    done: Callable[[Any], None]
    """Is told the result, or the exception that is to be raised."""
    apart: bool = False
    """Whether it has nothing to do with records, nor with what is made of them: what has arrived may wait."""


@dataclass(slots=True, frozen=True)
class Chore:
    """Housekeeping: it runs in a short transaction of its own, between those of others."""

    run: Callable[[apsw.Connection], Any]
    done: "concurrent.futures.Future[Any]"


class Waits(Enum):
    """Wakes the writer's thread: it is to look when records that wait are to be booked."""

    SOME = auto()


Item = Append | list[Opening] | Command
Asked = Item | Chore | None
"""What is asked for; None is the last."""
Passed = Asked | Waits
Outcomes = list[tuple[Callable[[Any], None], object]]
"""Who is told, and of what: a result, or an exception."""


def settle(waiting: "asyncio.Future[Any]", outcome: object) -> None:
    """Tell whoever awaits a command, unless that has given up."""
    if waiting.done():
        return
    if isinstance(outcome, Exception):
        waiting.set_exception(outcome)
    else:
        waiting.set_result(outcome)


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


def who_waits(item: Item) -> Callable[[Any], None] | None:
    if type(item) is tuple:
        return item[1]
    return item.done if type(item) is Command else None


def refuse_all(passed: Sequence[Passed], failure: StorageUnavailable) -> Outcomes:
    """What is told to those who wait for commands and records; who waits for a chore is told here."""
    outcomes: Outcomes = []
    for each in passed:
        if isinstance(each, Chore):
            each.done.set_exception(unavailable(failure))
        elif each is not None and not isinstance(each, Waits) and (told := who_waits(each)) is not None:
            outcomes.append((told, unavailable(failure)))
    return outcomes
