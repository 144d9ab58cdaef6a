"""`/openapi.json`, and `/docs`: a page that shows it and needs nothing from the internet."""

import asyncio
from collections.abc import Callable
from importlib.resources import files

import msgspec
from fastapi import Request, Response

from arouter.domain.chat import Json
from arouter.web.api.endpoint import JSON

# The page's only script and style are in the page itself; it may talk to this server alone.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


class Docs:
    """Serves the document and the page.

    `make` makes the document, which takes a tenth of a second: for the first who asks, since most gateways are never
    asked, and on a thread.
    """

    def __init__(self, make: Callable[[], Json]) -> None:
        self._make = make
        self._document: bytes | None = None
        self._page = files("arouter.web.api").joinpath("docs_page.html").read_bytes()

    async def document(self, _: Request) -> Response:
        if self._document is None:
            self._document = await asyncio.to_thread(self._encoded)
        return Response(self._document, media_type=JSON)

    async def page(self, _: Request) -> Response:
        return Response(self._page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    def _encoded(self) -> bytes:
        return msgspec.json.encode(self._make())
