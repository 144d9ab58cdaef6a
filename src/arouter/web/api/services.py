"""What the management and activity API is given to work with."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from arouter.domain.keys import Key
from arouter.domain.models import ModelInfo
from arouter.store.base import Directory, Home, Ledger

Headers = Sequence[tuple[bytes, bytes]]
"""As in an ASGI scope: names in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether one thing that requests need is there."""

    name: str
    ok: bool
    text: str = ""
    """What is wrong, safe to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


async def _nobody_remembers() -> None:
    """For an `authenticate` that asks the directory each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    directory: Directory
    ledger: Ledger
    authenticate: Callable[[Headers, bytes], Awaitable[Key]]
    """The key of a request, from its headers and its query string; raises the errors of the domain."""
    now_us: Callable[[], int]
    entropy: Callable[[int], bytes]
    """So many random bytes, fit for a secret."""
    models: Callable[[], Sequence[ModelInfo]]
    ready: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], Awaitable[bytes]]
    """Prometheus text."""
    default_home: Home
    directory_changed: Callable[[], Awaitable[None]] = _nobody_remembers
    """Called after a key was made, changed, rotated or deleted, before the client is told: forget what you remember."""
