"""Blocks that were unpacked last are what they would be if they were unpacked anew, and take no more than they may."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from arouter.domain.activity import ActivityQuery, Filters
from arouter.domain.errors import StorageUnavailable
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.archive.columns import SCHEMA, Packed, pack, unpack, whole
from arouter.store.sqlite.archive.recent import RECENT, Recent
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import SCOPE, append, record


def block(*seqs: int) -> Packed:
    columns = [
        pa.array(seqs, pa.int64()) if field.name == "seq" else pa.nulls(len(seqs), field.type) for field in SCHEMA
    ]
    return pack(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))


def unpacked(recent: Recent, packed: Packed) -> pa.RecordBatch:
    return recent.unpack(packed.present, packed.size, packed.data)


def test_a_block_is_unpacked_once_and_is_what_was_packed() -> None:
    recent, packed = Recent(), block(1, 2, 3)
    first = unpacked(recent, packed)
    assert first.equals(unpack(packed.present, packed.size, packed.data))
    # Another object of the same bytes is the same block.
    assert unpacked(recent, replace(packed, data=bytes(bytearray(packed.data)))) is first
    assert whole(unpacked(recent, block(4))).column(0).to_pylist() == [4]


def test_no_more_are_kept_than_there_is_room_for_and_the_last_used_are() -> None:
    blocks = [block(number, number + 7) for number in range(4)]
    size = blocks[0].size + len(blocks[0].data)
    recent = Recent(most_bytes=2 * size + size // 2)
    kept = [unpacked(recent, packed) for packed in blocks[:2]]
    assert unpacked(recent, blocks[0]) is kept[0]
    unpacked(recent, blocks[2])
    assert unpacked(recent, blocks[0]) is kept[0]
    assert unpacked(recent, blocks[1]) is not kept[1]
    assert 0 < recent.held_bytes <= 2 * size + size // 2


def test_one_that_is_too_large_is_unpacked_and_not_kept() -> None:
    recent, packed = Recent(most_bytes=10), block(1)
    assert unpacked(recent, packed) is not unpacked(recent, packed)
    assert recent.held_bytes == 0


def test_a_damaged_block_is_said_to_be_and_not_kept() -> None:
    recent, packed = Recent(), block(1)
    with pytest.raises(StorageUnavailable):
        unpacked(recent, replace(packed, data=packed.data[:-3]))
    assert recent.held_bytes == 0


def test_pages_of_a_sealed_day_share_a_block(tmp_path: Path) -> None:
    backend: Backend = sqlite(tmp_path)
    try:
        append(backend, *(record(f"r{number:02}") for number in range(20)))
        assert isinstance(backend.store, SqliteStore)
        backend.run(backend.store.archive.seal(before_us=2**62))
        query, found, taken = ActivityQuery(scope=SCOPE, filters=Filters(), limit=3), [], set()
        while True:
            page = backend.run(backend.ledger.page(query))
            found += [row.record.opening.id for row in page.rows]
            taken.add(RECENT.held_bytes)
            if page.next_cursor is None:
                break
            query = replace(query, after=page.next_cursor)
        assert found == [f"r{number:02}" for number in reversed(range(20))]
        assert len(taken) == 1  # the first page unpacked it
    finally:
        backend.stop()
