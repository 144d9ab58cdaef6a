"""generateContent answers as canonical events, whole and streamed, and Gemini's errors."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import (
    Annotated,
    Event,
    Failed,
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

Body = dict[str, Any]

GEMINI = "google-gemini-v1"


def read(answer: Body) -> list[Event]:
    return GeminiAdapter().read_answer(json.dumps(answer).encode())


def candidate(*parts: Body, reason: str | None = "STOP", **rest: Any) -> Body:
    told = {} if reason is None else {"finishReason": reason}
    return {"content": {"parts": list(parts), "role": "model"}, **told, **rest}


def answer(*parts: Body, reason: str | None = "STOP", **rest: Any) -> Body:
    return {"candidates": [candidate(*parts, reason=reason, **rest)], "responseId": "r1"}


def said(*parts: Body, **rest: Any) -> list[Event]:
    """What is told between the start and the finish of an answer of these parts."""
    _, *between, _ = read(answer(*parts, **rest))
    return between


def finish(*parts: Body, reason: str | None = "STOP") -> Event:
    return read(answer(*parts, reason=reason))[-1]


def server_event(data: Body) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"


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


CHUNKS = [
    {"web": {"uri": "https://a.example", "title": "A"}},
    {"web": {"uri": "https://b.example"}},
    {"retrievedContext": {"text": "a file", "fileSearchStore": "s/1"}},
]


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


# ---------------------------------------------------------------- streams


def test_a_stream_is_complete_when_its_reason_came_and_usage_may_follow() -> None:
    reader = GeminiAdapter().stream_reader()
    assert reader.feed(server_event(answer({"text": "a"}, reason=None))) == [Started(id="r1"), TextDelta(text="a")]
    assert not reader.complete
    assert reader.feed(server_event(answer(reason="STOP"))) == [
        Finished(reason=FinishReason.STOP, native_reason="STOP")
    ]
    assert reader.complete
    [usage] = reader.feed(server_event({"usageMetadata": {"promptTokenCount": 0}}))
    assert isinstance(usage, UsageReported)
    assert usage.usage == Usage(input_tokens=0)
    assert reader.complete


def test_a_stream_of_two_choices_is_complete_when_both_are() -> None:
    reader = GeminiAdapter().stream_reader()
    both = {"candidates": [candidate({"text": "a"}, reason=None), candidate({"text": "b"}, reason="STOP", index=1)]}
    reader.feed(server_event(both))
    assert not reader.complete
    reader.feed(server_event({"candidates": [candidate(reason="STOP", index=0)]}))
    assert reader.complete


def test_a_blocked_prompt_completes_a_stream() -> None:
    reader = GeminiAdapter().stream_reader()
    reader.feed(server_event({"promptFeedback": {"blockReason": "SAFETY"}}))
    assert reader.complete


def test_a_reason_in_every_event_finishes_once_and_a_later_other_one_again() -> None:
    reader = GeminiAdapter().stream_reader()
    reasons = ["STOP", "STOP", "SAFETY"]
    events = [event for reason in reasons for event in reader.feed(server_event(answer({"text": "a"}, reason=reason)))]
    assert [event.native_reason for event in events if isinstance(event, Finished)] == ["STOP", "SAFETY"]


def test_grounding_that_a_stream_repeats_is_told_once() -> None:
    reader = GeminiAdapter().stream_reader()
    support = {"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}
    grounding = {"groundingChunks": CHUNKS[:1], "groundingSupports": [support]}
    event = server_event(answer({"text": "a"}, reason=None, groundingMetadata=grounding))
    assert len([told for told in reader.feed(event + event) if isinstance(told, Annotated)]) == 1


def test_comments_and_lone_fields_are_nothing() -> None:
    reader = GeminiAdapter().stream_reader()
    assert reader.feed(b": keep alive\n\nevent: ping\n\n\n\n") == []
    assert not reader.complete


ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "raw",
    [
        server_event(ERROR),
        b"data: [" + json.dumps(ERROR).encode() + b"]\n\n",
        json.dumps(ERROR, indent=1).encode() + b"\n\n",
    ],
)
def test_an_error_in_the_middle_of_a_stream_is_told(raw: bytes) -> None:
    reader = GeminiAdapter().stream_reader()
    reader.feed(server_event(answer({"text": "a"}, reason=None)))
    assert reader.feed(raw) == [Failed(message="The model is overloaded.", code="UNAVAILABLE")]
    assert not reader.complete


@pytest.mark.parametrize("code", [None, 500])
def test_an_error_without_a_word_is_still_one(code: int | None) -> None:
    [failed] = GeminiAdapter().stream_reader().feed(server_event({"error": {"code": code}}))
    assert isinstance(failed, Failed)
    assert failed.message
    assert failed.code == (None if code is None else "500")


NONSENSE = [
    b"<html><body>Bad gateway</body></html>\n\n",
    b"data: not JSON\n\n",
    b"data: {}\n\n",
    b"data: []\n\n",
    b'data: {"choices": []}\n\n',
    b'data: {"candidates": 5}\n\n',
    b'data: {"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}\n\n',
    b'data: {"candidates": ' + b"[" * 100_000 + b"\n\n",
]


@pytest.mark.parametrize("raw", NONSENSE)
def test_nonsense_at_the_start_is_not_this_dialect(raw: bytes) -> None:
    with pytest.raises(UpstreamFailed) as refused:
        GeminiAdapter().stream_reader().feed(raw)
    assert not refused.value.retryable
    assert not refused.value.client_fault


@pytest.mark.parametrize("raw", NONSENSE)
def test_nonsense_after_a_good_start_loses_nothing_that_was_told(raw: bytes) -> None:
    good = {**answer({"text": "a"}, reason=None), "usageMetadata": {"promptTokenCount": 1}}
    events = GeminiAdapter().stream_reader().feed(server_event(good) + raw)
    assert [type(event) for event in events] == [Started, TextDelta, UsageReported, Failed]


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


def error(status: int, message: str = "No.", name: str = "SOME_STATUS", **rest: Any) -> UpstreamFailed:
    body = {"error": {"code": status, "message": message, "status": name, **rest}}
    return GeminiAdapter().read_error(status, json.dumps(body).encode())


def test_an_error_keeps_its_message_its_code_and_its_status() -> None:
    failed = error(404, "models/x is not found.", "NOT_FOUND")
    assert (failed.message, failed.code, failed.upstream_status) == ("models/x is not found.", "NOT_FOUND", 404)


def test_an_error_may_be_the_one_element_of_an_array() -> None:
    failed = GeminiAdapter().read_error(503, b"[" + json.dumps(ERROR).encode() + b"]")
    assert (failed.message, failed.code) == ("The model is overloaded.", "UNAVAILABLE")


@pytest.mark.parametrize(
    ("status", "client_fault"),
    [
        (400, True),
        (404, True),
        (413, True),
        (422, True),
        (401, False),
        (403, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_who_is_to_blame(status: int, client_fault: bool) -> None:
    failed = error(status)
    assert failed.client_fault is client_fault
    assert failed.retryable is not client_fault


@pytest.mark.parametrize(
    ("message", "name", "details"),
    [
        ("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", []),
        ("No.", "INVALID_ARGUMENT", [{"@type": "…/ErrorInfo", "reason": "API_KEY_INVALID"}]),
        ("User location is not supported for the API use.", "FAILED_PRECONDITION", []),
    ],
)
def test_a_400_about_our_key_or_account_is_not_the_clients_fault(message: str, name: str, details: list[Body]) -> None:
    assert not error(400, message, name, details=details).client_fault


def test_a_key_that_a_message_quotes_is_not_passed_on() -> None:
    key = "AIza" + "Sy0123456789-abcdefghijklmnopqrstu_"
    assert error(403, f"Consumer 'api_key:{key}' has been suspended.").message == (
        "Consumer 'api_key:[key]' has been suspended."
    )
    assert key not in error(400, f"Key {key} is odd.").message


@pytest.mark.parametrize("body", [b"", b"Bad gateway", b"[]", b'{"error": "no"}', b'{"error": {}}', b"\xff"])
def test_an_error_of_any_shape_is_an_error(body: bytes) -> None:
    failed = GeminiAdapter().read_error(502, body)
    assert failed.upstream_status == 502
    assert "502" in failed.message
    assert not failed.client_fault


# ---------------------------------------------------------------- whatever comes

FIELDS = [
    "candidates",
    "content",
    "parts",
    "text",
    "functionCall",
    "args",
    "name",
    "index",
    "finishReason",
    "error",
    "usageMetadata",
    "promptTokenCount",
    "promptFeedback",
    "blockReason",
    "groundingMetadata",
    "groundingSupports",
    "groundingChunkIndices",
    "message",
    "code",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)
GARBAGE = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())


@given(body=GARBAGE)
def test_a_body_is_read_or_refused(body: bytes) -> None:
    try:
        events = GeminiAdapter().read_answer(body)
    except UpstreamFailed:
        return
    assert any(isinstance(event, Finished) for event in events)
    for event in events:
        if isinstance(event, ToolCallArguments):
            msgspec.json.decode(event.fragment)


RICH = answer(
    {"text": "é", "thought": True},
    {"text": "a", "thoughtSignature": "c2ln"},
    {"functionCall": {"name": "f", "id": "n1", "args": {"a": [1.5, None]}}},
    {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
    groundingMetadata={"groundingChunks": CHUNKS, "groundingSupports": [{"groundingChunkIndices": [0, 2]}]},
    logprobsResult={"chosenCandidates": [{"token": "a", "logProbability": -1}]},
)
RICH_BODY = json.dumps({**RICH, "usageMetadata": {"promptTokenCount": 1}}, ensure_ascii=False).encode()
PLACES = st.integers(0, len(RICH_BODY))


@given(start=PLACES, end=PLACES, instead=st.binary(max_size=4) | st.sampled_from([b"null", b"{}", b"[]", b"-1", b'""']))
def test_a_damaged_answer_is_read_or_refused(start: int, end: int, instead: bytes) -> None:
    damaged = RICH_BODY[:start] + instead + RICH_BODY[max(start, end) :]
    try:
        events = GeminiAdapter().read_answer(damaged)
    except UpstreamFailed:
        return
    assert any(isinstance(event, Finished) for event in events)


@given(pieces=st.lists(GARBAGE.map(lambda data: b"data: " + data + b"\n\n") | st.binary(max_size=60), max_size=5))
def test_a_stream_is_read_or_refused(pieces: list[bytes]) -> None:
    reader = GeminiAdapter().stream_reader()
    try:
        events = [event for piece in pieces for event in reader.feed(piece)]
    except UpstreamFailed:
        return
    assert not reader.complete or any(isinstance(event, Finished) for event in events)


@given(status=st.integers(300, 599), body=GARBAGE)
def test_an_error_is_always_read(status: int, body: bytes) -> None:
    failed = GeminiAdapter().read_error(status, body)
    assert failed.upstream_status == status
    assert failed.message
