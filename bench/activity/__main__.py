"""The activity at 100 million records: `python -m bench.activity`, or `make bench-activity`.

It builds a database below var/bench (once; it is kept), then asks for pages, sums and exports, while another process
records requests through the ledger at an even rate. At the end the exported files must add up to what the summary says,
and the summary of everything to what was generated.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from arouter.domain.activity import Filters, Scope, SummaryQuery
from arouter.domain.money import to_decimal
from arouter.domain.windows import DAY_US
from arouter.engine.clock import SystemClock
from arouter.sandbox.history.columns import History
from arouter.store.sqlite import SqliteStore
from bench.activity import over_http
from bench.activity.asking import Answered, lines
from bench.activity.blocks import BlockLoader
from bench.activity.build import Loader, RowLoader, build, clear, fold, found_world
from bench.activity.exporting import FORMATS, Exported, NotThere, Sums, export
from bench.activity.figures import Built, Figures, write
from bench.activity.recording import Phase
from bench.activity.show import show, verdict, write_section
from bench.activity.world import DATABASE, SECOND, Size, World, listed_prices, read_world
from bench.report import machine

FOLDER = Path("var/bench/activity")
MOST_BYTES = 40_000_000_000
SPARE_BYTES = 5_000_000_000
"""Left free for exports and logs."""


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.activity", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000_000, help="of the first organization")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--load",
        choices=("rows", "blocks"),
        default="blocks",
        help="each day at once, as sealed blocks, or each record as a row through the ledger",
    )
    parser.add_argument("--fresh", action="store_true", help="build anew, whatever is there")
    parser.add_argument("--rate", type=int, default=500, help="requests recorded a second meanwhile")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each kind of question, at most")
    parser.add_argument("--exported", type=int, default=2_000_000, help="records of an export, about")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the database is kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures as well")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page whose measured part to write anew")
    return parser.parse_args(arguments)


class Recorder:
    """The process that records meanwhile."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._told()

    def phase(self) -> Phase:
        """What was recorded since the last call."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._told(), type=Phase)

    def _told(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that records has ended")
        return line


@contextmanager
def recorder(folder: Path, rate: int) -> Iterator[Recorder]:
    command = [sys.executable, "-m", "bench.activity.recording", "--folder", str(folder), "--rate", str(rate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Recorder(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


class Run:
    """One run's way from its options to its figures."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._size = Size(records=options.records, users=options.users, days=options.days, seed=options.seed)
        self._folder: Path = options.folder.resolve() / self._size.folder
        self._answered: list[Answered] = []
        self._exported: list[Exported] = []
        self._missing: dict[str, str] = {}
        self._phases: dict[str, Phase] = {}

    def figures(self) -> Figures:
        """Build what is not there, and measure."""
        world = self._world()
        began = time.monotonic()
        with recorder(self._folder, self._options.rate) as recording:
            for part in ("pages", "sums"):
                self._ask(part)
                self._phases[part] = recording.phase()
            self._console.print("asking a gateway", highlight=False)
            self._answered += over_http.ask(self._folder, world, _heaviest(world), self._options.seconds)
            self._phases["HTTP"] = recording.phase()
            self._export(world)
            whole = asyncio.run(_sums(self._folder, world, Filters(start_us=world.start_us, end_us=world.end_us)))
            self._phases["exports"] = recording.phase()
        return Figures(
            machine=machine(),
            size=world.size,
            rate=self._options.rate,
            minutes=round((time.monotonic() - began) / 60, 2),
            built=Built(
                loader=world.loader,
                records=world.records,
                bytes=world.bytes,
                seconds=world.seconds,
                fold_seconds=world.fold_seconds,
            ),
            answered=self._answered,
            phases=self._phases,
            exported=self._exported,
            missing=self._missing,
            whole=(whole.records, whole.cost) == (world.size.records, to_decimal(world.cost)),
        )

    # ---------------------------------------------------------------- the database

    def _world(self) -> World:
        world = None if self._options.fresh else read_world(self._folder, self._size)
        if world is None:
            clear(self._folder)
            world = asyncio.run(found_world(self._folder, self._size))
        elif world.whole:
            self._console.print(f"{world.records:,} records are there from before", highlight=False)
        if not world.whole:
            loader = self._loader(world)
            self._require_space(world, loader)
            self._build(world, loader)
        self._fold(world)
        return world

    def _loader(self, world: World) -> Loader:
        """As it was begun; else as it was asked for, or the quickest that there is."""
        as_rows = world.loader == RowLoader.name if world.days_done else self._options.load == "rows"
        return RowLoader(world) if as_rows else BlockLoader(world)

    def _require_space(self, world: World, loader: Loader) -> None:
        """Stop before anything is written if there is no room for it."""
        size = world.size
        left = (size.records + size.records // SECOND) * (size.days - world.days_done) // size.days
        needed, free = left * loader.bytes_per_record, shutil.disk_usage(self._folder).free
        self._console.print(
            f"{left:,} records to load as {loader.name}, about {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free",
            highlight=False,
        )
        if needed > MOST_BYTES or needed + SPARE_BYTES > free:
            raise SystemExit("there is not enough room, or it is more than 40 GB: take fewer with --records")

    def _build(self, world: World, loader: Loader) -> None:
        bar = Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True))
        with bar:
            total = sum(plan.records for plan in world.plans)
            task = bar.add_task("records", total=total, completed=world.records)
            asyncio.run(build(self._folder, world, loader, lambda records: bar.advance(task, records)))

    def _fold(self, world: World) -> None:
        bar = Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True))
        with bar:
            task = bar.add_task("columns for sums, days", total=None)
            asyncio.run(fold(self._folder, world, lambda done, days: bar.update(task, completed=done, total=days)))

    # ---------------------------------------------------------------- questions

    def _ask(self, part: str) -> None:
        self._console.print(f"asking for {part}", highlight=False)
        command = [sys.executable, "-m", "bench.activity.asking", "--folder", str(self._folder), "--part", part]
        command += ["--seconds", str(self._options.seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        self._answered += lines(done.stdout.splitlines())

    def _export(self, world: World) -> None:
        filters = _last_days(world, self._options.exported)
        expected = asyncio.run(_sums(self._folder, world, filters))
        for form in FORMATS:
            self._console.print(f"exporting {expected.records:,} records as {form}", highlight=False)
            try:
                self._exported.append(export(self._folder, form, filters, expected))
            except NotThere as why:
                self._missing[form] = str(why)


def _heaviest(world: World) -> str:
    """The name of somebody who asks more than all others."""
    history = History(world.plans[0], listed_prices())
    people = history.people
    there = np.minimum(people.last_day, world.size.days) - np.maximum(people.first_day, 0)
    return history.names[int(np.argmax(people.weight * np.maximum(there, 0)))]


def _last_days(world: World, records: int) -> Filters:
    """As many of the last days as have so many records, or all."""
    history = History(world.plans[0], listed_prices())
    day, found = world.size.days, 0
    while day > 0 and found < records:
        day -= 1
        found += history.records_on(day)
    return Filters(start_us=world.start_us + day * DAY_US, end_us=world.end_us)


async def _sums(folder: Path, world: World, filters: Filters) -> Sums:
    """What the summary says."""
    store = SqliteStore.open(str(folder / DATABASE), clock=SystemClock().now_us)
    await store.start()
    scope = Scope(organization_id=world.tenants[0].organization_id)
    totals = (await store.ledger.summary(SummaryQuery(scope=scope, filters=filters))).totals
    await store.close()
    return Sums(
        records=totals.requests,
        prompt_tokens=totals.prompt_tokens,
        completion_tokens=totals.completion_tokens,
        cost=Decimal(to_decimal(totals.cost)),
    )


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 if anything does not add up."""
    options = read_options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    figures = Run(options, console).figures()
    show(console, figures)
    if options.json is not None:
        write(options.json, figures)
    if options.write is not None:
        write_section(options.write, figures)
    console.print(verdict(figures), highlight=False)
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
