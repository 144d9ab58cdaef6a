"""The gateway in one process, or in several behind a supervisor."""

import asyncio
from collections.abc import Callable

from arouter.settings import Settings
from arouter.wiring.listening import close_all, open_listeners, url_of
from arouter.wiring.logs import configure_logs
from arouter.wiring.server import serve
from arouter.wiring.started import Started
from arouter.wiring.supervisor import Reload, Supervisor


def run(settings: Settings, *, on_ready: Callable[[Started], None], reload: Reload) -> bool:
    """Run until a signal says stop; a second one hastens it. False if it could not start.

    `reload` reads the settings anew for a restart of the workers. SettingsError, StorageUnavailable, WorkersFailed and
    OSError (the port is taken) carry a text for the operator.
    """
    if settings.server.workers <= 1:
        return serve(settings, on_ready=lambda gateway, url: on_ready(gateway.started(url)))
    configure_logs(settings.log.level, settings.log.format)
    listeners = open_listeners(settings.server.host, settings.server.port, settings.server.workers)
    url = url_of(settings.server.host, listeners[0].getsockname()[1])
    try:
        asyncio.run(Supervisor(settings, listeners, url, on_ready=on_ready, reload=reload).run())
    finally:
        close_all(listeners)
    return True
