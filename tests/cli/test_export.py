"""`arouter activity export` into files: all formats, processes that are killed in the middle, and what goes on."""

import asyncio
import contextlib
import gzip
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from arouter.cli.export import Export, Format, Written, write_to_file
from arouter.domain.activity import ActivityQuery, Filters, Scope
from arouter.engine.clock import SystemClock
from arouter.settings import load
from arouter.wiring.storage import find_home, open_store
from tests.cli.process import COMMAND, SOURCE, environment, misused, refused, succeeded, told
from tests.rfc4180 import read_csv
from tests.wire.activity_rows import row

RECORDS = 24_321
EXPORT = ("activity", "export", "--oldest-first")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a database of records that take a second to export."""
    made = tmp_path_factory.mktemp("exports")
    (made / "arouter.toml").write_text('[storage]\ndurability = "relaxed"\n')
    asyncio.run(_fill(made))
    return made


async def _fill(folder: Path) -> None:
    settings = load(folder / "arouter.toml", environment={})
    store = open_store(settings, clock=SystemClock())
    await store.start()
    home = await find_home(store, SystemClock())
    for start in range(0, RECORDS, 1000):
        rows = [row(n, organization_id=home.organization_id) for n in range(start, min(start + 1000, RECORDS))]
        awkward = [
            replace(one.record, opening=replace(one.record.opening, user=f'"{n % 7}"\r\n'))
            for n, one in enumerate(rows)
        ]
        await asyncio.gather(*(store.ledger.close(record) for record in awkward))
    await store.close()


@pytest.fixture(scope="module")
def until(folder: Path) -> str:
    """The moment that all are of."""
    done = told(*EXPORT, "--output", "first.csv", cwd=folder)
    assert done["records"] == RECORDS
    return str(done["until"])


def killed(*arguments: str, cwd: Path, partial: str, at_bytes: int) -> None:
    """Start an export and kill it when its file has grown so far; it must not have come to its end."""
    with subprocess.Popen([*COMMAND, *arguments], cwd=cwd, env=environment(cwd), stderr=subprocess.DEVNULL) as process:
        limit_s = time.monotonic() + 30
        while not (cwd / partial).exists() or (cwd / partial).stat().st_size < at_bytes:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < limit_s
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL


# ---------------------------------------------------------------- formats


def test_a_file_of_each_format_has_the_same_records(folder: Path, until: str) -> None:
    only = ("--user", '"3"\r\n')
    records = told(*EXPORT, *only, cwd=folder)
    assert len(records) > 3000
    for form in ("ndjson", "csv", "json", "parquet"):
        done = told(*EXPORT, *only, "--format", form, "--output", f"some.{form}", cwd=folder)
        size = (folder / f"some.{form}").stat().st_size
        assert done == {
            "object": "export", "file": f"some.{form}", "format": form, "compression": None, "records": len(records),
            "resumed_at": 0, "bytes": size, "until": until,
        }  # fmt: skip
    assert json.loads((folder / "some.json").read_bytes()) == records
    assert [json.loads(line) for line in (folder / "some.ndjson").read_bytes().splitlines()] == records
    assert len(read_csv((folder / "some.csv").read_bytes().decode())) == len(records) + 1
    with duckdb.connect() as connection:
        sql = "SELECT list(id ORDER BY created_at, id) FROM 'some.parquet'"
        found = connection.execute(sql.replace("some.parquet", str(folder / "some.parquet"))).fetchone()
    assert found == ([record["id"] for record in records],)


def test_duckdb_finds_the_totals_of_the_summary(folder: Path) -> None:
    succeeded(*EXPORT, "--format", "parquet", "--output", "all.parquet", cwd=folder)
    line = succeeded("activity", "summary", "--json", cwd=folder)
    totals = json.loads(line, parse_float=Decimal, parse_int=Decimal)["totals"]
    with duckdb.connect() as connection:
        sql = f"SELECT count(*), sum(cost), sum(total_tokens), count(DISTINCT user) FROM '{folder / 'all.parquet'}'"
        found = connection.execute(sql).fetchone()
    assert found == tuple(totals[name] for name in ("requests", "cost", "total_tokens", "users"))


def test_focus_adds_up_to_the_summary(folder: Path) -> None:
    succeeded("activity", "export", "--format", "focus", "--output", "focus.csv", cwd=folder)
    header, *rows = read_csv((folder / "focus.csv").read_bytes().decode())
    cost, requests = header.index("EffectiveCost"), header.index("x_Requests")
    totals = json.loads(succeeded("activity", "summary", "--json", cwd=folder), parse_float=Decimal)["totals"]
    assert sum(Decimal(str(one[cost])) for one in rows) == totals["cost"]
    assert sum(int(str(one[requests])) for one in rows) == RECORDS


@pytest.mark.parametrize(
    ("compression", "unpacked"),
    [
        ("gzip", gzip.decompress),
        ("zstd", lambda data: zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()),
    ],
)
def test_a_compressed_file_is_the_same(
    folder: Path, until: str, compression: str, unpacked: Callable[[bytes], bytes]
) -> None:
    succeeded(*EXPORT, "--until", until, "--compress", compression, "--output", "all.packed", cwd=folder)
    packed = (folder / "all.packed").read_bytes()
    whole = (folder / "first.csv").read_bytes()
    assert unpacked(packed) == whole
    assert len(packed) < len(whole) / 4
    done = subprocess.run(
        [*COMMAND, *EXPORT, "--compress", compression], cwd=folder, env=environment(folder), capture_output=True
    )
    assert unpacked(done.stdout) == whole


def test_until_leaves_out_what_was_written_later(folder: Path, until: str) -> None:
    assert told(*EXPORT, "--until", "2020-01-01", "--output", "none.csv", cwd=folder)["records"] == 0
    done = told(*EXPORT, "--until", "2199-01-01", "--output", "future.csv", cwd=folder)
    assert (done["records"], done["until"]) == (RECORDS, until)


# ---------------------------------------------------------------- killed in the middle


@pytest.mark.parametrize(
    ("form", "compression"), [("csv", None), ("ndjson", None), ("csv", "gzip"), ("ndjson", "zstd")]
)
def test_what_was_killed_goes_on_to_the_same_bytes(
    folder: Path, until: str, form: str, compression: str | None
) -> None:
    name = f"{form}.{compression}"
    options = (*EXPORT, "--until", until, "--format", form, *(("--compress", compression) if compression else ()))
    succeeded(*options, "--output", f"uncut.{name}", cwd=folder)
    uncut = (folder / f"uncut.{name}").read_bytes()
    killed(
        *options, "--output", f"cut.{name}", cwd=folder, partial=f"cut.{name}.partial", at_bytes=len(uncut) * 6 // 10
    )
    assert not (folder / f"cut.{name}").exists()
    done = told(*options, "--resume", "--output", f"cut.{name}", cwd=folder)
    assert RECORDS // 3 < done["resumed_at"] < RECORDS
    assert done["records"] == RECORDS
    assert (folder / f"cut.{name}").read_bytes() == uncut
    assert [path.name for path in folder.glob(f"cut.{name}*")] == [f"cut.{name}"]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_it_goes_on_behind_the_last_whole_line(folder: Path, until: str, form: str) -> None:
    options = (*EXPORT, "--format", form, "--output", f"lines.{form}")
    killed(*options, cwd=folder, partial=f"lines.{form}.partial", at_bytes=1_000_000)
    partial = folder / f"lines.{form}.partial"
    known = json.loads((folder / f"lines.{form}.partial.json").read_bytes())["size"]
    cut_at = max(known, partial.stat().st_size - 137)
    os.truncate(partial, cut_at)
    done = told(*options, "--resume", cwd=folder)
    whole = (folder / f"lines.{form}").read_bytes()
    if form == "ndjson":
        assert done["resumed_at"] == whole[:cut_at].count(b"\n")
    assert done["resumed_at"] > 500
    uncut = succeeded(*EXPORT, "--format", form, "--until", until, cwd=folder)
    assert whole.decode().splitlines() == uncut.splitlines()


def test_the_moment_is_that_of_the_first_call(folder: Path) -> None:
    """It is not in the options, and what came meanwhile is not in the file."""
    options = (*EXPORT, "--format", "ndjson", "--output", "moment.ndjson")
    killed(*options, cwd=folder, partial="moment.ndjson.partial", at_bytes=1_000_000)
    told_until = json.loads((folder / "moment.ndjson.partial.json").read_bytes())["until_us"]
    done = told(*options, "--resume", cwd=folder)
    assert done["until"].endswith(f"{told_until % 1_000_000:06d}Z")


@pytest.mark.parametrize("form", [Format.NDJSON, Format.PARQUET])
def test_what_the_disk_refuses_is_told_and_can_be_gone_on_with(folder: Path, tmp_path: Path, form: Format) -> None:
    """The file is written beside making it; nothing of it is lost, and no error either."""

    async def run(target: Path, *, resume: bool) -> Written:
        store = open_store(load(folder / "arouter.toml", environment={}), clock=SystemClock())
        await store.start()
        home = await find_home(store, SystemClock())
        query = ActivityQuery(scope=Scope(organization_id=home.organization_id), filters=Filters())
        export = Export(query=query, form=form).of(SystemClock().now_us())
        try:
            return await write_to_file(store.ledger, export, target, lambda _: None, resume=resume, until_given=False)
        finally:
            await store.close()

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    target = tmp_path / "records"
    with contextlib.chdir(folder):
        whole = asyncio.run(run(tmp_path / "whole", resume=False))
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "whole").stat().st_size // 2, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                asyncio.run(run(target, resume=False))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not target.exists()
        done = asyncio.run(run(target, resume=True))
    assert (done.records, done.resumed_at > 0) == (whole.records, form is Format.NDJSON)
    assert form is Format.PARQUET or target.read_bytes() == (tmp_path / "whole").read_bytes()
    assert [path.name for path in tmp_path.glob("records*")] == ["records"]


def test_another_question_does_not_go_on_with_it(folder: Path) -> None:
    options = (*EXPORT, "--format", "ndjson", "--output", "other.ndjson")
    killed(*options, cwd=folder, partial="other.ndjson.partial", at_bytes=1_000_000)
    for more in (("--user", "ada"), ("--compress", "gzip"), ("--until", "2020-01-01")):
        line = refused(*options, "--resume", *more, cwd=folder)
        assert "begun with other options" in line
    assert told(*options, "--user", "ada", cwd=folder)["records"] == 0


def test_nothing_to_go_on_with_is_a_beginning(folder: Path) -> None:
    done = told(*EXPORT, "--user", '"1"\r\n', "--resume", "--output", "new.csv", cwd=folder)
    assert (done["resumed_at"], done["records"] > 3000) == (0, True)


def test_parquet_begins_anew(folder: Path) -> None:
    options = (*EXPORT, "--format", "parquet", "--output", "cut.parquet")
    (folder / "cut.parquet.partial").write_bytes(b"PAR1 and no more")
    done = told(*options, "--resume", cwd=folder)
    assert (done["resumed_at"], done["records"]) == (0, RECORDS)
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM '{folder / 'cut.parquet'}'").fetchone() == (RECORDS,)


def test_what_an_export_does_not_need_is_not_loaded_where_it_is_installed(folder: Path, tmp_path: Path) -> None:
    for name in ("pandas", "fastapi"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('loaded')\n")
    paths = os.pathsep.join([str(SOURCE), str(tmp_path)])
    succeeded(*EXPORT, "--format", "parquet", "--output", "without.parquet", cwd=folder, env={"PYTHONPATH": paths})


def test_two_do_not_write_one_file(folder: Path) -> None:
    options = (*EXPORT, "--output", "both.csv")
    with subprocess.Popen([*COMMAND, *options], cwd=folder, env=environment(folder), stderr=subprocess.DEVNULL) as one:
        # The note is written behind the lock.
        while not (folder / "both.csv.partial.json").exists():
            assert one.poll() is None
            time.sleep(0.001)
        one.send_signal(signal.SIGSTOP)
        try:
            assert "another export is writing both.csv" in refused(*options, cwd=folder)
        finally:
            one.send_signal(signal.SIGCONT)
    assert one.returncode == 0


# ---------------------------------------------------------------- wrong usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "xml"), "xml"),
        (("--format", "parquet", "--compress", "gzip"), "compressed by itself"),
        (("--resume",), "--output"),
        (("--json", "--format", "csv"), "exclude each other"),
        (("--until", "soon"), "not an instant"),
    ],
)
def test_what_does_not_fit_is_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    assert words in misused("activity", "export", *arguments)


def test_an_earlier_file_stays_until_the_new_one_is_whole(folder: Path) -> None:
    target = folder / "earlier.ndjson"
    target.write_text("an earlier export")
    options = (*EXPORT, "--format", "ndjson", "--output", target.name)
    killed(*options, cwd=folder, partial="earlier.ndjson.partial", at_bytes=500_000)
    assert target.read_text() == "an earlier export"
    done: Any = told(*options, cwd=folder)
    assert (done["resumed_at"], target.read_bytes().count(b"\n")) == (0, RECORDS)
