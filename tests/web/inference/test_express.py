"""The usual request, straight through: what comes of it is what the pipeline would have made of it, whatever happens on
the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.errors import ARouterError, StorageUnavailable
from arouter.domain.guardrails import Guardrail, Lists, Target, UserRules
from arouter.domain.ids import RANDOM_BYTES, generation_id
from arouter.domain.keys import Key, KeyKind, UserPolicy, digest, new_plaintext
from arouter.domain.limits import Limits
from arouter.domain.record import Record, Status, UsageSource
from arouter.engine.answer import WAKE_AT_BYTES
from arouter.engine.departure import DrainLimits, OnDisconnect
from arouter.engine.express import Express, Work
from arouter.engine.retrying import RetryRules
from arouter.engine.timeouts import Timeouts
from arouter.engine.upstream import Origin, Upstream
from arouter.engine.way import Ways
from arouter.store.written import Tell
from arouter.web.auth import Authenticator
from arouter.web.inference.dialects import CHAT
from arouter.web.inference.endpoint import Inference
from arouter.web.inference.head import Head, read_head
from arouter.web.inference.reply import HttpReply
from arouter.web.user_tokens import UserTokens
from tests.engine.pipeline import Pipeline, completion, message, playing, until
from tests.engine.samples import key, routing
from tests.engine.scripted_ledger import FULL, ScriptedLedger
from tests.engine.scripted_peer import Peer, Script, Visit
from tests.engine.scripted_reply import ScriptedReply
from tests.engine.test_own_keys import READS, Owners
from tests.recordings import Recording, need_recordings, recordings

PLAINTEXT = new_plaintext(KeyKind.LIVE, bytes(24))
HEADERS = {b"authorization": f"Bearer {PLAINTEXT}".encode()}
MESSAGES = [{"role": "user", "content": "Hi"}]
BODY: dict[str, Any] = {"model": "openai/gpt-5.4", "messages": MESSAGES, "user": "user_12345"}


class Client(ScriptedReply):
    """A client of the gateway's own protocol."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.ids: tuple[str, str] = ("", "")
        self.done = asyncio.Event()
        """The request is over."""
        self.tasks: list[asyncio.Task[None]] = []
        """Those that went on with it."""
        self.headers: list[tuple[bytes, bytes]] = []
        self._hand_over: Callable[[], None] | None = None

    def identify(self, record_id: str, request_id: str) -> None:
        self.ids = (record_id, request_id)

    def add_header(self, header: tuple[bytes, bytes]) -> None:
        self.headers.append(header)

    def until_task(self, hand_over: Callable[[], None] | None) -> None:
        self._hand_over = hand_over

    def need_task(self) -> None:
        """As when the server stops."""
        hand_over, self._hand_over = self._hand_over, None
        if hand_over is not None:
            hand_over()

    def watch(self, on_gone: Callable[[], None]) -> None:
        super().watch(on_gone)
        if self._left:
            self._tell()

    def leave(self) -> None:
        super().leave()
        self.need_task()

    def go_on(self, work: Work) -> None:
        async def rest() -> None:
            await work()
            self.over()

        self.tasks.append(asyncio.create_task(rest()))

    def over(self) -> None:
        assert not self.done.is_set()
        self.done.set()

    async def until_over(self) -> None:
        async with asyncio.timeout(5):
            await self.done.wait()


@dataclass(slots=True)
class Provider:
    """What a provider says to each request that it gets."""

    answers: list[bytes | Script]
    asked: list[bytes]
    """The requests, in order."""
    asks: asyncio.Event
    """Set by each request."""

    async def script(self, visit: Visit) -> None:
        while True:
            self.asked.append(await visit.request())
            self.asks.set()
            answer = self.answers.pop(0)
            if isinstance(answer, bytes):
                await visit.say(answer)
            else:
                await answer(visit)


