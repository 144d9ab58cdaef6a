"""ferrogw, a gateway in Go: bare, and with its request log."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.peers.base import INSTALLED, MAKE_PEERS, Peer, Running, Start, Target, Upstreams
from bench.process import free_port, started, wait_for_port

_BINARY = INSTALLED / "compiled" / "bin" / "ferrogw"
_KEY = "fgw_" + "0123456789abcdef" * 2


def _start(plugins: Sequence[object]) -> Start:
    def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> AbstractContextManager[Running]:
        return ferrogw(plugins, upstreams, folder, cores)

    return start


@contextmanager
def ferrogw(plugins: Sequence[object], upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    port = free_port()
    file, log = folder / "config.json", folder / "log"
    configuration = {
        "strategy": {"mode": "fallback"},
        "targets": [{"virtual_key": "openai"}],
        "plugins": plugins,
    }
    file.write_text(json.dumps(configuration))
    environment = {
        "OPENAI_BASE_URL": f"{upstreams.url}/v1",
        "OPENAI_API_KEY": "bench",
        "MASTER_KEY": _KEY,
        "GATEWAY_CONFIG": str(file),
        "PORT": str(port),
        "RATE_LIMIT_RPS": "0",
        "LOG_LEVEL": "error",
        # Used by the request log, where that is on.
        "REQUEST_LOG_STORE_BACKEND": "sqlite",
        "REQUEST_LOG_STORE_DSN": str(folder / "requests.db"),
        # Otherwise it starts a thread for each core it sees, whatever cores it has.
        "GOMAXPROCS": str(len(cores)),
    }
    with started([str(_BINARY), "serve"], cores=cores, log=log, environment=environment) as process:
        wait_for_port(process, port, log)
        target = Target(url=f"http://127.0.0.1:{port}", model="gpt-4o-mini")
        yield Running(pid=process.pid, keys=(_KEY,), targets={"openai": target})


def _logger(stage: str) -> object:
    """Its request log in a database of its own."""
    kept = {"level": "debug", "persist": True}
    return {"name": "request-logger", "type": "logging", "stage": stage, "enabled": True, "config": kept}


FERROGW = Peer(
    name="ferrogw",
    does="routing, the answer read and written again (Go); its rate limit is off",
    records="nothing: no plugin is on",
    start=_start(()),
    find=_BINARY.is_file,
    install=MAKE_PEERS,
)
FERROGW_SQLITE = Peer(
    name="ferrogw-sqlite",
    does="as ferrogw",
    records="user and cost, two rows a request, in SQLite before it answers (its request-logger)",
    start=_start([_logger("before_request"), _logger("after_request")]),
    find=_BINARY.is_file,
    install=MAKE_PEERS,
    cases=frozenset({"json", "json-200kB", "stream-100x100", "stream-fast-100x100"}),
)
