"""Whole generateContent answers as canonical events."""

from typing import Any

import pytest

from arouter.domain.chat import (
    Annotated,
    Event,
    Finished,
    FinishReason,
    ImageMade,
    LogprobsTold,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.gemini import GeminiAdapter
from tests.providers.gemini_answers import CHUNKS, ERROR, GEMINI, Body, answer, candidate, read


def said(*parts: Body, **rest: Any) -> list[Event]:
    """What is told between the start and the finish of an answer of these parts."""
    _, *between, _ = read(answer(*parts, **rest))
    return between


def finish(*parts: Body, reason: str | None = "STOP") -> Event:
    return read(answer(*parts, reason=reason))[-1]


# ---------------------------------------------------------------- whole answers


def test_an_answer_is_its_start_its_text_its_end_and_its_usage() -> None:
    usage = b'{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9}'
    body = (
        b'{"candidates":[{"content":{"parts":[{"text":"Hi"},{"text":" there"}]},"finishReason":"STOP"}],'
        b'"usageMetadata":' + usage + b',"modelVersion":"models/gemini-2.5-pro","responseId":"r1"}'
    )
    assert GeminiAdapter().read_answer(body) == [
        Started(id="r1", model="gemini-2.5-pro"),
        TextDelta(text="Hi"),
        TextDelta(text=" there"),
        Finished(reason=FinishReason.STOP, native_reason="STOP"),
        UsageReported(usage=Usage(input_tokens=7, output_tokens=2), raw=usage),
    ]


def test_thoughts_are_reasoning_and_each_stretch_of_them_is_a_block() -> None:
    assert said(
        {"text": "Hm.", "thought": True},
        {"text": "Well.", "thought": True},
        {"text": "Yes", "thoughtSignature": "c2ln"},
        {"text": "Or?", "thought": True},
        {"text": ""},
    ) == [
        ReasoningDelta(text="Hm.", format=GEMINI, index=0),
        ReasoningDelta(text="Well.", format=GEMINI, index=0),
        TextDelta(text="Yes"),
        ReasoningDelta(signature="c2ln", format=GEMINI, index=1),
        ReasoningDelta(text="Or?", format=GEMINI, index=2),
    ]


def test_a_signature_may_come_with_empty_text() -> None:
    assert said({"text": "", "thoughtSignature": "c2ln"}) == [ReasoningDelta(signature="c2ln", format=GEMINI)]


def test_calls_keep_their_id_signature_order_of_keys_and_digits() -> None:
    body = (
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","id":"n1","args":'
        b'{ "z": 1.0,\n "a": [12345678901234567890123, 1e400, "a b\\u00e9"] }},"thoughtSignature":"c2ln"},'
        b'{"functionCall":{"name":"g"}},{"functionCall":{"name":"h","args":null}}]},"finishReason":"STOP"}],"responseId":"r1"}'
    )
    assert GeminiAdapter().read_answer(body)[1:] == [
        ToolCallStarted(index=0, id="n1", name="f", signature="c2ln"),
        ToolCallArguments(index=0, fragment='{"z":1.0,"a":[12345678901234567890123,1e400,"a b\\u00e9"]}'),
        ToolCallStarted(index=1, id="call_r1_1", name="g"),
        ToolCallArguments(index=1, fragment="{}"),
        ToolCallStarted(index=2, id="call_r1_2", name="h"),
        ToolCallArguments(index=2, fragment="{}"),
        Finished(reason=FinishReason.TOOL_CALLS, native_reason="STOP"),
    ]


def test_made_ids_are_the_same_on_every_reading_and_differ_between_calls() -> None:
    def ids(**rest: Any) -> list[str]:
        parts = [{"functionCall": {"name": "f", "args": {"n": n}}} for n in (1, 1, 2)]
        both = [candidate(*parts), candidate(*parts, index=1)]
        return [event.id for event in read({"candidates": both, **rest}) if isinstance(event, ToolCallStarted)]

    assert ids(responseId="r1") == [*(f"call_r1_{n}" for n in range(3)), *(f"call_r1_1_{n}" for n in range(3))]
    assert ids() == ids()
    assert len(set(ids())) == 6


def test_an_image_is_a_data_url() -> None:
    assert said({"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "c2ln"}) == [
        ImageMade(url="data:image/png;base64,QUJD"),
        ReasoningDelta(signature="c2ln", format=GEMINI),
    ]


def test_tools_that_google_runs_are_no_calls_of_the_client() -> None:
    parts = (
        {"executableCode": {"language": "PYTHON", "code": "1+1", "id": "x"}, "thoughtSignature": "c2ln"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2", "id": "x"}},
        {"toolCall": {"id": "y", "toolType": "FILE_SEARCH"}, "thoughtSignature": "c2ln"},
        {"toolResponse": {"id": "y", "toolType": "FILE_SEARCH"}},
        {"text": "2"},
    )
    assert said(*parts) == [TextDelta(text="2")]
    assert finish(*parts) == Finished(reason=FinishReason.STOP, native_reason="STOP")


def test_candidates_are_choices() -> None:
    both = {"candidates": [candidate({"text": "a"}), candidate({"text": "b"}, reason="MAX_TOKENS", index=1)]}
    assert read(both)[1:] == [
        TextDelta(text="a"),
        Finished(reason=FinishReason.STOP, native_reason="STOP"),
        TextDelta(text="b", choice=1),
        Finished(reason=FinishReason.LENGTH, native_reason="MAX_TOKENS", choice=1),
    ]


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("IMAGE_PROHIBITED_CONTENT", "content_filter"),
        ("IMAGE_RECITATION", "content_filter"),
        ("ESCALATION", "content_filter"),
        ("PUP_LIMITED_DISABLED", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("UNEXPECTED_TOOL_CALL", "error"),
        ("TOO_MANY_TOOL_CALLS", "error"),
        ("MISSING_THOUGHT_SIGNATURE", "error"),
        ("MALFORMED_RESPONSE", "error"),
        ("OTHER", "error"),
        ("NO_IMAGE", "error"),
        ("IMAGE_OTHER", "error"),
        ("A_WORD_OF_TOMORROW", "error"),
    ],
)
def test_finish_reasons(native: str, reason: str) -> None:
    assert finish({"text": "a"}, reason=native) == Finished(reason=FinishReason(reason), native_reason=native)


def test_a_call_that_was_cut_short_is_not_a_finished_call() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    assert finish(call, reason="MAX_TOKENS") == Finished(reason=FinishReason.LENGTH, native_reason="MAX_TOKENS")


@pytest.mark.parametrize("reason", [None, "FINISH_REASON_UNSPECIFIED"])
def test_a_whole_answer_without_a_reason_broke_off(reason: str | None) -> None:
    assert finish({"text": "a"}, reason=reason) == Finished(reason=FinishReason.ERROR)


def test_an_answer_without_candidates_broke_off() -> None:
    events = read({"usageMetadata": {"promptTokenCount": 3}, "responseId": "r1"})
    assert [type(event) for event in events] == [Started, UsageReported, Finished]
    assert events[-1] == Finished(reason=FinishReason.ERROR)


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    usage = {"promptTokenCount": 3, "totalTokenCount": 3}
    events = read({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage})
    assert events[:2] == [
        Started(),
        Finished(reason=FinishReason.CONTENT_FILTER, native_reason="PROHIBITED_CONTENT"),
    ]
    assert isinstance(events[2], UsageReported)
    assert events[2].usage.prompt_tokens == 3
    assert len(events) == 3


def test_feedback_without_a_block_is_no_end() -> None:
    told = {**answer({"text": "a"}), "promptFeedback": {"safetyRatings": []}}
    assert read(told)[-1] == Finished(reason=FinishReason.STOP, native_reason="STOP")


# ---------------------------------------------------------------- citations and logprobs


def citations(*parts: Body, grounding: Body) -> list[Body]:
    events = said(*parts, groundingMetadata=grounding)
    return [event.annotation["url_citation"] for event in events if isinstance(event, Annotated)]  # type: ignore[misc]


def test_bounds_are_bytes_there_and_characters_here() -> None:
    text = "58°F – dry. Bring sunglasses."
    encoded = text.encode()
    start = encoded.index(b"Bring")
    support = {
        "segment": {"startIndex": start, "endIndex": len(encoded), "text": "Bring sunglasses."},
        "groundingChunkIndices": [0, 1, 2, 9, -1],
    }
    grounding = {"groundingChunks": CHUNKS, "groundingSupports": [support]}
    cited = citations({"text": text[:3]}, {"text": text[3:]}, grounding=grounding)
    assert cited == [
        {"start_index": 12, "end_index": 29, "url": "https://a.example", "title": "A"},
        {"start_index": 12, "end_index": 29, "url": "https://b.example", "title": "https://b.example"},
    ]
    assert text[12:29] == "Bring sunglasses."


def test_a_segment_that_stands_elsewhere_is_looked_for() -> None:
    support = {"segment": {"endIndex": 4, "text": "dry"}, "groundingChunkIndices": [0]}
    grounding = {"groundingChunks": CHUNKS[:1], "groundingSupports": [support]}
    [cited] = citations({"text": "It is dry."}, grounding=grounding)
    assert (cited["start_index"], cited["end_index"]) == (6, 9)
    [unknown] = citations({"text": "It is wet."}, grounding=grounding)
    assert (unknown["start_index"], unknown["end_index"]) == (0, 10)


def test_a_source_that_no_segment_names_is_cited_for_the_whole_text() -> None:
    [cited] = citations({"text": "It is dry."}, grounding={"groundingChunks": [CHUNKS[0], CHUNKS[2]]})
    assert cited == {"start_index": 0, "end_index": 10, "url": "https://a.example", "title": "A"}


def test_quotes_are_cited_too() -> None:
    quoted = {"citationSources": [{"startIndex": 0, "endIndex": 2, "uri": "https://q.example"}, {"license": "MIT"}]}
    assert said({"text": "abcd"}, citationMetadata=quoted)[1:] == [
        Annotated(
            annotation={
                "type": "url_citation",
                "url_citation": {
                    "start_index": 0,
                    "end_index": 2,
                    "url": "https://q.example",
                    "title": "https://q.example",
                },
            }
        )
    ]


def test_logprobs_in_openais_form() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}, {"token": "!", "logProbability": 0}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}],
    }
    assert said({"text": "é!"}, logprobsResult=result)[1:] == [
        LogprobsTold(
            content=(
                {
                    "token": "é",
                    "logprob": -0.5,
                    "bytes": [195, 169],
                    "top_logprobs": [{"token": "é", "logprob": -0.5, "bytes": [195, 169]}],
                },
                {"token": "!", "logprob": 0.0, "bytes": [33], "top_logprobs": []},
            )
        )
    ]


# ---------------------------------------------------------------- what is no answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'{"id": "chatcmpl-1", "choices": []}',
        b'{"candidates": {}}',
        b"[" * 100_000,
    ],
)
def test_a_body_of_another_kind_is_not_this_dialect(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as refused:
        GeminiAdapter().read_answer(body)
    assert not refused.value.retryable


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamFailed) as refused:
        read(ERROR)
    assert refused.value.message == "The model is overloaded."
    assert (refused.value.code, refused.value.upstream_status) == ("UNAVAILABLE", 503)
    assert refused.value.retryable