def http(body: bytes, status: int = 200, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d It" % status, b"Content-Type: application/json", *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class TellingLedger(ScriptedLedger):
    """As SQLite's: whoever waits for a record may be called."""

    def close_then(self, record: Record, tell: Tell) -> None:
        closing = asyncio.ensure_future(self.close(record))
        closing.add_done_callback(lambda closed: tell(cast(Exception | None, closed.exception())))


class Gateway:
    """An endpoint for chat, with a real provider behind it."""

    def __init__(self, provider: Provider, upstream: Upstream, origin: Origin, one: Key, **how: Any) -> None:
        self.provider = provider
        self.upstream = upstream
        deployed = how.pop("deployed", {})
        self.pipeline = Pipeline(
            upstream=upstream,
            routes=routing("openai", "groq", "anthropic", "google", origin=origin, **deployed),
            tick_us=0,
            ledger=TellingLedger() if how.pop("tells", True) else ScriptedLedger(),
            **how,
        )
        pipeline = self.pipeline
        self._serial = 0
        self.ways = Ways(
            selection=pipeline.selection,
            guardian=pipeline.guardian,
            own_keys=pipeline.own_keys,
            attempts=pipeline.attempts,
            adapters=pipeline.adapters,
            upstream=upstream,
            pseudonyms=pipeline.pseudonyms,
        )
        express = Express(
            ways=self.ways,
            guardian=pipeline.guardian,
            attempts=pipeline.attempts,
            breakers=pipeline.breakers,
            billing=pipeline.billing,
            recorder=pipeline.recorder,
            clock=pipeline.clock,
            new_id=self._new_id,
            on_record=lambda record, error: pipeline.told.append((record, error)),
        )
        self.authenticator = Authenticator(pipeline.directory, now_us=pipeline.clock.now_us)
        self.endpoint = Inference(
            dialect=CHAT,
            authenticator=self.authenticator,
            completions=pipeline.completions,
            clock=pipeline.clock,
            new_id=self._new_id,
            tasks=pipeline.tasks,
            user_tokens=UserTokens(pipeline.directory, secret=bytes(32), now_us=pipeline.clock.now_us, entropy=bytes),
            body_most_bytes=100_000,
            express=express,
        )
        self.key = one

    def _new_id(self, now_us: int) -> str:
        self._serial += 1
        return generation_id(now_us, self._serial.to_bytes(RANDOM_BYTES))

    async def warm_up(self) -> None:
        """From here on the key, the route, the guard and a connection are known."""
        self.provider.answers.insert(0, http(completion()))
        await self.the_long_way(BODY)
        if self.provider.asked:
            self.provider.asked.pop()
        else:
            self.provider.answers.pop(0)  # The key may not.
        self.forget()

    def forget(self) -> None:
        self.pipeline.told.clear()
        self.pipeline.ledger.opened.clear()
        self.pipeline.ledger.closed.clear()
        self.provider.asks.clear()

    def begin(
        self, body: Any = BODY, client: Client | None = None, headers: dict[bytes, bytes] | None = None
    ) -> Client:
        """The short way, which must be taken."""
        asks = Client() if client is None else client
        assert self.endpoint.begin(self._head(headers), _written(body), asks)
        return asks

    def refuses(self, body: Any = BODY, headers: dict[bytes, bytes] | None = None) -> bool:
        """Whether the short way is not taken. Then nothing may have been done."""
        before = (len(self.provider.asked), len(self.pipeline.ledger.opened), len(self.pipeline.told))
        client = Client()
        taken = self.endpoint.begin(self._head(headers), _written(body), client)
        after = (len(self.provider.asked), len(self.pipeline.ledger.opened), len(self.pipeline.told))
        return not taken and before == after and client.ids == ("", "") and not client.ends

    async def the_long_way(self, body: Any, client: Client | None = None) -> Client:
        asks = Client() if client is None else client
        await self.endpoint.answer(self._head(None), _written(body), cast(HttpReply, asks))
        asks.over()
        return asks

    async def records(self) -> list[Record]:
        told = [record.opening.id for record, _ in self.pipeline.told]
        assert self.pipeline.ledger.closed == told, "one record for each request"
        found = {record.opening.id: record for record in await self.pipeline.ledger.records()}
        return [found[one] for one in told if one in found]

    async def only_record(self) -> Record:
        (record,) = await self.records()
        return record

    def _head(self, headers: dict[bytes, bytes] | None) -> Head:
        return read_head(HEADERS if headers is None else headers, b"", CHAT.path)


def _written(body: Any) -> bytes:
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


@asynccontextmanager
async def gateway(
    *answers: bytes | Script, timeouts: Timeouts | None = None, rules: dict[str, Any] | None = None, **how: Any
) -> AsyncIterator[Gateway]:
    """`rules` are the key's, `deployed` says how the providers are, the rest is told to the pipeline."""
    provider = Provider(list(answers), [], asyncio.Event())
    async with Peer(provider.script) as peer:
        upstream = Upstream(timeouts=timeouts)
        origin = Origin(scheme="http", host="127.0.0.1", port=peer.port, path="/v1")
        one = key(hash=digest(PLAINTEXT), **(rules or {}))
        made = Gateway(provider, upstream, origin, one, **how)
        await made.pipeline.directory.add_key(one, secret=digest(PLAINTEXT))
        await made.authenticator.refresh()
        try:
            await made.warm_up()
            yield made
        finally:
            await made.pipeline.tasks.stop()
            await upstream.aclose()


def alike(record: Record) -> Record:
    """Without what differs from one request to the next."""
    opening = replace(record.opening, id="gen", request_id="req")
    return replace(record, opening=opening)


def told(client: Client, record: Record) -> tuple[object, ...]:
    """What the client got. A translated answer bears the record's id."""
    last = client.last.replace(record.opening.id.encode(), b"gen")
    return client.ends, last, said(client.error), client.dropped


async def both_ways(there: Gateway, body: Any) -> tuple[Client, Record]:
    """What the short way came to; the long one came to the same."""
    short = there.begin(body)
    await short.until_over()
    long = await there.the_long_way(body)
    assert (short.tasks, short.headers) == ([], [])
    assert (short.ends, long.ends) == (["whole"], ["whole"])
    asked, again = there.provider.asked[-2:]
    assert asked == again, "the provider is asked the same"
    one, other = await there.records()
    assert short.ids == (one.opening.id, one.opening.request_id)
    assert told(short, one) == told(long, other)
    assert alike(one) == alike(other)
    opened, opened_again = there.pipeline.ledger.opened
    assert replace(opened, id="", request_id="") == replace(opened_again, id="", request_id="")
    there.forget()
    return short, one


# ---------------------------------------------------------------- the usual request


@playing
async def test_a_usual_request_comes_to_what_the_pipeline_makes_of_it() -> None:
    async with gateway(*[http(completion())] * 2) as there:
        client, record = await both_ways(there, BODY)
        assert msgspec.json.decode(client.last)["usage"]["cost"] == 0.0004
        assert (record.status, record.http_status, record.attempts) == (Status.SUCCESS, 200, 1)
        assert (record.opening.user, record.opening.requested_model) == ("user_12345", "openai/gpt-5.4")
        assert record.cost is not None
        assert record.usage_source is UsageSource.PROVIDER


@pytest.mark.parametrize(
    "fields",
    [
        {"user": None},
        {"user": ""},
        {"user": "u" * 1024},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "temperature": 0.5, "n": 1},
        {"messages": []},
        {"messages": [{"role": "user", "content": "Grüß Gott 🦊"}], "prompt_cache_key": "c"},
        {"metadata": {"user": "user_12345"}, "store": False, "seed": 7},
    ],
    ids=",".join,
)
def test_whatever_else_stands_in_it_reaches_the_provider(fields: dict[str, Any]) -> None:
    @playing
    async def scene() -> None:
        async with gateway(*[http(completion())] * 2) as there:
            body = {name: said for name, said in {**BODY, **fields}.items() if said is not None}
            await both_ways(there, body)

    scene()


