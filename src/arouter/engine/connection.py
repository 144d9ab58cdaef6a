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
from arouter.engine.head import HEAD_END, LINE_END, final_head_begins
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
        "_head",
        "_interim",
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
        "closing",
        "connected",
        "heard",
        "host",
        "idle_since_s",
        "loop",
        "on_body",
    )

    _transport: asyncio.Transport
    """There as soon as it is connected."""

    def __init__(self, host: str, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        """`host` is what messages call the peer."""
        self.host = host
        self.idle_since_s = 0.0
        self._owner = owner
        self.loop = loop
        self.connected = False
        """Whether it was ever made."""
        self.closing: Callable[[], bool] = _not_closing
        """Whether it was given up, or its end is under way."""
        self.heard: Callable[[float], list[tuple[int, int]]] = _nothing_heard
        """Asks the kernel, within so many milliseconds, for what nobody has read yet, a hang-up included. It is asked
        right before the first byte is sent: until then another connection can be chosen safely. Not for a fresh one, on
        which TLS may still have something to say."""
        self._answer: Answer | None = None
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # the parser appends by itself, without a Python frame per chunk
        self._parser = HttpResponseParser(self)
        self._keeps: bool | None = None
        """Whether the peer keeps the connection, as soon as its answer is whole."""
        self._refusal: str | None = None
        self._interim = False
        """Whether the answer that the parser is at is not the final one."""
        self._head = b""
        """What came of the head, with the interim heads before it; nothing once it is in."""
        self._framing_bytes = 0
        self._unread_bytes = 0
        self._paused = False
        self._timeouts = Timeouts()
        self._sent_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = math.inf

    # ---------------------------------------------------------------- for the pool and the client

    def start(self, head: bytes, body: bytes, timeouts: Timeouts) -> Answer:
        """Sends a request on a connection that is idle or fresh. `head` lacks the body's length and the empty line."""
        self._timeouts = timeouts
        self._sent_s = now_s = self.loop.time()
        self._answer = answer = Answer(self.host, self, self._pieces, now_s)
        if self._timer_at_s > (check_at_s := now_s + timeouts.check_s):
            self._arm(check_at_s)
        size_bytes = len(body)
        if size_bytes <= JOIN_UP_TO_BYTES:
            self._transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, size_bytes, body))
        else:
            self._transport.write(b"%bContent-Length: %d\r\n\r\n" % (head, size_bytes))
            self._transport.write(body)
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
        self.connected = True
        if self.closing():
            self._transport.abort()
            return
        self.closing = self._transport.is_closing
        connected_socket = transport.get_extra_info("socket")
        if connected_socket is not None and hasattr(select, "poll"):
            poll = select.poll()
            poll.register(connected_socket.fileno(), select.POLLIN)
            self.heard = poll.poll

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked
            self.abort()
            return
        begun = answer.status
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            if self._keeps is None:
                if begun or not answer.status or self._head_taken(answer, data):
                    self._drop(self._malformed(self._refusal or str(exc)))
                return
            self._keeps = False
        if not begun:
            # Chunks end with a line. What is whole, with nothing behind it, and does not end so has a length; and the
            # parser lets no answer have both a length and a coding. So there is nothing to look for in its head.
            if self._keeps and data[-1] not in LINE_END and len(data) <= HEAD_LIMIT_BYTES and not self._head:
                answer.said = data
            elif not self._head_taken(answer, data):
                return
        answer.quiet_since_s = self.loop.time()
        if self._keeps is None:
            pieces = self._pieces
            if not pieces:
                self._account_framing(answer, len(data))
            elif answer.listener is not None:
                heard = b"".join(pieces)
                pieces.clear()
                answer.listener(heard)
            else:
                self._account_unread(answer, len(data))
            return
        keeps = self._keeps
        self._answer = self._keeps = None
        answer.end(None)  # It keeps its pieces.
        if self._unread_bytes:
            self.consumed()
        if keeps and not self._transport.get_write_buffer_size():
            self.idle_since_s = answer.quiet_since_s
            self._owner.returned(self)
        else:
            self.abort()

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
        if status >= FIRST_FINAL_STATUS:
            answer = self._answer
            assert answer is not None
            answer.status = status
        else:
            self._interim = True
            if status < FIRST_STATUS:
                # The parser says of an error here only that there was one: the reason is kept.
                self._refusal = "a status below 100"
                raise HttpParserError(self._refusal)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._keeps = self._parser.should_keep_alive()

    # ---------------------------------------------------------------- the exchange

    def _head_taken(self, answer: Answer, data: bytes) -> bool:
        """Whether the head is in, with this piece. Else it is still to come, or it was refused."""
        said = self._head + data
        if not answer.status:
            self._head = said
            if len(said) > HEAD_LIMIT_BYTES:
                self._drop(self._malformed(_LONG_HEAD))
            return False
        begins = final_head_begins(said)
        found = _end_or_coding(said, begins)
        assert found is not None
        end, is_coded = found.start() + 1, found.lastindex
        if is_coded:
            end = said.index(HEAD_END, end) + len(LINE_END)
        answer.said = head = said[begins : end + len(LINE_END)]
        self._head = b""
        self._framing_bytes = 0
        if end - begins > HEAD_LIMIT_BYTES:
            against = _LONG_HEAD
        elif is_coded and [coding.lower() for coding in _codings(head)] != [b"chunked"]:
            against = "an unknown transfer coding"
        else:
            return True
        self._pieces.clear()
        self._drop(self._malformed(against))
        return False

    def _account_unread(self, answer: Answer, size_bytes: int) -> None:
        """More waits for the reader. Framing alone does not count, or it could block the body behind it."""
        self._unread_bytes = unread_bytes = self._unread_bytes + size_bytes
        if unread_bytes > PAUSE_AT_BYTES and not self._paused:
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
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _drop(self, failure: UpstreamFailed) -> None:
        """Hangs up; says so to the owner, and to the answer if there is one that is not whole."""
        self.closing = _given_up
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.end(failure)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.connected:
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


def _not_closing() -> bool:
    """Before it is connected."""
    return False


def _given_up() -> bool:
    return True


def _nothing_heard(_: float) -> list[tuple[int, int]]:
    """Where the kernel cannot be asked."""
    return []


def _ends_with_the_stream(answer: Answer) -> bool:
    """Whether there is a body, without a length of its own (RFC 9112, section 6.3, rule 8)."""
    if not answer.status:
        return False
    headers = answer.headers
    return "content-length" not in headers and "transfer-encoding" not in headers
