"""Every answer that was recorded with the real API: what is read from it is what it says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from arouter.domain.chat import (
    Annotated,
    ChatRequest,
    Event,
    Finished,
    Message,
    Reasoning,
    ReasoningDelta,
    Started,
    Text,
    TextDelta,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.providers.gemini import GeminiAdapter
from tests.recordings import Recording, need_recordings, recordings

Body = dict[str, Any]

ALL = recordings("google.generate")
WHOLE = [recording for recording in ALL if not recording.stream and recording.status == 200]
STREAMED = [recording for recording in ALL if recording.stream]
REFUSED = [recording for recording in ALL if recording.status != 200]

REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}
SERVER_TOOLS = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


def name(recording: Recording) -> str:
    return recording.id


def fold(events: list[Event]) -> Body:
    """An answer as one value, however its events were cut."""
    starts = [event for event in events if isinstance(event, ToolCallStarted)]
    arguments = {start.index: "" for start in starts}
    for event in events:
        if isinstance(event, ToolCallArguments):
            arguments[event.index] += event.fragment
    usage = [event for event in events if isinstance(event, UsageReported)]
    return {
        "started": [(event.id, event.model) for event in events if isinstance(event, Started)],
        "text": "".join(event.text for event in events if isinstance(event, TextDelta)),
        "thoughts": "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        "signatures": [event.signature for event in events if isinstance(event, ReasoningDelta) and event.signature],
        "calls": [(start.id, start.name, start.signature, json.loads(arguments[start.index])) for start in starts],
        "citations": [event.annotation for event in events if isinstance(event, Annotated)],
        "finished": [(event.reason, event.native_reason) for event in events if isinstance(event, Finished)],
        "usage": (usage[-1].usage, usage[-1].raw) if usage else None,
    }


def expected_fold(answers: list[Body]) -> Body:
    """The same, taken from the decoded JSON of the recording by plain lookups."""
    parts = [part for answer in answers for part in _candidate(answer).get("content", {}).get("parts", [])]
    texts = [part for part in parts if "text" in part]
    called = [part for part in parts if "functionCall" in part]
    response_id = answers[0]["responseId"]
    calls = [
        (
            part["functionCall"].get("id", f"call_{response_id}_{index}"),
            part["functionCall"]["name"],
            part.get("thoughtSignature"),
            part["functionCall"]["args"],
        )
        for index, part in enumerate(called)
    ]
    native = [_candidate(answer)["finishReason"] for answer in answers if "finishReason" in _candidate(answer)]
    return {
        "started": [(response_id, answers[0]["modelVersion"].removeprefix("models/"))],
        "text": "".join(part["text"] for part in texts if not part.get("thought")),
        "thoughts": "".join(part["text"] for part in texts if part.get("thought")),
        "signatures": [part["thoughtSignature"] for part in texts if "thoughtSignature" in part],
        "calls": calls,
        "finished": [("tool_calls" if called else REASONS[reason], reason) for reason in native],
    }


def _candidate(answer: Body) -> Body:
    [candidate] = answer["candidates"]
    assert isinstance(candidate, dict)
    return candidate


def check_usage(told: object, expected: Body) -> None:
    """All meters together are the recording's own total; each count is where it belongs."""
    assert isinstance(told, tuple)
    usage, raw = told
    assert json.loads(raw) == expected
    thoughts = expected.get("thoughtsTokenCount")
    made = expected.get("candidatesTokenCount")
    assert usage.prompt_tokens == expected["promptTokenCount"] + expected.get("toolUsePromptTokenCount", 0)
    assert usage.reasoning_tokens == thoughts
    assert usage.completion_tokens == (None if made is None and thoughts is None else (made or 0) + (thoughts or 0))
    assert usage.cached_tokens == expected.get("cachedContentTokenCount")
    assert usage.total_tokens == expected["totalTokenCount"]


@pytest.mark.parametrize("recording", WHOLE, ids=name)
def test_a_whole_answer(recording: Recording) -> None:
    told = fold(GeminiAdapter().read_answer(recording.response_text.encode()))
    expected = expected_fold([recording.body])
    assert {field: told[field] for field in expected} == expected
    check_usage(told["usage"], recording.body["usageMetadata"])


def said(recording: Recording) -> list[Body]:
    """The recorded parts of the model's turn, each call with the id that it was told under."""
    parts: list[Body] = []
    calls = 0
    for part in _candidate(recording.body)["content"]["parts"]:
        if "functionCall" not in part:
            parts.append(part)
            continue
        made = {"id": f"call_{recording.body['responseId']}_{calls}"}
        parts.append({**part, "functionCall": {**made, **part["functionCall"]}})
        calls += 1
    return parts


