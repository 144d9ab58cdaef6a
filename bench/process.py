"""Processes of the benchmark: started on one core, stopped for sure."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

STOP_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which cores are whose. With only one core they are the same, and the report says so."""

    measured: int
    """The peer that is measured."""
    beside: int
    """The load and the upstream."""

    @classmethod
    def of_this_machine(cls) -> "Cores":
        allowed = sorted(os.sched_getaffinity(0))
        return cls(measured=allowed[0], beside=allowed[1] if len(allowed) > 1 else allowed[0])


@contextmanager
def started(command: Sequence[str], *, core: int, stop_signal: int = signal.SIGTERM) -> Iterator[subprocess.Popen[str]]:
    """A process pinned to `core` from its first moment; it and its output are gone at the end."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finally:
        os.sched_setaffinity(0, own)
    try:
        yield process
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _output(process).close()


def first_line(process: subprocess.Popen[str]) -> str:
    """What it says once it is ready. RuntimeError if it ends before."""
    line = _output(process).readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with {process.wait()} before it was ready")
    return line.strip()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(process: subprocess.Popen[str], port: int, within_s: float = 10.0) -> None:
    """Until something listens there. RuntimeError if the process ends first or takes too long."""
    end = time.monotonic() + within_s
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")


def _output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout
