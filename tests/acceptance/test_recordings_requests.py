"""Every recorded request goes through the real gateway to a provider of every other dialect, and means the same there.

The provider is a replay server that answers with a recording of its own dialect: the answer does not matter here. What
a request says beyond what the other dialect can say is named in the answer's head.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.acceptance import meant, recorded, spoken
from tests.acceptance.client import Client
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.meant import Meant
from tests.acceptance.replay import Replay
from tests.acceptance.unsaid import addresses, unsaid
from tests.recordings import Recording, need_recordings

DIALECTS = ("chat", "responses", "messages", "generate")

MODELS = {
    "chat": "chat-elsewhere/a-model",
    "responses": "responses-elsewhere/gpt-4.1",
    "messages": "anthropic/claude-sonnet-4-5",
    "generate": "google/gemini-2.5-flash",
}
"""Who is asked in each dialect. The first two are the operator's, since OpenAI itself speaks both of its dialects."""

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "generate": "/v1beta/models/gemini-2.5-flash:generateContent",
}

INSTRUCTIONS = ("models", "provider")
"""To a gateway, in OpenRouter's names of models and providers, which are other ones here."""

USER = "who-asked-for-this"

KEPT_AT_OPENAI = ("background", "conversation", "previous_response_id")
"""They ask to go on with something that only OpenAI has, or to come back later for an answer that it keeps."""

FAILURES = ("messages", "generate")
"""The dialects that have a word for the failure of a tool."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recorded request, and the dialect of the provider that it is sent to."""

    recording: Recording
    provider: str

    @property
    def client(self) -> str:
        return recorded.dialect_of(self.recording)

    @property
    def request(self) -> dict[str, Any]:
        """As it was recorded, for another model."""
        sent = {name: value for name, value in self.recording.request.items() if name not in INSTRUCTIONS}
        return sent | spoken.asked(self.client, MODELS[self.provider], USER)

    def __str__(self) -> str:
        return f"{self.recording.id}-{self.provider}"


CASES = [
    Case(recording=one, provider=provider)
    for client in spoken.CLIENTS
    for one in recorded.of_dialect(client)
    for provider in DIALECTS
    if provider != client
]


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    providers = {
        "chat-elsewhere": {"dialect": "openai", "base_url": replay.url + "/v1"},
        "responses-elsewhere": {"dialect": "responses", "base_url": replay.url + "/v1"},
        "anthropic": {"api_key": "any", "base_url": replay.url},
        "google": {"api_key": "any", "base_url": replay.url},
    }
    with running_gateway(tmp_path_factory.mktemp("gateway"), providers) as started:
        yield started


def answer_of(dialect: str, *, stream: bool) -> Recording:
    """Some answer."""
    return next(one for one in recorded.of_dialect(dialect) if one.status == 200 and one.stream == stream)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_request(case: Case, client: Client, replay: Replay) -> None:
    stream = case.recording.stream
    replay.next(answer_of(case.provider, stream=stream), piece_bytes=4096)
    answer = client.post(spoken.path(case.client, MODELS[case.provider], stream=stream), case.request)

    refused = refused_for(case)
    if refused is not None:
        assert answer.status == 400
        assert refused in answer.error["message"]
        assert replay.received is None
        return
    assert answer.status == 200, answer.body
    assert replay.received is not None
    assert replay.received.target == target_of(case.provider, stream=stream)
    assert USER.encode() not in replay.received.body
    arrived = json.loads(replay.received.body)
    if case.provider != "generate":
        assert arrived.get("stream", False) is stream
    dropped = answer.headers.get("x-arouter-dropped")
    names = unsaid(case.client, case.provider, case.request)
    assert set(dropped.split(", ") if dropped is not None else ()) == names
    check_the_meaning(meant.IN[case.client](case.request), meant.IN[case.provider](arrived), case, names)


def refused_for(case: Case) -> str | None:
    """What the message names, where it is better not to answer at all."""
    found = next((name for name in KEPT_AT_OPENAI if case.recording.request.get(name)), None)
    if found is None and case.provider == "chat" and has_document_by_address(case):
        return "file by its address"
    if found is None and case.provider == "messages" and addresses(case.request, "video"):
        return "no video"
    return found


def has_document_by_address(case: Case) -> bool:
    """Which vendors of chat completions do not fetch, but for OpenRouter."""
    said = meant.IN[case.client](case.request).said
    return any(kind == "file" and str(thing).startswith("https://") for _, kind, thing in said)


def target_of(dialect: str, *, stream: bool) -> str:
    path = PATHS[dialect]
    return path.replace(":generateContent", ":streamGenerateContent?alt=sse") if stream else path


def check_the_meaning(sent: Meant, arrived: Meant, case: Case, dropped: set[str]) -> None:
    """All of it, but for what was named as dropped."""
    if case.provider == "messages" and sent.limit is None:
        # Anthropic demands one.
        arrived = replace(arrived, limit=None)
    if case.provider == "responses":
        # A model of OpenAI's that is asked to think refuses both, and these are what it does anyway.
        sent = replace(sent, temperature=_unless_one(sent.temperature), top_p=_unless_one(sent.top_p))
        arrived = replace(arrived, temperature=_unless_one(arrived.temperature), top_p=_unless_one(arrived.top_p))
    if case.provider == "generate":
        # Gemini fetches what is at an address, and sees for itself what it is.
        sent, arrived = with_files_at_addresses(sent), with_files_at_addresses(arrived)
    if case.client not in FAILURES or case.provider not in FAILURES:
        sent, arrived = without_failures(sent), without_failures(arrived)
    if "messages.input_audio" in dropped:
        sounds = addresses(case.request, "audio")
        sent = replace(sent, said=[item for item in sent.said if item[2] not in sounds])
    if "stop" in dropped:
        sent = replace(sent, stop=[])
    if "response_format" in dropped:
        sent = replace(sent, schema=None)
    assert arrived == sent


def with_files_at_addresses(told: Meant) -> Meant:
    said = [
        (who, "file" if kind == "image" and str(thing).startswith("https://") else kind, thing)
        for who, kind, thing in told.said
    ]
    return replace(told, said=said)


def without_failures(told: Meant) -> Meant:
    """A failure is what the result tells, in words."""
    said = [
        (who, kind, (*thing[:2], None) if kind == "result" and isinstance(thing, tuple) else thing)
        for who, kind, thing in told.said
    ]
    return replace(told, said=said)


def _unless_one(number: float | None) -> float | None:
    return None if number == 1 else number


def test_every_recording_is_a_case() -> None:
    need_recordings()
    requests = {client: len(recorded.of_dialect(client)) for client in spoken.CLIENTS}
    assert requests == {"chat": 229, "responses": 137, "messages": 141, "generate": 115}
    assert len(CASES) == 3 * sum(requests.values())


def test_nearly_every_request_can_be_told_to_everybody() -> None:
    """So that a refusal cannot become the answer to everything unseen."""
    need_recordings()
    assert sum(refused_for(case) is not None for case in CASES) == 46