@pytest.mark.parametrize("identity", ["pseudonym", "raw", "none"])
def test_the_provider_learns_of_the_user_what_the_operator_decided(identity: str) -> None:
    @playing
    async def scene() -> None:
        async with gateway(*[http(completion())] * 2, deployed={"identity": identity}) as there:
            client = there.begin()
            await client.until_over()
            await there.the_long_way(BODY)
            short, long = there.provider.asked
            assert short == long
            assert (b"user_12345" in short) is (identity == "raw")
            assert (b'"safety_identifier":' in short) is (identity != "none")

    scene()


@playing
async def test_a_provider_without_a_field_for_users_learns_of_none() -> None:
    async with gateway(*[http(completion())] * 3) as there:
        body = {**BODY, "model": "groq/llama-3.3-70b-versatile"}
        await there.the_long_way(body)
        there.forget()
        _, record = await both_ways(there, body)
        assert record.opening.user == "user_12345"
        _, _, asked = there.provider.asked[-1].partition(b"\r\n\r\n")
        assert msgspec.json.decode(asked) == {"model": "llama-3.3-70b-versatile", "messages": MESSAGES}


def usages() -> st.SearchStrategy[dict[str, Any]]:
    counts = st.integers(0, 10**7)
    details = st.fixed_dictionaries({}, optional={"cached_tokens": counts, "audio_tokens": counts})
    return st.fixed_dictionaries(
        {"prompt_tokens": counts, "completion_tokens": counts},
        optional={"total_tokens": counts, "prompt_tokens_details": st.none() | details, "cost": st.floats(0, 1)},
    )


@settings(max_examples=40, deadline=None)
@given(usages(), st.sampled_from(["gpt-5.4", "gpt-5.4-2026-03-05", "another", ""]), st.sampled_from([None, "flex"]))
def test_every_usage_is_billed_alike(usage: dict[str, Any], answered: str, tier: str | None) -> None:
    @playing
    async def scene() -> None:
        answer = http(completion(usage=usage, model=answered, service_tier=tier))
        async with gateway(answer, answer) as there:
            await both_ways(there, BODY)

    scene()


@pytest.mark.parametrize(
    "recording", [one for one in recordings("openai.chat") if not one.stream and one.status == 200], ids=lambda r: r.id
)
def test_recorded_answers_come_through_alike(recording: Recording) -> None:
    need_recordings()

    @playing
    async def scene() -> None:
        answer = http(recording.response_text.encode())
        async with gateway(answer, answer) as there:
            await both_ways(there, BODY)

    scene()


@playing
async def test_an_answer_in_pieces_is_one() -> None:
    whole = http(completion())

    async def dribble(visit: Visit) -> None:
        for at in range(0, len(whole), 97):
            await visit.say(whole[at : at + 97])
            await asyncio.sleep(0.001)

    async with gateway(dribble, whole) as there:
        await both_ways(there, BODY)