def remembered(events: list[Event]) -> Message:
    """An answer as a client keeps it for its next request: thoughts and proofs, then text, then calls."""
    thoughts = tuple(
        Reasoning(text=event.text, signature=event.signature, format=event.format)
        for event in events
        if isinstance(event, ReasoningDelta)
    )
    told = fold(events)
    calls = tuple(
        ToolCall(id=call_id, name=called, arguments=json.dumps(arguments), signature=signature)
        for call_id, called, signature, arguments in told["calls"]
    )
    text = (Text(text=told["text"]),) if told["text"] else ()
    return Message(role="assistant", parts=(*thoughts, *text), tool_calls=calls)


def _goes_back_whole(recording: Recording) -> bool:
    parts = _candidate(recording.body).get("content", {}).get("parts", [])
    visible = [part for part in parts if "text" in part and not part.get("thought")]
    return bool(parts) and len(visible) <= 1 and not any(tool in part for part in parts for tool in SERVER_TOOLS)


@pytest.mark.parametrize("recording", [one for one in WHOLE if _goes_back_whole(one)], ids=name)
def test_what_the_model_said_goes_back_as_it_said_it(recording: Recording) -> None:
    message = remembered(GeminiAdapter().read_answer(recording.response_text.encode()))
    request = ChatRequest(model=recording.body["modelVersion"], messages=(message,))
    [turn] = json.loads(GeminiAdapter().prepare(request).body)["contents"]
    assert turn == {"role": "model", "parts": said(recording)}


def events_of(recording: Recording) -> list[Body]:
    assert isinstance(recording.response, str)
    blocks = [block for block in recording.response.split("\r\n\r\n") if block]
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def in_pieces(recording: Recording, size: int) -> list[Event]:
    reader = GeminiAdapter().stream_reader()
    raw = recording.response_text.encode()
    told: list[Event] = []
    for start in range(0, len(raw), size):
        told.extend(reader.feed(raw[start : start + size]))
    assert reader.complete
    return told


def _but_usage(events: list[Event]) -> list[Event]:
    """How often that is told before the end depends on what arrives together."""
    return [event for event in events if not isinstance(event, UsageReported)]


@pytest.mark.parametrize("recording", STREAMED, ids=name)
@pytest.mark.parametrize("size", [1, 7, 37, 1_000_000])
def test_a_streamed_answer_cut_anywhere(recording: Recording, size: int) -> None:
    events = in_pieces(recording, size)
    told = fold(events)
    answers = events_of(recording)
    expected = expected_fold(answers)
    assert {field: told[field] for field in expected} == expected
    assert _but_usage(events) == _but_usage(in_pieces(recording, 1_000_000))
    check_usage(told["usage"], answers[-1]["usageMetadata"])


def _grounded(answers: list[Body]) -> Iterator[tuple[Body, Body]]:
    for answer in answers:
        grounding = _candidate(answer).get("groundingMetadata", {})
        for support in grounding.get("groundingSupports", []):
            for index in support["groundingChunkIndices"]:
                web = grounding["groundingChunks"][index].get("web")
                if web is not None:
                    yield web, support["segment"]


GROUNDED = [recording for recording in (*WHOLE, *STREAMED) if "groundingSupports" in recording.response_text]


@pytest.mark.parametrize("recording", GROUNDED, ids=name)
def test_citations_point_at_the_text_that_they_support(recording: Recording) -> None:
    if recording.stream:
        answers, events = events_of(recording), in_pieces(recording, 1_000_000)
    else:
        answers, events = [recording.body], GeminiAdapter().read_answer(recording.response_text.encode())
    told = fold(events)
    cited = [
        (citation["url"], citation["title"], told["text"][citation["start_index"] : citation["end_index"]])
        for citation in (annotation["url_citation"] for annotation in told["citations"])
    ]
    assert cited == [(web["uri"], web.get("title", web["uri"]), segment["text"]) for web, segment in _grounded(answers)]


@pytest.mark.parametrize("recording", REFUSED, ids=name)
def test_a_refused_request(recording: Recording) -> None:
    failed = GeminiAdapter().read_error(recording.status, recording.response_text.encode())
    assert failed.message == recording.body["error"]["message"]
    assert failed.code == recording.body["error"]["status"]
    assert failed.client_fault


def test_the_recordings_are_there_and_hold_what_these_tests_are_about() -> None:
    need_recordings()
    assert len(WHOLE) > 100
    assert len(STREAMED) == 4
    assert len(REFUSED) == 1
    assert len(GROUNDED) >= 3
    together = "".join(recording.response_text for recording in (*WHOLE, *STREAMED))
    assert all(f'"{tool}"' in together for tool in SERVER_TOOLS)
