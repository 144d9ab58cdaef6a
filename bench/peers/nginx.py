"""nginx as a plain proxy: the floor."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers.base import Peer, Running, Target, Upstreams
from bench.process import free_port, started, wait_for_port

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
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
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    proxy_ssl_session_reuse on;
    upstream plain {{ server {plain}; keepalive 2048; keepalive_requests 100000000; }}
    upstream tls {{ server {tls}; keepalive 2048; keepalive_requests 100000000; }}
    server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ proxy_pass http://plain; }} }}
    server {{ listen 127.0.0.1:{tls_port} backlog=2048; location / {{ proxy_pass https://tls; }} }}
}}
"""


def find() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def start(upstreams: Upstreams, folder: Path, cores: frozenset[int]) -> Iterator[Running]:
    port, tls_port = free_port(), free_port()
    file, log = folder / "nginx.conf", folder / "log"
    plain = upstreams.url.removeprefix("http://")
    file.write_text(
        _CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=folder,
            plain=plain,
            tls=upstreams.tls_url.removeprefix("https://") or plain,
            port=port,
            tls_port=tls_port,
        )
    )
    command = [find() or "nginx", "-p", str(folder), "-c", str(file), "-e", "stderr"]
    with started(command, cores=cores, log=log) as process:
        wait_for_port(process, port, log)
        yield Running(
            pid=process.pid,
            targets={
                "openai": Target(url=f"http://127.0.0.1:{port}", model="gpt-4o-mini"),
                "tls": Target(url=f"http://127.0.0.1:{tls_port}", model="gpt-4o-mini"),
            },
        )


NGINX = Peer(
    name="nginx",
    does="nothing: the floor, what the same bytes cost in C; it does not verify the upstream's certificate",
    records="nothing; its access log is off",
    start=start,
    find=lambda: find() is not None,
    install="apt-get install nginx-light",
    upstreams=frozenset({"openai", "tls"}),
)
