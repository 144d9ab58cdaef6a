"""What the process writes to standard error: text for people, JSON lines for machines."""

import logging
import sys

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str, form: str, *, worker: int | None = None) -> None:
    """`level` and `form` are the settings log.level and log.format. The server's own messages come the same way.

    Each line says which `worker` it is from, if there are several.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        _as_is if worker is None else _from_worker(worker),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if form == "json" else _as_is,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        # Not the default formatter: it prints local variables, in which there are keys and prompts.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level])
    # The web server tells of each connection and start-up step at info: that is for debugging it.
    logging.getLogger("uvicorn").setLevel(max(_LEVELS[level], logging.WARNING))


def _as_is(
    logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return event


def _from_worker(number: int) -> structlog.typing.Processor:
    def add(
        logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["worker"] = number
        return event

    return add
