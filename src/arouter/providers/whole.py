"""What relays of answers that are never streams have in common."""

from arouter.domain.charge import Charge


class WholeAnswers:
    """The part of `arouter.providers.base.Relay` that is for streams: there is none, so nothing comes of it."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        return b""

    def end(self) -> None:
        """Nothing ends."""

    def failed(self) -> bytes:
        return b""

    def last(self, charge: Charge | None) -> bytes:
        return b""
