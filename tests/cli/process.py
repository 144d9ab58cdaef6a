"""The real commands, as somebody in a shell runs them: an empty folder, and an environment with nothing in it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from typer.testing import CliRunner

from arouter.cli import app
from tests.cli.forks import run_forked

COMMAND = [sys.executable, "-m", "arouter"]
SOURCE = Path(__file__).parents[2] / "src"
TIMEOUT_S = 20


def environment(cwd: Path, **more: str) -> dict[str, str]:
    """Nothing of the caller's; wide enough that no message is broken."""
    return {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": str(SOURCE), "COLUMNS": "300", **more}


def arouter(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own; where other packages are to be found, in one from scratch."""
    if env is None or "PYTHONPATH" not in env:
        return run_forked(arguments, cwd=cwd, env=environment(cwd, **(env or {})), stdin=stdin, timeout_s=TIMEOUT_S)
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(cwd, **(env or {})),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )


def succeeded(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a command that exits 0."""
    done = arouter(*arguments, cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Any:
    """What a command prints with `--json`, which is one value on one line."""
    (line,) = succeeded(*arguments, "--json", cwd=cwd, env=env).splitlines()
    return json.loads(line)


def refused(*arguments: str, cwd: Path, code: int = 1, env: Mapping[str, str] | None = None) -> str:
    """The one line that a command fails with."""
    done = arouter(*arguments, cwd=cwd, env=env)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("arouter: ")
    return line.removeprefix("arouter: ")


def misused(*arguments: str) -> str:
    """What a command says of arguments that it does not take: it has done nothing yet, so no process is needed."""
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    return done.stderr


@dataclass(frozen=True)
class Running:
    """A command that goes on until it is stopped."""

    process: subprocess.Popen[str]
    ready: Any
    """The JSON line that it printed."""

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit status."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)


@contextmanager
def started(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and kill it at the end if it is still there."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(cwd),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[Running]:
    """Start a command with `--json` and wait until it is ready."""
    with started(*arguments, "--json", cwd=cwd) as process:
        assert process.stdout is not None
        yield Running(process, json.loads(process.stdout.readline()))


def call(url: str, key: str | None = None, body: object = None) -> tuple[int, Any]:
    """An HTTP request; the status and the JSON that came back."""
    request = Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, json.load(answer)
    except HTTPError as answer:
        with answer:
            return answer.code, json.load(answer)


def chat(url: str, key: str, user: str | None, text: str = "Hello", model: str = "sandbox/sandbox-echo") -> int:
    """The status of one completion."""
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if user is not None:
        body["user"] = user
    return call(f"{url}/v1/chat/completions", key, body)[0]
