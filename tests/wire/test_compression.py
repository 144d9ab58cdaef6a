"""What was added can be read at once, and the whole is what was added."""

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire.compression import CODINGS, compressor

PIECES = st.lists(st.binary(min_size=1))


def _reader(coding: str) -> Callable[[bytes], bytes]:
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    return zstandard.ZstdDecompressor().decompressobj().decompress


@pytest.mark.parametrize("coding", CODINGS)
@given(pieces=PIECES)
def test_each_piece_is_there_when_its_bytes_are(coding: str, pieces: list[bytes]) -> None:
    stream, read = compressor(coding), _reader(coding)
    assert [read(stream.add(piece)) for piece in pieces] == pieces
    assert read(stream.end()) == b""


def test_gzip_tools_read_it_and_the_time_is_not_in_it() -> None:
    made = []
    for _ in range(2):
        stream = compressor("gzip")
        made.append(stream.add(b"a") + stream.add(b"b") + stream.end())
    assert gzip.decompress(made[0]) == b"ab"
    assert made[0] == made[1]


def test_none_changes_nothing() -> None:
    stream = compressor(None)
    assert stream.add(memoryview(b"ab")) + stream.end() == b"ab"
