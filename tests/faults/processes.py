"""A gateway and a sandbox as processes of their own, to be killed, stopped, starved and asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.client import Client, Query

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = "tests.faults.launcher"
START_TIMEOUT_S = 20.0

Sections = Mapping[str, Mapping[str, object]]


@dataclass(kw_only=True)
class Gateway:
    """One process. `live` and `management` are the first keys, known to whoever started on a new database."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    url: str
    interrupted: int
    """How many requests it found open, left by a dead process."""
    live: str
    management: str

    @property
    def database(self) -> Path:
        return self.folder / "arouter.db"

    def client(self, key: str | None = None) -> Client:
        return Client(self.url, self.live if key is None else key)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to stop; `exit_code` waits for that."""
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self, timeout_s: float = 20.0) -> int:
        return self.process.wait(timeout=timeout_s)

    def log(self) -> list[dict[str, Any]]:
        """What it wrote to standard error since the folder was made, by whichever process."""
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]

    def records(self, query: Query | None = None) -> list[dict[str, Any]]:
        """Every record that the first live key sees, oldest first."""
        found: list[dict[str, Any]] = []
        asked: Query = [("limit", "1000"), ("order", "asc"), *(query if query is not None else [])]
        with self.client() as client:
            cursor: Query = []
            while True:
                answer = client.activity([*asked, *cursor])
                assert answer.status == 200, answer.body
                page = answer.json
                found += page["data"]
                if not page["has_more"]:
                    return found
                cursor = [("cursor", page["next_cursor"])]

    def ready(self) -> int:
        """The status of `/readyz`."""
        with self.client() as client:
            return client.ask("GET", "/readyz").status

    def metric(self, name: str) -> float:
        """One metric, added up over its labels."""
        with self.client() as client:
            lines = client.ask("GET", "/metrics").body.decode().splitlines()
        assert any(line.startswith(f"# TYPE {name} ") for line in lines)
        return sum(float(line.split()[-1]) for line in lines if line.startswith((name + " ", name + "{")))


@dataclass(kw_only=True)
class Place:
    """A folder with settings and a database, in which gateways run one after the other, or side by side."""

    folder: Path
    sections: Sections
    module: str = LAUNCHER
    environment: Mapping[str, str] = field(default_factory=dict)
    running: list[Gateway] = field(default_factory=list)
    keys: tuple[str, str] | None = None

    def start(self, before: tuple[str, ...] = ()) -> Gateway:
        """A gateway that answers. `before` is a command that runs it, such as `unshare`."""
        settings = self.write_settings(self.sections)
        with (self.folder / "log.jsonl").open("ab") as errors:
            process = subprocess.Popen(
                [*before, sys.executable, "-m", self.module, str(settings)],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert process.stdout is not None
        with process.stdout:
            line = process.stdout.readline()
        if not line:
            process.kill()
            process.wait()
            raise AssertionError((self.folder / "log.jsonl").read_text())
        told = json.loads(line)
        if self.keys is None:
            self.keys = told["live"], told["management"]
        live, management = self.keys
        gateway = Gateway(
            folder=self.folder,
            process=process,
            url=told["url"],
            interrupted=told["interrupted"],
            live=live,
            management=management,
        )
        self.running.append(gateway)
        return gateway

    def write_settings(self, sections: Sections) -> Path:
        """What the next one starts with, and what running workers read when they are told to."""
        settings = self.folder / "settings.toml"
        settings.write_text(_toml(sections), encoding="utf-8")
        return settings


@contextmanager
def place(
    folder: Path, sections: Sections, *, module: str = LAUNCHER, environment: Mapping[str, str] | None = None
) -> Iterator[Place]:
    """Whatever still runs at the end is killed."""
    made = Place(folder=folder, sections=sections, module=module, environment=environment or {})
    try:
        yield made
    finally:
        for gateway in made.running:
            gateway.kill()


@contextmanager
def sandbox_process() -> Iterator[str]:
    """The URL of a sandbox that outlives every gateway."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.sandbox_launcher"], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()


def sandbox_at(url: str, **settings: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """Settings of a gateway whose providers, in all three dialects, are the sandbox at `url`."""
    sections: dict[str, Mapping[str, object]] = {
        "server": {"port": 0},
        "storage": {"url": "sqlite:///arouter.db"},
        "log": {"format": "json"},
        "routing": {"retries": 0},
        'providers."openai"': {"base_url": f"{url}/v1", "api_key": "any"},
        'providers."anthropic"': {"base_url": url, "api_key": "any"},
        'providers."google"': {"base_url": url, "api_key": "any"},
    }
    for name, section in settings.items():
        sections[name] = {**sections.get(name, {}), **section}
    return sections


def wait_until(holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Returns as soon as `holds()` is true; fails if that takes too long."""
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "it did not become true in time"
        time.sleep(0.02)


def _toml(sections: Sections) -> str:
    lines: list[str] = []
    for name, section in sections.items():
        lines.append(f"[{name}]")
        lines.extend(f"{setting} = {json.dumps(value)}" for setting, value in section.items())
    return "\n".join(lines) + "\n"
