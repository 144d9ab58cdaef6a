"""Recorded answers of the Messages API, read into canonical events: they say what the recordings say."""

import json
from typing import Any

import pytest

from arouter.domain.chat import FinishReason
from arouter.domain.usage import Usage
from tests.providers.anthropic_streams import ADAPTER, as_stream, fold, streamed
from tests.recordings import Recording, need_recordings, recordings

RECORDED = recordings("anthropic.messages")
WHOLE = [recording for recording in RECORDED if not recording.stream]
STREAMED = [recording for recording in RECORDED if recording.stream]


REASONS = {"end_turn": FinishReason.STOP, "tool_use": FinishReason.TOOL_CALLS}


def recorded_usage(raw: dict[str, Any]) -> Usage:
    """The meters of an answer without server-side compaction, as the recording has them."""
    creation = raw.get("cache_creation")
    return Usage(
        input_tokens=raw["input_tokens"],
        cache_read_tokens=raw["cache_read_input_tokens"],
        cache_write_tokens=raw["cache_creation_input_tokens"] - creation["ephemeral_1h_input_tokens"]
        if creation
        else raw["cache_creation_input_tokens"],
        cache_write_1h_tokens=creation["ephemeral_1h_input_tokens"] if creation else None,
        output_tokens=raw["output_tokens"],
        reasoning_tokens=(raw.get("output_tokens_details") or {}).get("thinking_tokens"),
        web_searches=(raw.get("server_tool_use") or {}).get("web_search_requests"),
    )


def compacted(raw: dict[str, Any]) -> bool:
    return any(iteration["type"] == "compaction" for iteration in raw.get("iterations") or ())


def test_there_are_recordings() -> None:
    need_recordings()
    assert len(WHOLE) > 100
    assert len(STREAMED) > 5


@pytest.mark.parametrize("recording", WHOLE, ids=lambda recording: recording.id)
def test_a_recorded_answer_says_what_the_recording_says(recording: Recording) -> None:
    message = recording.body
    answer = fold(ADAPTER.read_answer(recording.response_text.encode()))
    blocks = message["content"]
    assert (answer.id, answer.model) == (message["id"], message["model"])
    assert answer.text == "".join(block["text"] for block in blocks if block["type"] == "text")
    assert [(call[0], call[1], json.loads(call[2])) for call in answer.calls] == [
        (block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"
    ]
    assert list(answer.thoughts.values()) == [
        (block.get("thinking", ""), block.get("signature", ""), block.get("data", ""))
        for block in blocks
        if block["type"] in ("thinking", "redacted_thinking")
    ]
    assert [cited["url_citation"]["content"] for cited in answer.citations] == [
        cited["cited_text"] for block in blocks for cited in block.get("citations") or ()
    ]
    assert answer.finished == [(REASONS[message["stop_reason"]], message["stop_reason"])]
    assert answer.raw_usage == message["usage"]
    if not compacted(message["usage"]):
        assert answer.usage == recorded_usage(message["usage"])


@pytest.mark.parametrize("recording", WHOLE, ids=lambda recording: recording.id)
def test_a_recorded_answer_would_say_the_same_as_a_stream(recording: Recording) -> None:
    whole = fold(ADAPTER.read_answer(recording.response_text.encode()))
    stream = fold(streamed(as_stream(recording.body)))
    values = [(call_id, name, json.loads(arguments)) for call_id, name, arguments in stream.calls]
    assert values == [(call_id, name, json.loads(arguments)) for call_id, name, arguments in whole.calls]
    stream.calls = whole.calls
    assert stream == whole


@pytest.mark.parametrize("recording", STREAMED, ids=lambda recording: recording.id)
def test_a_recorded_stream_says_what_the_recording_says(recording: Recording) -> None:
    data = recording.response_text.encode()
    events = [json.loads(line[5:]) for line in data.split(b"\n") if line.startswith(b"data:")]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    start = next(event["message"] for event in events if event["type"] == "message_start")
    end = next(event for event in events if event["type"] == "message_delta")

    answer = fold(streamed(data))

    assert (answer.id, answer.model) == (start["id"], start["model"])
    assert answer.text == "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")
    assert answer.calls == []
    assert "".join(signature for _, signature, _ in answer.thoughts.values()) == "".join(
        delta["signature"] for delta in deltas if delta["type"] == "signature_delta"
    )
    assert [cited["url_citation"]["url"] for cited in answer.citations] == [
        delta["citation"]["url"] for delta in deltas if delta["type"] == "citations_delta"
    ]
    assert answer.finished == [(FinishReason.STOP, "end_turn")]
    assert answer.raw_usage == {**start["usage"], **end["usage"]}
    assert answer.usage == recorded_usage(answer.raw_usage)


@pytest.mark.parametrize("size", [1, 7, 37])
@pytest.mark.parametrize("recording", STREAMED, ids=lambda recording: recording.id)
def test_a_recorded_stream_is_the_same_in_pieces_of_any_size(recording: Recording, size: int) -> None:
    data = recording.response_text.encode()
    assert streamed(data, size) == streamed(data)


@pytest.mark.parametrize("recording", STREAMED, ids=lambda recording: recording.id)
def test_a_recorded_stream_is_complete_at_its_end_and_not_before(recording: Recording) -> None:
    data = recording.response_text.rstrip("\n").encode()
    reader = ADAPTER.stream_reader()
    reader.feed(data)
    assert not reader.complete
    reader.feed(b"\n\n")
    assert reader.complete
