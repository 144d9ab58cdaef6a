"""How long the storage may be away, and what is told of it. Rules and numbers; the time is told."""

from typing import Protocol

from arouter.domain.errors import StorageUnavailable
from arouter.store.journal.file import Held

MOST_BYTES = 1024**3


class Observer(Protocol):
    """Is told, on the event loop's thread."""

    def away(self, failure: StorageUnavailable) -> None:
        """The storage is away: records go to the journal from now on."""

    def back(self, seconds: float, waiting: int) -> None:
        """It is back after so long, and so many records wait to be delivered."""

    def set_aside(self, record_id: str, reason: str) -> None:
        """The ledger refused a record for good. It stays in the journal."""

    def unreadable(self, path: str, reason: str) -> None:
        """The journal of a dead process cannot be read. It stays."""

    def corrected(self, record_id: str) -> None:
        """Others had closed the request as interrupted meanwhile: its cost was added to their record."""


class Outage:
    """Whether the storage is away, and for how long that may go on."""

    def __init__(self, *, limit_s: float, most_bytes: int = MOST_BYTES) -> None:
        self._limit_s = limit_s
        self._most_bytes = most_bytes
        self._since_s: float | None = None

    @property
    def is_on(self) -> bool:
        return self._since_s is not None

    def begin(self, now_s: float) -> bool:
        """The storage failed. Whether that is news. `now_s` is a reading of a clock that never goes back."""
        if self._since_s is not None:
            return False
        self._since_s = now_s
        return True

    def end(self, now_s: float) -> float | None:
        """It took something. How long it had been away; None if it was not."""
        since_s, self._since_s = self._since_s, None
        return None if since_s is None else now_s - since_s

    def refusal(self, held: Held, failure: StorageUnavailable | None, now_s: float) -> StorageUnavailable | None:
        """Why no request may begin now, if none may. `held` is what the journal holds, `failure` why it took nothing
        the last time."""
        if held.bytes >= self._most_bytes:
            return StorageUnavailable("The storage is away, and the journal of this gateway is full. Ask again later.")
        if self._since_s is None:
            return None
        if failure is not None:
            return StorageUnavailable(
                "The storage is away, and the journal of this gateway cannot be written to.", detail=failure.detail
            )
        if now_s - self._since_s >= self._limit_s:
            return StorageUnavailable(
                f"The storage has been away for more than {self._limit_s:g} seconds. Ask again later."
            )
        return None
