"""How long it takes until a change over the API holds in every worker of a gateway.

Eight connections ask the sandbox for something small, over and over; each worker has some of them. A change counts from
the moment when it was sent to the moment when on each connection a request was sent that was answered accordingly.
"""

import http.client
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from arouter.domain.keys import digest
from bench.process import Cores, next_line, started

WORKERS = 2
CONNECTIONS = 8
WITHIN_S = 20.0
_PAUSE_S = 0.004
_TRIES = 20
_USER = "somebody"
_BODY = json.dumps(
    {"model": "sandbox/sandbox?tokens=1&token_ms=0", "user": _USER, "messages": [{"role": "user", "content": "Hi"}]}
).encode()
_CONFIGURATION = f"""
[server]
port = 0
workers = {WORKERS}

[log]
level = "error"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Until they held."""

    count: int
    median_s: float
    worst_s: float


class Asker(threading.Thread):
    """Asks on one connection until it is left."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(daemon=True)
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=WITHIN_S)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._left = False
        self._last = (0, 0.0)
        self.ask()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._left = True
        self.join(WITHIN_S)
        self._connection.close()

    def run(self) -> None:
        while not self._left:
            self.ask()
            time.sleep(_PAUSE_S)

    def ask(self) -> None:
        sent_s = time.monotonic()
        self._connection.request("POST", "/v1/chat/completions", _BODY, self._headers)
        answer = self._connection.getresponse()
        answer.read()
        status, since_s = self._last
        self._last = (answer.status, since_s if status == answer.status else sent_s)

    def since(self, status: int) -> float | None:
        """When the first of the requests was sent that were answered so until now; None if the last one was not."""
        last, since_s = self._last
        return since_s if last == status else None


class Manager:
    """Changes things, and sees when they hold."""

    def __init__(self, url: str, keys: tuple[str, str], askers: Sequence[Asker]) -> None:
        """`keys`: the one that is asked with, and one that manages."""
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=WITHIN_S)
        self._key, management = keys
        self._headers = {"Authorization": f"Bearer {management}", "Content-Type": "application/json"}
        self._askers = askers

    def round(self) -> Iterator[float]:
        """A limit set and lifted, a user blocked and unblocked, a key disabled and enabled, a guardrail made and
        deleted: after how many seconds each held everywhere. TimeoutError if one does not."""
        key = f"/v1/keys/{digest(self._key)}"
        user = f"/v1/users/{_USER}"
        yield self._until(402, "PATCH", key, {"limit": 0})
        yield self._until(200, "PATCH", key, {"limit": None})
        yield self._until(403, "PATCH", user, {"blocked": True})
        yield self._until(200, "PATCH", user, {"blocked": False})
        yield self._until(401, "PATCH", key, {"disabled": True})
        yield self._until(200, "PATCH", key, {"disabled": False})
        guardrail = {"target": "organization", "name": "nothing", "limit": 0}
        yield self._until(402, "POST", "/v1/guardrails", guardrail)
        [made] = self._change("GET", "/v1/guardrails")["data"]
        yield self._until(200, "DELETE", f"/v1/guardrails/{made['id']}")

    def close(self) -> None:
        self._connection.close()

    def _until(self, status: int, method: str, path: str, body: object = None) -> float:
        sent_s = time.monotonic()
        self._change(method, path, body)
        while time.monotonic() < sent_s + WITHIN_S:
            since = [asker.since(status) for asker in self._askers]
            told = [one for one in since if one is not None]
            if len(told) == len(since):
                return max(0.0, max(told) - sent_s)
            time.sleep(_PAUSE_S)
        raise TimeoutError(f"after {WITHIN_S:g} s {method} {path} does not hold in every worker")

    def _change(self, method: str, path: str, body: object = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, sent, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {said.decode()}")
        return json.loads(said) if said else None


def measure_changes(folder: Path, rounds: int) -> Changes:
    """So many rounds of changes beside two workers, on a fresh database in `folder`."""
    folder.mkdir()
    file, log = folder / "arouter.toml", folder / "log"
    file.write_text(_CONFIGURATION, encoding="utf-8")
    command = [sys.executable, "-m", "arouter", "serve", "--json", "--config", str(file)]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    cores = Cores.of_this_machine().all
    with ExitStack() as stack:
        process = stack.enter_context(started(command, cores=cores, log=log, tells=True, environment=environment))
        told = json.loads(next_line(process, log))
        keys = told["live_key"], told["management_key"]
        askers = stack.enter_context(_askers(process.pid, told["url"], keys[0]))
        manager = Manager(told["url"], keys, askers)
        stack.callback(manager.close)
        seconds = [one for _ in range(rounds) for one in manager.round()]
    return Changes(count=len(seconds), median_s=statistics.median(seconds), worst_s=max(seconds))


@contextmanager
def _askers(pid: int, url: str, key: str) -> Iterator[Sequence[Asker]]:
    """Some on each worker. RuntimeError if a worker gets none of many connections."""
    workers = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    idle = {worker: _sockets(worker) for worker in workers}
    with ExitStack() as stack:
        askers: list[Asker] = []
        for _ in range(_TRIES):
            askers += [stack.enter_context(Asker(url, key)) for _ in range(CONNECTIONS)]
            # Of all its connections the sandbox's and the API's are few.
            if all(_sockets(worker) >= before + CONNECTIONS // 4 for worker, before in idle.items()):
                yield askers
                return
    raise RuntimeError("the connections do not spread over the workers")


def _sockets(pid: int) -> int:
    """How many sockets a process has open."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += os.readlink(link).startswith("socket:")
    return found
