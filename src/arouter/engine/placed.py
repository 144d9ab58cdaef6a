"""An exchange with a platform that hosts a dialect: its requests go elsewhere, its streams come in another framing."""

from arouter.engine.exchange import Exchange
from arouter.engine.routing import Route
from arouter.providers.base import Platform
from arouter.providers.told import Told


class PlacedExchange:
    """Around an exchange that knows nothing of the platform."""

    __slots__ = ("_inner", "_unwrapper", "answer", "end", "failure", "last", "prepared", "read_answer")

    def __init__(self, inner: Exchange, platform: Platform, route: Route) -> None:
        self.prepared = platform.place(inner.prepared, route.model, route.dialect)
        self._inner = inner
        self._unwrapper = platform.unwrapper(route.dialect)
        self.read_answer = inner.read_answer
        self.answer = inner.answer
        self.end = inner.end
        self.last = inner.last
        self.failure = inner.failure

    @property
    def told(self) -> Told:
        return self._inner.told

    def feed(self, data: bytes) -> bytes:
        if self._unwrapper is not None:
            data = self._unwrapper.feed(data)
            if not data:
                return b""
        return self._inner.feed(data)
