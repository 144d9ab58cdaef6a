"""Every recorded chat answer goes through the real gateway, and the client, the activity and the bill say what it says.

A replay server is the provider: it says byte for byte what the real one said, streamed answers in pieces of 1, 7 and
37 bytes. For the OpenAI dialect the client's request is the recorded one; for the others it is a simple one, because
how requests are translated is tested elsewhere.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from arouter.domain.money import Picodollars, from_text, to_text
from arouter.domain.record import Record
from arouter.providers.openai import ROUTING_FIELDS
from tests.acceptance import recorded
from tests.acceptance.client import Answer, Client, fields
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.library_costs import body_of, is_comparable, is_unknown, library_cost
from tests.acceptance.recorded import Said, events
from tests.acceptance.replay import Received, Replay, running_replay
from tests.acceptance.stored import Stored, stored_in
from tests.providers.test_recorded_costs import usage_object
from tests.recordings import Recording, need_recordings, recordings

OPENAI_APIS = ("openai.chat", "compatible.chat", "openrouter.chat")
APIS = (*OPENAI_APIS, "anthropic.messages", "google.generate")
PIECES = (1, 7, 37)

PROVIDERS = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.openai.com": "openai",
    "generativelanguage.googleapis.com": "google",
    "openrouter.ai": "openrouter",
}
"""The vendors that have a row. Every other host is a provider that the operator named."""

NAMED = {"api.z.ai": "zai"}
"""By the price data's own name for the vendor, so that its prices are found; the others by their host."""

NOT_CHAT = {"abddd6170048", "94f3c139dee1", "58960564c728"}
"""Sent to OpenRouter's `/responses`: answers of another API, which `/chat/completions` never gets."""

NAMES_OTHER_MODELS = {"c9d05e87baf3"}
"""The request has `models` with names of OpenRouter's. They are instructions to a gateway, so we read them as names of
ours, and route to a provider `x-ai` that is not configured here. The request is sent without them. The model that
answered then is not the one that was asked for, and the data does not know it: our own rate is unknown, and not that
of the other model."""

COUNTED_TWICE = {"b6df3640c152"}
"""OpenRouter counts the same tokens as read from the cache and as written to it: we count them as read."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recording, and how it arrives."""

    recording: Recording
    piece_bytes: int

    @property
    def provider(self) -> str:
        host = self.recording.host
        return PROVIDERS.get(host) or NAMED.get(host) or host

    @property
    def relayed(self) -> bool:
        """The provider speaks the client's dialect."""
        return self.recording.api in OPENAI_APIS

    @property
    def user(self) -> str:
        return f"who asked for {self.recording.id} in pieces of {self.piece_bytes}"

    @property
    def model(self) -> str:
        """The provider's own name of the model that was asked for."""
        if self.recording.api == "google.generate":
            return self.recording.path.rpartition("/")[2].partition(":")[0]
        return str(self.recording.request["model"])

    @property
    def request(self) -> dict[str, Any]:
        """What the client sends."""
        asked = {"model": f"{self.provider}/{self.model}", "user": self.user}
        if self.relayed:
            left_out = {"models"} if self.recording.id in NAMES_OTHER_MODELS else set()
            return {name: value for name, value in self.recording.request.items() if name not in left_out} | asked
        stream = {"stream": True} if self.recording.stream else {}
        return {"messages": [{"role": "user", "content": "Hello!"}], **stream, **asked}

    def __str__(self) -> str:
        return f"{self.recording.id}-{self.piece_bytes}" if self.recording.stream else self.recording.id


def cases() -> list[Case]:
    """Whole answers once, streams once for each size."""
    succeeded = (one for api in APIS for one in recordings(api) if one.status == 200 and one.id not in NOT_CHAT)
    return [
        Case(recording=one, piece_bytes=size) for one in succeeded for size in (PIECES if one.stream else PIECES[:1])
    ]


