"""Random bytes, asked of the system in blocks: one call for hundreds of ids."""

from collections.abc import Callable

BLOCK_BYTES = 4096


class Entropy:
    """Gives every byte of its source out once. Belongs to one thread of one process."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        """`source` gives so many bytes that nobody can guess."""
        self._source = source
        self._block = b""
        self._at = 0

    def __call__(self, size: int) -> bytes:
        """The next `size` bytes; a block at most."""
        end = self._at + size
        if end > len(self._block):
            self._block = self._source(BLOCK_BYTES)
            self._at, end = 0, size
        taken = self._block[self._at : end]
        self._at = end
        return taken
