"""What was read stays true until somebody commits: small things, no records, that are asked for again and again."""

from collections.abc import Callable
from typing import Generic, TypeVar

import apsw

from arouter.store.sqlite.readers import Readers

Result = TypeVar("Result")


class Lasting(Generic[Result]):
    """One thing that is read of the file, and remembered while nobody commits. Belongs to one event loop."""

    def __init__(self, readers: Readers, read: Callable[[apsw.Connection], Result]) -> None:
        self._readers = readers
        self._read = read
        self._known: tuple[int, Result] | None = None

    async def read(self) -> Result:
        """What is there now. StorageUnavailable as of `Readers.read`."""
        # Before reading: a commit in between is read now and once more.
        commits = self._readers.commits()
        if commits is not None and self._known is not None and self._known[0] == commits:
            return self._known[1]
        result = await self._readers.read(self._read, apart=True)
        self._known = None if commits is None else (commits, result)
        return result
