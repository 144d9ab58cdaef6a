"""Processes of the benchmark: started on cores of their own, held still while others are measured, stopped for sure."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.cpu import tree

STOP_WITHIN_S = 20.0
_TOLD_BYTES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which cores are whose. With only one core they are the same, and the report says so."""

    measured: frozenset[int]
    """The peer that is measured."""
    beside: frozenset[int]
    """The load and the upstream."""
    all: frozenset[int]
    """For a peer with two workers."""

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The load gets the first core, where the system has most of its own work, and the peer the last."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(measured=frozenset(allowed[-1:]), beside=frozenset(allowed[:1]), all=frozenset(allowed))


@contextmanager
def started(
    command: Sequence[str],
    *,
    cores: frozenset[int],
    log: Path,
    tells: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process on `cores` from its first moment; it and its children are gone at the end.

    What it writes goes to `log`; the output of one that `tells` is for `next_line`. `environment` is laid over
    our own.
    """
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        with log.open("w") as errors:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE if tells else errors,
                stderr=errors,
                text=True,
                cwd=log.parent if environment is not None else None,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
            )
    finally:
        os.sched_setaffinity(0, own)
    try:
        yield process
    finally:
        resume(process.pid)
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()


def pause(pid: int) -> None:
    """Hold the process and its children still."""
    _signal(pid, signal.SIGSTOP)


def resume(pid: int) -> None:
    _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    for member in tree(pid):
        with suppress(ProcessLookupError):
            os.kill(member, number)


def next_line(process: subprocess.Popen[str], log: Path) -> str:
    """The next line that it says, once it is so far. RuntimeError if it ends before."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise _ended(process, log)
    return line.strip()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(process: subprocess.Popen[str], port: int, log: Path, within_s: float = 60.0) -> None:
    """Until something listens there. RuntimeError if the process ends first or takes too long."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise _ended(process, log)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{_name(process)} does not listen on its port")


def _ended(process: subprocess.Popen[str], log: Path) -> RuntimeError:
    status = process.wait()
    return RuntimeError(f"{_name(process)} ended with {status}: {log.read_text()[-_TOLD_BYTES:].strip()}")


def _name(process: subprocess.Popen[str]) -> str:
    assert isinstance(process.args, list)
    return Path(process.args[0]).name
