"""What an upstream dialect must do, without I/O: write a request, read an answer, read an error."""

from typing import Protocol

from arouter.domain.charge import Charge
from arouter.domain.chat import ChatRequest, Event, UsageReported
from arouter.domain.errors import UpstreamFailed
from arouter.domain.value import value
from arouter.providers.told import Told
from arouter.providers.vendors import Dialect


@value(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a request differs from a `POST` of JSON that is answered with JSON, or with events."""

    method: str = "POST"
    content_type: str | None = "application/json"
    """Of the body; None where there is none."""
    any_status: bool = False
    """The answer is the client's to read whatever its status, and goes on as it comes."""


@value(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request in the provider's dialect, still without host and credentials."""

    path: str
    """Appended to the provider's base URL: `/v1/messages`."""
    body: bytes
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Beyond content type and credentials: `anthropic-version`."""
    dropped: tuple[str, ...] = ()
    """The names of the parameters that the dialect has no counterpart for."""
    manner: Manner | None = None
    """None: the plain one. Else the answer's content type is the provider's."""


class StreamReader(Protocol):
    """Reads one streamed answer: bytes in, in pieces of any size; events out."""

    @property
    def complete(self) -> bool:
        """Whether the provider said that the answer is at its end. A stream may close without saying so."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. UpstreamFailed(retryable=False) if it is not this dialect at all."""

    def take_usage(self) -> UsageReported | None:
        """The usage told last, if `feed` has kept it back because another one is likely to replace it. None if it has
        not, or this was asked before. What the first events of an answer tell is never kept back."""


class Adapter(Protocol):
    """One upstream dialect."""

    def prepare(self, request: ChatRequest) -> Prepared:
        """The request in this dialect. InvalidRequest, naming the param, if it cannot be said at all."""

    def read_answer(self, body: bytes) -> list[Event]:
        """The events of a whole (not streamed) answer with status 2xx. UpstreamFailed if it is not this dialect."""

    def stream_reader(self) -> StreamReader:
        """A fresh reader for one streamed answer."""

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        """The provider's error answer as ours: its message and code, and whether the client is to blame."""


class Relay(Protocol):
    """One answer on its way to a client that speaks the provider's dialect: bytes pass, the ledger reads along."""

    told: Told

    def read_answer(self, body: bytes) -> None:
        """Read a whole answer. UpstreamFailed if it is none."""

    def answer(self, charge: Charge) -> bytes:
        """The whole answer for the client."""

    def feed(self, data: bytes) -> bytes:
        """What to forward of a piece of the stream; empty while an event is incomplete or kept back."""

    def end(self) -> None:
        """The provider closed the stream."""

    def failed(self) -> bytes:
        """The provider's own words for the failure that it told in its stream; empty where they are not kept."""

    def last(self, charge: Charge | None) -> bytes:
        """The last bytes of the stream: what tells the client that it is at its end, and was kept back until the
        record is durable. None: the client wants no usage."""


class Unwrapper(Protocol):
    """Takes a stream out of the framing that a platform puts it into: bytes in, in pieces of any size."""

    def feed(self, data: bytes) -> bytes:
        """What the dialect's own vendor would have sent. UpstreamFailed(retryable=False) if it is not that framing."""


class Platform(Protocol):
    """A place where dialects travel otherwise than at their own vendors: other paths, another framing."""

    def place(self, prepared: Prepared, model: str, dialect: Dialect) -> Prepared:
        """A request in `dialect`, as its own vendor takes it, as this platform takes it.

        InvalidRequest, naming the param, if it cannot be asked here.
        """

    def unwrapper(self, dialect: Dialect) -> Unwrapper | None:
        """For one streamed answer; None where a stream is as at the dialect's own vendor."""

    def read_error(self, status: int, body: bytes) -> UpstreamFailed | None:
        """An error answer of the platform's own; None if it is one in the words of the dialect."""
