"""A request on its way through the gateway, the dialect that it came in, and the client's end of it."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Protocol

from msgspec import Raw

from arouter.domain.attempt import Attempt
from arouter.domain.chat import ChatRequest
from arouter.domain.counters import Meter
from arouter.domain.errors import ARouterError
from arouter.domain.keys import Key
from arouter.domain.record import Opening
from arouter.domain.value import value
from arouter.engine.routing import Route
from arouter.providers.base import Prepared, Relay
from arouter.providers.openai import Fields
from arouter.wire.answer import AnswerWriter
from arouter.wire.multipart import Form


class Ingress(Protocol):
    """A client's dialect, without I/O. It holds no state: one instance serves every request."""

    conversation: str | None
    """The field that holds the conversation, if its entries are not, one by one, the canonical messages."""

    def relay(self, call: "Call", route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        """The provider's request and the reader of its answer, if the provider speaks this dialect too; else None.

        `identity` is the end user's pseudonym. InvalidRequest, naming the field, for a request that cannot be."""

    def read(self, call: "Call", model: str, identity: str | None) -> ChatRequest:
        """The request in canonical form, to be translated. `model` is the provider's own name. InvalidRequest."""

    def writer(self, call: "Call", model: str, *, begun: bool = False) -> AnswerWriter:
        """The writer of a translated answer, and of what ends a stream that broke off, of which the provider's own
        bytes were forwarded where it has `begun`."""


@value(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as it came."""

    content_type: str | None
    body: bytes
    form: Form | None = None
    """The body, where it was read as a form."""
    method: str = "POST"
    path: str = ""
    """As the provider knows it, still encoded."""
    query: str = ""
    """Without our key."""
    headers: tuple[tuple[str, str], ...] = ()
    """Those that go on to the provider."""


AnswerHere = Callable[["Call", Route], bytes | None]
"""The whole answer to a call; None if the provider of the route is to be asked."""


@value(frozen=False, slots=True, kw_only=True)
class Call:
    """What an ingress dialect has read of an authenticated request. Whoever reads it fills it, and nobody changes it
    from then on."""

    ingress: Ingress
    opening: Opening
    key: Key
    models: tuple[str, ...]
    """The model asked for, and those to fall back to, in order; at least one."""
    fields: Fields
    """The request's top level."""
    stream: bool
    include_usage: bool
    """False only where the client said explicitly that it wants no usage in its stream."""
    sent: "Sent | None" = None
    """What the client sent, where that is not JSON, or goes on as it came."""
    preferences: Raw | None = None
    """The `provider` object as the client wrote it. It is read where it is followed: a gateway that is asked for by its
    name takes another one."""
    in_events: bool = True
    """Whether a stream of its dialect is one of server-sent events; else it is a JSON text in pieces."""
    here: "AnswerHere | None" = None
    """Where its dialect can answer it without a provider."""
    query: bytes = b""
    """The query string, still encoded."""
    headers: Mapping[bytes, bytes] | None = None
    """The header fields that matter to a dialect, by lower-case name."""

    def with_fields(self, fields: Fields) -> "Call":
        """The same with another top level."""
        other = copy(self)
        other.fields = fields
        return other

    def header(self, name: bytes) -> str | None:
        told = None if self.headers is None else self.headers.get(name)
        return None if told is None else told.decode("latin-1")


@value(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """How an answer begins that is not JSON, or a stream of events, with the status 200."""

    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...]
    tells_failures: bool
    """Whether what is sent can say that it broke off. Anything else is cut, which every client notices."""


@value(frozen=True, slots=True, kw_only=True)
class RateTold:
    """How one rate limit stands, for the client."""

    meter: Meter
    """`REQUESTS` or `TOKENS`."""
    name: str
    """Such as `requests_per_minute`."""
    limit: int
    remaining: int
    window_s: int
    resets_at_us: int
    """When the window ends, in microseconds since the epoch, and in how many seconds, rounded up."""
    reset_s: int


class Reply(Protocol):
    """The client's end. The first of `send`, `end`, `whole` and `fail` begins the answer."""

    def begin_with(self, head: AnswerHead) -> None:
        """Let the answer begin like this. Before the first byte."""

    @property
    def started(self) -> bool:
        """Whether the client has got a first byte: from then on there is no other provider and no other status."""

    @property
    def gone(self) -> bool:
        """Whether the client has left."""

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back, once, as soon as the client is known to have left."""

    def tell_dropped(self, names: tuple[str, ...]) -> None:
        """Say in the headers which parameters the provider has no counterpart for. Before the first byte."""

    def tell_rates(self, rates: Callable[[], tuple[RateTold, ...]]) -> None:
        """Say in the headers how the rate limits stand that apply, which `rates` tells when the answer begins. Before
        the first byte."""

    @property
    def wants_attempts(self) -> bool:
        """Whether the client asked to be told who was asked on its behalf."""

    def tell_attempts(self, attempts: tuple[Attempt, ...]) -> None:
        """Say in the headers who was asked, and what came of it. Before the first byte."""

    @property
    def paused(self) -> bool:
        """Whether what was said waits for the client: it reads slower than we write."""

    async def drained(self) -> None:
        """Returns when more may be said, or the client has left."""

    def send(self, data: bytes) -> bool:
        """A piece of a stream. Whether the client takes more at once; else it is `paused`."""

    def end(self, data: bytes) -> None:
        """The last piece of a stream."""

    def break_off(self, data: bytes) -> None:
        """The last piece of a stream that broke off. It says so, where that can be said."""

    def whole(self, body: bytes) -> None:
        """A whole answer."""

    def fail(self, error: ARouterError) -> None:
        """An error instead of an answer, in the client's dialect."""
