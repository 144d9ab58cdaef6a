"""Converse answers, whole and streamed, read into canonical events."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import (
    Event,
    Failed,
    Finished,
    FinishReason,
    ImageMade,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.converse import ConverseAdapter
from tests.aws_event_stream import event, exception, message

FORMAT = "bedrock-converse-v1"
USAGE = {
    "inputTokens": 10,
    "outputTokens": 5,
    "totalTokens": 25,
    "cacheReadInputTokens": 3,
    "cacheWriteInputTokens": 7,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 5}, {"ttl": "1h", "inputTokens": 2}],
}
METERS = Usage(input_tokens=10, output_tokens=5, cache_read_tokens=3, cache_write_tokens=5, cache_write_1h_tokens=2)
SIZES = [1, 7, 37, None]


def answer(*content: Any, reason: str = "end_turn", **rest: Any) -> list[Event]:
    told = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, **rest}
    return ConverseAdapter().read_answer(msgspec.json.encode(told))


def streamed(data: bytes, size: int | None = None) -> list[Event]:
    reader = ConverseAdapter().stream_reader()
    step = size or len(data) or 1
    return [one for at in range(0, len(data), step) for one in reader.feed(data[at : at + step])]


def delta(index: int, **said: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": said, "p": "abc"})


def call(index: int, call_id: str, name: str) -> bytes:
    start = {"toolUse": {"toolUseId": call_id, "name": name}}
    return event("contentBlockStart", {"contentBlockIndex": index, "start": start})


def stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


START = event("messageStart", {"role": "assistant"})
STOP = event("messageStop", {"stopReason": "tool_use"})
METADATA = event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 5}, "serviceTier": {"type": "flex"}})
STREAM = b"".join(
    (
        START,
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"text": "m."}),
        delta(0, reasoningContent={"signature": "proof"}),
        stop(0),
        delta(1, reasoningContent={"redactedContent": "AAAA"}),
        stop(1),
        delta(2, text="Hel"),
        delta(2, text="lo"),
        stop(2),
        call(3, "tooluse_1", "weather"),
        delta(3, toolUse={"input": '{"n": 1.'}),
        delta(3, toolUse={"input": "50}"}),
        stop(3),
        call(4, "tooluse_2", "clock"),
        delta(4, toolUse={"input": ""}),
        stop(4),
        STOP,
        METADATA,
    )
)
RAW = {**USAGE, "serviceTier": "flex"}
EVENTS: list[Event] = [
    Started(),
    ReasoningDelta(text="Hm", format=FORMAT, index=0),
    ReasoningDelta(text="m.", format=FORMAT, index=0),
    ReasoningDelta(signature="proof", format=FORMAT, index=0),
    ReasoningDelta(data="AAAA", format=FORMAT, index=1),
    TextDelta(text="Hel"),
    TextDelta(text="lo"),
    ToolCallStarted(index=0, id="tooluse_1", name="weather"),
    ToolCallArguments(index=0, fragment='{"n": 1.'),
    ToolCallArguments(index=0, fragment="50}"),
    ToolCallStarted(index=1, id="tooluse_2", name="clock"),
    ToolCallArguments(index=1, fragment="{}"),
    Finished(reason=FinishReason.TOOL_CALLS, native_reason="tool_use"),
    UsageReported(usage=METERS, raw=msgspec.json.encode(RAW)),
]


# ---------------------------------------------------------------- whole


def test_a_whole_answer() -> None:
    found = answer(
        {"reasoningContent": {"reasoningText": {"text": "Hmm.", "signature": "proof"}}},
        {"reasoningContent": {"redactedContent": "AAAA"}},
        {"text": "Hello"},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"n": 1}}},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "clock"}},
        {"somethingNew": {}},
        reason="tool_use",
        usage=USAGE,
        serviceTier={"type": "flex"},
    )
    assert found == [
        Started(),
        ReasoningDelta(text="Hmm.", signature="proof", format=FORMAT, index=0),
        ReasoningDelta(data="AAAA", format=FORMAT, index=1),
        TextDelta(text="Hello"),
        ToolCallStarted(index=0, id="tooluse_1", name="weather"),
        ToolCallArguments(index=0, fragment='{"n":1}'),
        ToolCallStarted(index=1, id="tooluse_2", name="clock"),
        ToolCallArguments(index=1, fragment="{}"),
        Finished(reason=FinishReason.TOOL_CALLS, native_reason="tool_use"),
        UsageReported(usage=METERS, raw=msgspec.json.encode(RAW)),
    ]


def test_arguments_keep_the_digits_of_their_numbers() -> None:
    body = (
        b'{"output":{"message":{"content":[{"toolUse":{"toolUseId":"1","name":"x",'
        b'"input":{ "n": 1.50, "m": 1e400 }}}]}},"stopReason":"tool_use"}'
    )
    _, _, arguments, _ = ConverseAdapter().read_answer(body)
    assert arguments == ToolCallArguments(index=0, fragment='{"n":1.50,"m":1e400}')


def test_cited_text_is_text_and_an_image_is_one() -> None:
    cited = {"citationsContent": {"content": [{"text": "Rome "}, {"text": "is old."}], "citations": []}}
    image = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
    assert answer(cited, image)[1:-1] == [
        TextDelta(text="Rome "),
        TextDelta(text="is old."),
        ImageMade(url="data:image/png;base64,AAAA"),
    ]


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
        ("content_filtered", FinishReason.CONTENT_FILTER),
        ("malformed_tool_use", FinishReason.ERROR),
        ("something_new", FinishReason.ERROR),
    ],
)
def test_every_finish_reason(native: str, reason: FinishReason) -> None:
    assert answer({"text": "x"}, reason=native)[-1] == Finished(reason=reason, native_reason=native)


def test_an_answer_without_usage_tells_none() -> None:
    assert not any(isinstance(one, UsageReported) for one in answer({"text": "x"}))


def test_cache_writes_without_details_are_of_the_usual_time() -> None:
    *_, reported = answer(usage={"inputTokens": 1, "outputTokens": 0, "cacheWriteInputTokens": 4})
    assert isinstance(reported, UsageReported)
    assert reported.usage == Usage(input_tokens=1, output_tokens=0, cache_write_tokens=4)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"output":1}', b'{"output":{"message":{"content":[1]}}}', b"\xff", b"[" * 9999],
)
def test_what_is_no_answer_is_the_providers_failure(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ConverseAdapter().read_answer(body)
    assert not failed.value.retryable


# ---------------------------------------------------------------- streamed


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_in_pieces_of_any_size(size: int | None) -> None:
    assert streamed(STREAM, size) == EVENTS


def test_a_stream_is_complete_with_its_stop_reason_and_goes_on_to_tell_usage() -> None:
    reader = ConverseAdapter().stream_reader()
    reader.feed(START + delta(0, text="x"))
    assert not reader.complete
    reader.feed(STOP)
    assert reader.complete
    assert len(reader.feed(METADATA)) == 1


def test_a_call_that_is_never_closed_has_arguments_all_the_same() -> None:
    assert streamed(START + call(0, "1", "clock") + STOP)[2] == ToolCallArguments(index=0, fragment="{}")


def test_events_of_a_kind_not_known_are_passed_over() -> None:
    other = event("somethingNew", {"x": 1}) + delta(0, citation={"title": "x"}) + message(b"{}")
    assert streamed(START + other) == [Started()]


@pytest.mark.parametrize("size", SIZES)
def test_an_exception_is_a_failure_and_nothing_counts_after_it(size: int | None) -> None:
    stream = START + exception("modelStreamErrorException", "The model broke.") + delta(0, text="x")
    assert streamed(stream, size) == [
        Started(),
        Failed(message="The model broke.", code="modelStreamErrorException"),
    ]


GARBAGE = [b"<html>502</html>", event("contentBlockDelta", {"delta": 1}), message(b"\xff", {":event-type": "metadata"})]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_at_the_start_is_the_providers_failure(garbage: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        streamed(garbage)
    assert not failed.value.retryable


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_after_a_good_start_does_not_lose_what_came_before(garbage: bytes, size: int | None) -> None:
    started, said, failed = streamed(START + delta(0, text="x") + garbage + STOP, size)
    assert (started, said) == (Started(), TextDelta(text="x"))
    assert isinstance(failed, Failed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "metadata", "x"))
FIELDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("contentBlockIndex", "start", "delta", "stopReason", "usage", "serviceTier"), JSON)
)


@given(messages=st.lists(st.tuples(NAMES, FIELDS), max_size=5))
def test_no_stream_makes_another_exception(messages: list[tuple[str, Any]]) -> None:
    try:
        found = streamed(b"".join(event(name, content) for name, content in messages))
    except UpstreamFailed:
        return
    assert sum(isinstance(one, Started) for one in found) == bool(messages)


@given(body=st.builds(msgspec.json.encode, st.fixed_dictionaries({}, optional={"output": JSON, "usage": JSON})))
def test_no_answer_makes_another_exception(body: bytes) -> None:
    try:
        found = ConverseAdapter().read_answer(body)
    except UpstreamFailed:
        return
    assert found[0] == Started()
