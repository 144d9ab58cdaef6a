"""Parquet made in pieces is one file, and others read from it what was recorded."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arouter.domain.activity import ActivityRow
from arouter.domain.attempt import Attempt
from arouter.wire.activity_columns import SCHEMA, columns_of
from arouter.wire.activity_parquet import ParquetFile
from tests.wire.activity_rows import row

TRIED = (Attempt(provider="groq", model="llama", http_status=None, error_code="upstream_timeout", latency_us=1_500),)


def written(rows: list[ActivityRow], *, at_once: int = 7, rows_in_group: int = 20) -> bytes:
    file = ParquetFile({"as_of": "2026-11-22T06:00:00.000000Z"}, rows_in_group=rows_in_group)
    pieces = [file.add(columns_of(rows[start : start + at_once])) for start in range(0, len(rows), at_once)]
    return b"".join([*pieces, file.end()])


@pytest.fixture
def rows() -> list[ActivityRow]:
    return [
        row(
            number,
            user=None if number % 5 == 0 else f"ü{number % 3}",
            tags=("a", f"b{number}")[: number % 3],
            tried=TRIED if number % 10 == 0 else (),
            cost=None if number % 4 == 0 else number,
        )
        for number in range(100)
    ]


def test_what_is_read_back_is_what_was_written(rows: list[ActivityRow]) -> None:
    table = pq.read_table(pa.BufferReader(written(rows)))
    assert table.schema.remove_metadata().equals(SCHEMA)
    assert table.to_pylist() == columns_of(rows).to_pylist()


def test_records_gather_to_row_groups(rows: list[ActivityRow]) -> None:
    metadata = pq.read_metadata(pa.BufferReader(written(rows)))
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [21, 21, 21, 21, 16]


def test_a_piece_can_be_sent_before_the_next_is_known(rows: list[ActivityRow]) -> None:
    file = ParquetFile({}, rows_in_group=50)
    first = [file.add(columns_of(rows[:30])), file.add(columns_of(rows[30:60]))]
    assert first[0] in (b"", b"PAR1")
    assert len(first[1]) > 1000
    assert b"".join([*first, file.add(columns_of(rows[60:])), file.end()]).endswith(b"PAR1")


def test_no_records_are_a_file_too() -> None:
    table = pq.read_table(pa.BufferReader(written([])))
    assert (table.num_rows, table.schema.names) == (0, SCHEMA.names)


def test_the_file_says_what_it_is_of(rows: list[ActivityRow]) -> None:
    metadata = pq.read_metadata(pa.BufferReader(written(rows))).metadata
    assert metadata[b"arouter.as_of"] == b"2026-11-22T06:00:00.000000Z"


def test_duckdb_adds_it_up_exactly(rows: list[ActivityRow], tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    path.write_bytes(written(rows))
    with duckdb.connect() as connection:
        totals = connection.execute(
            "SELECT count(*), sum(cost), sum(prompt_tokens), count(DISTINCT user), min(created_at) = "
            "TIMESTAMPTZ '2026-11-22 06:00:00.123456Z', sum(len(tags)), sum(len(tried)) FROM read_parquet(?)",
            [str(path)],
        ).fetchone()
        tried = connection.execute(
            "SELECT one.provider, one.latency_ms FROM (SELECT unnest(tried) AS one FROM read_parquet(?))", [str(path)]
        ).fetchall()
    costs = [each.record.cost for each in rows if each.record.cost is not None]
    prompt = sum(each.record.usage.prompt_tokens or 0 for each in rows)
    assert totals == (100, Decimal(sum(costs)).scaleb(-12), prompt, 3, True, 99, 10)
    assert tried == [("groq", Decimal("1.500"))] * 10
