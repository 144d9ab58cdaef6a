"""Streamed generateContent answers as canonical events, and answers of any bytes at all."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import (
    Annotated,
    Failed,
    Finished,
    FinishReason,
    LogprobsTold,
    Started,
    TextDelta,
    ToolCallArguments,
    UsageReported,
)
from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.gemini import GeminiAdapter
from tests.providers.gemini_answers import CHUNKS, ERROR, answer, candidate, server_event

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


def used(tokens: int) -> dict[str, int]:
    return {"promptTokenCount": 7, "candidatesTokenCount": tokens}


def test_the_usage_in_the_middle_of_a_stream_is_kept_until_it_is_asked_for() -> None:
    reader = GeminiAdapter().stream_reader()
    told = [server_event({**answer({"text": "a"}, reason=None), "usageMetadata": used(number)}) for number in range(4)]
    first = reader.feed(told[0])
    assert [type(event) for event in first] == [Started, TextDelta, UsageReported]
    assert reader.take_usage() is None
    assert reader.feed(told[1]) == reader.feed(told[2]) == [TextDelta(text="a")]
    raw = json.dumps(used(2)).encode()
    assert reader.take_usage() == UsageReported(usage=Usage(input_tokens=7, output_tokens=2), raw=raw)
    assert reader.take_usage() is None
    reader.feed(told[3])
    last = reader.feed(server_event({**answer(), "usageMetadata": used(9)}))
    assert last[-1] == UsageReported(usage=Usage(input_tokens=7, output_tokens=9), raw=json.dumps(used(9)).encode())
    assert reader.take_usage() is None


def test_the_usage_of_the_first_events_is_told_at_once() -> None:
    reader = GeminiAdapter().stream_reader()
    told = [server_event({**answer({"text": "a"}, reason=None), "usageMetadata": used(number)}) for number in range(3)]
    events = reader.feed(b": come on\n\n") + reader.feed(b"".join(told[:2]))
    assert [event.usage.output_tokens for event in events if isinstance(event, UsageReported)] == [0, 1]
    assert reader.feed(told[2]) == [TextDelta(text="a")]


def test_kept_usage_stands_between_a_text_and_probabilities_that_come_after_it() -> None:
    reader = GeminiAdapter().stream_reader()
    reader.feed(server_event(answer({"text": "a"}, reason=None)))
    text = {**answer({"text": "a"}, reason=None), "usageMetadata": used(1)}
    probable = {"logprobsResult": {"chosenCandidates": [{"token": "a", "logProbability": -1}]}}
    alone = reader.feed(server_event(text) + server_event(answer(reason=None, **probable)))
    assert [type(event) for event in alone] == [TextDelta, UsageReported, LogprobsTold]
    together = reader.feed(server_event(text) + server_event(answer({"text": "b"}, reason=None, **probable)))
    assert [type(event) for event in together] == [TextDelta, TextDelta, LogprobsTold]


@pytest.mark.parametrize("nonsense", ["5", "[]", '{"a": 01}', '"x"'])
def test_usage_that_is_none_is_nonsense_at_once_and_the_one_before_it_counts(nonsense: str) -> None:
    reader = GeminiAdapter().stream_reader()
    for number in (1, 2):
        reader.feed(server_event({**answer({"text": "a"}, reason=None), "usageMetadata": used(number)}))
    bad = b'data: {"candidates": [], "usageMetadata": ' + nonsense.encode() + b"}\n\n"
    [failed] = reader.feed(bad)
    assert isinstance(failed, Failed)
    kept = reader.take_usage()
    assert kept is not None
    assert kept.usage == Usage(input_tokens=7, output_tokens=2)


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
