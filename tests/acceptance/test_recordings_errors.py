"""Every recorded error reaches clients of every dialect with its status and its words, in the form of their own errors.

A request that failed is in the activity too, and costs nothing.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance import recorded, spoken
from tests.acceptance.case import Case, provider_sections
from tests.acceptance.client import Answer, Client
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.replay import Replay
from tests.recordings import need_recordings

CASES = [
    Case(recording=one, piece_bytes=0, client=client)
    for dialect in ("chat", "responses", "messages", "generate")
    for one in recorded.of_dialect(dialect)
    if one.status != 200
    for client in spoken.CLIENTS
]

TYPES = {400: "invalid_request_error", 404: "not_found_error", 429: "rate_limit_error"}
GOOGLES_WORDS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def name(case: Case) -> str:
    return f"{case.recording.id}-{case.client}"


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), provider_sections(CASES, replay.url)) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_recorded_error(case: Case, client: Client, replay: Replay) -> None:
    replay.next(case.recording, case.piece_bytes)
    answer = client.post(case.path, case.request)
    status, told = case.recording.status, case.recording.body["error"]

    assert answer.status == status
    assert (answer.error["message"], type_of(case, answer)) == (message_of(told), TYPES[status])
    code = "rate_limit_exceeded" if status == 429 else code_of(case)
    assert ours(case, answer) == (code, case.provider, str(status), code_of(case))
    if case.client in ("chat", "responses"):
        assert answer.error["param"] == told.get("param")
    [record] = client.records([("user", case.user)])
    assert record["id"] == answer.headers["x-generation-id"]
    assert (record["status"], record["http_status"], record["error_code"]) == ("upstream_error", status, code)
    assert (record["provider"], record["model"]) == (case.provider, case.name)
    assert (record["cost"], record["total_tokens"], record["usage_source"]) == (None, None, "none")


def message_of(told: dict[str, Any]) -> str:
    """The provider's; of a gateway's also what the provider behind it said."""
    behind = (told.get("metadata") or {}).get("raw")
    return f"{told['message']}: {behind}" if behind else str(told["message"])


def code_of(case: Case) -> str:
    """The provider's: Google's in words, and OpenAI's type where it has none."""
    told = case.recording.body["error"]
    return str(told.get("status") or told.get("code") or told["type"])


def type_of(case: Case, answer: Answer) -> str:
    """In our contract's words; Google has its own, of which there is one for each status."""
    if case.client != "generate":
        assert answer.json.get("type", "error") == "error"
        found: str = answer.error["type"]
        return found
    assert (answer.error["code"], answer.error["status"]) == (answer.status, GOOGLES_WORDS[answer.status])
    return str(details(answer)["metadata"]["type"])


def ours(case: Case, answer: Answer) -> tuple[str, ...]:
    """Our code, and what is told of the provider: its name, its status and its code."""
    told = details(answer) if case.client == "generate" else answer.error
    metadata = told["metadata"]
    code = told["reason" if case.client == "generate" else "code"]
    return code, metadata["provider"], str(metadata["upstream_status"]), metadata["upstream_code"]


def details(answer: Answer) -> dict[str, Any]:
    """Google's `ErrorInfo`."""
    found: dict[str, Any] = next(one for one in answer.error["details"] if one["@type"].endswith("ErrorInfo"))
    return found


def test_every_error_is_a_case() -> None:
    need_recordings()
    assert len({case.recording.id for case in CASES}) == 7
    assert len(CASES) == 7 * len(spoken.CLIENTS)