@playing
async def test_requests_at_the_same_time_get_each_its_own() -> None:
    async with gateway(*[http(completion(id=f"chatcmpl-{number}")) for number in range(20)]) as there:
        for number in range(20):
            client = there.begin()
            await client.until_over()
            assert msgspec.json.decode(client.last)["id"] == f"chatcmpl-{number}"
        assert len(await there.records()) == 20


# ---------------------------------------------------------------- a provider with another dialect

CLAUDE = {**BODY, "model": "anthropic/claude-sonnet-4-5"}
GEMINI = {**BODY, "model": "google/gemini-2.5-flash"}


def generated(**changes: Any) -> bytes:
    """A whole answer of Gemini's."""
    return msgspec.json.encode(
        {
            "responseId": "r_1",
            "modelVersion": "gemini-2.5-flash",
            "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120},
            **changes,
        }
    )


@asynccontextmanager
async def translating(body: Any, *answers: bytes | Script, **how: Any) -> AsyncIterator[Gateway]:
    """As `gateway`, of a model that was asked for before."""
    first = message() if body["model"] == CLAUDE["model"] else generated()
    async with gateway(http(first), *answers, **how) as there:
        # The route is known from then on, and a connection.
        await there.the_long_way(body)
        there.forget()
        yield there


@pytest.mark.parametrize("of", [CLAUDE, GEMINI], ids=["anthropic", "google"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user": None},
        {"messages": [{"role": "system", "content": "Be brief"}, *MESSAGES], "temperature": 0.5, "max_tokens": 100},
        {
            "messages": [
                *MESSAGES,
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "7"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "tool_choice": "auto",
        },
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Grüß Gott 🦊"}]}], "stop": ["END"]},
        {"reasoning_effort": "low", "max_completion_tokens": 2048},
        {"logit_bias": {"7": 1}, "frequency_penalty": 0.5, "seed": 7},
    ],
    ids=lambda fields: ",".join(fields) or "plain",
)
def test_a_translated_request_comes_to_what_the_pipeline_makes_of_it(
    of: dict[str, Any], fields: dict[str, Any]
) -> None:
    @playing
    async def scene() -> None:
        body = {name: said for name, said in {**of, **fields}.items() if said is not None}
        answer = http(message() if of is CLAUDE else generated())
        async with translating(body, answer, answer) as there:
            client, record = await both_ways(there, body)
            assert msgspec.json.decode(client.last)["choices"][0]["message"]["content"] == "Hello"
            assert (record.status, record.usage.input_tokens, record.usage.output_tokens) == (Status.SUCCESS, 100, 20)
            assert record.opening.user == body.get("user")
            assert ("logit_bias" in client.dropped) is ("logit_bias" in fields)

    scene()


@pytest.mark.parametrize("identity", ["pseudonym", "raw", "none"])
@pytest.mark.parametrize("of", [CLAUDE, GEMINI], ids=["anthropic", "google"])
def test_a_provider_with_another_dialect_learns_of_the_user_the_same(of: dict[str, Any], identity: str) -> None:
    @playing
    async def scene() -> None:
        answer = http(message() if of is CLAUDE else generated())
        async with translating(of, answer, answer, deployed={"identity": identity}) as there:
            await both_ways(there, of)
            learned = b"user_12345" in there.provider.asked[-1]
            assert learned is (identity == "raw" and of is CLAUDE)

    scene()


@pytest.mark.parametrize("of", [CLAUDE, GEMINI], ids=["anthropic", "google"])
@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "nobody", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "unheard-of"}]}]},
        {"temperature": "hot"},
    ],
    ids=repr,
)
def test_what_cannot_be_said_there_is_left_to_the_pipeline(of: dict[str, Any], fields: dict[str, Any]) -> None:
    @playing
    async def scene() -> None:
        async with translating(of) as there:
            assert there.refuses({**of, **fields})
            (counts,) = there.upstream.counts().values()
            assert (counts.open, counts.idle) == (1, 1), "the connection is as it was"

    scene()


