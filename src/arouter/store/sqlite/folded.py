"""Which days have columns: who makes them, and when they are void. Without numpy, but for what makes and reads them.

A day is claimed, its roll-ups are read and folded beside everything else, the blocks are written in small
transactions, and then they are ready, unless the sums changed meanwhile: that deletes the claim. So there are never
columns that say something else than the roll-ups.

Days are folded when they are closed. The day that runs is folded too, as far as hardly any request of it still runs,
again whenever so much came that reading it takes long.
"""

import importlib
import importlib.util
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apsw

from arouter.store.buckets import SLOT_US, SLOTS_OF_DAY
from arouter.store.sqlite.names import fetch
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, RollupKey
from arouter.store.sqlite.statements import queries

CLOSED_FOR_US = 30 * 60 * 1_000_000
"""So long after its end a quarter of an hour is folded: most requests that began in it have ended by then."""
FEW_ROLLUPS = 200
"""A day with fewer is as fast without columns."""
MANY_ROLLUPS = 20_000
"""A day that runs is folded again for so many more."""
_CLAIM_HOLDS_US = 30 * 60 * 1_000_000
_ROWS_AT_ONCE = 1_000
"""So many rows are decoded at once: the interpreter's lock is held meanwhile."""
_BLOCKS_AT_ONCE = 40
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
    """The first so many quarters of a day of one organization."""

    organization_no: int
    day: int
    """From the epoch."""
    quarters: int = SLOTS_OF_DAY

    @property
    def slots(self) -> range:
        return range(self.day * SLOTS_OF_DAY, self.day * SLOTS_OF_DAY + self.quarters)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedDay:
    """What there is as columns, and the claim that their blocks belong to."""

    day: int
    quarters: int
    claim: int

    @property
    def first(self) -> int:
        return self.day * SLOTS_OF_DAY

    @property
    def beyond(self) -> int:
        return self.first + self.quarters


def folded_beyond_us(connection: apsw.Connection) -> int:
    """The end of the last quarter with columns, or that is being folded, of any organization."""
    return int(connection.execute(queries()["folded_beyond"]).get) * SLOT_US


def unfold(connection: apsw.Connection, changed: Iterable[RollupKey]) -> None:
    """The sums of these roll-ups change: the columns that they are in are void."""
    for organization_no, slot in {(key[_ORGANIZATION], key[_SLOT]) for key in changed}:
        connection.execute(queries()["unfold_day"], (organization_no, *divmod(slot, SLOTS_OF_DAY)))


def unfold_all(connection: apsw.Connection) -> None:
    """The columns of every day are void."""
    connection.execute(queries()["unfold_all"])


def folded_days(connection: apsw.Connection, organization_no: int) -> Sequence[FoldedDay]:
    """What there is, by rising days; nothing without numpy."""
    found = fetch(connection, queries()["folded_days"], organization_no)
    if not found or not is_installed():
        return ()
    return [FoldedDay(day=day, quarters=quarters, claim=claim) for day, quarters, claim in found]


def days_to_fold(connection: apsw.Connection, now_us: int, least: int) -> Sequence[Day]:
    """The days with so many roll-ups and no columns, and those of which more is closed than has any; the latest
    first."""
    beyond = max(0, now_us - CLOSED_FOR_US) // SLOT_US
    found = []
    for organization_no in fetch(connection, queries()["organizations_with_sums"]):
        in_hand = dict(fetch(connection, queries()["days_in_hand"], organization_no, now_us - _CLAIM_HOLDS_US))
        for day in fetch(connection, queries()["occupied_days"], organization_no, 0, beyond):
            first = day * SLOTS_OF_DAY
            quarters, has = min(SLOTS_OF_DAY, beyond - first), in_hand.get(day, 0)
            # Of a closed day any rest is worth it once a part of it is folded.
            is_closed = quarters == SLOTS_OF_DAY
            enough = (1 if has else least) if is_closed else MANY_ROLLUPS
            span = (organization_no, first + has, first + quarters, enough)
            if has < quarters and int(connection.execute(queries()["has_rollups"], span).get) >= enough:
                found.append(Day(organization_no=organization_no, day=day, quarters=quarters))
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


def differing_days(connection: apsw.Connection) -> int:
    """How many days have columns that do not add up to their roll-ups. 0 without numpy: nobody reads them then."""
    return sum(
        not importlib.import_module("arouter.store.sqlite.columns.checking").is_as_the_rollups(
            connection, organization_no, day
        )
        for organization_no in fetch(connection, queries()["organizations_with_sums"])
        for day in folded_days(connection, organization_no)
    )


async def fold_day(read: Read, command: Command, day: Day, now_us: int) -> bool:
    """Make the columns of a day. False if somebody else does, or if its sums changed meanwhile.

    AnalyticsMissing without numpy. StorageUnavailable if nothing can be written.
    """
    _folding()
    claim = secrets.randbits(62)
    void_before_us = now_us - _CLAIM_HOLDS_US
    claimed = (claim, day.organization_no, day.day, day.quarters, now_us, void_before_us)
    if not await command(partial(_changes, query="claim_day", values=claimed)):
        return False
    blocks: Sequence[Any] = await read(lambda connection: _fold(connection, day))
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        some = blocks[start : start + _BLOCKS_AT_ONCE]
        if not await command(partial(_write, claim=claim, blocks=some)):
            break
    is_ready: bool = await command(partial(_finish, day=day, claim=claim))
    await _clean(read, command)
    return is_ready


def _finish(connection: apsw.Connection, day: Day, claim: int) -> bool:
    """The columns hold from now on, in place of those that were there. False if the claim is gone."""
    if not _changes(connection, "day_is_ready", (claim,)):
        return False
    connection.execute(queries()["forget_others"], (day.organization_no, day.day, claim, day.quarters))
    return True


async def _clean(read: Read, command: Command) -> None:
    """Delete the blocks that no day has any more, in small pieces."""
    for claim in await read(lambda connection: fetch(connection, queries()["void_claims"])):
        while await command(partial(_changes, query="forget_blocks", values=(claim, _BLOCKS_AT_ONCE))):
            pass


def _changes(connection: apsw.Connection, query: str, values: tuple[int, ...]) -> int:
    connection.execute(queries()[query], values)
    return connection.changes()


def _fold(connection: apsw.Connection, day: Day) -> Sequence[Any]:
    folding = _folding()
    parts: list[Mapping[str, Any]] = []
    sql = queries()["rollups_of_slot"].format(columns=", ".join(ROLLUP_COLUMNS))
    for slot in day.slots:
        rows = int(connection.execute(queries()["count_rollups_of_slot"], (day.organization_no, slot)).get)
        pieces = -(-rows // _ROWS_AT_ONCE)
        for piece in range(pieces):
            found = fetch(connection, sql, day.organization_no, slot, pieces, piece)
            if found:
                parts.append(folding.columns_of(found))
    return [*folding.fold(folding.joined(parts))] if parts else []


def _write(connection: apsw.Connection, claim: int, blocks: Sequence[Any]) -> bool:
    """False if the claim is gone."""
    if not connection.execute(queries()["is_claimed"], (claim,)).get:
        return False
    for block in blocks:
        values = (claim, int(block.table), block.first_user_no, block.data)
        connection.execute(queries()["add_block"], values)
    return True
