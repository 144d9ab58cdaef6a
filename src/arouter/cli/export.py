"""Records as a file: read page by page, written page by page."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import msgspec

from arouter.cli.output import Failure
from arouter.domain.activity import ActivityQuery, ActivityRow
from arouter.store.base import Ledger
from arouter.wire.activity_csv import encode_header, encode_rows
from arouter.wire.activity_json import activity_record, encode_lines

RECORDS_AT_ONCE = 1000


class Format(StrEnum):
    """What an export can be written as."""

    CSV = "csv"
    NDJSON = "ndjson"
    JSON = "json"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """A format: its pages, and what stands before, between and after them."""

    encode: Callable[[Sequence[ActivityRow]], bytes]
    header: bytes = b""
    separator: bytes = b""
    footer: bytes = b""


def _elements(rows: Sequence[ActivityRow]) -> bytes:
    return msgspec.json.encode([activity_record(row) for row in rows])[1:-1]


ENCODINGS: Mapping[Format, Encoding] = MappingProxyType(
    {
        Format.CSV: Encoding(encode=encode_rows, header=encode_header()),
        Format.NDJSON: Encoding(encode=encode_lines),
        Format.JSON: Encoding(encode=_elements, header=b"[", separator=b",", footer=b"]\n"),
    }
)


async def write_records(
    ledger: Ledger, query: ActivityQuery, encoding: Encoding, target: BinaryIO, on_page: Callable[[int], None]
) -> int:
    """Every record that `query` matches, whatever its limit; how many they were. `on_page` is told each page's size."""
    query = replace(query, limit=RECORDS_AT_ONCE)
    written = 0
    target.write(encoding.header)
    while True:
        page = await ledger.page(query)
        if page.rows:
            target.write((encoding.separator if written else b"") + encoding.encode(page.rows))
            written += len(page.rows)
            on_page(len(page.rows))
        if page.next_cursor is None:
            break
        query = replace(query, after=page.next_cursor)
    target.write(encoding.footer)
    target.flush()
    return written


@contextmanager
def destination(path: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there only when it is whole: an earlier one is replaced at the end."""
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as exc:
        raise Failure(f"{path} cannot be written: {exc.strerror}") from exc
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
