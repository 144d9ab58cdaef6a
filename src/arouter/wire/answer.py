"""What a client's dialect must do with a translated answer, without I/O: write its events, streamed or whole."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from arouter.domain.charge import Charge
from arouter.domain.chat import Event


class AnswerWriter(Protocol):
    """Writes one answer in the client's dialect. Use it for a stream or for a whole answer, not for both."""

    def encode(self, events: Sequence[Event]) -> bytes:
        """The piece of the stream that tells `events`; empty where they add nothing. Nothing is held back, but for
        what the dialect says at the end only: that is told by `last`."""

    def last(self, charge: Charge | None) -> bytes:
        """The last bytes of a whole stream, with its end mark. None: the client wants no usage in its stream, where
        the dialect leaves that to the client."""

    def error(self, message: str, code: str, metadata: Mapping[str, object], *, type_: str) -> bytes:
        """The last bytes of a stream that broke off, with its end mark. `type_` is the error's word in our contract."""

    def whole(self, events: Sequence[Event], charge: Charge) -> bytes:
        """The body of a whole answer that tells `events`."""
