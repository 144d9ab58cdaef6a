"""The client's end of an inference request on HTTP: headers, statuses, bodies.

How the bytes reach the client is for the two kinds: over ASGI (`arouter.web.inference.asgi_reply`), and directly on a
connection (`arouter.web.http.reply`).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from arouter.domain.attempt import Attempt
from arouter.domain.errors import ARouterError
from arouter.engine.call import AnswerHead, RateTold
from arouter.web.errors import retry_after_s, status_and_type
from arouter.web.inference.rate_headers import rate_lines
from arouter.wire.attempts_header import attempts_header
from arouter.wire.errors import error_body

Header = tuple[bytes, bytes]
ErrorWriter = Callable[[ARouterError, int, str], bytes]
"""Writes the body of an error in a dialect, given the HTTP status and the error's type in our contract."""

BODILESS = frozenset({204, 304})
"""The statuses of answers that have no body, and tell no length of one (RFC 9110, 6.4.1)."""

JSON = (b"content-type", b"application/json")
PLAIN = (JSON,)
EVENT_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def openai_error(error: ARouterError, status: int, type_: str) -> bytes:
    """As OpenAI's dialects have it, which is our own contract."""
    return error_body(error, type_)


class HttpReply(ABC):
    """Implements `arouter.engine.call.Reply`."""

    __slots__ = (
        *("_head", "_headers", "_left", "_on_gone", "_rates"),
        *("ended", "started", "wants_attempts", "write_error"),
    )

    def __init__(self) -> None:
        self._head: AnswerHead | None = None
        self._headers: tuple[Header, ...] = ()
        self._rates: Callable[[], tuple[RateTold, ...]] | None = None
        self._left = False
        self._on_gone: Callable[[], None] | None = None
        self.started = False
        self.ended = False
        self.wants_attempts = False
        self.write_error: ErrorWriter = openai_error

    # ---------------------------------------------------------------- whether the client is there

    @property
    @abstractmethod
    def gone(self) -> bool:
        """Whether the client has left."""

    def watch(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        if self._left:
            self._tell_gone()

    def leave(self) -> None:
        """The client has left. After the end of the answer that says nothing."""
        if not self.ended:
            self._left = True
            self._tell_gone()

    def _tell_gone(self) -> None:
        if self._on_gone is not None:
            on_gone, self._on_gone = self._on_gone, None
            on_gone()

    # ---------------------------------------------------------------- what goes with the answer

    @abstractmethod
    def identify(self, record_id: str, request_id: str) -> None:
        """The two ids go into the headers of the answer, whatever it is."""

    def tell_dropped(self, names: tuple[str, ...]) -> None:
        self.add_header((b"x-arouter-dropped", ", ".join(names).encode("ascii", "replace")))

    def tell_rates(self, rates: Callable[[], tuple[RateTold, ...]]) -> None:
        self._rates = rates

    def _rate_lines(self) -> bytes:
        """How the rates stand now, as lines of the head."""
        return b"" if self._rates is None else rate_lines(self._rates())

    def tell_attempts(self, attempts: tuple[Attempt, ...]) -> None:
        self.add_header((b"x-arouter-attempts", attempts_header(attempts)))

    def add_header(self, header: Header) -> None:
        """To be sent with the answer; before its first byte. What may not be in a value is left out of it."""
        name, text = header
        self._headers += ((name, _NOT_IN_A_VALUE.sub(b"", text)),)

    # ---------------------------------------------------------------- the answer

    def begin_with(self, head: AnswerHead) -> None:
        self._head = head

    @property
    @abstractmethod
    def paused(self) -> bool:
        """As `Reply.paused`."""

    @abstractmethod
    async def drained(self) -> None:
        """As `Reply.drained`."""

    @abstractmethod
    def send(self, data: bytes) -> bool:
        """As `Reply.send`."""

    def end(self, data: bytes) -> None:
        if not self.started:
            self._start_stream()
        self.ended = True
        self._write_last(data)

    def break_off(self, data: bytes) -> None:
        if self._head is None or self._head.tells_failures:
            self.end(data)
        else:
            self._cut()

    def whole(self, body: bytes) -> None:
        if self._head is None:
            self._whole(200, body, PLAIN)
        else:
            self._whole(self._head.status, body, self._head.headers)

    def fail(self, error: ARouterError) -> None:
        status, type_ = status_and_type(error)
        wait_s = retry_after_s(error)
        extra = PLAIN if wait_s is None else (JSON, (b"retry-after", b"%d" % wait_s))
        self._whole(status, self.write_error(error, status, type_), extra)

    # ---------------------------------------------------------------- how the bytes go

    @abstractmethod
    def _start_stream(self) -> None:
        """Write the head of a stream: `EVENT_STREAM` in it, unless it is to begin in another way."""

    @abstractmethod
    def _write_last(self, data: bytes) -> None:
        """Write the last piece of a stream, and its end."""

    @abstractmethod
    def _cut(self) -> None:
        """End a stream in such a way that nobody takes it for whole."""

    @abstractmethod
    def _whole(self, status: int, body: bytes, headers: tuple[Header, ...]) -> None:
        """Write a whole answer: `headers`, with the content type in them, the body's length, and the ids."""
