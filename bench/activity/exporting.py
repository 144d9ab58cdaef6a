"""Exports by the real command, how fast and with how much memory, and what the files add up to."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arouter.domain.activity import Filters
from arouter.wire.instants import write_instant
from bench.activity.world import DATABASE

FORMATS = ("ndjson", "csv", "parquet")
_LOOK_S = 0.02
_WRONG_USAGE = 2


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Of some records; the cost in dollars, exactly."""

    records: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One export."""

    format: str
    records: int
    seconds: float
    bytes: int
    peak_mb: float
    """Resident memory of the process."""
    peak_first_half_mb: float
    equal: bool
    """The file adds up to what the summary says."""

    @property
    def rate(self) -> float:
        return self.records / self.seconds


class NotThere(Exception):
    """The command refuses this format. The message is what it said."""


def export(folder: Path, form: str, filters: Filters, expected: Sums) -> Exported:
    """Run the command, read its file, remove it. NotThere if the command does not know the format."""
    target = folder / f"export.{form}"
    assert filters.start_us is not None
    assert filters.end_us is not None
    command = [sys.executable, "-m", "arouter", "activity", "export", "--format", form, "--output", str(target)]
    command += ["--start", write_instant(filters.start_us), "--end", write_instant(filters.end_us)]
    environment = {**os.environ, "AROUTER_STORAGE__URL": f"sqlite:///{folder / DATABASE}"}
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    )
    samples: list[tuple[float, float]] = []
    while process.poll() is None:
        samples.append((time.monotonic() - started, resident_mb(process.pid)))
        time.sleep(_LOOK_S)
    seconds = time.monotonic() - started
    assert process.stderr is not None
    said = process.stderr.read().strip()
    process.stderr.close()
    if process.returncode == _WRONG_USAGE:
        raise NotThere(" ".join(line.strip("│ ") for line in said.splitlines() if line.startswith("│")))
    if process.returncode:
        raise RuntimeError(f"the export as {form} failed: {said}")
    found = READERS[form](target)
    size = target.stat().st_size
    target.unlink()
    return Exported(
        format=form,
        records=found.records,
        seconds=seconds,
        bytes=size,
        peak_mb=max(held for _, held in samples),
        peak_first_half_mb=max(held for at, held in samples if at <= seconds / 2),
        equal=found == expected,
    )


def resident_mb(pid: int) -> float:
    """0 if the process has just ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e3 for line in text.splitlines() if line.startswith("VmRSS:")), 0.0)


# ---------------------------------------------------------------- what files add up to

_NAMES = ("prompt_tokens", "completion_tokens", "cost")


class _Line(msgspec.Struct, frozen=True):
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: Decimal | None


def _add(rows: Iterator[tuple[int, int, Decimal]]) -> Sums:
    records = prompt = completion = 0
    cost = Decimal(0)
    for one in rows:
        records += 1
        prompt += one[0]
        completion += one[1]
        cost += one[2]
    return Sums(records=records, prompt_tokens=prompt, completion_tokens=completion, cost=cost)


def of_ndjson(file: Path) -> Sums:
    decoder = msgspec.json.Decoder(_Line)

    def rows() -> Iterator[tuple[int, int, Decimal]]:
        with file.open("rb") as lines:
            for line in lines:
                one = decoder.decode(line)
                yield one.prompt_tokens or 0, one.completion_tokens or 0, one.cost or Decimal(0)

    return _add(rows())


def of_csv(file: Path) -> Sums:
    def rows() -> Iterator[tuple[int, int, Decimal]]:
        with file.open(encoding="utf-8", newline="") as lines:
            reader = csv.reader(lines)
            head = next(reader)
            places = [head.index(name) for name in _NAMES]
            for row in reader:
                prompt, completion, cost = (row[place] for place in places)
                yield int(prompt or 0), int(completion or 0), Decimal(cost or 0)

    return _add(rows())


def of_parquet(file: Path) -> Sums:
    records = 0
    sums = [Decimal(0)] * len(_NAMES)
    for batch in pq.ParquetFile(file).iter_batches(columns=list(_NAMES)):
        records += batch.num_rows
        for place, name in enumerate(_NAMES):
            column = batch.column(name).cast(pa.decimal128(38, 12))
            sums[place] += pc.sum(column).as_py() or Decimal(0)
    return Sums(records=records, prompt_tokens=int(sums[0]), completion_tokens=int(sums[1]), cost=sums[2])


READERS: dict[str, Callable[[Path], Sums]] = {"ndjson": of_ndjson, "csv": of_csv, "parquet": of_parquet}
