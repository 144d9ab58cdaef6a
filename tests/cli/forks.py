"""Commands as processes that are forked from one that has imported everything: a start costs milliseconds.

`python -m tests.cli.forks PATH` listens at a socket at `PATH`. Whoever connects sends its standard input, output and
error with the arguments, the folder and the environment, and gets the exit status once the command has ended.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import arouter.cli

ROOT = Path(__file__).parents[2]
MOST_BYTES = 65_536


def run_forked(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str, timeout_s: float
) -> "subprocess.CompletedProcess[str]":
    """A command, run to its end."""
    with (
        socket.socket(socket.AF_UNIX) as connection,
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as told,
        tempfile.TemporaryFile() as complained,
    ):
        given.write(stdin.encode())
        given.seek(0)
        connection.connect(_server())
        connection.settimeout(timeout_s)
        message = json.dumps([list(arguments), str(cwd), dict(env)]).encode()
        assert len(message) < MOST_BYTES
        socket.send_fds(connection, [message], [given.fileno(), told.fileno(), complained.fileno()])
        status = int(connection.recv(16))
        texts = []
        for file in (told, complained):
            file.seek(0)
            texts.append(file.read().decode("utf-8"))
    return subprocess.CompletedProcess(list(arguments), status, *texts)


@cache
def _server() -> str:
    """Where that of this process listens. It ends when its standard input does: with this process, however it ends."""
    folder = tempfile.TemporaryDirectory(prefix="arouter-forks-")
    path = str(Path(folder.name) / "socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.forks", path],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(folder.cleanup)
    atexit.register(process.communicate)
    return path


# ---------------------------------------------------------------- in the process that forks


def _serve(path: str) -> None:
    """Returns in the process of a command, which then runs it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            readable, _, _ = select.select([listener.fileno(), 0], [], [])
            if 0 in readable:
                os._exit(0)
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, descriptors, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
    command = os.fork()
    if command != 0:
        _, ended = os.waitpid(command, 0)
        connection.sendall(str(os.waitstatus_to_exitcode(ended)).encode())
        os._exit(0)
    connection.close()
    arguments, folder, environment = json.loads(message)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[1:] = arguments


def _run() -> None:
    try:
        arouter.cli.main()
    except SystemExit as done:
        sys.stdout.flush()
        sys.stderr.flush()
        # To take everything apart that was imported takes ten times as long as most commands.
        os._exit(done.code if isinstance(done.code, int) else 0)


if __name__ == "__main__":
    for module in pkgutil.iter_modules(arouter.cli.__path__):
        importlib.import_module(f"arouter.cli.{module.name}")
    gc.freeze()
    _serve(sys.argv[1])
    _run()
