"""A gateway as a process of its own, on a free port and a database of its own, for as long as a test needs it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.client import Client

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One that answers."""

    url: str
    live: str
    management: str
    pid: int
    database: Path
    started_in_s: float
    """From the start of the process to the line that says that it answers."""

    def client(self, key: str | None = None) -> Client:
        """With the first live key, or another one."""
        return Client(self.url, self.live if key is None else key)

    def manager(self) -> Client:
        """With the first management key."""
        return Client(self.url, self.management)

    def new_key(self, name: str, **settings: object) -> str:
        """The plaintext of a key that is made over HTTP."""
        with self.manager() as manager:
            answer = manager.post("/v1/keys", {"name": name, **settings})
        assert answer.status in (200, 201), answer.body
        key: str = answer.json["key"]
        return key


@contextmanager
def running_gateway(
    folder: Path,
    providers: Mapping[str, Mapping[str, object]] | None = None,
    prices: Mapping[str, Mapping[str, object]] | None = None,
    **server: object,
) -> Iterator[Gateway]:
    """A gateway with these providers and the sandbox, and these prices by `provider/model`; `server` are settings of
    that section. It must stop when it is told to, and log no error."""
    settings = folder / "settings.toml"
    settings.write_text(_toml(server, providers=providers or {}, prices=prices or {}), encoding="utf-8")
    log = folder / "log.jsonl"
    started_s = time.monotonic()
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.launcher", str(settings)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            told = json.loads(line)
            yield Gateway(
                **told,
                pid=process.pid,
                database=folder / "arouter.db",
                started_in_s=time.monotonic() - started_s,
            )
            process.send_signal(signal.SIGTERM)
            # The server ends in order, and then by the signal that it was sent.
            assert process.wait(timeout=15) in (0, -signal.SIGTERM), log.read_text()
        finally:
            process.kill()
    assert [entry for entry in _entries(log) if entry["level"] in ("error", "critical")] == []


def _toml(server: Mapping[str, object], **tables: Mapping[str, Mapping[str, object]]) -> str:
    lines = ["[server]", "port = 0", *(f"{setting} = {json.dumps(value)}" for setting, value in server.items())]
    lines += ["[storage]", 'url = "sqlite:///arouter.db"', "[log]", 'format = "json"']
    for table, sections in tables.items():
        for name, section in sections.items():
            lines.append(f"[{table}.{json.dumps(name)}]")
            lines.extend(f"{setting} = {json.dumps(value)}" for setting, value in section.items())
    return "\n".join(lines) + "\n"


def _entries(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
