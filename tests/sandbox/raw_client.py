"""A client on a bare socket, which sees what a well-behaved one would hide."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from arouter.sandbox.server import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool
    """Whether it ended as its headers said, not with the connection."""


class RawClient:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """The next answer, read as its headers say, or as far as it got."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body, complete = self._chunks()
        else:
            wanted = int(headers["content-length"])
            body = self._file.read(wanted)
            complete = len(body) == wanted
        return Answer(status=status, headers=headers, body=body, complete=complete)

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return self._file.read()

    def silent_for(self, timeout_s: float) -> bool:
        """Whether the connection is open and nothing comes for so long."""
        self._socket.settimeout(timeout_s)
        try:
            self._socket.recv(1)
        except TimeoutError:
            return True
        return False

    def _chunks(self) -> tuple[bytes, bool]:
        body: list[bytes] = []
        while line := self._file.readline():
            size = int(line, 16)
            data = self._file.read(size + 2)[:size]
            if size == 0:
                return b"".join(body), True
            body.append(data)
        return b"".join(body), False


@contextmanager
def connected(sandbox: Sandbox) -> Iterator[RawClient]:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        client = RawClient(connection)
        yield client
        client._file.close()


def post(path: str, body: object, **headers: str) -> bytes:
    """The bytes of a request with a JSON body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: sandbox", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def chat(model: str = "sandbox", *, stream: bool = False, content: str = "Hello", **rest: object) -> dict[str, object]:
    """The body of an OpenAI request."""
    return {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream, **rest}


def ask(sandbox: Sandbox, request: bytes) -> Answer:
    """One request on a connection of its own."""
    with connected(sandbox) as client:
        client.send(request)
        return client.answer()
