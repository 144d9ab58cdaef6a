"""The blocks that were unpacked last: whoever turns the pages of a day meets the same block forty times.

A block is known by its bytes, so that nothing that is kept can be stale, whatever is written, sealed or deleted, and in
whichever database.
"""

import threading
from collections import OrderedDict
from typing import Final

import pyarrow as pa

from arouter.store.sqlite.archive.columns import unpack

MOST_BYTES: Final = 16_000_000
"""Unpacked, of all blocks together."""

_Key = tuple[int, int, bytes]


class Recent:
    """Holds some blocks; for several threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._blocks: OrderedDict[_Key, pa.RecordBatch] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """That the blocks take."""
        return self._bytes

    def unpack(self, present: int, size: int, data: bytes) -> pa.RecordBatch:
        """What `columns.unpack` makes of it, now or before. StorageUnavailable if the block is damaged."""
        key = present, size, data
        with self._lock:
            known = self._blocks.get(key)
            if known is not None:
                self._blocks.move_to_end(key)
                return known
        made = unpack(present, size, data)
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = made
                self._bytes += size + len(data)
            while self._bytes > self._most_bytes:
                (_, size, data), _ = self._blocks.popitem(last=False)
                self._bytes -= size + len(data)
        return made


RECENT: Final = Recent()
"""Of this process."""
