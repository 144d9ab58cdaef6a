"""What comes from the Responses API, whole and streamed, and what it says."""

import json
from typing import Any

import pytest

from arouter.domain.chat import (
    Event,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.openai_responses import ResponsesAdapter
from arouter.providers.vendors import BY_NAME
from tests.providers.openai_answers import Said, as_stream, fold, in_pieces

ADAPTER = ResponsesAdapter(BY_NAME["openai"])
USAGE = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
OURS = "openai-responses-v1"


def response(*output: dict[str, Any], status: str = "completed", **rest: Any) -> dict[str, Any]:
    return {"id": "r1", "model": "m", "status": status, "output": list(output), "usage": USAGE, **rest}


def whole(*output: dict[str, Any], **rest: Any) -> list[Event]:
    return ADAPTER.read_answer(json.dumps(response(*output, **rest)).encode())


def event(kind: str, index: int = 0, **rest: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": index, **rest}


CREATED = event("created", response={"id": "r1", "model": "m", "status": "in_progress", "service_tier": "auto"})


def completed(*output: dict[str, Any], **rest: Any) -> dict[str, Any]:
    told = response(*output, **rest)
    return event(told["status"], response=told)


def streamed(*events: dict[str, Any]) -> list[Event]:
    raw = as_stream([CREATED, *events])
    told = in_pieces(ADAPTER, raw)
    assert in_pieces(ADAPTER, raw, 7) == told
    return told


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": list(parts)}


def text(said: str, **rest: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": said, "annotations": [], **rest}


def called(call_id: str = "call_1", arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "weather", "arguments": arguments}


# ---------------------------------------------------------------- the plain case


def test_a_stream_as_openai_sends_it() -> None:
    assert streamed(
        event("in_progress", response={"id": "r1", "model": "m"}),
        event("output_item.added", item=message()),
        event("content_part.added", part=text("")),
        event("output_text.delta", delta="Hel", logprobs=[]),
        event("output_text.delta", delta="lo"),
        event("output_text.done", text="Hello"),
        event("content_part.done", part=text("Hello")),
        event("output_item.done", item=message(text("Hello"))),
        completed(message(text("Hello")), service_tier="flex"),
    ) == [
        Started(id="r1", model="m"),
        TextDelta(text="Hel"),
        TextDelta(text="lo"),
        UsageReported(
            usage=Usage(input_tokens=5, output_tokens=2),
            raw=json.dumps(USAGE).encode(),
            service_tier="flex",
        ),
        Finished(reason=FinishReason.STOP, native_reason="completed"),
    ]


def test_a_whole_answer() -> None:
    said = fold(whole(message(text("Hello, "), text("you"), {"type": "refusal", "refusal": "No."}))).only
    assert said == Said(text="Hello, you", refusal="No.", finished=[("stop", "completed")])


@pytest.mark.parametrize("told", [0, 1, 2, 3])
def test_what_no_event_told_is_taken_from_the_next_that_tells_it(told: int) -> None:
    events = [
        event("output_text.delta", delta="Hel"),
        event("output_item.done", item=message(text("Hello"))),
        event("output_item.done", index=1, item=called()),
    ]
    said = fold(streamed(*events[:told], completed(message(text("Hello")), called()))).only
    assert said == Said(text="Hello", calls=[["call_1", "weather", "{}"]], finished=[("tool_calls", "completed")])


def test_a_refusal_in_pieces() -> None:
    refused = message({"type": "refusal", "refusal": "No."})
    told = streamed(event("refusal.delta", delta="N"), event("refusal.delta", delta="o."), completed(refused))
    assert fold(told).only.refusal == "No."


# ---------------------------------------------------------------- why it ended


@pytest.mark.parametrize(
    ("status", "details", "expected"),
    [
        ("incomplete", {"reason": "max_output_tokens"}, ("length", "max_output_tokens")),
        ("incomplete", {"reason": "content_filter"}, ("content_filter", "content_filter")),
        ("incomplete", None, ("length", "incomplete")),
        ("cancelled", None, ("error", "cancelled")),
    ],
)
def test_why_it_ended(status: str, details: dict[str, str] | None, expected: tuple[str, str]) -> None:
    rest = {"status": status, "incomplete_details": details}
    for told in (fold(whole(message(text("x")), **rest)), fold(streamed(completed(message(text("x")), **rest)))):
        assert told.only.finished == [expected]
        assert told.usage is not None


def test_an_answer_that_was_cut_off_in_a_call_does_not_end_with_it() -> None:
    told = fold(whole(called(arguments='{"ci'), status="incomplete"))
    assert told.only.finished == [("length", "incomplete")]
    assert told.only.calls == [["call_1", "weather", '{"ci']]


def test_a_failure_keeps_its_usage() -> None:
    error = {"code": "server_error", "message": "Broken"}
    for events in (
        whole(status="failed", error=error),
        in_failed_stream(completed(status="failed", error=error)),
    ):
        told = fold(events)
        assert told.failed == [("Broken", "server_error")]
        assert told.usage is not None
        assert told.only.finished == [("error", "failed")]


def in_failed_stream(*events: dict[str, Any]) -> list[Event]:
    return ADAPTER.stream_reader().feed(as_stream([CREATED, *events]))


def test_a_failure_that_used_nothing_may_be_tried_elsewhere() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        whole(status="failed", error={"code": "server_error", "message": "Broken"}, usage=None)
    assert (failed.value.message, failed.value.retryable) == ("Broken", True)
    assert failed.value.metadata["upstream_code"] == "server_error"


# ---------------------------------------------------------------- thought


def test_thought_as_it_is_streamed() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm, hm."}]}
    events = streamed(
        event("output_item.added", item={"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}),
        event("reasoning_summary_text.delta", summary_index=0, delta="Hm, "),
        event("reasoning_summary_text.delta", summary_index=0, delta="hm."),
        event("reasoning_summary_text.delta", summary_index=1, delta="So."),
        event("output_item.done", item=item | {"encrypted_content": "c"}),
        completed(item, message(text("Yes"))),
    )
    assert events[1:6] == [
        ReasoningDelta(text="Hm, ", format=OURS),
        ReasoningDelta(text="hm.", format=OURS),
        ReasoningDelta(text="\n\nSo.", format=OURS),
        ReasoningDelta(data="c", format=OURS, id="rs_1"),
        UsageReported(usage=Usage(input_tokens=5, output_tokens=2), raw=json.dumps(USAGE).encode()),
    ]


def test_each_item_is_a_thought_of_its_own() -> None:
    thought = {"type": "reasoning", "id": "rs", "summary": []}
    first = thought | {"content": [{"type": "reasoning_text", "text": "Open"}]}
    second = thought | {"encrypted_content": "c"}
    assert whole(first, second)[1:3] != whole(second, first)[1:3]
    told = [one for one in whole(first, second) if isinstance(one, ReasoningDelta)]
    assert told == [
        ReasoningDelta(text="Open", format=OURS),
        ReasoningDelta(data="c", format=OURS, id="rs", index=1),
    ]
    streamed_open = streamed(event("reasoning_text.delta", delta="Open"), completed(first, second))
    assert [one for one in streamed_open if isinstance(one, ReasoningDelta)] == told


def test_the_ciphertexts_of_another_vendor_have_its_name() -> None:
    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "c"}
    body = json.dumps(response(item)).encode()
    told = ResponsesAdapter(BY_NAME["xai"]).read_answer(body)
    [thought] = [one for one in told if isinstance(one, ReasoningDelta)]
    assert thought == ReasoningDelta(data="c", format="xai-responses-v1", id="rs")


# ---------------------------------------------------------------- calls


def test_calls_as_they_are_streamed() -> None:
    events = streamed(
        event("output_item.added", item=called(arguments="")),
        event("function_call_arguments.delta", delta='{"ci'),
        event("function_call_arguments.delta", delta='ty":1}'),
        event("function_call_arguments.done", arguments='{"city":1}'),
        event("output_item.done", item=called(arguments='{"city":1}')),
        event("output_item.added", index=1, item=called("call_2", "")),
        event("output_item.done", index=1, item=called("call_2", "")),
        completed(called(arguments='{"city":1}'), called("call_2", "")),
    )
    assert events[1:6] == [
        ToolCallStarted(index=0, id="call_1", name="weather"),
        ToolCallArguments(index=0, fragment='{"ci'),
        ToolCallArguments(index=0, fragment='ty":1}'),
        ToolCallStarted(index=1, id="call_2", name="weather"),
        ToolCallArguments(index=1, fragment="{}"),
    ]
    assert fold(events).only.finished == [("tool_calls", "completed")]


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_the_call_of_a_custom_tool_holds_its_text(cut: int) -> None:
    script = 'echo "ü"\n'
    item = {"type": "custom_tool_call", "id": "ct", "call_id": "call_1", "name": "shell", "input": script}
    deltas = [event("custom_tool_call_input.delta", delta=one) for one in (script[:cut], script[cut:]) if one]
    for told in (
        fold(whole(item)),
        fold(streamed(event("output_item.added", item=item | {"input": ""}), *deltas, completed(item))),
        fold(streamed(event("output_item.added", item=item | {"input": ""}), *deltas[:1], completed(item))),
    ):
        [(call_id, name, arguments)] = told.only.calls
        assert (call_id, name, json.loads(arguments)) == ("call_1", "shell", {"input": script})


def test_a_custom_tool_may_be_given_nothing() -> None:
    item = {"type": "custom_tool_call", "call_id": "call_1", "name": "shell", "input": ""}
    [(_, _, arguments)] = fold(whole(item)).only.calls
    assert json.loads(arguments) == {"input": ""}


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws", "action": {"type": "search"}},
        {"type": "tool_search_call", "arguments": {"query": 1}, "call_id": None},
        {"type": "mcp_call", "arguments": "{}", "name": "x", "output": None},
        {"type": "compaction", "encrypted_content": "c"},
        {"type": "of_tomorrow", "content": 7, "summary": "x"},
        {},
    ],
)
def test_what_the_providers_own_tools_did_is_passed_over(item: dict[str, Any]) -> None:
    assert fold(whole(item, message(text("x")))).only == Said(text="x", finished=[("stop", "completed")])
    told = streamed(event("output_item.added", item=item), event("output_item.done", item=item), completed(item))
    assert [type(one) for one in told] == [Started, UsageReported, Finished]


def test_a_picture() -> None:
    item = {"type": "image_generation_call", "result": "QQ==", "output_format": "webp"}
    assert fold(whole(item)).only.images == ["data:image/webp;base64,QQ=="]
    assert fold(whole(item | {"result": None})).only.images == []


# ---------------------------------------------------------------- citations and probabilities


def test_citations_count_from_the_beginning_of_the_text() -> None:
    cited = {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 3}
    filed = {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 2}
    item = message(text("Before "), text("and after", annotations=[cited, filed]))
    expected: list[dict[str, object]] = [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://x.example", "title": "X", "start_index": 7, "end_index": 10},
        },
        {"type": "file_citation", "file_citation": {"file_id": "f", "filename": "a.txt", "index": 2}},
    ]
    assert fold(whole(item)).only.citations == expected
    told = streamed(
        event("output_text.delta", content_index=0, delta="Before "),
        event("output_text.delta", content_index=1, delta="and after"),
        event("output_text.annotation.added", content_index=1, annotation=cited),
        event("output_item.done", item=item),
        completed(item),
    )
    assert fold(told).only.citations == expected


def test_probabilities_have_the_bytes_of_their_token() -> None:
    told = streamed(
        event("output_text.delta", delta="ü", logprobs=[{"token": "ü", "logprob": -0.5, "top_logprobs": []}]),
        completed(message(text("ü", logprobs=[{"token": "ü", "logprob": -0.5, "bytes": [195, 188]}]))),
    )
    assert fold(told).only.logprobs == [{"token": "ü", "logprob": -0.5, "top_logprobs": [], "bytes": [195, 188]}]


# ---------------------------------------------------------------- usage


def test_searches_are_told_beside_the_usage_object() -> None:
    told = fold(whole(tool_usage={"web_search": {"num_requests": 3}}))
    assert told.usage is not None
    assert told.usage.usage == Usage(input_tokens=5, output_tokens=2, web_searches=3)
    for odd in ({}, None, 7, {"web_search": None}, {"web_search": {"num_requests": -1}}):
        told = fold(whole(tool_usage=odd))
        assert told.usage is not None
        assert told.usage.usage.web_searches is None


@pytest.mark.parametrize("usage", [None, {}, 7, {"input_tokens": "many"}])
def test_usage_that_tells_nothing_is_not_told(usage: object) -> None:
    assert fold(whole(message(text("x")), usage=usage)).usage is None


def test_nothing_that_is_wrong_with_the_output_hides_the_usage() -> None:
    told = fold(in_failed_stream(completed({"type": "message", "content": 7})))
    assert told.usage is not None
    assert [message for message, _ in told.failed] == ["The provider openai sent an answer that is not a response."]


# ---------------------------------------------------------------- the end, and what goes wrong


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "Slow"}, ("Slow", "rate_limit_exceeded")),
        ({"type": "error", "message": "Plain"}, ("Plain", None)),
        ({"type": "error", "error": {"type": "server_error", "message": "Nested"}}, ("Nested", "server_error")),
        ({"error": {"message": "Bare", "code": 500}}, ("Bare", "500")),
    ],
)
def test_an_error_event(error: dict[str, Any], expected: tuple[str, str | None]) -> None:
    reader = ADAPTER.stream_reader()
    told = fold(reader.feed(as_stream([CREATED, event("output_text.delta", delta="x"), error, completed()])))
    assert told.failed == [expected]
    assert told.only.text == "x"
    assert not reader.complete


