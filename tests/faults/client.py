"""A client on a bare socket: it knows whether it got a whole answer, and can leave at any byte."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

END = b"data: [DONE]\n\n"


@dataclass(kw_only=True)
class Heard:
    """What came back of one request."""

    stream: bool
    status: int | None = None
    id: str | None = None
    """The generation id, from the head."""
    body: bytes = b""
    whole: bool = False
    """All of it came: a body of the length that was told, a stream up to its end mark."""
    refused: bool = False
    """There was nobody to connect to: the request was never sent."""
    head_at_s: float | None = None
    """When the head came, by the loop's clock."""
    ended_at_s: float | None = None
    """When the last byte was read, or the connection was found broken off."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        """A whole answer that is one."""
        return self.whole and self.status == 200 and not self.errors

    @property
    def events(self) -> list[Any]:
        """The JSON of a stream's events."""
        lines = self.body.decode().split("\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {") and line.endswith("}")]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The errors told: at most one."""
        if self.stream and self.status == 200:
            return [event["error"] for event in self.events if "error" in event]
        return [json.loads(self.body)["error"]] if self.whole and self.status != 200 else []

    @property
    def usage(self) -> dict[str, Any] | None:
        """The usage object, if it came."""
        if not self.stream:
            usage: dict[str, Any] | None = json.loads(self.body).get("usage")
            return usage
        told: list[dict[str, Any]] = [event["usage"] for event in self.events if event.get("usage")]
        return told[-1] if told else None


async def ask(
    url: str,
    key: str,
    model: str,
    *,
    stream: bool,
    user: str | None = None,
    leave_after: int | None = None,
    content: str = "Hello there, how are you?",
    into: Heard | None = None,
    max_tokens: int | None = None,
) -> Heard:
    """One chat completion. `leave_after` so many events of a stream the client hangs up. Never raises an OSError.

    `into` is filled in while the answer comes, for whoever wants to look on.
    """
    heard = Heard(stream=stream) if into is None else into
    address = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
    except OSError:
        heard.refused = True
        return heard
    try:
        writer.write(_request(key, model, stream, user, content, max_tokens))
        await _hear(reader, heard, leave_after)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        heard.ended_at_s = asyncio.get_running_loop().time()
        writer.transport.abort()
    return heard


def _request(
    key: str, model: str, stream: bool, user: str | None, content: str, max_tokens: int | None = None
) -> bytes:
    body: dict[str, object] = {"model": model, "stream": stream, "messages": [{"role": "user", "content": content}]}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if user is not None:
        body["user"] = user
    data = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


async def _hear(reader: asyncio.StreamReader, heard: Heard, leave_after: int | None) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    heard.head_at_s = asyncio.get_running_loop().time()
    status, *lines = head.decode("latin-1").split("\r\n")
    heard.status = int(status.split(" ")[1])
    for line in lines:
        name, _, value = line.partition(": ")
        heard.headers[name.lower()] = value
    heard.id = heard.headers.get("x-generation-id")
    if "content-length" in heard.headers:
        heard.body = await reader.readexactly(int(heard.headers["content-length"]))
        heard.whole = True
        return
    while leave_after is None or heard.body.count(b"\n\n") < leave_after:
        size = int(await reader.readuntil(b"\r\n"), 16)
        piece = await reader.readexactly(size + 2)
        heard.body += piece[:-2]
        if heard.body.endswith(END):
            heard.whole = True
            return
        if size == 0:
            return
