"""Every recorded answer goes through the real gateway to clients of every other dialect, who hear what it says.

A replay server is the provider: it says byte for byte what the real one said. The client's request is a simple one:
how requests are translated is in `test_recordings_requests`. Streams come in pieces of 37 bytes; that translation does
not depend on how they are cut is tested where each dialect is read.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.acceptance import accounted, recorded, spoken
from tests.acceptance.case import Case, price_sections, provider_sections
from tests.acceptance.client import Client, fields
from tests.acceptance.counts import Counts
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.library_costs import body_of
from tests.acceptance.replay import Received, Replay
from tests.acceptance.said import Call, Said
from tests.acceptance.stored import Stored
from tests.recordings import need_recordings

DIALECTS = ("chat", "responses", "messages", "generate")
PIECE_BYTES = 37


def cases() -> list[Case]:
    return [
        Case(recording=one, piece_bytes=PIECE_BYTES, client=client)
        for dialect in DIALECTS
        for one in recorded.of_dialect(dialect)
        if one.status == 200
        for client in spoken.CLIENTS
        if client != dialect
    ]


CASES = cases()


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With each provider at the path that its recordings have."""
    providers, prices = provider_sections(CASES, replay.url), price_sections(CASES)
    with running_gateway(tmp_path_factory.mktemp("gateway"), providers, prices) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_answer(case: Case, client: Client, replay: Replay, stored: Stored) -> None:
    replay.next(case.recording, case.piece_bytes)
    answer = client.post(case.path, case.request)

    assert answer.status == 200, answer.body
    assert replay.received is not None
    check_what_went_upstream(case, replay.received, stored.pseudonym(case.user))
    heard = spoken.heard(case.client, answer, stream=case.recording.stream)
    assert with_known_ids(heard.said, recorded.said(case.recording)) == expected(case)
    if not accounted.is_unfinished(case):
        assert heard.counts == counts_for(case)
    record_id = answer.headers["x-generation-id"]
    assert (heard.id, heard.model) == (record_id, model_that_answered(case))
    accounted.check(case, client, stored, record_id, heard.cost)


ARRAYS = [case for case in CASES if case.client == "generate" and case.recording.stream]


@pytest.mark.parametrize("case", ARRAYS, ids=str)
def test_a_recorded_stream_in_gemini_s_other_form(case: Case, client: Client, replay: Replay) -> None:
    """Without `alt=sse` a stream is one array, whose elements are the same chunks."""
    replay.next(case.recording, case.piece_bytes)
    answer = client.post(case.path.removesuffix("?alt=sse"), case.request)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    heard = spoken.heard_in_array(answer)
    assert with_known_ids(heard.said, recorded.said(case.recording)) == expected(case)
    assert heard.counts == counts_for(case)


def check_what_went_upstream(case: Case, received: Received, pseudonym: str) -> None:
    """The provider's path, key and model; of the user a pseudonym at most; and what was said."""
    headers = dict(received.headers)
    body = fields(received.body)
    assert (received.method, received.target) == ("POST", case.recording.path.removesuffix("?beta=true"))
    assert case.user not in str(received.headers)
    assert case.user.encode() not in received.body
    assert spoken.HELLO.encode() in received.body
    match case.dialect:
        case "messages":
            assert headers[b"x-api-key"] == b"key-of-anthropic"
            assert json.loads(body["metadata"]) == {"user_id": pseudonym}
        case "generate":
            assert headers[b"x-goog-api-key"] == b"key-of-google"
            assert pseudonym.encode() not in received.body
            return
        case _:
            assert headers[b"authorization"] == f"Bearer key-of-{case.provider}".encode()
            told = json.dumps(pseudonym).encode() if case.provider == "openai" else None
            assert body.get("safety_identifier") == told
    assert json.loads(body["model"]) == case.model


def with_known_ids(heard: Said, said: Said) -> Said:
    """A call that the provider gave no id has one of ours for the client: any, but each its own."""
    ids = [call.id for call in heard.calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    known = [call.id for call in said.calls]
    calls = [
        Call(id=call.id if own is not None else None, name=call.name, arguments=call.arguments)
        for call, own in zip(heard.calls, known, strict=True)
    ]
    return replace(heard, calls=calls)


def expected(case: Case) -> Said:
    said = recorded.said(case.recording)
    return replace(said, finish_reason=accounted.finish_reason_of(case))


def counts_for(case: Case) -> Counts:
    """Gemini has no word for what was written to a cache: it is a part of the prompt."""
    counts = accounted.counts_of(case)
    return replace(counts, cache_write_tokens=None) if case.client == "generate" else counts


def model_that_answered(case: Case) -> str:
    """By the provider's own name; Google's is told as a resource at times, which others do not know."""
    body = body_of(case.recording)
    return str(body["modelVersion"] if case.dialect == "generate" else body["model"]).removeprefix("models/")


def test_every_recording_is_a_case() -> None:
    need_recordings()
    answers = {dialect: sum(one.status == 200 for one in recorded.of_dialect(dialect)) for dialect in DIALECTS}
    assert answers == {"chat": 223, "responses": 137, "messages": 141, "generate": 114}
    assert len(CASES) == 3 * (223 + 137 + 141 + 114)
    assert len(ARRAYS) == 30 + 15 + 6
