"""The workers of a gateway, seen from outside: their processes, and who holds how many connections."""

import os
from contextlib import suppress
from pathlib import Path

from tests.faults.processes import Gateway


def worker_pids(gateway: Gateway) -> list[int]:
    """The processes that the supervisor has started and that have not ended, oldest first."""
    pid = gateway.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += os.readlink(link).startswith("socket:")
    return found
