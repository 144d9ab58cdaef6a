"""Portkey, a gateway in TypeScript on Node."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.base import INSTALLED, MAKE_PEERS, Peer, Running, Target, Upstreams
from bench.process import free_port, started, wait_for_port

_SERVER = INSTALLED / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


@contextmanager
def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    port, log = free_port(), folder / "log"
    command = [shutil.which("node") or "node", str(_SERVER), "--headless", f"--port={port}"]
    environment = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    with started(command, cores=cores, log=log, environment=environment) as process:
        wait_for_port(process, port, log)

        def target(provider: str, model: str) -> Target:
            headers = {"x-portkey-provider": provider, "x-portkey-custom-host": f"{upstreams.url}/v1"}
            return Target(url=f"http://127.0.0.1:{port}", model=model, headers=headers)

        yield Running(
            pid=process.pid,
            targets={
                "openai": target("openai", "gpt-4o-mini"),
                "anthropic": target("anthropic", "claude-sonnet-4-5"),
                "gemini": target("google", "gemini-2.5-flash"),
            },
        )


PORTKEY = Peer(
    name="portkey",
    does="routing by headers, the answer read and written again (Node); no key look-up",
    records="nothing",
    start=start,
    find=lambda: _SERVER.is_file() and shutil.which("node") is not None,
    install=MAKE_PEERS,
    upstreams=frozenset({"openai", "anthropic", "gemini"}),
    at_once_most=100,
)
