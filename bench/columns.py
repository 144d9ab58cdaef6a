"""How fast records that are there as columns are written out: NDJSON, CSV and Parquet, on one core.

CPU time of encoding only: the batches are made before. Run as `python -m bench.columns`; `--records` and `--at-once`
are how many there are, and how many a batch has.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import islice

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from arouter.domain.activity import ActivityRow
from arouter.wire import activity_csv, activity_json
from arouter.wire.activity_columns import columns_of
from arouter.wire.activity_lines import encode_lines, encode_rows
from arouter.wire.activity_parquet import ParquetFile
from bench.ledger import records

RECORDS, AT_ONCE = 200_000, 8192
TIMES = 3
FEW = 20_000
"""Of rows, which take longer."""

Encode = Callable[[Sequence[pa.RecordBatch]], int]


def parquet(batches: Sequence[pa.RecordBatch]) -> int:
    """The size of the file."""
    file = ParquetFile({})
    return sum(len(file.add(batch)) for batch in batches) + len(file.end())


FROM_COLUMNS: dict[str, Encode] = {
    "ndjson": lambda batches: sum(len(encode_lines(batch)) for batch in batches),
    "csv": lambda batches: sum(len(encode_rows(batch)) for batch in batches),
    "parquet": parquet,
}


def fastest(work: Callable[[], int]) -> tuple[float, int]:
    """CPU seconds of the fastest run, and what it returned."""
    best_s, size = float("inf"), 0
    for _ in range(TIMES):
        started_s = time.process_time()
        size = work()
        best_s = min(best_s, time.process_time() - started_s)
    return best_s, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    asked = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    rows = [
        ActivityRow(record=record, written_at_us=0, original_cost=record.cost, key_name="prod", creator=None)
        for record in islice(records(), asked.records)
    ]
    pieces = [rows[start : start + asked.at_once] for start in range(0, len(rows), asked.at_once)]
    batches = [columns_of(piece) for piece in pieces]
    table = Table("written", "from", "records/s", "bytes a record", box=None)
    for name, encode in FROM_COLUMNS.items():
        seconds, size = fastest(lambda encode=encode: encode(batches))  # type: ignore[misc]
        table.add_row(name, "columns", f"{len(rows) / seconds:,.0f}", f"{size / len(rows):,.0f}")
    few = rows[: min(len(rows), FEW)]
    for name, of_rows in (("ndjson", activity_json.encode_lines), ("csv", activity_csv.encode_rows)):
        seconds, size = fastest(lambda of_rows=of_rows: len(of_rows(few)))  # type: ignore[misc]
        table.add_row(name, "rows", f"{len(few) / seconds:,.0f}", f"{size / len(few):,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
