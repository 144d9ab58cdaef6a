"""A client of the gateway that notes what it gets, and leaves when a test wants it to."""

import asyncio
from collections.abc import Callable

from arouter.domain.attempt import Attempt
from arouter.domain.errors import ARouterError
from arouter.engine.call import AnswerHead, RateTold


class ScriptedReply:
    """An `arouter.engine.call.Reply`."""

    def __init__(
        self,
        *,
        leaves_after: int | None = None,
        unseen: bool = False,
        blocks_at: int | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Leaves when it has got so many pieces of a stream; with 0 as soon as the provider is to be asked.

        `unseen`: nobody notices before `gone` is asked for. `blocks_at`: the client never takes this piece.
        `on_end` is called when the last bytes, or an error, arrive.
        """
        self._leaves_after = leaves_after
        self._unseen = unseen
        self._blocks_at = blocks_at
        self._on_end = on_end
        self._on_gone: Callable[[], None] | None = None
        self._left = False
        self.started = False
        self.blocked = asyncio.Event()
        self.pieces: list[bytes] = []
        self.ends: list[str] = []
        """How the answer ended: `end`, `cut`, `whole` or `fail`; one entry at most in a sound gateway."""
        self.last = b""
        self.error: ARouterError | None = None
        self.head: AnswerHead | None = None
        self.dropped: tuple[str, ...] = ()
        self.wants_attempts = False
        self.attempts: tuple[Attempt, ...] = ()
        """As they were told in the headers."""
        self._rates: Callable[[], tuple[RateTold, ...]] = tuple
        self.rates: tuple[RateTold, ...] = ()
        """As they stood when the answer began."""

    @property
    def stream(self) -> bytes:
        """Everything that a streaming client got."""
        return b"".join((*self.pieces, self.last))

    @property
    def gone(self) -> bool:
        if self._left:
            self._tell()
        return self._left

    def tell_rates(self, rates: Callable[[], tuple[RateTold, ...]]) -> None:
        assert not self.started
        self._rates = rates

    def watch(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        if self._leaves_after == 0:
            self.leave()

    def leave(self) -> None:
        self._left = True
        if not self._unseen:
            self._tell()

    def _tell(self) -> None:
        if self._on_gone is not None:
            on_gone, self._on_gone = self._on_gone, None
            on_gone()

    def tell_dropped(self, names: tuple[str, ...]) -> None:
        assert not self.started
        self.dropped = names

    def tell_attempts(self, attempts: tuple[Attempt, ...]) -> None:
        assert not self.started
        self.attempts = attempts

    @property
    def paused(self) -> bool:
        return not self.ends and len(self.pieces) == self._blocks_at

    async def drained(self) -> None:
        self.blocked.set()
        await asyncio.Event().wait()

    def send(self, data: bytes) -> bool:
        assert not self.ends, "a piece after the end"
        assert not self.paused, "a piece for a client that takes none"
        self._begin()
        self.pieces.append(data)
        if len(self.pieces) == self._leaves_after:
            self.leave()
        return not self.paused

    def end(self, data: bytes) -> None:
        self._finish("end", data)

    def begin_with(self, head: AnswerHead) -> None:
        assert not self.started
        self.head = head

    def break_off(self, data: bytes) -> None:
        if self.head is None or self.head.tells_failures:
            self._finish("end", data)
        else:
            self._finish("cut", b"")

    def whole(self, body: bytes) -> None:
        assert not self.started
        self._finish("whole", body)

    def fail(self, error: ARouterError) -> None:
        assert not self.started, "an error status after the first byte"
        self.error = error
        self._finish("fail", b"")

    def _begin(self) -> None:
        if not self.started:
            self.rates = self._rates()
        self.started = True

    def _finish(self, how: str, data: bytes) -> None:
        self._begin()
        self.last = data
        self.ends.append(how)
        self._on_end()
