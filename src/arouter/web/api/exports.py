"""Records as a stream: NDJSON, CSV, Parquet, and sums by day as FOCUS.

until         An export has what was written when it began, however long it takes. `X-Until` names that moment.
limit         Where it cuts an export, `X-Next-Cursor` leads to the rest.
compression   Whole pieces at a time: what has arrived can be read.
a client      is sent no more than it takes; when it leaves, the reading ends.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from arouter.domain.activity import ActivityQuery, Page
from arouter.domain.errors import InvalidRequest
from arouter.engine.export import exported
from arouter.web.api.accept import wanted_coding
from arouter.web.api.parameters import KEY_PARAMETER
from arouter.web.api.services import ApiServices
from arouter.wire import export_forms
from arouter.wire.compression import compressor
from arouter.wire.export_forms import Form
from arouter.wire.extras import ExtraMissing
from arouter.wire.instants import write_instant
from arouter.wire.query_string import read_query_string

NDJSON, CSV, PARQUET = "application/x-ndjson", "text/csv", "application/vnd.apache.parquet"

FORMATS = ("json", "ndjson", "csv", "parquet", "focus")

_WITH_HEADER = f"{CSV}; header=present"
_MEDIA_TYPES = {"ndjson": NDJSON, "csv": _WITH_HEADER, "parquet": PARQUET, "focus": _WITH_HEADER}

MOST_BYTES_AT_ONCE = 1 << 18
"""What the server is given to send before it is asked whether the client keeps up."""


class Exports:
    """Answers with every record that a query matches."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    async def answer(self, request: Request, query: ActivityQuery, name: str, *, limited: bool) -> Response:
        """The export in the format of that name; with `limited`, of no more records than the query's limit.

        InvalidRequest if the format cannot be written here. The storage is asked before the answer begins, while a
        failure can still have its own status.
        """
        until_us = await self._until(query.filters.written_until_us)
        query = replace(query, filters=replace(query.filters, written_until_us=until_us))
        if name == "focus":
            query = replace(query, descending=False)
        first = await self._services.ledger.page(query) if limited else None
        coding = None if name == "parquet" else wanted_coding(request)
        headers = _headers(until_us, first, coding)
        media_type = _MEDIA_TYPES[name]
        form = await asyncio.to_thread(_form, name, _metadata(request, until_us))
        if request.method == "HEAD":
            return Response(media_type=media_type, headers=headers)
        if coding is not None:
            form = export_forms.Compressed(form, compressor(coding))
        return StreamingResponse(self._pieces(query, form, first), media_type=media_type, headers=headers)

    async def _until(self, asked_us: int | None) -> int:
        written_us = await self._services.ledger.written_until()
        now_us = self._services.now_us() if written_us is None else written_us
        return now_us if asked_us is None else min(asked_us, now_us)

    async def _pieces(self, query: ActivityQuery, form: Form, first: Page | None) -> AsyncIterator[memoryview]:
        async for piece in exported(self._services.ledger, query, form, first):
            data = memoryview(piece.data)
            for start in range(0, len(data), MOST_BYTES_AT_ONCE):
                yield data[start : start + MOST_BYTES_AT_ONCE]


def _headers(until_us: int, first: Page | None, coding: str | None) -> Mapping[str, str]:
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding", "X-Until": write_instant(until_us)}
    if first is not None and first.next_cursor is not None:
        headers["X-Next-Cursor"] = first.next_cursor.to_text()
    if coding is not None:
        headers["Content-Encoding"] = coding
    return headers


def _form(name: str, metadata: Mapping[str, str]) -> Form:
    """InvalidRequest if packages are missing. Parquet loads them."""
    if name == "csv":
        return export_forms.csv()
    if name == "ndjson":
        return export_forms.ndjson()
    if name == "focus":
        return export_forms.FocusCsv()
    try:
        return export_forms.Parquet(metadata)
    except ExtraMissing as exc:
        raise InvalidRequest(
            f"`format={name}` cannot be written by this gateway: {exc}.", code="unsupported_parameter", param="format"
        ) from exc


def _metadata(request: Request, until_us: int) -> Mapping[str, str]:
    """What a file says of itself: when its records were what they are, and what was asked; never the key."""
    asked = [
        f"{name}={value}" for name, value in read_query_string(request.scope["query_string"]) if name != KEY_PARAMETER
    ]
    return {"as_of": write_instant(until_us), "query": "&".join(asked)}
