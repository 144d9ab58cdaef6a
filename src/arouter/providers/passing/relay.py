"""An answer on its way through, byte for byte, with a tap on it."""

from arouter.domain.charge import Charge
from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Relay
from arouter.providers.told import Told, ToldWithoutText

MOST_KEPT_BYTES = 32 * 1024 * 1024
"""Of a JSON answer, which has to be whole before it can be read. Of a longer one the usage stays unknown."""


class PassingRelay:
    """Implements `arouter.providers.base.Relay` for answers of any kind.

    The answer's end is where the provider ends it, and not where the tap takes it to be; what the tap takes for an
    error is one more thing that goes on, and is told at the end.
    """

    __slots__ = ("_failure", "_is_json", "_kept", "_kept_bytes", "_tap", "told")

    def __init__(self, tap: Relay | None) -> None:
        """`tap` is None where nobody knows what is in the answer."""
        self.told: Told = ToldWithoutText() if tap is None else tap.told
        self._tap = tap
        self._is_json: bool | None = None
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._failure: str | None = None

    def read_answer(self, body: bytes) -> None:
        """Never asked for: every answer is passed on piece by piece."""
        self.told.complete = True

    def answer(self, charge: Charge) -> bytes:
        return b""

    def feed(self, data: bytes) -> bytes:
        if self._tap is not None:
            self._listen(self._tap, data)
        return data

    def _listen(self, tap: Relay, data: bytes) -> None:
        if self._is_json is None:
            start = data.lstrip()[:1]
            self._is_json = start in (b"{", b"[") if start else None
        if self._is_json is not False:
            self._keep(data)
            return
        try:
            tap.feed(data)
        except UpstreamFailed:
            self._tap = None
        self._quiet()

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._kept_bytes > MOST_KEPT_BYTES:
            self._kept = []
            self._tap = None

    def _quiet(self) -> None:
        """What the tap says of an end or an error is not for the pipeline."""
        told = self.told
        told.complete = False
        if told.failure is not None:
            self._failure, told.failure = told.failure, None

    def end(self) -> None:
        if self._tap is not None and self._kept:
            body, self._kept = b"".join(self._kept), []
            try:
                self._tap.read_answer(body)
            except UpstreamFailed:
                self._tap = None
            self._quiet()
        self.told.complete = True
        self.told.failure = self._failure

    def failed(self) -> bytes:
        return b""

    def last(self, charge: Charge | None) -> bytes:
        """The end of the body is the end of the answer, and comes by itself."""
        return b""
