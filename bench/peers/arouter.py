"""Ourselves: with one worker and strict records, as it is served by default, and in three variants."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.cases import Upstream
from bench.peers.base import INSTALLED, Ledger, Peer, Running, Start, Target, Upstreams
from bench.process import next_line, started

KEYS = 10_000
WRONG_KEY = "lr_live_" + "0" * 48
READY_WITHIN_S = 60.0
LAG_METRIC = "arouter_event_loop_lag_seconds_bucket"

_DOES = "key look-up, limits, the body checked, a pseudonym for the user, usage, exact price"


def _start(*, durability: str = "strict", workers: int = 1, keys: int = KEYS, python: str = sys.executable) -> Start:
    def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> AbstractContextManager[Running]:
        command = [python, "-m", "bench.gateway", "--folder", str(folder), "--upstream", upstreams.url]
        command += ["--durability", durability, "--workers", str(workers), "--keys", str(keys)]
        if upstreams.tls_url:
            command += ["--tls-upstream", upstreams.tls_url]
        return gateway(command, upstreams, folder, cores)

    return start


@contextmanager
def gateway(command: list[str], upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": os.pathsep.join((str(root), str(root / "src")))}
    if upstreams.tls_url:
        environment["SSL_CERT_FILE"] = str(upstreams.certificate)
    log = folder / "log"
    with started(command, cores=cores, log=log, tells=True, environment=environment) as process:
        told = json.loads(next_line(process, log))
        url = json.loads(next_line(process, log))["url"]
        _wait_until_ready(url)
        targets: dict[Upstream, Target] = {
            "openai": Target(url=url, model="openai/gpt-4o-mini"),
            "tls": Target(url=url, model="azure/gpt-4o-mini"),
            "anthropic": Target(url=url, model="anthropic/claude-sonnet-4-5"),
            "gemini": Target(url=url, model="google/gemini-2.5-flash"),
        }
        yield Running(
            pid=process.pid,
            targets=targets,
            keys=tuple(told["live"]),
            wrong_key=WRONG_KEY,
            make_key=lambda: _make_key(url, told["management"]),
            ledger=lambda: _ledger(url, told["management"]),
            lag=lambda: _lag(url),
        )


def _wait_until_ready(url: str) -> None:
    """Until it has read its prices, too."""
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except urllib.error.HTTPError as exc:
            exc.close()
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the gateway does not get ready")


def _make_key(url: str, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/keys", b'{"name": "one more"}', headers)
    urllib.request.urlopen(request, timeout=60).close()


def _ledger(url: str, key: str) -> Ledger:
    request = urllib.request.Request(
        f"{url}/v1/activity/summary?group_by=user&limit=1", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        totals = json.load(answer, parse_float=str)["totals"]
    return Ledger(
        requests=totals["requests"],
        errors=totals["errors"],
        users=totals["users"],
        without_usage=totals["requests_without_usage"],
        without_price=totals["requests_without_price"],
        cost=str(totals["cost"]),
    )


def _lag(url: str) -> Mapping[float, float]:
    """Empty if there is no such metric."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    found: dict[float, float] = {}
    for line in lines:
        if line.startswith(LAG_METRIC):
            labels, _, value = line.rpartition(" ")
            _, _, bound = labels.partition('le="')
            at_most = float(bound.partition('"')[0])
            found[at_most] = found.get(at_most, 0.0) + float(value)
    return found


_EVERYTHING: frozenset[Upstream] = frozenset({"openai", "tls", "anthropic", "gemini"})
_OF_VARIANTS = frozenset({"json", "json-200kB", "stream-100x100", "stream-fast-100x100", "stream-100x1000"})

AROUTER = Peer(
    name="arouter",
    does=_DOES,
    records="user, usage, cost and 20 more fields, on disk before the answer ends; roll-ups",
    start=_start(),
    find=lambda: True,
    install="",
    upstreams=_EVERYTHING,
    checks_keys=True,
    ours=True,
)
RELAXED = Peer(
    name="arouter-relaxed",
    does=_DOES,
    records="the same, on disk shortly after the answer",
    start=_start(durability="relaxed", keys=1),
    find=lambda: True,
    install="",
    cases=_OF_VARIANTS,
    ours=True,
)
TWO_WORKERS = Peer(
    name="arouter-2-workers",
    does=f"{_DOES}; two workers on both cores, beside load and upstream",
    records="as arouter",
    start=_start(workers=2, keys=1),
    find=lambda: True,
    install="",
    cases=_OF_VARIANTS,
    ours=True,
    two_workers=True,
)


SYSTEM_PYTHON = Peer(
    name="arouter-system-python",
    does=f"{_DOES}; run by the Python that the system ships",
    records="as arouter",
    start=_start(keys=1, python=str(INSTALLED / "system-python" / "bin" / "python")),
    find=(INSTALLED / "system-python" / "bin" / "python").is_file,
    install="make bench-peers",
    cases=_OF_VARIANTS,
    ours=True,
)


def with_workers(workers: int) -> Peer:
    """So many workers, and nothing else than the others with as many."""
    named = f"{workers} worker{'s' if workers > 1 else ''}"
    return replace(TWO_WORKERS, name=named, start=_start(workers=workers, keys=1), cases=None, two_workers=workers > 1)
