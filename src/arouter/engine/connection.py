"""One connection to an upstream: bytes in and out, one exchange at a time, and every deadline of it.

How it ends, and what its answer is told:

- the answer is whole, the peer keeps the connection, everything was written, nothing came that nobody asked for:
  the connection goes back to its owner at once, before the reader has taken the pieces;
- the answer is whole, and one of these does not hold: the answer is fine, the connection is dropped;
- the stream ends: that is the end of a body without a length if the peer ended it, and a failure anywhere else;
- what comes is not HTTP, is framed in more than one way, has a head over 64 kB, or goes on without a body: a failure;
- a deadline passes: a timeout.

Deadlines cost nothing per chunk and no timer per request: an exchange stores its deadlines as numbers, and the
connection has one timer, never later than any deadline, that compares and arms itself again. It survives from one
exchange to the next.
"""

import asyncio
import math
import re
import select
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from arouter.engine.answer import Answer
from arouter.engine.head import LINE_END
from arouter.engine.timeouts import Timeouts

HEAD_LIMIT_BYTES = 64 * 1024
"""Status lines and header fields of one answer, interim answers included."""
FRAMING_LIMIT_BYTES = 4 * 1024 * 1024
"""What of one answer arrives without a byte of its body: sizes and extensions of chunks, and trailers, which the
parser keeps until they end. Half a million chunks whose sizes come alone have room in it."""
PAUSE_AT_BYTES = 256 * 1024
"""From this much unread the transport is paused."""
JOIN_UP_TO_BYTES = 64 * 1024
"""A body up to this length is joined to its head, so that one packet carries both."""

_EMPTY_LINE = b"\n\r\n"
"""The end of a head that the parser took: lines end with CR LF there."""
_end_or_coding = re.compile(rb"\n(?:\r\n|((?i:transfer-encoding):))").search
"""The empty line, or the field before it. One look for both: over 25 fields, each took as long as to parse them."""
_codings = re.compile(rb"\n(?i:transfer-encoding):[ \t]*([^\r\n]*)").findall
_LONG_HEAD = "more than 64 kB of header fields"

FIRST_STATUS = 100
FIRST_FINAL_STATUS = 200


class Owner(Protocol):
    """Whoever counts the connections."""

    def returned(self, connection: "Connection") -> None:
        """The exchange is over, and the connection is fit for another one."""

    def lost(self, connection: "Connection") -> None:
        """The connection is of no use any more. May be said more than once."""


