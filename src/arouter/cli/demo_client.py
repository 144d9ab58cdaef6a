"""The demo's client: the gateway asked through its own port, as anybody would."""

from arouter.engine.upstream import Origin, Upstream, request_head

_MOST_BYTES = 8_000_000


class DemoClient:
    """Belongs to the event loop on which it asks first."""

    def __init__(self, url: str) -> None:
        self._origin = Origin.from_url(url)
        self._upstream = Upstream()

    async def chat(self, key: str, body: bytes) -> int:
        """The status of a completion, read to its end. UpstreamFailed if the gateway is not there any more."""
        headers = (("Authorization", f"Bearer {key}"), ("Content-Type", "application/json"))
        head = request_head(self._origin, "POST", "/v1/chat/completions", headers)
        answer = await self._upstream.send(self._origin, head, body)
        await answer.read(_MOST_BYTES)
        return answer.status

    async def get(self, key: str, path: str) -> bytes:
        """An answer's body. UpstreamFailed if the gateway is not there any more."""
        head = request_head(self._origin, "GET", path, (("Authorization", f"Bearer {key}"),))
        answer = await self._upstream.send(self._origin, head, b"")
        return await answer.read(_MOST_BYTES)

    async def aclose(self) -> None:
        await self._upstream.aclose()
