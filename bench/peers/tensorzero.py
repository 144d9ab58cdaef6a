"""TensorZero, a gateway in Rust, which comes inside of a Python package."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.base import INSTALLED, MAKE_PEERS, Peer, Running, Target, Upstreams
from bench.process import next_line, started

_PYTHON = INSTALLED / "compiled" / "bin" / "python"

_CONFIGURATION = """
[gateway]
observability.enabled = false

[models.gpt]
routing = ["bench"]
[models.gpt.providers.bench]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "{upstream}/v1/"
api_key_location = "none"

[models.claude]
routing = ["bench"]
[models.claude.providers.bench]
type = "anthropic"
model_name = "claude-sonnet-4-5"
api_base = "{upstream}/v1/"
api_key_location = "env::BENCH_KEY"
"""

_RUN = """
import os, signal, sys
from tensorzero.tensorzero import _start_http_gateway
gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print(gateway.base_url, flush=True)
os.dup2(2, 1)  # it writes its log there, and nobody reads on
signal.pause()
"""


def find() -> bool:
    return any((INSTALLED / "compiled").glob("lib/python*/site-packages/tensorzero/*.so"))


@contextmanager
def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    file, log = folder / "tensorzero.toml", folder / "log"
    file.write_text(_CONFIGURATION.format(upstream=upstreams.url))
    command = [str(_PYTHON), "-c", _RUN, str(file)]
    environment = {"BENCH_KEY": "bench", "RUST_LOG": "error"}
    with started(command, cores=cores, log=log, tells=True, environment=environment) as process:
        url = next_line(process, log).removesuffix("/").removesuffix("/openai/v1")
        yield Running(
            pid=process.pid,
            path="/openai/v1/chat/completions",
            targets={
                "openai": Target(url=url, model="tensorzero::model_name::gpt"),
                "anthropic": Target(url=url, model="tensorzero::model_name::claude"),
            },
        )


TENSORZERO = Peer(
    name="tensorzero",
    does="routing, request and answer read and written again (Rust); no key look-up",
    records="nothing: its records need ClickHouse or PostgreSQL",
    start=start,
    find=find,
    install=MAKE_PEERS,
    upstreams=frozenset({"openai", "anthropic"}),
)
