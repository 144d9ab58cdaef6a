"""Records as a file or on standard output, read and written a piece at a time."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import MappingProxyType

import msgspec

from arouter.cli.output import Failure
from arouter.cli.partial_file import PartialFile, Plan, Progress
from arouter.domain.activity import ActivityQuery, Filters
from arouter.engine.export import Exported, exported, records_of
from arouter.store.base import Ledger
from arouter.wire import export_forms
from arouter.wire.compression import compressor
from arouter.wire.cut_lines import Whole, whole_of_csv, whole_of_ndjson
from arouter.wire.export_forms import Compressed, Form
from arouter.wire.extras import ExtraMissing
from arouter.wire.instants import write_instant


class Format(StrEnum):
    """What an export can be written as."""

    CSV = "csv"
    NDJSON = "ndjson"
    JSON = "json"
    PARQUET = "parquet"
    FOCUS = "focus"


class Compression(StrEnum):
    """What it can be compressed with."""

    GZIP = "gzip"
    ZSTD = "zstd"


CAN_GO_ON: Mapping[Format, Callable[[bytes], Whole]] = MappingProxyType(
    {Format.CSV: whole_of_csv, Format.NDJSON: whole_of_ndjson}
)
"""The formats that are lines, each a record. Of the others a part is worth nothing."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What an export did."""

    object: str = "export"
    file: str
    format: Format
    compression: Compression | None
    records: int
    resumed_at: int
    """How many of them an earlier call had written."""
    bytes: int
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is asked for. The limit of `query` does not matter, and its `written_until_us` is the moment it is of."""

    query: ActivityQuery
    form: Format
    compression: Compression | None = None

    @property
    def until_us(self) -> int:
        assert self.query.filters.written_until_us is not None
        return self.query.filters.written_until_us

    def of(self, until_us: int) -> "Export":
        """The same of another moment."""
        return replace(self, query=replace(self.query, filters=replace(self.query.filters, written_until_us=until_us)))

    def plan(self) -> Plan:
        return Plan(
            format=self.form,
            compression=self.compression,
            oldest_first=not self.query.descending,
            organization=self.query.scope.organization_id,
            filters=_told(self.query.filters),
        )


GIVEN_BACK_EVERY = 32_768
"""Records. Less often, and an export holds more."""
NOT_NEEDED = frozenset({"pandas", "pyarrow._azurefs", "pyarrow._gcsfs", "pyarrow._hdfs", "pyarrow._s3fs"})
"""What Arrow loads where it is installed, and goes without where it is not."""


class _NotNeeded(MetaPathFinder):
    """Tells whoever asks for one of those that it is not installed."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in NOT_NEEDED:
            raise ModuleNotFoundError("an export needs none of it", name=fullname)


def give_memory_back() -> None:
    """Have columns take their memory from the system's allocator, which gives back what is not needed any more.

    Arrow's own keeps half as much again. It also loads pandas where that is installed, another 35 MB, to ask of each
    array whether it is one of pandas'; none is. With Parquet it loads the file systems of clouds. Before anything is
    read: Arrow looks at all of it when it is loaded.
    """
    os.putenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.meta_path.insert(0, _NotNeeded())


async def write_to_output(ledger: Ledger, export: Export, on_records: Callable[[int], None]) -> int:
    """To standard output; how many records."""
    form = _form(export)
    if export.compression is not None:
        form = Compressed(form, compressor(export.compression))
    target = sys.stdout.buffer
    written = 0
    async for piece in exported(ledger, export.query, form):
        target.write(piece.data)
        written += piece.records
        on_records(piece.records)
        del piece
    target.flush()
    return written


async def write_to_file(
    ledger: Ledger,
    export: Export,
    path: Path,
    on_records: Callable[[int], None],
    *,
    resume: bool,
    until_given: bool,
) -> Written:
    """To a file that is there only when it is whole. With `resume` go on with what an earlier call left.

    `until_given` says that the moment was asked for by the caller: one that another call chose is not taken then.
    """
    whole = CAN_GO_ON.get(export.form)
    # What is written is waited for before the file is closed, whatever happens.
    with PartialFile(path, whole=whole) as file, ThreadPoolExecutor(1, thread_name_prefix="export-file") as writer:
        left = file.found() if resume else None
        if left is not None:
            _require_same(left, export, path, until_given=until_given)
            export = export.of(left.until_us)
        begun = file.begin(Progress(plan=export.plan(), until_us=export.until_us) if left is None else left)
        on_records(begun.records)
        records = begun.records
        form = _form(export)
        if not begun.started:
            file.start(form.start())
        query = replace(export.query, after=begun.last)
        # A piece is written, and the disk waited for, while the next one is made.
        writing: Awaitable[None] | None = None
        async for piece in records_of(ledger, query, form):
            if writing is not None:
                await writing
            writing = asyncio.get_running_loop().run_in_executor(writer, _write, file, piece, records)
            records += piece.records
            on_records(piece.records)
            del piece
        if writing is not None:
            await writing
        file.add(form.end(), 0, None)
        size = file.finish()
    return Written(
        file=str(path),
        format=export.form,
        compression=export.compression,
        records=records,
        resumed_at=begun.records,
        bytes=size,
        until=write_instant(export.until_us),
    )


def _write(file: PartialFile, piece: Exported, records: int) -> None:
    """Behind so many records. What is not needed any more goes back to the system now and then: every thread keeps
    what it once used, and together they would keep more than is in use."""
    file.add(piece.data, piece.records, piece.last)
    if records // GIVEN_BACK_EVERY != (records + piece.records) // GIVEN_BACK_EVERY:
        arrow = sys.modules.get("pyarrow")
        if arrow is not None:
            arrow.default_memory_pool().release_unused()


def _require_same(left: Progress, export: Export, path: Path, *, until_given: bool) -> None:
    if left.plan != export.plan() or (until_given and left.until_us != export.until_us):
        raise Failure(
            f"{path}.partial was begun with other options, and cannot be gone on with; "
            "give the same ones, or leave out --resume to begin anew"
        )


def _form(export: Export) -> Form:
    """Failure if packages are missing."""
    if export.form is Format.CSV:
        return export_forms.csv()
    if export.form is Format.NDJSON:
        return export_forms.ndjson()
    if export.form is Format.JSON:
        return export_forms.JsonArray()
    if export.form is Format.FOCUS:
        return export_forms.FocusCsv()
    told = {"as_of": write_instant(export.until_us), "query": msgspec.json.encode(_told(export.query.filters)).decode()}
    try:
        return export_forms.Parquet(told)
    except ExtraMissing as exc:
        raise Failure(f"parquet cannot be written: {exc}") from exc


def _told(filters: Filters) -> dict[str, object]:
    """Those that choose something, but for the moment that the export is of."""
    nothing = Filters()
    chosen = {one.name: getattr(filters, one.name) for one in fields(filters) if one.name != "written_until_us"}
    told = {name: value for name, value in chosen.items() if value != getattr(nothing, name)}
    plain: dict[str, object] = msgspec.to_builtins(told)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
