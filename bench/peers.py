"""Who is measured: ourselves, and others beside us in the same run. A peer is one row of `PEERS`.

A row says what the peer records of a request, how it is found and installed, and how it is started: a context
manager that gives a `Running` and has stopped everything when it ends.
"""

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.process import first_line, free_port, started, wait_for_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a peer that keeps records says of them."""

    requests: int
    errors: int
    users: int
    without_usage: int
    without_price: int
    cost: str
    """In dollars, exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A peer that answers."""

    url: str
    pid: int
    """The top of its process tree."""
    key: str = "bench"
    path: str = "/v1/chat/completions"
    ledger: Callable[[], Ledger] | None = None
    """Asks what was recorded so far, if the peer records requests."""


Start = Callable[[str, Path, int], AbstractContextManager[Running]]
"""Takes the upstream's URL, an empty folder and the core to run on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One row."""

    name: str
    does: str
    """What it does besides forwarding, and what it records."""
    start: Start
    find: Callable[[], bool]
    """Whether it is installed."""
    install: str
    """What to type if it is not."""


# ---------------------------------------------------------------- ourselves


@contextmanager
def start_gateway(upstream: str, folder: Path, core: int) -> Iterator[Running]:
    command = [sys.executable, "-m", "bench.gateway", "--upstream", upstream, "--folder", str(folder)]
    with started(command, core=core) as process:
        told = json.loads(first_line(process))
        yield Running(
            url=told["url"],
            pid=process.pid,
            key=told["live"],
            ledger=lambda: _ledger(told["url"], told["management"]),
        )


def _ledger(url: str, key: str) -> Ledger:
    request = urllib.request.Request(
        f"{url}/v1/activity/summary?group_by=user&limit=1", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        totals = json.load(answer, parse_float=str)["totals"]
    return Ledger(
        requests=totals["requests"],
        errors=totals["errors"],
        users=totals["users"],
        without_usage=totals["requests_without_usage"],
        without_price=totals["requests_without_price"],
        cost=str(totals["cost"]),
    )


# ---------------------------------------------------------------- nginx

_NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 32m;
    client_body_buffer_size 1m;
    keepalive_requests 100000000;
    upstream bench {{ server {upstream}; keepalive 1024; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://bench;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


def _nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def start_nginx(upstream: str, folder: Path, core: int) -> Iterator[Running]:
    port = free_port()
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text(_NGINX.format(user=user, folder=folder, port=port, upstream=upstream.removeprefix("http://")))
    command = [_nginx() or "nginx", "-p", str(folder), "-c", str(file), "-e", "stderr"]
    with started(command, core=core) as process:
        wait_for_port(process, port)
        yield Running(url=f"http://127.0.0.1:{port}", pid=process.pid)


# ---------------------------------------------------------------- the rows

PEERS = (
    Peer(
        name="arouter",
        does="key look-up, user, usage, exact price, one durable record a request (strict)",
        start=start_gateway,
        find=lambda: True,
        install="",
    ),
    Peer(
        name="nginx",
        does="forwards; knows no keys, users, usage or prices; records nothing",
        start=start_nginx,
        find=lambda: _nginx() is not None,
        install="apt-get install nginx-light",
    ),
)
