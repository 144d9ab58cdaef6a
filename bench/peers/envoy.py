"""Envoy as a plain proxy."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.base import INSTALLED, MAKE_PEERS, Peer, Running, Target, Upstreams
from bench.process import free_port, started, wait_for_port

_TYPE = "type.googleapis.com/envoy.extensions"


def find() -> Path | None:
    return next(iter((INSTALLED / "compiled").glob("lib/python*/site-packages/envoy/_bin/envoy")), None)


def _address(host: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}


def _listener(name: str, port: int) -> dict[str, object]:
    """An HTTP connection manager with one route, to the cluster of the same name."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router", "suppress_envoy_headers": True},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": name, "address": _address("127.0.0.1", port), "filter_chains": [{"filters": filters}]}


def _cluster(name: str, url: str) -> dict[str, object]:
    host, _, port = url.partition("://")[2].partition(":")
    endpoint = {"endpoint": {"address": _address(host, int(port))}}
    most = {"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000}
    cluster: dict[str, object] = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if url.startswith("https"):
        context = {"@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext"}
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return cluster


@contextmanager
def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    ports = {"openai": free_port(), "tls": free_port()}
    urls = {"openai": upstreams.url, "tls": upstreams.tls_url or upstreams.url}
    resources = {
        "listeners": [_listener(name, port) for name, port in ports.items()],
        "clusters": [_cluster(name, url) for name, url in urls.items()],
    }
    file, log = folder / "envoy.json", folder / "log"
    file.write_text(json.dumps({"static_resources": resources}))
    command = [str(find()), "-c", str(file), "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
    with started(command, cores=cores, log=log) as process:
        wait_for_port(process, ports["openai"], log)
        yield Running(
            pid=process.pid,
            targets={
                "openai": Target(url=f"http://127.0.0.1:{ports['openai']}", model="gpt-4o-mini"),
                "tls": Target(url=f"http://127.0.0.1:{ports['tls']}", model="gpt-4o-mini"),
            },
        )


ENVOY = Peer(
    name="envoy",
    does="nothing: a plain proxy (C++); it does not verify the upstream's certificate",
    records="nothing but counters; no access log",
    start=start,
    find=lambda: find() is not None,
    install=MAKE_PEERS,
    upstreams=frozenset({"openai", "tls"}),
)
