"""The same questions of a gateway on that database, with everything that a client waits for."""

import http.client
import os
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from bench.activity.asking import Answered
from bench.activity.world import DATABASE, World
from bench.process import Cores, next_line, started

_TIMES = 20
_LEAST = 3


def ask(folder: Path, world: World, user: str, seconds: float) -> list[Answered]:
    """Start a gateway, ask it, stop it."""
    file = folder / "gateway.toml"
    file.write_text(f'[server]\nport = 0\n[log]\nlevel = "error"\n[storage]\nurl = "sqlite:///{folder / DATABASE}"\n')
    log = folder / "gateway.log"
    command = [sys.executable, "-m", "arouter", "serve", "--json", "--config", str(file)]
    cores = Cores.of_this_machine().all
    with started(command, cores=cores, log=log, tells=True, environment={**os.environ}) as process:
        address = urlsplit(msgspec.json.decode(next_line(process, log))["url"]).netloc
        connection = http.client.HTTPConnection(address, timeout=120)
        start, end = world.start_us // 1_000_000, world.end_us // 1_000_000
        lately = max(start, end - 30 * 86_400)
        questions = (
            (
                "user page",
                "HTTP: newest 100 of the heaviest user",
                f"/v1/activity?user={quote(user, safe='')}&limit=100",
            ),
            (
                "user sums",
                "HTTP: the heaviest user by day and model",
                f"/v1/activity/summary?user={quote(user, safe='')}&group_by=day,model&end={end}",
            ),
            (
                "top users",
                "HTTP: top 100 users by cost over 30 days",
                f"/v1/activity/summary?group_by=user&limit=100&start={lately}&end={end}",
            ),
            (
                "hours",
                "HTTP: hourly totals",
                f"/v1/activity/summary?group_by=hour&limit=10000&start={start}&end={end}",
            ),
        )
        return [_time(connection, world.management_key, (name, what, path), seconds) for name, what, path in questions]


def _time(connection: http.client.HTTPConnection, key: str, question: tuple[str, str, str], seconds: float) -> Answered:
    """The first answer is not counted: nothing is loaded then."""
    name, what, path = question
    times_ms: list[float] = []
    end = time.monotonic() + seconds
    while len(times_ms) <= _TIMES and (len(times_ms) < _LEAST or time.monotonic() < end):
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        times_ms.append((time.perf_counter() - began) * 1e3)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
    return Answered.of(f"HTTP, {name}", what, times_ms[1:], None)
