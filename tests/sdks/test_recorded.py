"""Recorded answers of real providers, read by every SDK.

In the SDK's own dialect it hears of the gateway exactly what it hears of the provider; translated it hears what the
provider said. Each answer is read by two of the SDKs that speak a dialect: by the vendor's own one for Python, and by
one of the others in turn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.recorded import said
from tests.acceptance.replay import Replay, running_replay
from tests.recordings import Recording, need_recordings
from tests.sdks.asking import ask, records
from tests.sdks.clients import CLIENTS, Client, Dialect
from tests.sdks.conftest import Scripts
from tests.sdks.recorded import counted, covering
from tests.sdks.script import Raised

PIECE_BYTES = 37
UNTOLD = {"input_tokens": None, "output_tokens": None}

pytestmark = pytest.mark.timeout(600)  # The first test of an SDK installs it.

DIALECTS: dict[str, Dialect] = {
    "openai.chat": "chat",
    "compatible.chat": "chat",
    "openrouter.chat": "chat",
    "openai.responses": "responses",
    "anthropic.messages": "messages",
    "google.generate": "gemini",
}
MODELS = {
    "openai.chat": "openai/gpt-5.4",
    "compatible.chat": "compatible/model",
    "openrouter.chat": "compatible/model",
    "openai.responses": "openai/codex",
    "anthropic.messages": "anthropic/claude-sonnet-4.6",
    "google.generate": "google/gemini-2.5-flash",
}
"""By whom each API is answered. OpenAI's models with that name speak Responses only."""


@dataclass(frozen=True, kw_only=True)
class Case:
    client: Client
    recording: Recording

    @property
    def model(self) -> str:
        api = self.recording.api
        if api == "openai.chat" and self.client.dialect == "responses":
            return MODELS["compatible.chat"]  # Of OpenAI the client's own dialect would be asked.
        return MODELS[api]

    def __str__(self) -> str:
        return f"{self.client}-{self.recording.api}-{self.recording.id}"


def cases(dialect: Dialect) -> Iterator[Case]:
    own, *others = (client for client in CLIENTS if client.dialect == dialect)
    answers = [recording for api in DIALECTS for recording in covering(api)]
    for place, recording in enumerate(answers):
        yield Case(client=own, recording=recording)
        # What LiteLLM cannot stream it asks for as a whole.
        able = [one for one in others if not (recording.stream and "broken streams" in one.lacks)]
        yield Case(client=able[place % len(able)], recording=recording)


CASES = [case for dialect in get_args(Dialect) for case in cases(dialect)]
RELAYED = [case for case in CASES if DIALECTS[case.recording.api] == case.client.dialect]
TRANSLATED = [case for case in CASES if DIALECTS[case.recording.api] != case.client.dialect]


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with running_replay() as server:
        yield server


@pytest.fixture(scope="module")
def replaying(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose providers all say what is recorded."""
    providers: dict[str, dict[str, object]] = {
        "openai": {"api_key": "key-of-openai", "base_url": replay.url + "/v1"},
        "anthropic": {"api_key": "key-of-anthropic", "base_url": replay.url},
        "google": {"api_key": "key-of-google", "base_url": replay.url},
        "compatible": {"api_key": "key-of-it", "base_url": replay.url + "/v1", "dialect": "openai"},
    }
    with running_gateway(tmp_path_factory.mktemp("replaying"), providers) as started:
        yield started


def heard(scripts: Scripts, gateway: Gateway, case: Case, **asked: Any) -> dict[str, Any]:
    """What the SDK makes of the recorded answer; its error's class where it makes nothing of it."""
    verb = "read" if case.client.script == "pydantic_ai" else "chat"
    question: Any = {"model": case.model, "stream": case.recording.stream, "user": str(case), **asked}
    try:
        answer: dict[str, Any] = ask(scripts(case.client), gateway, case.client, verb, **question)
    except Raised as error:
        return {"raised": error.kind}
    return answer


@pytest.mark.parametrize("case", RELAYED, ids=str)
def test_a_relayed_answer_is_the_same_to_the_sdk(
    replay: Replay, replaying: Gateway, scripts: Scripts, case: Case
) -> None:
    replay.next(case.recording, PIECE_BYTES)
    through_gateway = heard(scripts, replaying, case)
    replay.next(case.recording, PIECE_BYTES)
    from_provider = heard(scripts, replaying, case, url=replay.url)
    if from_provider.get("output_tokens", 0) is None:
        through_gateway |= UNTOLD  # The gateway always tells usage, an estimate where the provider told none.
    assert through_gateway == from_provider


@pytest.mark.parametrize("case", TRANSLATED, ids=str)
def test_a_translated_answer_says_what_the_provider_said(
    replay: Replay, replaying: Gateway, scripts: Scripts, case: Case
) -> None:
    replay.next(case.recording, PIECE_BYTES)
    answer = heard(scripts, replaying, case)
    assert "raised" not in answer, answer
    expected = said(case.recording)
    assert answer["text"] == expected.text
    assert answer["calls"] == [[call.name, call.arguments] for call in expected.calls]
    told_tokens = (answer["input_tokens"], answer["output_tokens"])
    if counted(case.recording) != (None, None):
        assert told_tokens == counted(case.recording)
    [record] = records(replaying, str(case))
    assert (record["prompt_tokens"], record["completion_tokens"]) == told_tokens


def test_there_are_cases() -> None:
    need_recordings()
    assert {case.recording.api for case in RELAYED} == {case.recording.api for case in TRANSLATED} == set(DIALECTS)
