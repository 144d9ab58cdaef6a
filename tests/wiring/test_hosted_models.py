"""A whole gateway before scripted clouds: signatures and tokens on the wire, streams out of their framing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from arouter.providers.bedrock.signature import AwsKey, signature_headers
from arouter.settings import load
from arouter.wiring.gateway import Gateway
from tests.aws_event_stream import chunk, event
from tests.engine.scripted_peer import Peer, Visit
from tests.service_accounts import key_file

KEY = AwsKey(
    access_key_id="AKID", secret_access_key="secret", session_token="session", region="eu-west-1", service="bedrock"
)


class Cloud:
    """Answers every request by its path, and keeps what it was asked."""

    def __init__(self, *answers: tuple[str, bytes]) -> None:
        """Each answer is for the paths that hold its text."""
        self._answers = answers
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    async def play(self, visit: Visit) -> None:
        while True:
            head = await visit.head()
            body = await visit.body(head)
            line, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
            path = line.split(" ")[1]
            self.asked.append((path, dict(one.split(": ", 1) for one in lines), body))
            answer = next(answer for part, answer in self._answers if part in path)
            await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


def through(tmp_path: Path, settings: Callable[[int], str], cloud: Cloud, ask: Callable[..., Awaitable[Any]]) -> Any:
    """What `ask` returns, which gets a client of a gateway with these settings; they are given the cloud's port."""

    async def visit() -> Any:
        async with asyncio.timeout(20), Peer(cloud.play) as peer:
            (tmp_path / "arouter.toml").write_text(settings(peer.port))
            built = Gateway(load(environment={}, cwd=tmp_path))
            handlers = await built.start()
            assert built.first_keys is not None
            async with httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=handlers.inference["/v1/chat/completions"]),
                base_url="http://gateway",
                headers={"Authorization": f"Bearer {built.first_keys.live}"},
            ) as client:
                try:
                    return await ask(client)
                finally:
                    await built.stop()

    return asyncio.run(visit())


async def chat(client: httpx2.AsyncClient, model: str, **rest: Any) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], **rest}
    return await client.post("/v1/chat/completions", json=body)


def test_a_stream_of_bedrocks_is_asked_for_with_a_signature_that_holds(tmp_path: Path) -> None:
    told = [
        {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    converse = (
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})
        + event("messageStop", {"stopReason": "end_turn"})
        + event("metadata", {"usage": {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9}})
    )
    claude = b"".join(chunk(msgspec.json.encode(one)) for one in told)
    cloud = Cloud(("/invoke-with-response-stream", claude), ("/converse-stream", converse))

    def settings(port: int) -> str:
        return f"""
            [providers.bedrock]
            base_url = "http://127.0.0.1:{port}"
            region = "eu-west-1"
            access_key_id = "AKID"
            secret_access_key = "secret"
            session_token = "session"
        """

    async def ask(client: httpx2.AsyncClient) -> list[str]:
        models = ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0")
        return [(await chat(client, f"bedrock/{model}", stream=True)).text for model in models]

    for text in through(tmp_path, settings, cloud, ask):
        assert '"content":"Hello"' in text
        assert '"prompt_tokens":7' in text
        assert text.endswith("data: [DONE]\n\n")
    assert len(cloud.asked) == 2
    for path, headers, body in cloud.asked:
        signed = signature_headers(
            KEY,
            method="POST",
            path=path,
            headers=(("Host", headers["Host"]),),
            body=body,
            now_us=_instant_us(headers["X-Amz-Date"]),
        )
        assert dict(signed).items() <= headers.items()


def _instant_us(date: str) -> int:
    return int(datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()) * 1_000_000


def test_models_at_vertex_are_asked_with_one_token_that_the_gateway_fetched(tmp_path: Path) -> None:
    gemini = {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}]}
    claude = {"type": "message", "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"}
    llama = {"id": "x", "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
    cloud = Cloud(
        ("/token", b'{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}'),
        ("/publishers/google/models/gemini-2.5-pro:generateContent", msgspec.json.encode(gemini)),
        ("/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict", msgspec.json.encode(claude)),
        ("/endpoints/openapi/chat/completions", msgspec.json.encode(llama)),
    )

    def settings(port: int) -> str:
        (tmp_path / "key.json").write_text(key_file(token_uri=f"http://127.0.0.1:{port}/token"))
        return f"""
            [providers.vertex]
            base_url = "http://127.0.0.1:{port}/v1/projects/p/locations/eu"
            credentials = "key.json"
        """

    async def ask(client: httpx2.AsyncClient) -> list[Any]:
        models = ("gemini-2.5-pro", "claude-sonnet-4-5@20250929", "meta/llama-3.3-70b-instruct-maas")
        answers = await asyncio.gather(*(chat(client, f"vertex/{model}") for model in models * 10))
        return [answer.json()["choices"][0]["message"]["content"] for answer in answers]

    assert through(tmp_path, settings, cloud, ask) == ["Hello"] * 30
    assert [path for path, _, _ in cloud.asked].count("/token") == 1
    asked = [(path, headers) for path, headers, _ in cloud.asked if path != "/token"]
    assert {headers["Authorization"] for _, headers in asked} == {"Bearer ya29.x"}
    assert all(path.startswith("/v1/projects/p/locations/eu/") for path, _ in asked)
