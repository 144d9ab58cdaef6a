"""The body of a request on a connection of the gateway's own protocol."""

import asyncio

from arouter.web.inference.body import client_left, too_large


class LineBody:
    """One that is not there yet. Implements `arouter.web.inference.body.Body`."""

    __slots__ = ("_left", "_pieces", "_waiter", "_wanted", "length", "missing")

    def __init__(self, length: int) -> None:
        """`length` in bytes."""
        self.length = length
        self.missing = length
        """Bytes that have not come yet."""
        self._pieces: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._left = False
        self._wanted = True

    def take(self, data: bytes) -> bytes:
        """Takes what belongs to the body; what is behind it comes back."""
        rest = b""
        if len(data) > self.missing:
            data, rest = data[: self.missing], data[self.missing :]
        self.missing -= len(data)
        if self._wanted:
            self._pieces.append(data)
        if not self.missing:
            self._wake()
        return rest

    def leave(self) -> None:
        """The client has left."""
        self._left = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self, most_bytes: int) -> bytes:
        """To be called once."""
        if self.length > most_bytes:
            self._wanted = False
            self._pieces.clear()
            raise too_large(most_bytes)
        if self.missing and not self._left:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.missing:
            raise client_left()
        pieces, self._pieces = self._pieces, []  # An answer may take long, and a connection longer.
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
