"""Answers of the Messages API, whole and streamed, block by block and event by event."""

import json
from typing import Any

import pytest

from arouter.domain.chat import (
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from tests.providers.anthropic_streams import ADAPTER, fold, stream_of, streamed

# ---------------------------------------------------------------- blocks, one by one

START: dict[str, Any] = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "claude-x", "usage": {"input_tokens": 10, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def begin(index: int, **block: Any) -> Any:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **told: Any) -> Any:
    return {"type": "content_block_delta", "index": index, "delta": told}


def end(index: int) -> Any:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None, usage: Any = None, **details: Any) -> Any:
    return {"type": "message_delta", "delta": {"stop_reason": reason, **details}, "usage": usage}


def whole(*blocks: Any, **fields: Any) -> bytes:
    message = {"id": "msg_1", "type": "message", "model": "claude-x", "content": blocks, "stop_reason": "end_turn"}
    return json.dumps({**message, **fields}).encode()


def test_a_stream_event_by_event() -> None:
    told = streamed(
        stream_of(
            START,
            begin(0, type="thinking", thinking="", signature=""),
            delta(0, type="thinking_delta", thinking="Hm."),
            delta(0, type="signature_delta", signature="proof"),
            end(0),
            begin(1, type="text", text=""),
            delta(1, type="text_delta", text="Let me "),
            delta(1, type="text_delta", text="look."),
            end(1),
            begin(2, type="tool_use", id="toolu_1", name="look_up", input={}),
            delta(2, type="input_json_delta", partial_json=""),
            delta(2, type="input_json_delta", partial_json='{"q": '),
            delta(2, type="input_json_delta", partial_json=" 1.0}"),
            end(2),
            begin(3, type="tool_use", id="toolu_2", name="now", input={}),
            end(3),
            ended("tool_use", {"output_tokens": 30}),
            STOP,
        )
    )
    assert [event for event in told if not isinstance(event, UsageReported)] == [
        Started(id="msg_1", model="claude-x"),
        ReasoningDelta(text="Hm.", format="anthropic-claude-v1"),
        ReasoningDelta(signature="proof", format="anthropic-claude-v1"),
        TextDelta(text="Let me "),
        TextDelta(text="look."),
        ToolCallStarted(index=0, id="toolu_1", name="look_up"),
        ToolCallArguments(index=0, fragment='{"q": '),
        ToolCallArguments(index=0, fragment=" 1.0}"),
        ToolCallStarted(index=1, id="toolu_2", name="now"),
        ToolCallArguments(index=1, fragment="{}"),
        Finished(reason=FinishReason.TOOL_CALLS, native_reason="tool_use"),
    ]


def test_arguments_of_a_whole_answer_keep_their_order_and_their_numbers() -> None:
    body = b'{"content": [{"type": "tool_use", "id": "t", "name": "n", "input": '
    body += b'{ "z" : 1.10, "a": [ 12345678901234567890123, 1e400 ], "s": "a  b" } }]}'
    (call,) = fold(ADAPTER.read_answer(body)).calls
    assert call == ("t", "n", '{"z":1.10,"a":[12345678901234567890123,1e400],"s":"a  b"}')


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "https://example.com"}]},
        {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {"stdout": "1"}},
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "ask", "server_name": "wiki", "input": {}},
        {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "content": [{"type": "text", "text": "2"}]},
        {"type": "something_new", "text": {"not": "a string"}, "input": [], "id": 7, "citations": "none"},
    ],
)
def test_what_the_providers_own_tools_did_is_passed_over(block: dict[str, Any]) -> None:
    before, after = {"type": "text", "text": "Look: "}, {"type": "text", "text": "there."}
    call = {"type": "tool_use", "id": "toolu_1", "name": "n", "input": {"a": 1}}
    told = fold(ADAPTER.read_answer(whole(before, block, after, call)))
    assert told.text == "Look: there."
    assert told.calls == [("toolu_1", "n", '{"a":1}')]
    stream = streamed(
        stream_of(
            START,
            begin(0, type="text", text="Look: "),
            end(0),
            begin(1, **block),
            delta(1, type="input_json_delta", partial_json='{"query"'),
            delta(1, type="text_delta", text="not the answer"),
            end(1),
            begin(2, **after),
            end(2),
        )
    )
    assert fold(stream).text == "Look: there."
    assert fold(stream).calls == []


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "something_new", "delta": 3, "index": "first", "error": "none", "message": []},
        delta(0, type="something_new", text={"not": "a string"}),
        delta(0, type="something_new"),
        delta(7, type="text_delta", text="of a block that never began"),
        delta(0, type="input_json_delta", partial_json="in a text"),
        delta(0, type="thinking_delta", thinking="in a text"),
        end(7),
        {"type": "content_block_delta", "index": 0, "delta": None},
    ],
)
def test_unknown_events_and_deltas_are_passed_over(event: Any) -> None:
    data = stream_of(START, begin(0, type="text", text="a"), event, delta(0, type="text_delta", text="b"), STOP)
    told = fold(streamed(data))
    assert told.text == "ab"
    assert told.thoughts == {}
    assert told.calls == []


