"""The one place where modules that need an optional extra are loaded: when they are needed, and never before.

They take tens of megabytes and a noticeable time to import, which a gateway that does not use them must not pay for.
"""

from collections.abc import Collection
from importlib import import_module
from typing import Any


class ExtraMissing(Exception):
    """What was asked for needs packages that are not installed. The message says how to install them."""


def analytics(module: str) -> Any:
    """A module that needs the extra `analytics`, by its whole name. ExtraMissing if that is not installed.

    The first call takes some tenths of a second: not for the event loop's thread.
    """
    return _loaded(module, ("numpy", "pyarrow"), "pyarrow and numpy are not installed", "analytics")


def postgres(module: str) -> Any:
    """A module that needs the extra `postgres`, by its whole name. ExtraMissing if that is not installed."""
    return _loaded(module, ("asyncpg",), "asyncpg is not installed", "postgres")


def _loaded(module: str, packages: Collection[str], problem: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] not in packages:
            raise
        raise ExtraMissing(f"{problem}: `pip install 'arouter[{extra}]'`") from exc
