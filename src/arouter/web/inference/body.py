"""A request's body, read within the limit."""

from collections.abc import Mapping

from arouter.domain.errors import ARouterError, RequestTooLarge
from arouter.web.asgi import Receive


class ClientLeft(ARouterError):
    """The client hung up before its request was whole."""

    default_code = "client_disconnect"


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, *, most_bytes: int) -> bytes:
    """The whole body. RequestTooLarge over `most_bytes`, before it is read if the client says so; ClientLeft."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > most_bytes:
        raise _too_large(most_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
        return body
    pieces = []
    size_bytes = 0
    while message["type"] == "http.request":
        piece = message.get("body", b"")
        size_bytes += len(piece)
        if size_bytes > most_bytes:
            raise _too_large(most_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = await receive()
    raise ClientLeft("The client left before its request was whole.")


def _too_large(most_bytes: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is over the limit of {most_bytes} bytes.")