def test_redacted_thoughts_keep_their_ciphertext_and_their_place() -> None:
    told = fold(
        ADAPTER.read_answer(
            whole(
                {"type": "redacted_thinking", "data": "cipher"},
                {"type": "thinking", "thinking": "", "signature": "proof"},
                {"type": "thinking", "thinking": "Hm.", "signature": "proof 2"},
            )
        )
    )
    assert told.thoughts == {0: ("", "", "cipher"), 1: ("", "proof", ""), 2: ("Hm.", "proof 2", "")}


def test_a_citation_names_the_span_of_the_text_that_is_cited() -> None:
    cited = {
        "type": "web_search_result_location",
        "url": "https://example.com/a",
        "title": "A",
        "cited_text": "… is blue …",
        "encrypted_index": "x",
    }
    data = stream_of(
        START,
        begin(0, type="text", text="Früher: "),
        end(0),
        begin(1, type="text", text="", citations=[]),
        delta(1, type="citations_delta", citation=cited),
        delta(1, type="text_delta", text="The sky "),
        delta(1, type="text_delta", text="is blue."),
        end(1),
        begin(2, type="text", text=" Yes."),
        end(2),
    )
    told = fold(streamed(data))
    assert told.citations == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://example.com/a",
                "title": "A",
                "start_index": 8,
                "end_index": 24,
                "content": "… is blue …",
            },
        }
    ]
    assert told.text[8:24] == "The sky is blue."


def test_citations_without_a_url_have_no_counterpart() -> None:
    page = {"type": "page_location", "cited_text": "x", "document_index": 0, "start_page_number": 1}
    own = {"type": "search_result_location", "source": "shelf 3", "title": None, "cited_text": "y"}
    web = {**own, "source": "https://example.com/b"}
    told = fold(ADAPTER.read_answer(whole({"type": "text", "text": "ab", "citations": [page, own, web]})))
    assert told.citations == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://example.com/b",
                "title": "",
                "start_index": 0,
                "end_index": 2,
                "content": "y",
            },
        }
    ]


# ---------------------------------------------------------------- the end, and usage


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("pause_turn", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("something_new", FinishReason.STOP),
    ],
)
def test_finish_reasons(native: str, reason: FinishReason) -> None:
    assert fold(ADAPTER.read_answer(whole(stop_reason=native))).finished == [(reason, native)]
    assert fold(streamed(stream_of(START, ended(native), STOP))).finished == [(reason, native)]


def test_a_refusal_is_explained_before_it_ends() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Not this."}
    expected = [
        RefusalDelta(text="Not this."),
        Finished(reason=FinishReason.CONTENT_FILTER, native_reason="refusal"),
    ]
    assert ADAPTER.read_answer(whole(stop_reason="refusal", stop_details=details))[1:] == expected
    assert streamed(stream_of(ended("refusal", stop_details=details))) == expected
    assert streamed(stream_of(ended("refusal", stop_details=None))) == expected[1:]


