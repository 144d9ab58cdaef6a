"""Between a client and a provider of the same dialect, other than chat completions, not one byte of an answer changes.

The recorded request goes through the gateway to a replay server, which answers with the recorded bytes, streamed
answers in pieces of 1, 7 and 37 bytes. Of the request only the fields change that are the gateway's. The activity and
the bill say what the answer says.
"""

import json
from collections.abc import Iterator

import pytest

from arouter.providers.routing_fields import ROUTING_FIELDS
from tests.acceptance import accounted, recorded
from tests.acceptance.case import Case, provider_sections
from tests.acceptance.client import Client, fields
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.replay import Received, Replay
from tests.acceptance.stored import Stored
from tests.recordings import need_recordings

CLIENTS = ("responses", "messages", "generate")
PIECES = (1, 7, 37)


def cases() -> list[Case]:
    """Whole answers once, streams once for each size."""
    return [
        Case(recording=one, piece_bytes=size, client=dialect)
        for dialect in CLIENTS
        for one in recorded.of_dialect(dialect)
        if one.status == 200
        for size in (PIECES if one.stream else PIECES[:1])
    ]


CASES = cases()


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), provider_sections(CASES, replay.url)) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_answer(case: Case, client: Client, replay: Replay, stored: Stored) -> None:
    replay.next(case.recording, case.piece_bytes)
    sent = json.dumps(case.request)
    answer = client.post(case.path, sent)

    assert answer.status == 200, answer.body
    assert answer.body.decode() == case.recording.response_text
    assert replay.received is not None
    check_what_went_upstream(case, sent.encode(), replay.received, stored.pseudonym(case.user))
    accounted.check(case, client, stored, answer.headers["x-generation-id"], None)


def check_what_went_upstream(case: Case, sent: bytes, received: Received, pseudonym: str) -> None:
    """The provider's path, key and model; of the user a pseudonym at most; all other fields byte for byte."""
    headers = dict(received.headers)
    assert (received.method, received.target) == ("POST", case.recording.path.removesuffix("?beta=true"))
    assert case.user not in str(received.headers)
    assert fields(received.body) == relayed_fields(case, sent, pseudonym)
    match case.client:
        case "messages":
            assert headers[b"x-api-key"] == b"key-of-anthropic"
        case "generate":
            assert headers[b"x-goog-api-key"] == b"key-of-google"
        case _:
            assert headers[b"authorization"] == f"Bearer key-of-{case.provider}".encode()


def relayed_fields(case: Case, sent: bytes, pseudonym: str) -> dict[str, bytes]:
    """The client's request with the few fields changed that are the gateway's."""
    expected = fields(sent)
    if case.client == "generate":
        # The model is in the path, and Google has no field for the user.
        del expected["labels"]
        return expected
    del expected["user"]
    expected["model"] = json.dumps(case.model).encode()
    if case.client == "messages":
        expected["metadata"] = json.dumps({"user_id": pseudonym}, separators=(",", ":")).encode()
    elif case.provider == "openai":
        expected["safety_identifier"] = json.dumps(pseudonym).encode()
        expected = {name: value for name, value in expected.items() if name not in ROUTING_FIELDS}
    return expected


def test_every_recording_is_a_case() -> None:
    need_recordings()
    for client, (answers, streamed) in {"responses": (137, 15), "messages": (141, 6), "generate": (114, 4)}.items():
        cases = [case for case in CASES if case.client == client]
        succeeded = {one.id for one in recorded.of_dialect(client) if one.status == 200}
        assert {case.recording.id for case in cases} == succeeded
        assert len(succeeded) == answers
        assert len(cases) == answers + 2 * streamed
