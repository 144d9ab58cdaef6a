"""A request's body, read within the limit."""

from collections.abc import Mapping
from typing import Protocol

from arouter.domain.errors import ARouterError, RequestTooLarge
from arouter.web.asgi import Receive


class ClientLeft(ARouterError):
    """The client hung up before its request was whole."""

    default_code = "client_disconnect"


class Body(Protocol):
    """Whoever waits for the body of a request."""

    async def read(self, most_bytes: int) -> bytes:
        """The whole body. RequestTooLarge over `most_bytes`, before it is read if the client says so; ClientLeft."""


class AsgiBody:
    """A body that comes over ASGI."""

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        self._headers = headers
        self._receive = receive

    async def read(self, most_bytes: int) -> bytes:
        length = self._headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > most_bytes:
            raise too_large(most_bytes)
        pieces: list[bytes] = []
        size_bytes = 0
        while (message := await self._receive())["type"] == "http.request":
            piece = message.get("body", b"")
            size_bytes += len(piece)
            if size_bytes > most_bytes:
                raise too_large(most_bytes)
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)
        raise client_left()


def too_large(most_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is over the limit of {most_bytes} bytes.")


def client_left() -> ClientLeft:
    return ClientLeft("The client left before its request was whole.")
