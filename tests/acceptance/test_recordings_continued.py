"""A conversation goes on: what a client heard in its own dialect comes back to the provider as what the provider said.

Every recorded answer is translated for a client of each other dialect, who adds it to the conversation as it came,
answers the calls in it, or says something, and asks again. The provider then gets its own words back, its calls with
their results, and its proofs of what it thought, to the byte.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance import meant, recorded, spoken
from tests.acceptance.case import Case, provider_sections
from tests.acceptance.client import Client
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.replay import Replay
from tests.recordings import need_recordings

Json = dict[str, Any]

DIALECTS = ("chat", "responses", "messages", "generate")
RESULT = "It is done."


def cases() -> list[Case]:
    """Whole answers: a stream is put together to the same by every client."""
    return [
        Case(recording=one, piece_bytes=0, client=client)
        for dialect in DIALECTS
        for one in recorded.of_dialect(dialect)
        if one.status == 200 and not one.stream
        for client in spoken.CLIENTS
        if client != dialect
    ]


CASES = cases()


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), provider_sections(CASES, replay.url)) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_answer_comes_back(case: Case, client: Client, replay: Replay) -> None:
    replay.next(case.recording, piece_bytes=0)
    first = client.post(case.path, case.request)
    assert first.status == 200, first.body
    replay.next(case.recording, piece_bytes=0)
    second = client.post(case.path, CONTINUED[case.client](case.request, first.json))
    assert second.status == 200, second.body
    assert replay.received is not None
    arrived = json.loads(replay.received.body)

    said = recorded.said(case.recording)
    told = meant.IN[case.dialect](arrived).said
    assert next(item for item in told if item[:2] == ("user", "text")) == ("user", "text", spoken.HELLO)
    assert "".join(str(thing) for who, kind, thing in told if (who, kind) == ("assistant", "text")) == said.text
    calls = [thing for _, kind, thing in told if kind == "call"]
    assert calls == [(at, call.name, call.arguments) for at, call in enumerate(said.calls, 1)]
    results = [thing[:2] for _, kind, thing in told if kind == "result" and isinstance(thing, tuple)]
    assert results == [(at, RESULT) for at, _ in enumerate(said.calls, 1)]
    if not (case.vendor == "openrouter" and case.is_renamed):
        # By another name it is a provider of which nobody knows that it takes proofs.
        proofs = PROOFS[case.dialect]
        assert list(proofs(sent_back(case, arrived))) == list(proofs(case.recording.body))


# ---------------------------------------------------------------- how clients go on


def chat(asked: Json, answer: Json) -> Json:
    message = answer["choices"][0]["message"]
    calls = message.get("tool_calls") or []
    then = [{"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in calls]
    return {**asked, "messages": [*asked["messages"], message, *(then or [{"role": "user", "content": RESULT}])]}


def responses(asked: Json, answer: Json) -> Json:
    calls = [item for item in answer["output"] if item["type"] == "function_call"]
    then = [{"type": "function_call_output", "call_id": call["call_id"], "output": RESULT} for call in calls]
    return {**asked, "input": [*asked["input"], *answer["output"], *(then or [{"role": "user", "content": RESULT}])]}


def messages(asked: Json, answer: Json) -> Json:
    calls = [block for block in answer["content"] if block["type"] == "tool_use"]
    then: list[Json] = [{"type": "tool_result", "tool_use_id": call["id"], "content": RESULT} for call in calls]
    said = [{"role": "assistant", "content": answer["content"]}] if answer["content"] else []
    goes_on = {"role": "user", "content": then or RESULT}
    return {**asked, "messages": [*asked["messages"], *said, goes_on]}


def generate(asked: Json, answer: Json) -> Json:
    said = answer["candidates"][0]["content"]
    calls = [part["functionCall"] for part in said["parts"] if "functionCall" in part]
    then: list[Json] = [
        {"functionResponse": {"id": call["id"], "name": call["name"], "response": {"result": RESULT}}} for call in calls
    ]
    goes_on = {"role": "user", "parts": then or [{"text": RESULT}]}
    return {**asked, "contents": [*asked["contents"], said, goes_on]}


CONTINUED = {"chat": chat, "responses": responses, "messages": messages, "generate": generate}


# ---------------------------------------------------------------- proofs of thoughts


def sent_back(case: Case, request: Json) -> Json:
    """What the model said before, in the form of an answer."""
    match case.dialect:
        case "chat":
            [message] = [one for one in request["messages"] if one["role"] == "assistant"]
            return {"choices": [{"message": message}]}
        case "responses":
            return {"output": request["input"]}
        case "messages":
            said = [block for one in request["messages"] if one["role"] == "assistant" for block in one["content"]]
            return {"content": said}
        case _:
            parts = [part for turn in request["contents"] if turn["role"] == "model" for part in turn["parts"]]
            return {"candidates": [{"content": {"parts": parts}}]}


def proofs_in_chat(answer: Json) -> Iterator[object]:
    """OpenRouter's; the others have none. A summary beside a ciphertext proves nothing."""
    for detail in answer["choices"][0]["message"].get("reasoning_details") or []:
        match detail:
            case {"data": data}:
                yield detail["format"], detail.get("id"), data
            case {"signature": signature}:
                yield detail["format"], detail.get("text", ""), signature


def proofs_in_responses(answer: Json) -> Iterator[object]:
    for item in answer["output"]:
        if item.get("type") == "reasoning" and item.get("encrypted_content"):
            yield item["id"], item["encrypted_content"], "\n\n".join(part["text"] for part in item["summary"])


def proofs_in_messages(answer: Json) -> Iterator[object]:
    yield from (block for block in answer["content"] if block["type"] in ("thinking", "redacted_thinking"))


def proofs_in_generate(answer: Json) -> Iterator[object]:
    """But for those of what Google's own tools did, which the client never heard of."""
    for part in answer["candidates"][0].get("content", {}).get("parts", []):
        if "thoughtSignature" in part and part.keys() & {"text", "functionCall"}:
            yield part["thoughtSignature"], part.get("functionCall", {}).get("name")


PROOFS = {
    "chat": proofs_in_chat,
    "responses": proofs_in_responses,
    "messages": proofs_in_messages,
    "generate": proofs_in_generate,
}


def test_every_whole_answer_is_a_case() -> None:
    need_recordings()
    assert len(CASES) == 3 * (193 + 122 + 135 + 110)