def test_usage_of_the_start_counts_even_if_nothing_else_arrives() -> None:
    (started, reported) = streamed(stream_of(START))
    assert isinstance(started, Started)
    assert isinstance(reported, UsageReported)
    assert reported.usage == Usage(input_tokens=10, output_tokens=1)
    assert json.loads(reported.raw) == {"input_tokens": 10, "output_tokens": 1}


def test_usage_is_cumulative_and_its_objects_are_merged() -> None:
    told = streamed(
        stream_of(
            START,
            ended(None, {"output_tokens": 20, "cache_read_input_tokens": 0}),
            ended("end_turn", {"output_tokens": 30, "input_tokens": None}),
            STOP,
        )
    )
    reported = [event for event in told if isinstance(event, UsageReported)]
    assert [one.usage.output_tokens for one in reported] == [1, 20, 30]
    assert reported[-1].usage == Usage(input_tokens=10, output_tokens=30, cache_read_tokens=0)
    assert json.loads(reported[-1].raw) == {
        "input_tokens": 10,
        "output_tokens": 30,
        "cache_read_input_tokens": 0,
    }


def test_an_answer_without_usage_reports_none() -> None:
    assert fold(ADAPTER.read_answer(whole())).usage is None
    assert fold(streamed(stream_of({"type": "message_start", "message": {}}, ended("end_turn"), STOP))).usage is None


def test_a_block_that_never_closed_is_closed_by_the_end() -> None:
    data = stream_of(START, begin(0, type="tool_use", id="t", name="n", input={"a": 1}), ended("tool_use"), STOP)
    assert fold(streamed(data)).calls == [("t", "n", '{"a":1}')]


# ---------------------------------------------------------------- failures


def test_an_error_in_the_middle_of_a_stream() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reader = ADAPTER.stream_reader()
    events = reader.feed(stream_of(START, begin(0, type="text", text="Half"), error))
    assert events[-1] == Failed(message="Overloaded", code="overloaded_error")
    assert not reader.complete


def test_an_error_with_status_200_is_raised() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ADAPTER.read_answer(b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}')
    assert (failed.value.message, failed.value.code, failed.value.retryable) == ("Overloaded", "overloaded_error", True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"[]",
        b"{}",
        b'{"object": "chat.completion", "choices": []}',
        b'{"content": "text"}',
        b'{"content": [{"type": "text", "text": 3}]}',
        b'{"content": [{"type": "text", "text": "\xff"}]}',
        b'{"content": [3]}',
        b'{"content": ' + b"[" * 100_000,
        b'{"content": [' + b'{"type":' * 100_000,
        whole({"type": "text", "text": "cut off"})[:-5],
    ],
)
def test_an_answer_that_is_not_this_dialect(body: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not one of Anthropic's Messages API") as failed:
        ADAPTER.read_answer(body)
    assert not failed.value.retryable


@pytest.mark.parametrize(
    "data",
    [
        b"data: <html>\n\n",
        b"data: {}\n\n",
        b'data: {"object": "chat.completion.chunk", "choices": []}\n\n',
        b"data: [1]\n\n",
        b'data: {"type": 3}\n\n',
        b'data: {"type": "message_start", "message": 3}\n\n',
        b'data: {"type": "content_block_start", "index": 0}\n\n',
        b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 3}}\n\n',
        b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "\xff"}}\n\n',
        b'data: {"type": "message_delta", "delta": {}, "usage": 3}\n\n',
        b"data: " + b'{"type":"message_delta","usage":{"a":' + b"[" * 100_000 + b"\n\n",
    ],
)
def test_a_stream_that_is_not_this_dialect(data: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not one of Anthropic's Messages API") as failed:
        ADAPTER.stream_reader().feed(data)
    assert not failed.value.retryable


def test_a_comment_and_a_foreign_end_mark_are_no_events() -> None:
    assert streamed(b": keep-alive\n\ndata: [DONE]\n\nevent: ping\n\n") == []
