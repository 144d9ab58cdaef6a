"""Neither side makes the gateway hold what the other one does not take: memory stays bounded, and the writer waits."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.engine.scripted_peer import Peer, Script, Visit
from tests.faults.client import ask
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, place, sandbox_at

MB = 1_000_000
TEXT = "word " * 1600
MOST_HELD = 40 * MB
"""By which a process may grow that has 600 MB offered: what is in use for a moment, and what an allocator keeps."""

OPENAI = {"id": "c", "object": "chat.completion.chunk", "model": "m"}
BEGIN = {
    "openai": "",
    "anthropic": 'data: {"type":"message_start","message":{"id":"m","model":"m","usage":{"input_tokens":3}}}\n\n'
    'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    "google": "",
}
EVENTS: dict[str, object] = {
    "openai": {**OPENAI, "choices": [{"index": 0, "delta": {"content": TEXT}, "finish_reason": None}]},
    "anthropic": {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
    "google": {"candidates": [{"content": {"parts": [{"text": TEXT}], "role": "model"}, "index": 0}]},
}
"""One event of a stream that has no end, by the provider's name."""


def resident_bytes(gateway: Gateway) -> int:
    """The memory that the process has right now."""
    for line in Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the system does not tell")


@asynccontextmanager
async def gateway_before(folder: Path, script: Script, upstream: Mapping[str, object]) -> AsyncIterator[Gateway]:
    """A gateway whose providers play the script for each connection. In the end it stops in order."""
    async with Peer(script) as peer:
        with place(folder, sandbox_at(f"http://127.0.0.1:{peer.port}", upstream=upstream)) as home:
            gateway = await asyncio.to_thread(home.start)
            yield gateway
            gateway.terminate()
            assert await asyncio.to_thread(gateway.exit_code) == 0


async def settles(value: Callable[[], int]) -> int:
    """The value, once it has not changed for half a second."""
    before, unchanged = value(), 0
    while unchanged < 10:
        await asyncio.sleep(0.05)
        unchanged = unchanged + 1 if value() == before else 0
        before = value()
    return before


# ---------------------------------------------------------------- a client that does not read


class Endless:
    """A provider that goes on for 200 MB if somebody takes it, in every dialect."""

    most_bytes = 200 * MB

    def __init__(self) -> None:
        self.said_bytes: dict[str, int] = {}

    async def play(self, visit: Visit) -> None:
        head = await visit.head()
        target = head.split(b" ")[1]
        name = {b"/v1/chat/completions": "openai", b"/v1/messages": "anthropic"}.get(target, "google")
        event = f"data: {json.dumps(EVENTS[name])}\n\n".encode()
        self.said_bytes[name] = 0
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + BEGIN[name].encode())
        while self.said_bytes[name] < self.most_bytes:
            await visit.say(event)
            self.said_bytes[name] += len(event)

    @property
    def all_bytes(self) -> int:
        return sum(self.said_bytes.values())


def idle_client(gateway: Gateway, model: str) -> socket.socket:
    """Asks for a stream and takes nothing of it."""
    address = urlsplit(gateway.url)
    connected = socket.create_connection((address.hostname, address.port))
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "Go on."}]}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {gateway.live}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connected.sendall(head.encode() + body)
    return connected


def test_a_client_that_reads_nothing_holds_its_provider_back(tmp_path: Path) -> None:
    """The sockets take a few megabytes on the way, the gateway some hundred kilobytes for each stream; then the
    provider waits. When the client leaves, no more is drained than the setting allows, and that is not kept either."""
    endless = Endless()
    names = ("openai", "anthropic", "google")

    async def stall() -> None:
        async with gateway_before(tmp_path, endless.play, {"drain_most_bytes": 40 * MB}) as gateway:
            before_bytes = resident_bytes(gateway)
            with ExitStack() as clients:
                for name in names:
                    clients.enter_context(idle_client(gateway, f"{name}/any"))
                held_bytes = await settles(lambda: endless.all_bytes)
                assert set(endless.said_bytes) == set(names)
                assert 0 < held_bytes < 60 * MB
                assert resident_bytes(gateway) - before_bytes < MOST_HELD
            await settles(lambda: endless.all_bytes)
            assert all(40 * MB < said < 80 * MB for said in endless.said_bytes.values())
            assert resident_bytes(gateway) - before_bytes < MOST_HELD

    asyncio.run(stall())
    records = contents(tmp_path / "arouter.db").records
    assert {(one.provider, str(one.status)) for one in records} == {(name, "client_disconnect") for name in names}


