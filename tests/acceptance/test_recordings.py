"""Every recorded chat completion goes through the real gateway to a client of chat completions, who hears what it says.

A replay server is the provider: it says byte for byte what the real one said, streamed answers in pieces of 1, 7 and
37 bytes. The client's request is the recorded one. The activity and the bill say what the answer says.

The other dialects between client and provider of the same one are in `test_recordings_relayed`; a client of another
dialect than the provider's is in `test_recordings_translated`.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from arouter.providers.routing_fields import ROUTING_FIELDS
from tests.acceptance import accounted, recorded, said
from tests.acceptance.case import Case, provider_sections
from tests.acceptance.client import Answer, Client, fields
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.library_costs import body_of, is_unknown
from tests.acceptance.recorded import events
from tests.acceptance.replay import Received, Replay
from tests.acceptance.stored import Stored
from tests.providers.test_recorded_costs import usage_object
from tests.recordings import Recording, need_recordings

PIECES = (1, 7, 37)


def cases() -> list[Case]:
    """Whole answers once, streams once for each size."""
    succeeded = [one for one in recorded.of_dialect("chat") if one.status == 200]
    return [
        Case(recording=one, piece_bytes=size) for one in succeeded for size in (PIECES if one.stream else PIECES[:1])
    ]


CASES = cases()


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With each provider at the path that its recordings have."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), provider_sections(CASES, replay.url)) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_answer(case: Case, client: Client, replay: Replay, stored: Stored) -> None:
    replay.next(case.recording, case.piece_bytes)
    sent = json.dumps(case.request)
    answer = client.post(case.path, sent)

    assert answer.status == 200, answer.body
    assert replay.received is not None
    check_what_went_upstream(case, sent.encode(), replay.received, stored.pseudonym(case.user))
    check_nothing_else_changed(case, answer)
    usage = check_what_the_client_heard(case, answer)
    accounted.check(case, client, stored, answer.headers["x-generation-id"], usage["cost"])


# ---------------------------------------------------------------- upstream


def check_what_went_upstream(case: Case, sent: bytes, received: Received, pseudonym: str) -> None:
    """The provider's path, key and model; of the user a pseudonym at most; all other fields byte for byte."""
    assert (received.method, received.target) == ("POST", case.recording.path)
    assert dict(received.headers)[b"authorization"] == f"Bearer key-of-{case.provider}".encode()
    assert case.user not in str(received.headers)
    assert fields(received.body) == relayed_fields(case, sent, pseudonym)


def relayed_fields(case: Case, sent: bytes, pseudonym: str) -> dict[str, bytes]:
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
        heard = said.chat_stream(told)
        written = fields(texts[-1])["usage"]
    else:
        heard = said.chat(answer.json)
        written = fields(answer.body)["usage"]
    assert heard == recorded.said(case.recording)
    usage = fields(written)
    check_usage(case, {name: json.loads(value) for name, value in usage.items()})
    return usage


def check_usage(case: Case, usage: dict[str, Any]) -> None:
    """Every field that the provider told stays, but for the cost."""
    told = usage_object(body_of(case.recording))
    ours = {"cost": None, "cost_details": None}
    assert {**usage, **ours} == {**told, **ours}


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


# ---------------------------------------------------------------- what is compared


def test_every_recording_is_a_case() -> None:
    need_recordings()
    succeeded = [one for one in recorded.of_dialect("chat") if one.status == 200]
    assert {case.recording.id for case in CASES} == {one.id for one in succeeded}
    streamed = [one for one in succeeded if one.stream]
    assert (len(succeeded), len(streamed)) == (223, 30)
    assert len(CASES) == 223 + 2 * len(streamed)


def test_nearly_every_cost_is_known() -> None:
    """So that "unknown" cannot become the answer to everything unseen."""
    need_recordings()
    recorded_once = {case.recording.id: case.recording for case in CASES}
    unknown = [one for one in recorded_once.values() if is_unknown(one, body_of(one))]
    assert len(recorded_once) - len(unknown) == 200
