"""rolter, a gateway in Rust."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.base import INSTALLED, MAKE_PEERS, Peer, Running, Target, Upstreams
from bench.process import free_port, started, wait_for_port

_BINARY = INSTALLED / "compiled" / "bin" / "rolter"
_KEY = "sk-rolter-dev"

_CONFIGURATION = """
[server]
host = "127.0.0.1"
port = {port}

# Its default lets one request upstream at a time.
[queue]
enabled = false

# Without one it takes every key.
[[virtual_keys]]
key = "{key}"
name = "bench"
models = []
disabled = false

[[providers]]
name = "openai"
kind = "openai_compatible"
api_base = "{upstream}"

[[providers]]
name = "anthropic"
kind = "anthropic"
api_base = "{upstream}"
api_key_env = "BENCH_KEY"
allow_custom_api_base = true

[[providers]]
name = "gemini"
kind = "gemini_native"
api_base = "{upstream}/v1beta"
api_key_env = "BENCH_KEY"
allow_custom_api_base = true

[[routes]]
model = "gpt-4o-mini"
strategy = "round_robin"
[[routes.targets]]
provider = "openai"
model = "gpt-4o-mini"

[[routes]]
model = "claude-sonnet-4-5"
strategy = "round_robin"
[[routes.targets]]
provider = "anthropic"
model = "claude-sonnet-4-5"

[[routes]]
model = "gemini-2.5-flash"
strategy = "round_robin"
[[routes.targets]]
provider = "gemini"
model = "gemini-2.5-flash"
"""


@contextmanager
def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    port = free_port()
    file, log = folder / "rolter.toml", folder / "log"
    file.write_text(_CONFIGURATION.format(port=port, key=_KEY, upstream=upstreams.url))
    command = [str(_BINARY), "gateway", "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    environment = {"BENCH_KEY": "bench", "RUST_LOG": "error"}
    with started(command, cores=cores, log=log, environment=environment) as process:
        wait_for_port(process, port, log)
        url = f"http://127.0.0.1:{port}"
        yield Running(
            pid=process.pid,
            keys=(_KEY,),
            targets={
                "openai": Target(url=url, model="gpt-4o-mini"),
                "anthropic": Target(url=url, model="claude-sonnet-4-5"),
                "gemini": Target(url=url, model="gemini-2.5-flash"),
            },
        )


ROLTER = Peer(
    name="rolter",
    does="key look-up, routing (Rust); its queue is off, which else lets one request upstream at a time",
    records="nothing: its records go to ClickHouse, from a queue in memory that drops when it is full",
    start=start,
    find=_BINARY.is_file,
    install=MAKE_PEERS,
    upstreams=frozenset({"openai", "anthropic", "gemini"}),
    checks_keys=True,
    passes_errors=False,
)