# ---------------------------------------------------------------- a provider that does not read


async def upload(gateway: Gateway, most_bytes: int) -> tuple[int, bytes]:
    """Sends a body without a length and without an end, as much as is taken; how much that was, and the answer."""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {gateway.live}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    writer.write(head.encode())
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent_bytes = 0
    answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    try:
        while sent_bytes < most_bytes and not answer.done():
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 2)
            sent_bytes += len(piece)
        return sent_bytes, await asyncio.wait_for(answer, 5)
    finally:
        answer.cancel()
        writer.transport.abort()


async def unread(visit: Visit) -> None:
    """A provider that takes a few bytes of a request and never goes on."""
    await visit.reader.read(100)
    await asyncio.sleep(60)


def test_a_body_is_taken_up_to_the_limit_and_no_further(tmp_path: Path) -> None:
    async def send() -> None:
        async with gateway_before(tmp_path, unread, {}) as gateway:
            before_bytes = resident_bytes(gateway)
            sent_bytes, head = await upload(gateway, 200 * MB)
            assert head.startswith(b"HTTP/1.1 413 ")
            assert 20 * MB < sent_bytes < 40 * MB
            assert resident_bytes(gateway) - before_bytes < 60 * MB

    asyncio.run(send())


async def fails(visit: Visit) -> None:
    """Says 500, or never takes the request of which the model is called silent."""
    head = await visit.head()
    begun = await visit.reader.read(200)
    if b'"silent"' in begun:
        await asyncio.sleep(60)
    [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await visit.reader.readexactly(int(length.partition(b":")[2]) - len(begun))
    await visit.say(b"HTTP/1.1 500 Out Of Order\r\nContent-Length: 2\r\n\r\n{}")


FAILURES = {
    ("silent", "somebody"): (504, "upstream_timeout"),
    ("bad", "somebody"): (502, "upstream_error"),
    ("bad", "s" * 2000): (400, "string_above_max_length"),
}
"""Status and code by model and user."""


def test_a_request_that_failed_is_forgotten_at_once(tmp_path: Path) -> None:
    """Its body is as large as memory allows for: a provider that fails must not make the process keep many of them."""
    content = "word " * 1_000_000

    async def send() -> None:
        async with gateway_before(tmp_path, fails, {"first_byte_timeout_s": 0.3}) as gateway:
            grown_bytes = []
            for model, user in (*FAILURES, *(5 * (*FAILURES,))):
                heard = await ask(
                    gateway.url, gateway.live, f"openai/{model}", stream=False, user=user, content=content
                )
                told = [(heard.status, error["code"]) for error in heard.errors]
                assert told == [FAILURES[model, user]]
                grown_bytes.append(resident_bytes(gateway))
            assert grown_bytes[-1] - grown_bytes[0] < 8 * len(content)

    asyncio.run(send())


# ---------------------------------------------------------------- a provider whose connections are all taken


def test_a_full_queue_is_told_with_a_time_to_come_back(tmp_path: Path) -> None:
    async def fill() -> None:
        limits = {"most_connections": 1, "most_waiting": 1, "waiting_timeout_s": 0.5, "first_byte_timeout_s": 2.0}
        async with gateway_before(tmp_path, unread, limits) as gateway:
            asking = [
                asyncio.ensure_future(
                    ask(gateway.url, gateway.live, "openai/any", stream=stream, user=f"user {number}")
                )
                for number, stream in enumerate((False, False, True))
            ]
            heard = await asyncio.gather(*asking)
            assert sorted(one.status or 0 for one in heard) == [503, 503, 504]
            for one in heard:
                if one.status == 503:
                    assert one.headers["retry-after"] == "1"
                    assert [error["code"] for error in one.errors] == ["upstream_busy"]
                    assert one.errors[0]["metadata"]["provider"] == "openai"

    asyncio.run(fill())
    records = contents(tmp_path / "arouter.db").records
    assert sorted(one.error_code or "" for one in records) == ["upstream_busy", "upstream_busy", "upstream_timeout"]
    assert {(one.cost, str(one.usage_source), str(one.status)) for one in records} == {(None, "none", "upstream_error")}
