"""The general server's protocol: uvicorn's, stricter where it takes what can be understood in two ways.

framing     one `Host`; a transfer coding is `chunked` and nothing else, and only of HTTP/1.1 (RFC 9112, 3.2, 6.1)
trailers    are forgotten, and never taken for header fields (RFC 9110, 6.5.1)
upgrades    are ignored; one with a body is refused, since the parser takes the body for another request
heads       are bounded
nonsense    is refused in the contract's shape when its turn comes, without a word in the log
"""

import asyncio
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from arouter.domain.errors import ARouterError, HeadTooLarge, InvalidRequest, forget_frames
from arouter.web.errors import status_and_type
from arouter.web.http.heads import MOST_HEAD_BYTES
from arouter.web.http.reply import reason_of
from arouter.wire.errors import error_body

LINGER_S = 2.0
"""How long a client may go on sending after the last answer, so that it can read that one."""

_REFUSED = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"


class GeneralProtocol(HttpToolsProtocol):
    """One connection. `feed` takes the bytes."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.deaf = False
        """Nothing that comes is looked at any more."""
        self.head_bytes: int | None = None
        """Of the head that the parser is at; None when it is not in one."""
        self.request_is_whole = True
        """Whether the parser is between two requests."""
        self._moved = False
        """Whether a request began, or a piece of a body came, with the last bytes."""
        self._unmoved_bytes = 0
        """Since then: of a head, of a chunk's extensions, or of trailers."""
        self._wrong: ARouterError | None = None
        self._linger: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """Whether the answer to a request that the parser saw is not out yet."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not (cycle.response_complete and not self.pipeline)

    def feed(self, data: bytes) -> None:
        """Parse what came. What is wrong with it is told to the client, and ends the connection."""
        self._unset_keepalive_if_required()
        self._moved = False
        try:
            self._parse(data)
        except httptools.HttpParserError:
            wrong, self._wrong = self._wrong, None
            if wrong is not None:
                forget_frames(wrong)
            self.refuse(wrong if wrong is not None else InvalidRequest("This is no HTTP/1.1 request."))
            return
        self._unmoved_bytes = 0 if self._moved or self.request_is_whole else self._unmoved_bytes + len(data)
        if self._unmoved_bytes > MOST_HEAD_BYTES:
            self.refuse(head_too_large())

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return

    def refuse(self, error: ARouterError) -> None:
        """Say what is wrong, unless an answer is under way, and end the connection."""
        if self.deaf:
            return
        self.deaf = True
        cycle = self.cycle
        if self.request_is_whole or self.head_bytes is not None:
            if self.answering:
                cycle.keep_alive = False  # It is the last one, and closes the connection with its answer.
                return
        elif self.pipeline or cycle.response_started:
            self.transport.close()
            return
        else:
            cycle.disconnected = True
            cycle.message_event.set()
        status, type_ = status_and_type(error)
        body = error_body(error, type_)
        self.transport.write(_REFUSED % (status, reason_of(status), len(body), body))
        self.linger()

    def linger(self) -> None:
        """Close the connection, but read and forget for a moment what the client sends: else it is reset, and what
        was answered may never be read."""
        if self._linger is not None:
            return
        self.deaf = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger = self.loop.call_later(LINGER_S, self.transport.close)

    def hang_up(self) -> None:
        """After an answer that closes the connection, and may have come before its request was whole."""
        if self.request_is_whole or self.pipeline:
            self.transport.close()
        else:
            self.linger()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger is not None:
            self._linger.cancel()
        super().connection_lost(exc)

    # ---------------------------------------------------------------- called by the parser

    def on_message_begin(self) -> None:
        self.head_bytes = 0
        self._moved = True
        self.request_is_whole = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_bytes is None:
            return  # A trailer.
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value.strip(b" \t"))

    def _count(self, size_bytes: int) -> None:
        assert self.head_bytes is not None
        self.head_bytes += size_bytes
        if self.head_bytes > MOST_HEAD_BYTES:
            self._fail(head_too_large())

    def on_headers_complete(self) -> None:
        self._check_framing()
        super().on_headers_complete()
        self.head_bytes = None
        self.cycle.transport = cast(asyncio.Transport, _AnswersTransport(self))

    def _check_framing(self) -> None:
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if version not in ("1.0", "1.1"):
            self._fail(InvalidRequest("The versions of HTTP that are spoken here are 1.0 and 1.1."))
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            self._fail(InvalidRequest("A request has one Host field."))
        if codings and (codings != [b"chunked"] or lengths or version != "1.1"):
            self._fail(InvalidRequest("The only transfer coding is chunked, without a Content-Length."))
        if self.parser.should_upgrade() and (codings or any(length.strip(b"0") for length in lengths)):
            self._fail(InvalidRequest("A request that asks for an upgrade has no body here."))

    def _fail(self, error: ARouterError) -> None:
        """Stop the parser."""
        self._wrong = error
        raise error

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.request_is_whole = True
        super().on_message_complete()


def head_too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The request line and header fields are over {MOST_HEAD_BYTES} bytes.")


class _AnswersTransport:
    """The transport as one answer over ASGI knows it."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: GeneralProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def close(self) -> None:
        self._protocol.hang_up()

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()
