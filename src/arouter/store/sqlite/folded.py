"""Which days have columns: who makes them, and when they are void. Without numpy, but for what makes and reads them.

A day is claimed, its roll-ups are read and folded beside everything else, the blocks are written in small
transactions, and then the day is ready, unless its sums changed meanwhile: that deletes the claim. So there are never
columns that say something else than the roll-ups.
"""

import importlib
import importlib.util
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apsw

from arouter.store.buckets import DAY_US, SLOTS_OF_DAY
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, RollupKey
from arouter.store.sqlite.statements import queries

CLOSED_FOR_US = 15 * 60 * 1_000_000
"""So long after its end a day is folded: most requests that began in it have ended by then."""
_CLAIM_HOLDS_US = 30 * 60 * 1_000_000
_ROWS_AT_ONCE = 1_000
"""So many rows are decoded at once: the interpreter's lock is held meanwhile."""
_BLOCKS_AT_ONCE = 40
_KINDS = 4
"""Of blocks: the tables of `columns.folding`."""
_SLOT, _ORGANIZATION = ROLLUP_COLUMNS.index("slot"), ROLLUP_COLUMNS.index("organization_no")

Command = Callable[[Callable[[apsw.Connection], Any]], Awaitable[Any]]
"""Runs something in a transaction of the writer."""
Read = Callable[[Callable[[apsw.Connection], Any]], Awaitable[Any]]
"""Runs something on a reader's thread."""


class AnalyticsMissing(Exception):
    """Columns need numpy, which is not installed."""

    def __init__(self) -> None:
        super().__init__("Day columns need numpy: pip install 'arouter[analytics]'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of one organization, counted from the epoch."""

    organization_no: int
    day: int


def folded_beyond_us(connection: apsw.Connection) -> int:
    """The end of the last day with columns, or that is being folded, of any organization."""
    return int(connection.execute(queries()["folded_beyond"]).get) * DAY_US


def unfold(connection: apsw.Connection, changed: Iterable[RollupKey]) -> None:
    """The sums of these roll-ups change: the columns of their days are void."""
    for organization_no, day in {(key[_ORGANIZATION], key[_SLOT] // SLOTS_OF_DAY) for key in changed}:
        connection.execute(queries()["unfold_day"], (organization_no, day))


def unfold_all(connection: apsw.Connection) -> None:
    """The columns of every day are void."""
    connection.execute(queries()["unfold_all"])


def folded_days(connection: apsw.Connection, organization_no: int) -> Sequence[int]:
    """The days with columns; none without numpy."""
    days: Sequence[int] = fetch(connection, queries()["folded_days"], organization_no)
    return days if days and is_installed() else ()


def days_to_fold(connection: apsw.Connection, now_us: int) -> Sequence[Day]:
    """The closed days that have no columns, of all organizations, the latest first."""
    beyond = (now_us - CLOSED_FOR_US) // DAY_US
    found = []
    for organization_no in fetch(connection, queries()["organizations_with_sums"]):
        occupied = fetch(connection, queries()["occupied_days"], organization_no, 0, beyond * SLOTS_OF_DAY)
        in_hand = {*fetch(connection, queries()["days_in_hand"], organization_no, now_us - _CLAIM_HOLDS_US)}
        found += [Day(organization_no=organization_no, day=day) for day in occupied if day not in in_hand]
    return sorted(found, key=lambda one: -one.day)


def is_installed() -> bool:
    """Whether numpy is."""
    return importlib.util.find_spec("numpy") is not None


def _folding() -> Any:
    """The module that makes columns. AnalyticsMissing without numpy."""
    try:
        return importlib.import_module("arouter.store.sqlite.columns.folding")
    except ModuleNotFoundError as exc:
        raise AnalyticsMissing from exc


def reading() -> Any:
    """The module that reads columns. Only called where there are some, which needs numpy."""
    return importlib.import_module("arouter.store.sqlite.columns.reading")


async def fold_day(read: Read, command: Command, day: Day, now_us: int) -> bool:
    """Make the columns of one day. False if somebody else does, or if its sums changed meanwhile.

    AnalyticsMissing without numpy. StorageUnavailable if nothing can be written.
    """
    _folding()
    claim = secrets.randbits(62)
    values = (day.organization_no, day.day, claim, now_us, now_us - _CLAIM_HOLDS_US)
    if not await command(partial(_changes, query="claim_day", values=values)):
        return False
    blocks: Sequence[Any] = await read(lambda connection: _fold(connection, day))
    for kind in range(_KINDS):
        forgotten = (day.organization_no, kind, day.day, _BLOCKS_AT_ONCE)
        while await command(partial(_changes, query="forget_blocks", values=forgotten)):
            pass
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        some = blocks[start : start + _BLOCKS_AT_ONCE]
        if not await command(partial(_write, day=day, claim=claim, blocks=some)):
            return False
    ready = (day.organization_no, day.day, claim)
    return bool(await command(partial(_changes, query="day_is_ready", values=ready)))


def _changes(connection: apsw.Connection, query: str, values: tuple[int, ...]) -> int:
    connection.execute(queries()[query], values)
    return connection.changes()


def _fold(connection: apsw.Connection, day: Day) -> Sequence[Any]:
    folding = _folding()
    parts: list[Mapping[str, Any]] = []
    sql = queries()["rollups_of_slot"].format(columns=", ".join(ROLLUP_COLUMNS))
    for slot in range(day.day * SLOTS_OF_DAY, (day.day + 1) * SLOTS_OF_DAY):
        rows = int(connection.execute(queries()["count_rollups_of_slot"], (day.organization_no, slot)).get)
        pieces = -(-rows // _ROWS_AT_ONCE)
        for piece in range(pieces):
            found = fetch(connection, sql, day.organization_no, slot, pieces, piece)
            if found:
                parts.append(folding.columns_of(found))
    return [*folding.fold(folding.joined(parts))] if parts else []


def _write(connection: apsw.Connection, day: Day, claim: int, blocks: Sequence[Any]) -> bool:
    """False if the claim is gone."""
    if not connection.execute(queries()["is_claimed"], (day.organization_no, day.day, claim)).get:
        return False
    for block in blocks:
        values = (day.organization_no, int(block.table), day.day, block.first_user_no, block.data)
        connection.execute(queries()["add_block"], values)
    return True
