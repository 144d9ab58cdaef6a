"""Recorded responses: read for clients of other dialects, they say what the recording says; relayed, they are it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.charge import Charge
from arouter.providers.openai_responses import ResponsesAdapter, ResponsesRelay
from arouter.providers.usage import openai_usage
from arouter.providers.vendors import BY_NAME
from tests.providers.openai_answers import CUTS, Fold, Said, fold, in_pieces
from tests.recordings import Recording, need_recordings, recordings

Body = dict[str, Any]

OPENAI = BY_NAME["openai"]
ADAPTER = ResponsesAdapter(OPENAI)

ALL = [
    *recordings("openai.responses"),
    *(one for one in recordings("openrouter.chat") if one.path.endswith("/responses") and one.status == 200),
]
WHOLE = [recording for recording in ALL if not recording.stream]
STREAMED = [recording for recording in ALL if recording.stream]

REASONS = {"completed": "stop", "complete": "stop", "queued": "error"}


def name(recording: Recording) -> str:
    return recording.id


def response_of(recording: Recording) -> Body:
    """The response as the recording has it; of a stream, as its last event has it."""
    if not recording.stream:
        return recording.body
    events = [json.loads(line[6:]) for line in recording.response_text.split("\n") if line.startswith("data: {")]
    response = events[-1]["response"]
    assert isinstance(response, dict)
    # A ciphertext is another one each time that it is told.
    return {**response, "output": [event["item"] for event in events if event["type"] == "response.output_item.done"]}


# ---------------------------------------------------------------- what an answer says, by plain lookups


def add(said: Said, item: Body) -> None:
    match item["type"]:
        case "message":
            for part in item["content"]:
                begins = len(said.text)
                said.text += part["text"]
                said.logprobs += part.get("logprobs") or []
                said.citations += [citation(annotation, begins) for annotation in part["annotations"]]
        case "reasoning":
            parts = [*item["summary"], *item.get("content", [])]
            said.thought += "\n\n".join(part["text"] for part in parts)
            if item.get("encrypted_content"):
                said.proofs.append(("openai-responses-v1", None, item["encrypted_content"]))
        case "function_call":
            said.calls.append([item["call_id"], item["name"], item["arguments"]])


def citation(annotation: Body, begins: int) -> Body:
    told = {key: value for key, value in annotation.items() if key != "type"}
    told |= {key: told[key] + begins for key in ("start_index", "end_index") if key in told}
    return {"type": annotation["type"], annotation["type"]: told}


def expected(response: Body) -> Fold:
    said = Said()
    for item in response["output"]:
        add(said, item)
    reason = "tool_calls" if said.calls else REASONS[response["status"]]
    said.finished = [(reason, response["status"])]
    return Fold(started=[(response["id"], response["model"])], choices={0: said})


def check(told: Fold, response: Body) -> None:
    if response["usage"] is None:
        assert told.usage is None
    else:
        assert told.usage is not None
        assert json.loads(told.usage.raw) == response["usage"]
        searches = ((response.get("tool_usage") or {}).get("web_search") or {}).get("num_requests")
        assert told.usage.usage == replace(openai_usage(response["usage"]), web_searches=searches)
        assert told.usage.service_tier == response.get("service_tier")
        told.usage = None
    assert told == expected(response)


@pytest.mark.parametrize("recording", WHOLE, ids=name)
def test_a_whole_answer(recording: Recording) -> None:
    check(fold(ADAPTER.read_answer(recording.response_text.encode())), recording.body)


@pytest.mark.parametrize("recording", STREAMED, ids=name)
def test_a_streamed_answer_cut_anywhere(recording: Recording) -> None:
    raw = recording.response_text.encode()
    events = in_pieces(ADAPTER, raw)
    check(fold(events), response_of(recording))
    for size in CUTS:
        assert in_pieces(ADAPTER, raw, size) == events


@pytest.mark.parametrize("recording", STREAMED, ids=name)
def test_the_last_event_alone_says_everything_but_the_pace(recording: Recording) -> None:
    raw = recording.response_text.encode()
    last = b"event: " + raw.split(b"event: ")[-1]
    whole, alone = fold(in_pieces(ADAPTER, raw)), fold(in_pieces(ADAPTER, last))
    assert len(alone.only.proofs) == len(whole.only.proofs)
    whole.only.proofs = alone.only.proofs
    assert alone == whole


# ---------------------------------------------------------------- relayed


@pytest.mark.parametrize("recording", WHOLE, ids=name)
def test_a_relayed_answer_is_the_recorded_bytes(recording: Recording) -> None:
    raw = recording.response_text.encode()
    relay = ResponsesRelay(OPENAI)
    relay.read_answer(raw)
    assert relay.answer(Charge()) == raw
    check_told(relay, recording)


@pytest.mark.parametrize("recording", STREAMED, ids=name)
@pytest.mark.parametrize("size", [*CUTS, 10_000_000])
def test_a_relayed_stream_is_the_recorded_bytes_however_it_is_cut(recording: Recording, size: int) -> None:
    raw = recording.response_text.encode()
    relay = ResponsesRelay(BY_NAME["openrouter" if recording.host == "openrouter.ai" else "openai"])
    forwarded = b"".join(relay.feed(raw[start : start + size]) for start in range(0, len(raw), size))
    relay.end()
    last = relay.last(None)
    events = [event for event in raw.split(b"\n\n") if b"data: {" in event]
    assert last.startswith(events[-1] + b"\n\n")
    assert forwarded + last == raw
    check_told(relay, recording)
    assert bool(relay.told.output_bytes) == (b".delta" in raw)


def check_told(relay: ResponsesRelay, recording: Recording) -> None:
    """The ledger learns from a relay what it learns from a translation."""
    told, response = relay.told, response_of(recording)
    translated = fold(
        in_pieces(ADAPTER, recording.response_text.encode())
        if recording.stream
        else ADAPTER.read_answer(recording.response_text.encode())
    )
    assert (told.upstream_id, told.upstream_model) == (response["id"], response["model"])
    assert told.service_tier == response.get("service_tier")
    assert told.complete
    assert told.failure is None
    if translated.usage is None:
        assert (told.usage, told.raw_usage, told.finish_reason) == (None, None, None)
    else:
        assert (told.usage, told.raw_usage) == (translated.usage.usage, translated.usage.raw)
        assert told.finish_reason == translated.only.finished[0][0]


def test_the_recordings_are_there_and_hold_what_these_tests_are_about() -> None:
    need_recordings()
    assert len(WHOLE) > 110
    assert len(STREAMED) > 13
    together = "".join(recording.response_text for recording in ALL)
    kinds = ("reasoning", "function_call", "web_search_call", "file_search_call", "mcp_call", "tool_search_call")
    assert all(kind in together for kind in (*kinds, "compaction", "url_citation", "file_citation", "queued"))
