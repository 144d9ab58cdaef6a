"""The endpoint over ASGI: status, headers and bodies, with a record for every request that passed authentication."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.domain.ids import RANDOM_BYTES, generation_id
from arouter.domain.keys import Key, KeyKind, UserPolicy, digest, new_plaintext
from arouter.domain.record import Record, Status
from arouter.store.memory import MemoryStore
from arouter.web.asgi import Message
from arouter.web.auth import Authenticator
from arouter.web.inference.dialects import CHAT
from arouter.web.inference.endpoint import Inference
from arouter.web.user_tokens import UserTokens
from tests.engine.pipeline import STREAM, Pipeline, completion, events, turns
from tests.engine.samples import key
from tests.engine.scripted_client import Says

PLAINTEXT = new_plaintext(KeyKind.LIVE, bytes(24))
BEARER = {"authorization": f"Bearer {PLAINTEXT}"}
BODY: dict[str, Any] = {"model": "openai/gpt-5.4", "messages": [], "user": "user_12345"}
GENERATION = f"gen-{1_795_348_800_001_000:015x}{('ab' * 9)[1:]}"


class Exchange:
    """One request and what came back."""

    dialect = CHAT

    def __init__(self, *answers: Says | UpstreamFailed | Exception, **rules: Any) -> None:
        self.pipeline = Pipeline(*answers)
        self._key = key(hash=digest(PLAINTEXT), **rules)
        self.sent: list[Message] = []
        self.records: list[Record] = []

    def ask(
        self,
        body: Any = BODY,
        headers: dict[str, str] = BEARER,
        *,
        chunks: Sequence[bytes] | None = None,
        leaves: bool = False,
        query: bytes = b"",
    ) -> tuple[int | None, dict[str, str], bytes]:
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        pieces = [data] if chunks is None else list(chunks)
        messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        messages[-1]["more_body"] = leaves
        asyncio.run(self._run(messages, headers, leaves, query))
        if not self.sent:
            return None, {}, b""
        told = {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}
        return self.sent[0]["status"], told, b"".join(message["body"] for message in self.sent[1:])

    async def _run(self, messages: list[Message], headers: dict[str, str], leaves: bool, query: bytes) -> None:
        store = MemoryStore(clock=lambda: 0)
        await self._add(store, self._key)
        endpoint = Inference(
            dialect=self.dialect,
            authenticator=Authenticator(store.directory, now_us=self.pipeline.clock.now_us),
            completions=self.pipeline.completions,
            clock=self.pipeline.clock,
            new_id=lambda now_us: generation_id(now_us, b"\xab" * RANDOM_BYTES),
            tasks=self.pipeline.tasks,
            user_tokens=UserTokens(store.directory, secret=bytes(32), now_us=self.pipeline.clock.now_us, entropy=bytes),
            body_most_bytes=1000,
        )

        async def receive() -> Message:
            if messages:
                return messages.pop(0)
            if not leaves:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)

        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await endpoint(
            {"type": "http", "headers": raw, "query_string": query, "path": self.dialect.path}, receive, send
        )
        await turns()
        self.records = await self.pipeline.ledger.records()

    async def _add(self, store: MemoryStore, one: Key) -> None:
        await store.directory.add_key(one, secret=digest(PLAINTEXT))


def test_a_whole_answer() -> None:
    exchange = Exchange(Says(steps=[completion()]))
    status, headers, body = exchange.ask(headers={**BEARER, "x-request-id": "mine"})
    assert (status, headers["content-type"], headers["content-length"]) == (200, "application/json", str(len(body)))
    assert (headers["x-generation-id"], headers["x-request-id"]) == (GENERATION, "mine")
    assert "x-arouter-user" not in headers
    assert msgspec.json.decode(body)["usage"]["cost"] == 0.0004
    (record,) = exchange.records
    assert (record.opening.id, record.opening.request_id, record.opening.user) == (GENERATION, "mine", "user_12345")
    assert record.opening.key_hash == digest(PLAINTEXT)


def test_a_stream() -> None:
    exchange = Exchange(Says(steps=STREAM))
    status, headers, body = exchange.ask({**BODY, "stream": True})
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
    assert "content-length" not in headers
    assert body.startswith(STREAM[0])
    assert events(body)[-1] == "[DONE]"
    assert [message["more_body"] for message in exchange.sent[1:]] == [True] * 3 + [False]
    assert headers["x-request-id"] == GENERATION


@pytest.mark.parametrize("stream", [False, True])
def test_who_was_asked_is_in_the_headers_if_the_request_wants_it(stream: bool) -> None:
    exchange = Exchange(Says(status=503, steps=[]), Says(steps=STREAM if stream else [completion()]))
    body = {**BODY, "models": ["groq/llama"], "stream": stream}
    status, headers, _ = exchange.ask(body, {**BEARER, "X-ARouter-Metadata".lower(): "enabled"})
    assert status == 200
    first, second = headers["x-arouter-attempts"].split(", ")
    assert first.startswith('"openai/gpt-5.4";status=503;code="upstream_error";ms=')
    assert second.startswith('"groq/llama";status=200;ms=')


def test_an_error_says_it_too_and_without_the_wish_nothing_is_said() -> None:
    wanted = {**BEARER, "x-arouter-metadata": "enabled"}
    status, headers, _ = Exchange(UpstreamFailed("down")).ask(headers=wanted)
    assert (status, headers["x-arouter-attempts"][:16]) == (502, '"openai/gpt-5.4"')
    assert "x-arouter-attempts" not in Exchange(UpstreamFailed("down")).ask()[1]
    assert "x-arouter-attempts" not in Exchange().ask({**BODY, "model": "nobody/x"}, wanted)[1], "nobody was asked"


def test_the_provider_object_is_followed() -> None:
    status, _, body = Exchange().ask({**BODY, "provider": {"only": ["groq"]}})
    assert (status, msgspec.json.decode(body)["error"]["code"]) == (404, "no_matching_provider")
    status, _, body = Exchange().ask({**BODY, "provider": {"onyl": ["groq"]}})
    error = msgspec.json.decode(body)["error"]
    assert (status, error["code"], error["param"]) == (400, "unknown_parameter", "provider.onyl")


def test_what_the_headers_say_is_on_the_record() -> None:
    exchange = Exchange(Says(steps=[completion()]))
    said = {
        "x-arouter-user": "j%C3%BC",
        "x-arouter-tags": "a,b",
        "x-session-id": "s",
        "x-title": "App",
        "referer": "https://a",
    }
    exchange.ask({"model": "gpt-5.4", "messages": []}, {**BEARER, **said})
    opening = exchange.records[0].opening
    assert (opening.user, opening.tags, opening.session_id) == ("jü", ("a", "b"), "s")
    assert (opening.app_title, opening.app_url, opening.requested_model) == ("App", "https://a", "gpt-5.4")
    assert exchange.records[0].model == "openai/gpt-5.4"


def test_a_user_that_the_key_overrules_comes_back() -> None:
    exchange = Exchange(Says(steps=[completion()]), user_policy=UserPolicy.FIXED, fixed_user="f ü")
    _, headers, _ = exchange.ask()
    assert headers["x-arouter-user"] == "f%20%C3%BC"
    assert exchange.records[0].opening.user == "f ü"


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, "missing_api_key"), ({"authorization": "Bearer sk-x"}, "invalid_api_key")],
)
def test_who_is_not_known_leaves_no_record(headers: dict[str, str], code: str) -> None:
    exchange = Exchange()
    status, told, body = exchange.ask(headers=headers)
    error = msgspec.json.decode(body)["error"]
    assert (status, error["type"], error["code"]) == (401, "authentication_error", code)
    assert told["x-generation-id"] == GENERATION
    assert exchange.records == []


def test_the_key_may_be_in_the_query() -> None:
    assert Exchange(Says(steps=[completion()])).ask(headers={}, query=f"key={PLAINTEXT}".encode())[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        ({"messages": []}, 400, "missing_required_parameter"),
        ({**BODY, "user": 7}, 400, "invalid_type"),
        ({**BODY, "model": "nobody/m"}, 404, "model_not_found"),
        (b"x" * 1001, 413, "request_too_large"),
    ],
)
def test_a_refusal_is_an_error_of_the_contract_and_a_record(body: Any, status: int, code: str) -> None:
    exchange = Exchange()
    told, headers, answer = exchange.ask(body)
    assert (told, headers["content-type"]) == (status, "application/json")
    assert msgspec.json.decode(answer)["error"]["code"] == code
    (record,) = exchange.records
    assert (record.status, record.http_status, record.error_code) == (Status.REJECTED, status, code)


TOO_LONG: list[Callable[[], dict[str, Any]]] = [
    lambda: {"headers": {**BEARER, "content-length": "1001"}},
    lambda: {"chunks": [b"x" * 600, b"x" * 401]},
]


@pytest.mark.parametrize("how", TOO_LONG)
def test_a_body_over_the_limit_is_refused_by_its_length_or_while_it_comes(how: Callable[[], dict[str, Any]]) -> None:
    assert Exchange().ask(**how())[0] == 413


def test_a_body_in_pieces_of_just_the_limit_is_read() -> None:
    data = msgspec.json.encode(BODY)
    padded = data + b" " * (1000 - len(data))
    assert Exchange(Says(steps=[completion()])).ask(chunks=[padded[:10], b"", padded[10:]])[0] == 200


def test_who_leaves_before_the_request_is_whole_is_a_record() -> None:
    exchange = Exchange()
    exchange.ask(chunks=[b'{"model":'], leaves=True)
    (record,) = exchange.records
    assert (record.status, record.error_code) == (Status.CLIENT_DISCONNECT, "client_disconnect")
    assert record.http_status is None


def test_a_provider_that_asks_to_wait_is_passed_on() -> None:
    exchange = Exchange(Says(status=429, headers=((b"retry-after", b"7"),), steps=[b"{}"]))
    status, headers, body = exchange.ask()
    assert (status, headers["retry-after"]) == (429, "7")
    assert msgspec.json.decode(body)["error"]["type"] == "rate_limit_error"
