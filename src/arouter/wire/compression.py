"""Streams of bytes compressed piece by piece, so that each piece can be read when it arrives."""

import zlib
from typing import Protocol

import zstandard

GZIP_LEVEL = 5
ZSTD_LEVEL = 3
CODINGS = ("zstd", "gzip")
"""In the order of preference: zstd is smaller for less work."""

_GZIP_FORMAT = 31


class Compressor(Protocol):
    """One stream."""

    def add(self, data: bytes | memoryview) -> bytes:
        """What can be sent once `data` is in the stream: all of it can be read from that."""

    def end(self) -> bytes:
        """The rest."""


class Gzip:
    """RFC 1952, without a name and a time: the same content is the same bytes."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)

    def add(self, data: bytes | memoryview) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._stream.flush()


class Zstd:
    """RFC 8878."""

    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()

    def add(self, data: bytes | memoryview) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._stream.flush()


class Identity:
    """As it is."""

    def add(self, data: bytes | memoryview) -> bytes:
        return bytes(data)

    def end(self) -> bytes:
        return b""


def compressor(coding: str | None) -> Compressor:
    """A new stream of one of `CODINGS`; None for none."""
    if coding == "gzip":
        return Gzip()
    return Zstd() if coding == "zstd" else Identity()