@pytest.mark.parametrize("of", [CLAUDE, GEMINI], ids=["anthropic", "google"])
@pytest.mark.parametrize(
    ("answer", "status", "source"),
    [
        (http(b'{"error":{"message":"no"}}', 400), Status.UPSTREAM_ERROR, UsageSource.NONE),
        (http(b"oh", 500), Status.UPSTREAM_ERROR, UsageSource.NONE),
        (http(b"no JSON"), Status.UPSTREAM_ERROR, UsageSource.ESTIMATED),
        (http(b"{}"), None, None),
        (http(message(usage=None)), None, None),
        (http(generated(usageMetadata=None)), None, None),
        (http(generated(candidates=[], promptFeedback={"blockReason": "SAFETY"})), None, None),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_another_answer_to_a_translated_request_comes_to_the_same(
    of: dict[str, Any], answer: bytes, status: Status | None, source: UsageSource | None
) -> None:
    @playing
    async def scene() -> None:
        async with translating(of, answer, answer) as there:
            short = there.begin(of)
            await short.until_over()
            long = await there.the_long_way(of)
            one, other = await there.records()
            assert told(short, one) == told(long, other)
            assert alike(one) == alike(other)
            assert status is None or (len(short.tasks), one.status, one.usage_source) == (1, status, source)

    scene()


@pytest.mark.parametrize(
    "recording",
    [
        one
        for api in ("anthropic.messages", "google.generate")
        for one in recordings(api)
        if not one.stream and one.status == 200
    ],
    ids=lambda r: r.id,
)
def test_recorded_answers_in_another_dialect_come_through_alike(recording: Recording) -> None:
    need_recordings()

    @playing
    async def scene() -> None:
        of = CLAUDE if recording.api == "anthropic.messages" else GEMINI
        answer = http(recording.response_text.encode())
        async with translating(of, answer, answer) as there:
            await both_ways(there, of)

    scene()


# ---------------------------------------------------------------- what is not usual is left alone


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "stream": True},
        {**BODY, "stream": False},
        {**BODY, "stream_options": None},
        {**BODY, "models": ["groq/llama"]},
        {**BODY, "route": "fallback"},
        {**BODY, "provider": {}},
        {**BODY, "session_id": "s"},
        {**BODY, "safety_identifier": "u"},
        {**BODY, "user": 7},
        {**BODY, "user": None},
        {**BODY, "user": "ü"},
        {**BODY, "user": "u" * 1025},
        {**BODY, "model": "unheard-of"},
        {**BODY, "model": 7},
        {**BODY, "messages": "Hi"},
        {"model": "openai/gpt-5.4"},
        {"messages": MESSAGES},
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"model":"\\ud800","messages":[]}',
        b"[" * 10_000,
        b" " * 100_001,
    ],
    ids=repr,
)
def test_an_unusual_request_is_left_to_the_pipeline(body: Any) -> None:
    @playing
    async def scene() -> None:
        async with gateway() as there:
            assert there.refuses(body)

    scene()


@pytest.mark.parametrize(
    "fields",
    [
        {b"authorization": None},
        {b"authorization": b"Bearer lr_live_unknown"},
        {b"x-arouter-user": b"u"},
        {b"x-request-id": b"r"},
        {b"x-session-id": b"s"},
        {b"x-arouter-tags": b"a"},
        {b"x-title": b"An app"},
        {b"x-arouter-metadata": b"enabled"},
        {b"x-arouter-user-token": b"t"},
    ],
    ids=repr,
)
def test_fields_of_the_head_that_say_something_make_it_unusual(fields: dict[bytes, bytes | None]) -> None:
    @playing
    async def scene() -> None:
        headers = {name: said for name, said in {**HEADERS, **fields}.items() if said is not None}
        async with gateway() as there:
            assert there.refuses(headers=headers)

    scene()


@pytest.mark.parametrize(
    "rules",
    [
        {"user_policy": UserPolicy.REQUIRED},
        {"user_policy": UserPolicy.FIXED, "fixed_user": "u"},
        {"allowed_models": ("groq/llama",)},
        {"allowed_providers": ("groq",)},
    ],
    ids=repr,
)
def test_a_key_with_rules_that_need_a_look_makes_it_unusual(rules: dict[str, Any]) -> None:
    @playing
    async def scene() -> None:
        async with gateway(rules=rules) as there:
            assert there.refuses({**BODY, "model": "openai/gpt-5.4"})

    scene()


@playing
async def test_a_key_that_ends_is_refused_from_then_on() -> None:
    async with gateway(http(completion()), rules={"expires_at_us": 1_795_348_801_000_000}) as there:
        await there.begin().until_over()
        there.pipeline.clock.advance(2_000_000)
        assert there.refuses()


@playing
async def test_nothing_is_begun_without_an_idle_connection() -> None:
    async def hold(visit: Visit) -> None:
        await asyncio.Event().wait()

    async with gateway(hold) as there:
        client = there.begin()
        await there.provider.asks.wait()
        assert there.refuses()
        client.need_task()
        await asyncio.sleep(0)
        client.tasks[0].cancel()
        await client.until_over()


@playing
async def test_nothing_is_begun_while_a_provider_fails_or_the_ledger_takes_nothing() -> None:
    async with gateway(http(b"{}", 500), http(completion())) as there:
        there.pipeline.ledger.open_fails = True
        assert there.refuses()
        there.pipeline.ledger.open_fails = False
        # The connection was given up: there is another one after the next request.
        await there.the_long_way(BODY)
        assert there.pipeline.breakers.some_failed
        assert there.refuses()
        await there.the_long_way(BODY)
        assert not there.pipeline.breakers.some_failed


# ---------------------------------------------------------------- what stops being usual is handed over