def test_a_stream_is_complete_with_the_event_that_ends_it_and_nothing_counts_after() -> None:
    reader = ADAPTER.stream_reader()
    reader.feed(as_stream([CREATED, event("output_text.delta", delta="x")]))
    assert not reader.complete
    reader.feed(as_stream([completed(message(text("x")))]))
    assert reader.complete
    assert reader.feed(as_stream([event("output_text.delta", delta="y"), "[DONE]", "nonsense"])) == []
    assert reader.complete


def test_events_of_tomorrow_are_passed_over() -> None:
    told = streamed({"type": "response.of_tomorrow", "output_index": "x", "delta": []}, completed())
    assert [type(one) for one in told] == [Started, UsageReported, Finished]


def test_nonsense_after_a_good_start_loses_nothing_that_came_before() -> None:
    told = in_failed_stream(event("output_text.delta", delta="x"), event("output_text.delta", output_index="x"))
    assert [type(one) for one in told] == [Started, TextDelta, Failed]


@pytest.mark.parametrize("data", [b"data: <html>\n\n", b'data: {"type":"response.created","response":7}\n\n'])
def test_nonsense_at_the_start_is_not_this_dialect(data: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ADAPTER.stream_reader().feed(data)
    assert not failed.value.retryable


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"output":null}', b'{"output":[7]}', b"\xff"])
def test_a_whole_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ADAPTER.read_answer(body)
    assert not failed.value.retryable


def test_an_error_answer() -> None:
    failed = ADAPTER.read_error(400, b'{"error":{"message":"No","code":"unsupported_value","param":"temperature"}}')
    assert (failed.message, failed.code, failed.param) == ("No", "unsupported_value", "temperature")
