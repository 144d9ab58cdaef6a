"""One database copied into another, whichever they are, and the two compared.

1. The ledger, piece after piece, each with its position in the target: what was begun goes on from there.
2. While another process may write to the source, that is all: the copy is behind, and has to be run once more.
3. Else what is left of the ledger, the directory as a whole, and what records do not tell any more.
4. Everything in both is read and compared, and the chains of hashes are checked. Only then the copy is complete.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from arouter.store.moving import COMPARED, LEFT_BEHIND, MOVED, START, CopyState, Fingerprint, Movable, Piece, Rows, Sums

OnProgress = Callable[[str, int, int], None]
"""Is told what is done, how far it has come, and how far it has to."""
Recover = Callable[[], Awaitable[int]]

LEDGER: Final = "ledger"
COMPARING: Final = "comparing"
_SCOPES: Final = ("organization", "workspace", "key", "user")
_NAMES: Final = {
    Sums.SPANS: "users of keys: first and last seen",
    Sums.EXPIRED_DAYS: "sums of expired days",
    Sums.ROLLUPS: "sums by quarter of an hour",
    Sums.KEY_HOURS: "sums by key and hour",
    **{f"{Sums.USAGE_DAYS} {scope}": f"sums by {scope} and day" for scope in _SCOPES},
}
_SUMMED: Final = dict.fromkeys(_NAMES, ("requests", "cost")) | {Sums.SPANS: (), Sums.KEY_HOURS: ("cost",)}


class CopyRefused(Exception):
    """The two databases cannot be copied. The message is one line and says what to do next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One kind of thing in both databases."""

    what: str
    source: int
    target: int
    is_same: bool
    """Every one of them, not only their number."""
    requests: tuple[int, int] | None = None
    cost: tuple[int, int] | None = None
    """What sums add up to in both; cost in picodollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What became of a copy."""

    complete: bool
    """False while another process may write to the source."""
    records: int
    """Copied by this run, and the adjustments."""
    adjustments: int
    left_out: int = 0
    """Adjustments of records that have expired: their amounts are in the sums."""
    compared: Sequence[Compared] = ()
    problems: Sequence[str] = ()
    """What the checks of both databases found."""

    @property
    def is_right(self) -> bool:
        return self.complete and all(one.is_same for one in self.compared) and not self.problems


@dataclass(slots=True)
class _Side:
    """What is added up of one database."""

    prints: defaultdict[str, Fingerprint] = field(default_factory=lambda: defaultdict(Fingerprint))
    totals: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def add_written(self, piece: Piece) -> None:
        for one in piece.written:
            for record in one.records:
                self.prints["records"].add_record(record, one.written_at_us)
            for place, adjustment in enumerate(one.adjustments):
                self.prints["adjustments"].add_adjustment(adjustment, one.written_at_us, place)

    def add_rows(self, rows: Rows) -> None:
        if rows.table != Sums.USAGE_DAYS:
            self._add(rows.table, rows)
            return
        scope = rows.columns.index("scope")
        for each in _SCOPES:
            some = [row for row in rows.rows if row[scope] == each]
            self._add(f"{Sums.USAGE_DAYS} {each}", Rows(table=rows.table, columns=rows.columns, rows=some))

    def _add(self, name: str, rows: Rows) -> None:
        self.prints[name].add_rows(rows)
        for column in _SUMMED.get(name, ()):
            place = rows.columns.index(column)
            self.totals[name, column] += sum(int(row[place] or 0) for row in rows.rows)


async def copy(
    source: Movable,
    target: Movable,
    *,
    recover: Recover,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Copied:
    """Both have started. `recover` closes in the source what a process that is dead left open: see `Ledger.recover`.

    CopyRefused, or StorageUnavailable, if it cannot go on.
    """
    identity = await source.identity()
    if identity is None:
        raise CopyRefused("there is nothing in the source: nobody has used it yet")
    state = await _begin(identity, target)
    if state.complete:
        return await _finished(source, target, 0, 0, on_progress)
    records, adjustments = await _ledger(source, target, state.position, on_progress)
    if await source.living():
        return Copied(complete=False, records=records, adjustments=adjustments)
    await recover()
    state = await target.copy_state() or state
    last = await _ledger(source, target, state.position, on_progress)
    records, adjustments = records + last[0], adjustments + last[1]
    if await source.living():
        return Copied(complete=False, records=records, adjustments=adjustments)
    await target.replace(_everything_else(source))
    return await _finished(source, target, records, adjustments, on_progress)


async def _begin(identity: str, target: Movable) -> CopyState:
    state = await target.copy_state()
    if state is None:
        held = await target.held()
        if held.records or held.others:
            raise CopyRefused(
                f"the target is not empty: there is something in {', '.join(held.others) or 'its ledger'}; "
                "name a new database"
            )
        await target.begin_copy(identity)
        return CopyState(source=identity, position=START, complete=False)
    if state.source != identity:
        before = state.source.partition("-")[0] == identity.partition("-")[0]
        raise CopyRefused(
            "records of the source have expired since the copy was begun; begin anew with a new database"
            if before
            else "the target is a copy of another database; name a new one"
        )
    return state


async def _ledger(source: Movable, target: Movable, position: str, on_progress: OnProgress) -> tuple[int, int]:
    there = (await source.held()).records
    done = (await target.held()).records
    records = adjustments = 0
    async with aclosing(source.written(position)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            await target.load(piece)
            records += piece.records
            adjustments += piece.adjustments
            on_progress(LEDGER, done + records, max(there, done + records))
    return records, adjustments


async def _everything_else(source: Movable) -> AsyncIterator[Rows]:
    for table in (*MOVED, *LEFT_BEHIND):
        async with aclosing(source.rows(table)) as found:  # type: ignore[type-var]
            async for rows in found:
                yield rows


async def _finished(
    source: Movable, target: Movable, records: int, adjustments: int, on_progress: OnProgress
) -> Copied:
    compared = await compare(source, target, on_progress)
    left_out = (await source.held()).adjustments - (await target.held()).adjustments
    problems = [
        f"{name}: {problem}"
        for name, database in (("source", source), ("target", target))
        for problem in (await database.check()).problems
    ]
    made = Copied(
        complete=True,
        records=records,
        adjustments=adjustments,
        left_out=left_out,
        compared=compared,
        problems=problems,
    )
    if made.is_right:
        await target.end_copy()
    return made


# ---------------------------------------------------------------- comparing


async def compare(
    source: Movable, target: Movable, on_progress: OnProgress = lambda what, done, total: None
) -> Sequence[Compared]:
    """Everything that both hold."""
    total = (await source.held()).records * 2
    done = 0

    def advance(records: int) -> None:
        nonlocal done
        done += records
        on_progress(COMPARING, done, max(total, done))

    one, other = await _added_up(source, advance), await _added_up(target, advance)
    found = [Compared(what=table.replace("_", " "), **_both(one.prints[table], other.prints[table])) for table in MOVED]
    found += [Compared(what=what, **_both(one.prints[what], other.prints[what])) for what in ("records", "adjustments")]
    for name, what in _NAMES.items():
        sums = {column: (one.totals[name, column], other.totals[name, column]) for column in _SUMMED[name]}
        both = _both(one.prints[name], other.prints[name])
        found.append(Compared(what=what, requests=sums.get("requests"), cost=sums.get("cost"), **both))
    return found


def _both(one: Fingerprint, other: Fingerprint) -> dict[str, Any]:
    return {"source": one.count, "target": other.count, "is_same": one == other}


async def _added_up(database: Movable, advance: Callable[[int], None]) -> _Side:
    side = _Side()
    async with aclosing(database.written(START)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            await asyncio.to_thread(side.add_written, piece)
            advance(piece.records)
    for table in (*MOVED, *COMPARED):
        async with aclosing(database.rows(table)) as found:  # type: ignore[type-var]
            async for rows in found:
                await asyncio.to_thread(side.add_rows, rows)
    return side