CASES = cases()


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with running_replay() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With each provider at the path that its recordings have."""
    providers: dict[str, dict[str, object]] = {}
    for case in CASES:
        base = {"api_key": f"key-of-{case.provider}", "base_url": replay.url}
        if case.relayed:
            base["base_url"] += case.recording.path.removesuffix("/chat/completions")
        if case.recording.host not in PROVIDERS:
            base["dialect"] = "openai"
        providers[case.provider] = dict(base)
    with running_gateway(tmp_path_factory.mktemp("gateway"), providers) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Client]:
    with gateway.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def stored(gateway: Gateway) -> Iterator[Stored]:
    with stored_in(gateway.database) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_answer(case: Case, client: Client, replay: Replay, stored: Stored) -> None:
    replay.next(case.recording, case.piece_bytes)
    sent = json.dumps(case.request)
    answer = client.post("/v1/chat/completions", sent)

    assert answer.status == 200, answer.body
    assert replay.received is not None
    check_what_went_upstream(case, sent.encode(), replay.received, stored.pseudonym(case.user))
    if case.relayed:
        check_nothing_else_changed(case, answer)
    usage = check_what_the_client_heard(case, answer)
    [record] = client.raw_records([("user", case.user)])
    check_the_record(case, answer, {name: json.loads(value) for name, value in record.items()})
    check_the_cost(case, usage["cost"], record["cost"], stored.record(json.loads(record["id"])))


# ---------------------------------------------------------------- upstream


def check_what_went_upstream(case: Case, sent: bytes, received: Received, pseudonym: str) -> None:
    """The provider's path, key and model; of the user a pseudonym at most; all other fields byte for byte."""
    headers = dict(received.headers)
    body = fields(received.body)
    assert received.method == "POST"
    assert case.user not in str(received.headers)
    assert case.user.encode() not in received.body
    assert "user" not in body
    if case.recording.api == "anthropic.messages":
        assert received.target == "/v1/messages"
        assert headers[b"x-api-key"] == b"key-of-anthropic"
        assert json.loads(body["metadata"]) == {"user_id": pseudonym}
        assert json.loads(body["model"]) == case.model
    elif case.recording.api == "google.generate":
        assert received.target == case.recording.path
        assert headers[b"x-goog-api-key"] == b"key-of-google"
        assert pseudonym.encode() not in received.body
    else:
        assert received.target == case.recording.path
        assert headers[b"authorization"] == f"Bearer key-of-{case.provider}".encode()
        assert body == relayedfields(case, sent, pseudonym)


def relayedfields(case: Case, sent: bytes, pseudonym: str) -> dict[str, bytes]:
    """The client's request with the few fields changed that are the gateway's."""
    expected = fields(sent)
    expected["model"] = json.dumps(case.model).encode()
    del expected["user"]
    if case.provider == "openai":
        expected["safety_identifier"] = json.dumps(pseudonym).encode()
    if case.provider != "openrouter":
        expected = {name: value for name, value in expected.items() if name not in ROUTING_FIELDS}
    if case.recording.stream:
        asked = json.loads(expected.get("stream_options", b"{}")) | {"include_usage": True}
        expected["stream_options"] = msgspec.json.encode(asked)
    return expected


# ---------------------------------------------------------------- the client


def chunks_of(answer: Answer) -> list[str]:
    """The events of a streamed answer, without the closing one."""
    *found, end = events(answer.body.decode())
    assert end == "data: [DONE]"
    return found


def check_what_the_client_heard(case: Case, answer: Answer) -> dict[str, bytes]:
    """Text, calls, finish reason and usage; the fields of the usage are given back as they are written."""
    if case.recording.stream:
        texts = [text for event in chunks_of(answer) if (text := recorded.data(event)) is not None]
        told = [json.loads(text) for text in texts]
        assert told[-1]["choices"] == []
        assert not any(chunk.get("usage") for chunk in told[:-1])
        heard = recorded.heard_stream(told)
        written = fields(texts[-1])["usage"]
    else:
        heard = recorded.heard(answer.json)
        written = fields(answer.body)["usage"]
    assert heard_as_said(case, heard) == recorded.said(case.recording)
    usage = fields(written)
    check_usage(case, {name: json.loads(value) for name, value in usage.items()})
    return usage


def heard_as_said(case: Case, heard: Said) -> Said:
    return heard if case.relayed else recorded.with_objects(heard)


