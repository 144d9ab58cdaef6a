"""The test's side of a script: a process that uses an SDK as it is told."""

import json
import os
import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.gateway import ROOT

PATIENCE_S = 60
"""For one answer. The first one comes after the SDK is imported."""

QUIET = {
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "AI_SDK_LOG_WARNINGS": "false",
}
"""What keeps SDKs from asking anyone but the gateway."""


class Raised(Exception):
    """What the SDK raised, as its user sees it."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told['kind']}: {told['message']}")
        self.kind: str = told["kind"]
        self.kinds: list[str] = told["kinds"]
        """Its class and all above it."""
        self.causes: list[str] = told["causes"]
        """The same of everything in the chain of errors that led to it."""
        self.status: int | None = told["status"]
        self.message: str = told["message"]
        self.body: str = told["body"]


class Script:
    """A process that answers one question after the other."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    def ask(self, verb: str, **arguments: object) -> Any:
        """What the script says. `Raised` if its SDK raised an error."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], PATIENCE_S)
        line = stdout.readline() if ready else b""
        assert line, f"no answer to {verb}: {self._log.read_text(encoding='utf-8')[-4000:]}"
        told = json.loads(line)
        if "error" in told:
            raise Raised(told["error"])
        return told["answer"]


def _environment() -> dict[str, str]:
    """Of the machine's own only where things are: no key, no proxy, nothing that an SDK would take for a setting."""
    found = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**found, **QUIET}


@contextmanager
def running_script(command: Sequence[str], folder: Path) -> Iterator[Script]:
    """The process of `command`, whose errors go to a file in `folder`."""
    log = folder / "errors.txt"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=_environment()
        ) as process,
    ):
        try:
            yield Script(process, log)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(timeout=20) == 0, log.read_text(encoding="utf-8")
        finally:
            process.kill()
