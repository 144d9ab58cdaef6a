"""The metrics of all workers on a port of their own, served by the supervisor."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


class _Told(Collector):
    """What another thread's event loop tells."""

    def __init__(self, loop: asyncio.AbstractEventLoop, text: Callable[[], Coroutine[Any, Any, bytes]]) -> None:
        self._loop = loop
        self._text = text

    def collect(self) -> Iterable[Metric]:
        told = asyncio.run_coroutine_threadsafe(self._text(), self._loop).result()
        yield from text_string_to_metric_families(told.decode())

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked for."""
        return ()


def serve_metrics(host: str, port: int, text: Callable[[], Coroutine[Any, Any, bytes]]) -> Callable[[], None]:
    """Serve `text` of the running event loop from a thread; what ends that. OSError if the port is taken."""
    registry = CollectorRegistry()
    registry.register(_Told(asyncio.get_running_loop(), text))
    server, thread = start_http_server(port, addr=host, registry=registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