def check_usage(case: Case, usage: dict[str, Any]) -> None:
    """Relayed, every field that the provider told stays, but for the cost; translated, the counts are its counts."""
    told = usage_object(body_of(case.recording))
    if case.relayed:
        ours = {"cost": None, "cost_details": None}
        assert {**usage, **ours} == {**told, **ours}
    else:
        assert recorded.heard_counts(usage) == recorded.counts(case.recording, told)


def check_nothing_else_changed(case: Case, answer: Answer) -> None:
    """Each field of a whole answer, and each event of a stream, byte for byte, but for usage."""
    if not case.recording.stream:
        came, went = fields(case.recording.response_text), fields(answer.body)
        assert list(went) == list(came)
        assert {**went, "usage": b""} == {**came, "usage": b""}
        return
    assert chunks_of(answer)[:-1] == list(without_usage(case.recording))


def without_usage(recording: Recording) -> Iterator[str]:
    """The events of a stream as a client gets them: usage is kept back for the last one."""
    for event in events(recording.response_text):
        written = recorded.data(event)
        told = fields(written) if written is not None else {}
        if told.get("usage", b"null") != b"null":
            if told["choices"] != b"[]":
                kept = {name: msgspec.Raw(value) for name, value in told.items() if name != "usage"}
                yield "data: " + msgspec.json.encode(kept).decode()
        elif event != "data: [DONE]":
            yield event


# ---------------------------------------------------------------- the record and the bill


def check_the_record(case: Case, answer: Answer, record: dict[str, Any]) -> None:
    recording = case.recording
    assert record["id"] == answer.headers["x-generation-id"]
    assert record["user"] == case.user
    assert (record["status"], record["http_status"], record["usage_source"]) == ("success", 200, "provider")
    assert (record["provider"], record["model"]) == (case.provider, f"{case.provider}/{case.model}")
    assert record["streamed"] is recording.stream
    # Snowflake's empty word is no reason.
    assert record["finish_reason"] == (recorded.said(recording).finish_reason or None)
    expected = recorded.counts(recording, usage_object(body_of(recording)))
    if recording.id in COUNTED_TWICE:
        expected = replace(expected, cache_write_tokens=None)
    assert recorded.recorded_counts(record) == expected
    assert (record["attempts"], record["error_code"]) == (1, None)


def check_the_cost(case: Case, told: bytes, listed: bytes, stored: Record) -> None:
    """To the last digit, in the answer and in the activity; OpenRouter's own figure goes before the library's."""
    assert listed == told
    assert told.decode() == ("null" if stored.cost is None else to_text(stored.cost))
    reported = reported_cost(case)
    assert stored.reported_cost == reported
    assert stored.cost == (stored.rated_cost if reported is None else reported)
    if is_comparable(case.recording):
        at = datetime.fromtimestamp(stored.opening.created_at_us // 1_000_000, UTC)
        body = body_of(case.recording)
        assert stored.rated_cost == library_cost(case.recording, body, at)


def reported_cost(case: Case) -> Picodollars | None:
    """By OpenRouter, from the digits that it wrote."""
    if case.provider != "openrouter":
        return None
    usages = [fields(text).get("usage", b"null") for text in recorded.written(case.recording)]
    costs = [fields(usage)["cost"] for usage in usages if b'"cost"' in usage]
    return from_text(costs[-1].decode()) if costs else None


# ---------------------------------------------------------------- what is compared


def test_every_recording_is_a_case_or_has_a_reason() -> None:
    need_recordings()
    succeeded = [one for api in APIS for one in recordings(api) if one.status == 200]
    assert {one.id for one in succeeded if one.path.endswith("/responses")} == NOT_CHAT
    assert {case.recording.id for case in CASES} == {one.id for one in succeeded} - NOT_CHAT
    streamed = [one for one in succeeded if one.stream and one.id not in NOT_CHAT]
    assert (len(succeeded), len(streamed)) == (481, 40)
    assert len(CASES) == 481 - len(NOT_CHAT) + 2 * len(streamed)


def test_nearly_every_cost_is_known() -> None:
    """So that "unknown" cannot become the answer to everything unseen."""
    need_recordings()
    recorded_once = {case.recording.id: case.recording for case in CASES}
    unknown = [one for one in recorded_once.values() if is_unknown(one, body_of(one))]
    assert len(recorded_once) - len(unknown) == 455
