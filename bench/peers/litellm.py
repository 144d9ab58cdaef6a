"""LiteLLM, a gateway in Python."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.base import INSTALLED, MAKE_PEERS, Peer, Running, Target, Upstreams
from bench.process import free_port, started, wait_for_port

_BINARY = INSTALLED / "litellm" / "bin" / "litellm"
_KEY = "sk-bench-litellm"
START_WITHIN_S = 180.0


def _model(name: str, model: str, base: str) -> dict[str, object]:
    return {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": "bench"}}


@contextmanager
def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    port = free_port()
    file, log = folder / "config.json", folder / "log"
    configuration = {
        "model_list": [
            _model("gpt-4o-mini", "openai/gpt-4o-mini", f"{upstreams.url}/v1"),
            _model("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", upstreams.url),
        ],
        "general_settings": {"master_key": _KEY},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
        # Otherwise a provider that answers errors is left alone for a while.
        "router_settings": {"disable_cooldowns": True},
    }
    file.write_text(json.dumps(configuration))
    command = [str(_BINARY), "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
    with started(command, cores=cores, log=log, environment=environment) as process:
        wait_for_port(process, port, log, START_WITHIN_S)
        url = f"http://127.0.0.1:{port}"
        yield Running(
            pid=process.pid,
            keys=(_KEY,),
            targets={
                "openai": Target(url=url, model="gpt-4o-mini"),
                "anthropic": Target(url=url, model="claude-sonnet-4-5"),
            },
        )


LITELLM = Peer(
    name="litellm",
    does="key look-up, routing, request and answer read and written again, usage, price (Python)",
    records="nothing: its records need its database, whose engine has to be fetched from elsewhere",
    start=start,
    find=_BINARY.is_file,
    install=MAKE_PEERS,
    upstreams=frozenset({"openai", "anthropic"}),
    checks_keys=True,
    times_longer=4,
    cases=frozenset(
        {
            *("json", "json-200kB", "json-anthropic", "json-500", "json-401"),
            *("stream-100x1", "stream-fast-100x1", "stream-100x100", "stream-fast-100x100", "stream-anthropic"),
        }
    ),
)
