"""The adapters of the providers' dialects: one for each vendor that speaks it, made when it is first needed."""

from collections.abc import Callable, Mapping

from arouter.engine.routing import Route
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.base import Adapter
from arouter.providers.converse import ConverseAdapter
from arouter.providers.gemini import GeminiAdapter
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.openai_responses import ResponsesAdapter
from arouter.providers.vendors import Dialect, Vendor

_MAKERS: Mapping[Dialect, Callable[[Vendor], Adapter]] = {
    "openai": ChatAdapter,
    "responses": ResponsesAdapter,
    "anthropic": lambda vendor: AnthropicAdapter(),
    "gemini": lambda vendor: GeminiAdapter(),
    "converse": lambda vendor: ConverseAdapter(),
}


class Adapters:
    """Adapters hold no state, so one serves every request."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, Dialect], Adapter] = {}

    def of(self, route: Route) -> Adapter:
        """The adapter for the dialect in which a route's model is asked."""
        vendor, dialect = route.deployment.vendor, route.dialect
        adapter = self._made.get((vendor.name, dialect))
        if adapter is None:
            adapter = self._made[vendor.name, dialect] = _MAKERS[dialect](vendor)
        return adapter
