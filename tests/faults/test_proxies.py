"""A gateway whose way out is a proxy: it is asked for the provider, and its failures are told as those of one."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.engine.scripted_peer import Peer, Visit
from tests.faults.client import Heard, ask
from tests.faults.ledgers import contents
from tests.faults.processes import place, sandbox_at

COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def answer(status: str, body: Any) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(data),
        data,
    )


def test_a_proxy_is_asked_for_the_provider(tmp_path: Path) -> None:
    """It answers for it, then wants other credentials, then refuses a tunnel, then dies."""
    requests: list[bytes] = []

    async def script(visit: Visit) -> None:
        requests.append(await visit.request())
        await visit.say(answer("200 OK", COMPLETION))
        requests.append(await visit.request())
        await visit.say(answer("407 Proxy Authentication Required", {}))
        requests.append(await visit.request())

    async def tunnel(visit: Visit) -> None:
        requests.append(await visit.head())
        await visit.say(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    async def talk() -> list[Heard]:
        async with Peer(script) as proxy, Peer(tunnel) as tunnels:
            settings = sandbox_at(
                "http://api.example.com",
                upstream={
                    "http_proxy": f"http://gate:hush@127.0.0.1:{proxy.port}",
                    "https_proxy": f"http://gate:hush@127.0.0.1:{tunnels.port}",
                },
            )
            settings['providers."anthropic"'] = {"base_url": "https://api.example.com", "api_key": "any"}
            with place(tmp_path, settings) as home:
                gateway = await asyncio.to_thread(home.start)
                heard = [
                    await ask(gateway.url, gateway.live, f"{provider}/m", stream=False)
                    for provider in ("openai", "openai", "anthropic", "openai")
                ]
                gateway.terminate()
                assert await asyncio.to_thread(gateway.exit_code) == 0
                return heard

    heard = asyncio.run(talk())
    assert [one.status for one in heard] == [200, 502, 502, 502]
    assert heard[0].usage is not None
    assert heard[0].usage["total_tokens"] == 5
    assert [error["code"] for one in heard for error in one.errors] == ["upstream_error"] * 3
    assert heard[2].errors[0]["message"] == "api.example.com: the proxy asks for other credentials"
    assert not any(b"hush" in one.body for one in heard)
    lines = [request.split(b"\r\n")[0] for request in requests]
    posted = b"POST http://api.example.com/v1/chat/completions HTTP/1.1"
    assert lines == [posted, posted, b"CONNECT api.example.com:443 HTTP/1.1", posted]
    assert all(b"\r\nProxy-Authorization: Basic Z2F0ZTpodXNo\r\n" in request for request in requests)
    statuses = [str(record.status) for record in contents(tmp_path / "arouter.db").records]
    assert statuses == ["success", "upstream_error", "upstream_error", "upstream_error"]
