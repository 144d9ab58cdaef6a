"""`arouter db copy`: a whole database into another one."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import TaskID, TaskProgressColumn
from rich.table import Table

from arouter.cli.options import Config, Json
from arouter.cli.output import Failure, stdout, table, write_json
from arouter.cli.progress import progress_bar
from arouter.domain import money
from arouter.engine.clock import SystemClock
from arouter.jobs.moving import COMPARING, LEDGER, Compared, Copied, CopyRefused
from arouter.jobs.moving import copy as copy_database
from arouter.settings import Settings, load
from arouter.store.stores import without_password
from arouter.wire.numbers import exact_dollars
from arouter.wiring.moving import at, open_pair, recovering

_NUMBERS = ("Source", "Target", "Requests", "Cost")
_TASKS = {LEDGER: "records", COMPARING: "compared"}


class ComparedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing in both databases. Costs are in dollars."""

    what: str
    same: bool
    source: int
    target: int
    source_requests: int | None
    target_requests: int | None
    source_cost: msgspec.Raw | None
    target_cost: msgspec.Raw | None


class CopyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `arouter db copy --json` prints."""

    complete: bool
    same: bool
    records: int
    adjustments: int
    left_out_adjustments: int
    compared: list[ComparedRow]
    problems: list[str]


def copy(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="The new database: sqlite:///path/to/file.db or postgresql://user@host/database.",
            show_default=False,
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="The old one. Default: storage.url.", show_default=False),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Copy the whole database into another one, and prove that they are equal. Run it again to go on."""
    settings = load(config)
    old = at(settings, settings.storage.url if source is None else source, "--from")
    new = at(settings, to, "--to")
    try:
        copied = asyncio.run(_copy(old, new))
    except CopyRefused as refusal:
        raise Failure(str(refusal)) from None
    if json:
        write_json(report_of(copied))
    else:
        for line in _lines(copied, without_password(old.storage.url), without_password(to)):
            stdout().print(line, soft_wrap=True, markup=False)
    if not copied.is_right:
        raise typer.Exit(1)


async def _copy(old: Settings, new: Settings) -> Copied:
    source, target = open_pair(old, new)
    await source.start()
    try:
        await target.start()
        try:
            with progress_bar(TaskProgressColumn()) as progress:
                tasks: dict[str, TaskID] = {}

                def advance(what: str, done: int, total: int) -> None:
                    if what not in tasks:
                        tasks[what] = progress.add_task(_TASKS[what])
                    progress.update(tasks[what], completed=done, total=total)

                return await copy_database(source, target, recover=recovering(old, SystemClock()), on_progress=advance)
        finally:
            await target.close()
    finally:
        await source.close()


def report_of(copied: Copied) -> CopyReport:
    """The same for machines."""
    return CopyReport(
        complete=copied.complete,
        same=copied.is_right,
        records=copied.records,
        adjustments=copied.adjustments,
        left_out_adjustments=copied.left_out,
        compared=[_row(one) for one in copied.compared],
        problems=[*copied.problems],
    )


def _row(one: Compared) -> ComparedRow:
    requests, cost = one.requests or (None, None), one.cost
    return ComparedRow(
        what=one.what,
        same=one.is_same,
        source=one.source,
        target=one.target,
        source_requests=requests[0],
        target_requests=requests[1],
        source_cost=None if cost is None else exact_dollars(cost[0]),
        target_cost=None if cost is None else exact_dollars(cost[1]),
    )


def _lines(copied: Copied, old: str, new: str) -> Iterator[Any]:
    yield f"{copied.records:,} records and {copied.adjustments:,} adjustments copied from {old} to {new}."
    if not copied.complete:
        yield (
            "The copy is not complete: a gateway still runs on the source. Stop it, and run the same command again for "
            "the rest."
        )
        return
    if copied.left_out:
        yield f"{copied.left_out:,} adjustments of records that have expired are in the sums, and not on their own."
    yield _table(copied)
    yield from copied.problems
    differing = sum(not one.is_same for one in copied.compared)
    if copied.is_right:
        yield "Everything is equal, and the chains of hashes of both are sound."
    else:
        yield f"{differing} kinds of things differ, and the checks found {len(copied.problems)} problems."


def _table(copied: Copied) -> Table:
    made = table(("", *_NUMBERS, "Equal"), numbers=_NUMBERS)
    for one in copied.compared:
        made.add_row(
            one.what,
            f"{one.source:,}",
            f"{one.target:,}",
            _both(None if one.requests is None else [f"{each:,}" for each in one.requests]),
            _both(None if one.cost is None else [money.to_text(each) for each in one.cost]),
            "yes" if one.is_same else "NO",
        )
    return made


def _both(values: list[str] | None) -> str:
    """One value where both are the same."""
    return "" if values is None else " / ".join(dict.fromkeys(values))