class Connection(asyncio.Protocol):
    """A connection that is being made, busy with an exchange, idle, or gone."""

    __slots__ = (
        "_answer",
        "_framing_bytes",
        "_gone",
        "_head",
        "_head_begins",
        "_heard",
        "_keeps",
        "_owner",
        "_parser",
        "_paused",
        "_pieces",
        "_refusal",
        "_sent_s",
        "_timeouts",
        "_timer",
        "_timer_at_s",
        "_transport",
        "_unread_bytes",
        "host",
        "idle_since_s",
        "loop",
        "on_body",
    )

    def __init__(self, host: str, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        """`host` is what messages call the peer."""
        self.host = host
        self.idle_since_s = 0.0
        self._owner = owner
        self.loop = loop
        self._transport: asyncio.Transport | None = None
        self._gone = False
        self._heard: Callable[[float], list[tuple[int, int]]] = _nothing_heard
        """Asks the kernel, within so many milliseconds, for what nobody has read yet."""
        self._answer: Answer | None = None
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # the parser appends by itself, without a Python frame per chunk
        self._parser = HttpResponseParser(self)
        self._keeps: bool | None = None
        """Whether the peer keeps the connection, as soon as its answer is whole."""
        self._refusal: str | None = None
        self._head = b""
        """What came of the head, with the interim heads before it; nothing once it is in."""
        self._head_begins = 0
        self._framing_bytes = 0
        self._unread_bytes = 0
        self._paused = False
        self._timeouts = Timeouts()
        self._sent_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = math.inf

    # ---------------------------------------------------------------- for the pool and the client

    @property
    def connected(self) -> bool:
        """Whether it was ever made."""
        return self._transport is not None

    @property
    def gone(self) -> bool:
        """Whether it was made and is closed by now, or was given up."""
        return self._gone or (self._transport is not None and self._transport.is_closing())

    def usable(self) -> bool:
        """Whether nothing at all was heard since the last answer, not even a hang-up that the loop has not seen yet.

        This asks the kernel, for it is the last moment at which another connection can be chosen safely. It is not
        for a fresh connection, on which TLS may still have something to say.
        """
        transport = self._transport
        if self._gone or transport is None or transport.is_closing():
            return False
        return not self._heard(0)

    def start(self, head: bytes, body: bytes, timeouts: Timeouts) -> Answer:
        """Sends a request on a connection that is idle or fresh. `head` lacks the body's length and the empty line."""
        transport = self._transport
        assert transport is not None
        self._sent_s = now_s = self.loop.time()
        self._answer = answer = Answer(self.host, self, self._pieces, now_s)
        self._head_begins = 0
        self._framing_bytes = 0
        self._timeouts = timeouts
        if self._timer_at_s > (check_at_s := now_s + timeouts.check_s):
            self._arm(check_at_s)
        size_bytes = len(body)
        if size_bytes <= JOIN_UP_TO_BYTES:
            transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, size_bytes, body))
        else:
            transport.write(b"%bContent-Length: %d\r\n\r\n" % (head, size_bytes))
            transport.write(body)
        return answer

    def give_back(self) -> None:
        """Nothing was sent on it: it is idle, as before."""
        self._owner.returned(self)

    def consumed(self) -> None:
        """The reader took everything that had arrived."""
        self._unread_bytes = 0
        if self._paused:
            self._resume()

    def abort(self) -> None:
        """Hangs up. An answer that is not whole is told that it was closed."""
        self._drop(UpstreamFailed(f"{self.host}: the request was given up", retryable=False))

    # ---------------------------------------------------------------- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._gone:
            self._transport.abort()
            return
        connected_socket = transport.get_extra_info("socket")
        if connected_socket is not None and hasattr(select, "poll"):
            poll = select.poll()
            poll.register(connected_socket.fileno(), select.POLLIN)
            self._heard = poll.poll

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked
            self.abort()
            return
        if answer.status:
            answer.quiet_since_s = self.loop.time()
        else:
            self._head += data
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            if self._keeps is None:
                self._drop(self._malformed(str(exc) if self._refusal is None else self._refusal))
                return
            self._keeps = False
        if self._keeps is not None:
            self._finish(answer, keeps=self._keeps)
        elif not answer.status:
            if len(self._head) > HEAD_LIMIT_BYTES:
                self._drop(self._malformed(_LONG_HEAD))
        elif not self._pieces:
            self._account_framing(answer, len(data))
        elif answer.listener is not None:
            heard = b"".join(self._pieces)
            self._pieces.clear()
            answer.listener(heard)
        else:
            self._account_unread(answer, len(data))

    def eof_received(self) -> None:
        self._stream_ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream_ended(exc)
        del self._parser, self.on_body  # they refer to each other

    # ---------------------------------------------------------------- called by the parser

    def on_message_begin(self) -> None:
        if self._keeps is not None:
            raise HttpParserError("a second answer to one request")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        answer, so_far, begins = self._answer, self._head, self._head_begins
        while so_far[begins] in LINE_END:  # The parser skips empty lines before the first one.
            begins += 1
        found = _end_or_coding(so_far, begins)
        assert answer is not None
        assert found is not None
        end, is_coded = found.start() + 1, found.lastindex
        if is_coded:
            end = so_far.index(_EMPTY_LINE, end) + 1
        if status < FIRST_FINAL_STATUS:
            if status < FIRST_STATUS:
                self._refuse("a status below 100")
            self._head_begins = end + len(LINE_END)
            return
        answer.status = status
        answer.head = head = so_far[begins:end]
        if end - begins > HEAD_LIMIT_BYTES:
            self._refuse(_LONG_HEAD)
        if is_coded and [coding.lower() for coding in _codings(head)] != [b"chunked"]:
            self._refuse("an unknown transfer coding")
        self._head = b""
        answer.quiet_since_s = self.loop.time()

    def on_message_complete(self) -> None:
        if not self._head:  # else it was an interim answer
            self._keeps = self._parser.should_keep_alive()

    def _refuse(self, reason: str) -> None:
        """The parser goes no further. It says of an error here only that there was one: the reason is kept."""
        self._refusal = reason
        raise HttpParserError(reason)

    # ---------------------------------------------------------------- the exchange

    def _account_unread(self, answer: Answer, size_bytes: int) -> None:
        """More waits for the reader. Framing alone does not count, or it could block the body behind it."""
        self._unread_bytes = unread_bytes = self._unread_bytes + size_bytes
        if unread_bytes > PAUSE_AT_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        if unread_bytes >= answer.wake_at_bytes:
            answer.wake()

    def _account_framing(self, answer: Answer, size_bytes: int) -> None:
        """No more waits for the reader, who may be content with the head."""
        self._framing_bytes += size_bytes
        if self._framing_bytes > FRAMING_LIMIT_BYTES:
            self._drop(self._malformed("more than 4 MB around the body"))
        elif not answer.wake_at_bytes:
            answer.wake()

    def _resume(self) -> None:
        self._paused = False
        if self._answer is not None:
            self._answer.quiet_since_s = self.loop.time()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _finish(self, answer: Answer, *, keeps: bool) -> None:
        """The answer is whole: it keeps its pieces, and the connection leaves it."""
        self._answer = None
        self._keeps = None
        answer.end(None)
        if self._unread_bytes:
            self.consumed()
        transport = self._transport
        if keeps and transport is not None and not transport.get_write_buffer_size():
            self.idle_since_s = answer.quiet_since_s
            self._owner.returned(self)
        else:
            self.abort()

    def _drop(self, failure: UpstreamFailed) -> None:
        """Hangs up; says so to the owner, and to the answer if there is one that is not whole."""
        self._gone = True
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.end(failure)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._owner.lost(self)

    def _stream_ended(self, exc: Exception | None) -> None:
        answer = self._answer
        if answer is not None and exc is None and _ends_with_the_stream(answer) and self._end_is_the_peers():
            self._answer = None
            answer.end(None)
        self._drop(self._broken_off(answer, exc))

    def _end_is_the_peers(self) -> bool:
        """Whether the peer ended the stream. Over TLS it says so; a close that it did not announce may be anybody's,
        and what came before it is not whole (RFC 9112, section 9.8)."""
        assert self._transport is not None
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        try:
            return tls is None or not tls.read(1)
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:  # it would wait for more
            return False

    # ---------------------------------------------------------------- deadlines

    def _arm(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at_s = at_s
        self._timer = self.loop.call_at(at_s, self._check)

    def _check(self) -> None:
        """The timer fired: too late for the answer, or to be armed again."""
        self._timer = None
        self._timer_at_s = math.inf
        answer = self._answer
        if answer is None:
            return
        now_s, timeouts = self.loop.time(), self._timeouts
        if self._paused:
            answer.quiet_since_s = now_s
        allowed_s = timeouts.idle_s if answer.status else timeouts.first_byte_s
        total_at_s = self._sent_s + timeouts.total_s
        due_s = min(answer.quiet_since_s + allowed_s, total_at_s)
        if now_s < due_s:
            self._arm(min(due_s, now_s + timeouts.check_s))
        elif now_s >= total_at_s:
            self._drop(self._timeout(answer, f"the answer was not complete after {timeouts.total_s:g} s"))
        elif answer.status:
            self._drop(self._timeout(answer, f"the answer broke off for {timeouts.idle_s:g} s"))
        else:
            self._drop(self._timeout(answer, f"no answer within {timeouts.first_byte_s:g} s"))

    # ---------------------------------------------------------------- what went wrong

    def _timeout(self, answer: Answer, reason: str) -> UpstreamTimeout:
        return UpstreamTimeout(f"{self.host}: {reason}", upstream_status=answer.status or None)

    def _malformed(self, detail: str) -> UpstreamFailed:
        return UpstreamFailed(f"{self.host}: the answer is not valid HTTP", detail=detail)

    def _broken_off(self, answer: Answer | None, exc: Exception | None) -> UpstreamFailed:
        how = "closed the connection" if exc is None else "reset the connection"
        if answer is None or not answer.status:
            return UpstreamFailed(f"{self.host}: {how} before it answered", detail=str(exc or ""))
        return UpstreamFailed(
            f"{self.host}: {how} in the middle of its answer", upstream_status=answer.status, detail=str(exc or "")
        )


def _nothing_heard(_: float) -> list[tuple[int, int]]:
    """Where the kernel cannot be asked."""
    return []


def _ends_with_the_stream(answer: Answer) -> bool:
    """Whether there is a body, without a length of its own (RFC 9112, section 6.3, rule 8)."""
    if not answer.status:
        return False
    headers = answer.headers
    return "content-length" not in headers and "transfer-encoding" not in headers