@pytest.mark.parametrize(
    ("answer", "status", "code", "source"),
    [
        (http(b'{"error":{"message":"no"}}', 400), Status.UPSTREAM_ERROR, None, UsageSource.NONE),
        (http(b"oh", 500), Status.UPSTREAM_ERROR, "upstream_error", UsageSource.NONE),
        (http(b"{}", 429, b"Retry-After: 7"), Status.UPSTREAM_ERROR, "rate_limit_exceeded", UsageSource.NONE),
        (http(b"", 302, b"Location: /x"), Status.UPSTREAM_ERROR, "upstream_error", UsageSource.NONE),
        (http(b"no JSON"), Status.UPSTREAM_ERROR, "upstream_error", UsageSource.ESTIMATED),
        (http(b'{"error":{"message":"no"}}'), Status.UPSTREAM_ERROR, None, UsageSource.ESTIMATED),
        (http(completion(usage=None)), Status.SUCCESS, None, UsageSource.ESTIMATED),
        (http(completion(usage=7)), Status.SUCCESS, None, UsageSource.ESTIMATED),
        (http(completion(), 201), Status.SUCCESS, None, UsageSource.PROVIDER),
        (http(completion(system_fingerprint="f" * 2 * WAKE_AT_BYTES)), Status.SUCCESS, None, UsageSource.PROVIDER),
        (b"HTTP/1.1 200 OK\r\n\r\n", Status.UPSTREAM_ERROR, "upstream_timeout", UsageSource.ESTIMATED),
        (b"nonsense\r\n\r\n", Status.UPSTREAM_ERROR, "upstream_error", UsageSource.NONE),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_another_answer_comes_to_what_the_pipeline_makes_of_it(
    answer: bytes, status: Status, code: str | None, source: UsageSource
) -> None:
    @playing
    async def scene() -> None:
        timeouts = Timeouts(first_byte_s=5.0, idle_s=0.1)
        async with gateway(answer, answer, timeouts=timeouts) as there:
            short = there.begin()
            await short.until_over()
            long = await there.the_long_way(BODY)
            assert len(short.tasks) == 1
            one, other = await there.records()
            assert told(short, one) == told(long, other)
            assert alike(one) == alike(other)
            assert (one.status, one.usage_source) == (status, source)
            assert code is None or one.error_code == code

    scene()


def said(error: ARouterError | None) -> object:
    return None if error is None else (type(error), error.message, error.code, error.metadata)


@playing
async def test_a_provider_that_hangs_up_is_asked_again_where_that_is_allowed() -> None:
    async def hang_up(visit: Visit) -> None:
        visit.writer.close()

    async with gateway(hang_up, http(completion()), retries=RetryRules(retries=1)) as there:
        client = there.begin()
        await client.until_over()
        assert client.ends == ["whole"]
        record = await there.only_record()
        assert (record.status, record.attempts, len(record.tried)) == (Status.SUCCESS, 2, 2)
        assert record.tried[0].error_code == "upstream_error"


@pytest.mark.parametrize("on_disconnect", ["drain", "cancel"])
def test_a_client_that_leaves_is_accounted_for(on_disconnect: OnDisconnect) -> None:
    @playing
    async def scene() -> None:
        go = asyncio.Event()

        async def late(visit: Visit) -> None:
            await go.wait()
            await visit.say(http(completion()))

        async with gateway(late, drain=DrainLimits(on_disconnect=on_disconnect)) as there:
            client = there.begin()
            await there.provider.asks.wait()
            client.leave()
            if on_disconnect == "drain":
                await until(lambda: there.pipeline.drains.running == 1)
            go.set()
            await client.until_over()
            assert client.ends == []
            record = await there.only_record()
            assert record.status is Status.CLIENT_DISCONNECT
            assert (record.cost is not None) is (on_disconnect == "drain")

    scene()


@playing
async def test_a_server_that_stops_lets_a_task_wait_for_the_answer() -> None:
    go = asyncio.Event()

    async def late(visit: Visit) -> None:
        await go.wait()
        await visit.say(http(completion()))

    async with gateway(late) as there:
        client = there.begin()
        await there.provider.asks.wait()
        client.need_task()
        assert len(client.tasks) == 1
        go.set()
        await client.until_over()
        assert client.ends == ["whole"]
        assert (await there.only_record()).status is Status.SUCCESS


@playing
async def test_a_server_that_cannot_wait_says_that_it_stops() -> None:
    async def never(visit: Visit) -> None:
        await asyncio.Event().wait()

    async with gateway(never) as there:
        client = there.begin()
        await there.provider.asks.wait()
        client.need_task()
        await asyncio.sleep(0)
        client.tasks[0].cancel()
        await client.until_over()
        assert client.error is not None
        assert client.error.code == "shutting_down"
        assert (await there.only_record()).status is Status.INTERRUPTED


@playing
async def test_a_client_that_leaves_while_its_record_is_written_changes_nothing() -> None:
    async with gateway(http(completion())) as there:
        there.pipeline.ledger.late = asyncio.Event()
        client = there.begin()
        await until(lambda: len(there.pipeline.ledger.closed) == 1)
        client.leave()
        assert client.tasks == []
        there.pipeline.ledger.late.set()
        await client.until_over()
        assert (await there.only_record()).status is Status.SUCCESS


@playing
async def test_a_ledger_that_calls_nobody_is_awaited() -> None:
    async with gateway(*[http(completion())] * 2, tells=False) as there:
        await both_ways(there, BODY)


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("failure", [FULL, ValueError("no such text")], ids=repr)
def test_an_answer_whose_record_is_not_durable_is_none(failure: Exception, tells: bool) -> None:
    @playing
    async def scene() -> None:
        async with gateway(http(completion()), tells=tells) as there:
            there.pipeline.ledger.close_fails = failure
            client = there.begin()
            await client.until_over()
            assert isinstance(client.error, StorageUnavailable)
            assert [record.opening.id for record, _ in there.pipeline.lost] == [client.ids[0]]

    scene()


@playing
async def test_a_defect_behind_the_answer_is_raised_where_defects_are_told() -> None:
    defects: list[BaseException] = []

    class Telling(Client):
        def go_on(self, work: Work) -> None:
            async def rest() -> None:
                try:
                    await work()
                except RuntimeError as defect:
                    defects.append(defect)
                self.over()

            self.tasks.append(asyncio.create_task(rest()))

    async with gateway(http(completion())) as there:
        there.pipeline.ledger.close = _broken  # type: ignore[method-assign]
        client = there.begin(client=Telling())
        await client.until_over()
        assert [str(defect) for defect in defects] == ["a defect"]
        (counts,) = there.upstream.counts().values()
        assert (counts.open, counts.idle) == (1, 1), "the provider's connection is none the worse"


def _broken(record: Record) -> Awaitable[None]:
    raise RuntimeError("a defect")


@playing
async def test_a_relaxed_ledger_is_not_waited_for() -> None:
    async with gateway(http(completion()), durability="relaxed") as there:
        there.pipeline.ledger.late = asyncio.Event()
        client = there.begin()
        await client.until_over()
        assert client.ends == ["whole"]
        there.pipeline.ledger.late.set()
        await there.pipeline.settled()
        assert (await there.only_record()).status is Status.SUCCESS


@playing
async def test_a_client_that_reads_slowly_is_waited_for_by_a_task() -> None:
    class Slow(Client):
        @property
        def paused(self) -> bool:
            return bool(self.ends)

        async def drained(self) -> None:
            self.blocked.set()

    async with gateway(http(completion())) as there:
        client = there.begin(client=Slow())
        await client.until_over()
        assert client.blocked.is_set()
        assert len(client.tasks) == 1
        assert len(await there.records()) == 1


# ---------------------------------------------------------------- budgets and rates


def limited(**limits: Any) -> dict[str, Any]:
    """Rules of a key that has a budget of a thousand dollars and these limits."""
    return {"limit": 1000 * 10**12, "rate_limit": Limits(**limits)}


async def used(there: Gateway) -> list[tuple[str, int, int]]:
    """Of each limit: its name, what was used and what is held."""
    _, figures = await there.pipeline.guardian.figures(there.key, "user_12345", there.pipeline.clock.now_us())
    return [(figure.slot.rule.name, figure.used, figure.held) for figure in figures]


MANY = limited(requests_per_minute=10_000, tokens_per_minute=10**8)


@playing
async def test_what_a_key_may_spend_is_held_and_settled_alike() -> None:
    async with gateway(*[http(completion())] * 2, rules=MANY) as there:
        short = there.begin()
        await short.until_over()
        long = await there.the_long_way(BODY)
        one, other = await there.records()
        assert alike(one) == alike(other)
        # The first request warmed up.
        assert one.cost is not None
        assert one.usage.total_tokens is not None
        assert await used(there) == [
            ("budget", 3 * one.cost, 0),
            ("requests_per_minute", 3, 0),
            ("tokens_per_minute", 3 * one.usage.total_tokens, 0),
        ]
        assert [rate.name for rate in short.rates] == ["requests_per_minute", "tokens_per_minute"]
        assert [rate.name for rate in long.rates] == ["requests_per_minute", "tokens_per_minute"]
        assert [was.remaining - now.remaining for was, now in zip(short.rates, long.rates, strict=True)] == [1, 120]


@pytest.mark.parametrize("answer", [http(b"oh", 500), http(completion(usage=None))], ids=["500", "no usage"])
def test_what_is_held_is_settled_once_by_whoever_ends_it(answer: bytes) -> None:
    @playing
    async def scene() -> None:
        async with gateway(answer, rules=MANY) as there:
            await there.begin().until_over()
            short = await used(there)
        async with gateway(answer, rules=MANY) as there:
            await there.the_long_way(BODY)
            assert await used(there) == short
        assert [held for _, _, held in short] == [0, 0, 0]

    scene()


@playing
async def test_a_request_that_needs_more_than_is_at_hand_is_left_to_the_pipeline() -> None:
    async with gateway(*[http(completion())] * 4, rules=limited(requests_per_minute=5)) as there:
        await there.begin().until_over()
        assert there.refuses(), "half of the limit was leased, and is used up"
        for _ in range(3):
            assert (await there.the_long_way(BODY)).ends == ["whole"]
        assert there.refuses()
        refused = await there.the_long_way(BODY)
        assert refused.error is not None
        assert refused.error.code == "rate_limit_exceeded"
        assert await used(there) == [("budget", 5 * 400_000_000, 0), ("requests_per_minute", 5, 0)]
        (counts,) = there.upstream.counts().values()
        assert (counts.open, counts.idle) == (1, 1), "the connection is as it was"


@playing
async def test_a_blocked_user_is_refused_by_the_pipeline() -> None:
    async with gateway() as there:
        directory = there.pipeline.directory
        await directory.put_user_rules(UserRules(organization_id="org_1", user="user_12345", blocked=True))
        await there.pipeline.guardian.refresh()
        assert there.refuses()
        refused = await there.the_long_way(BODY)
        assert refused.error is not None
        assert refused.error.code == "user_blocked"
        assert there.refuses()


# ---------------------------------------------------------------- what is known of a key and a model is forgotten


async def follows(there: Gateway, **what: Any) -> Client:
    """The guardian learns of a guardrail. The first request after that, which is the pipeline's."""
    rule = Guardrail(
        id="grl_1",
        organization_id="org_1",
        name="the cap",
        created_at_us=1,
        **{"target": Target.ORGANIZATION, "target_id": None, **what},
    )
    await there.pipeline.directory.add_guardrail(rule)
    await there.pipeline.guardian.refresh()
    assert there.refuses(), "nothing is known of the key"
    return await there.the_long_way(BODY)


@playing
async def test_a_list_of_models_that_comes_leaves_the_requests_to_the_pipeline() -> None:
    async with gateway(http(completion())) as there:
        await there.begin().until_over()
        refused = await follows(there, lists=Lists(ignored_models=("openai/gpt-5.4",)))
        assert refused.error is not None
        assert refused.error.code == "model_not_allowed"
        assert there.refuses()


@playing
async def test_a_limit_of_another_organization_leaves_the_ways_of_this_one_as_they_are() -> None:
    async with gateway(*[http(completion())] * 2) as there:
        await there.begin().until_over()
        ways = dict(there.ways.known)
        rule = Guardrail(
            id="grl_2",
            organization_id="org_2",
            name="theirs",
            target=Target.ORGANIZATION,
            target_id=None,
            created_at_us=1,
            limits=Limits(requests_per_minute=1),
        )
        await there.pipeline.directory.add_guardrail(rule)
        await there.pipeline.guardian.refresh()
        assert there.ways.known == ways != {}
        await there.begin().until_over()


@playing
async def test_the_ways_of_ten_thousand_keys_are_known_at_once() -> None:
    async with gateway() as there:
        keys = [replace(there.key, hash=digest(f"lr_live_{number}")) for number in range(10_000)]
        model = str(BODY["model"])
        for one in keys:
            await there.pipeline.guardian.find(one, None)
            assert there.ways.find(one, model) is not None
        assert {(one.hash, model) for one in keys} <= there.ways.known.keys()


@playing
async def test_an_own_key_of_another_organization_leaves_the_ways_of_this_one_as_they_are() -> None:
    owners = Owners()
    async with gateway(*[http(completion())] * 2, own_keys=partial(owners.among, reads=READS)) as there:
        await owners.keys.refresh()
        await there.begin().until_over()
        ways = dict(there.ways.known)
        await owners.add(organization_id="org_2")
        assert there.ways.known == ways != {}
        await there.begin().until_over()


@pytest.mark.parametrize("target", [Target.ORGANIZATION, Target.EVERY_USER])
@playing
async def test_a_limit_that_comes_holds_for_the_next_requests(target: Target) -> None:
    async with gateway(*[http(completion())] * 3) as there:
        await there.begin().until_over()
        await follows(there, target=target, limits=Limits(requests_per_minute=10))
        await there.begin().until_over()
        assert await used(there) == [("requests_per_minute", 2, 0)]
        if target is Target.EVERY_USER:
            assert there.refuses({**BODY, "user": "another"}), "nothing is known of that one"


@playing
async def test_an_organization_that_stores_a_key_of_its_own_is_left_to_the_pipeline_from_then_on() -> None:
    owners = Owners()
    async with gateway(http(completion()), own_keys=partial(owners.among, reads=READS)) as there:
        await there.begin().until_over()
        await owners.add()
        assert there.refuses()
