"""What vendors send as a chat completion, whole and streamed, and what it says."""

import json
from typing import Any

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
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.vendors import BY_NAME
from tests.providers.openai_answers import Said, as_stream, fold, in_pieces

ADAPTER = ChatAdapter(BY_NAME["openai"])
DONE = "[DONE]"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **rest: Any) -> dict[str, Any]:
    """A chunk of the one choice; of none without a delta."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "c1", "model": "m", "choices": choices, **rest}


def streamed(*chunks: dict[str, Any] | str) -> list[Event]:
    raw = as_stream([*chunks, DONE])
    events = in_pieces(ADAPTER, raw)
    assert in_pieces(ADAPTER, raw, 7) == events
    return events


def whole(message: dict[str, Any], finish: str | None = "stop", **rest: Any) -> list[Event]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return ADAPTER.read_answer(json.dumps({"id": "c1", "model": "m", "choices": [choice], **rest}).encode())


def piece(index: int | None = None, call_id: str | None = None, **function: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"function": function}
    if index is not None:
        told["index"] = index
    if call_id is not None:
        told |= {"id": call_id, "type": "function"}
    return told


def calls_in(*pieces: dict[str, Any], finish: str = "tool_calls") -> list[list[str]]:
    """The calls that come in these pieces, one in each chunk."""
    said = fold(streamed(*(chunk({"tool_calls": [one]}) for one in pieces), chunk({}, finish))).only
    assert said.finished == [("tool_calls", finish)]
    return said.calls


# ---------------------------------------------------------------- the plain case


def test_a_stream_as_openai_sends_it() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert streamed(
        chunk({"role": "assistant", "content": "", "refusal": None}, service_tier="default"),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        chunk(usage=usage, service_tier="flex"),
    ) == [
        Started(id="c1", model="m"),
        TextDelta(text="Hel"),
        TextDelta(text="lo"),
        Finished(reason=FinishReason.STOP, native_reason="stop"),
        UsageReported(
            usage=Usage(input_tokens=5, output_tokens=2),
            raw=json.dumps(usage).encode(),
            service_tier="flex",
        ),
    ]


def test_the_beginning_is_told_again_where_its_id_comes_late() -> None:
    azure = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
    assert fold(streamed(azure, chunk({"content": "x"}, "stop"))).started == [(None, None), ("c1", "m")]


def test_several_choices() -> None:
    both = [{"index": at, "delta": {"content": text}, "finish_reason": "stop"} for at, text in enumerate(["a", "b"])]
    told = fold(streamed({"id": "c1", "choices": both}))
    assert told.choices == {
        0: Said(text="a", finished=[("stop", "stop")]),
        1: Said(text="b", finished=[("stop", "stop")]),
    }


def test_a_refusal_images_citations_and_probabilities() -> None:
    logprobs = {"content": [{"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}]}
    cited: dict[str, object] = {
        "type": "url_citation",
        "url_citation": {"url": "https://x.example", "start_index": 0, "end_index": 1},
    }
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}, "index": 0}
    message = {"content": "x", "refusal": "No.", "annotations": [{**cited, "index": 0}], "images": [image, {"odd": 1}]}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "content_filter"}
    said = fold(ADAPTER.read_answer(json.dumps({"id": "c1", "choices": [choice]}).encode())).only
    assert said == Said(
        text="x",
        refusal="No.",
        citations=[cited],
        images=["data:image/png;base64,QQ=="],
        logprobs=logprobs["content"],
        finished=[("content_filter", "content_filter")],
    )
    assert isinstance(whole({"images": [image]})[1], ImageMade)


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
        ("insufficient_system_resource", "error"),
    ],
)
def test_why_it_finished(native: str, reason: str) -> None:
    assert fold(whole({"content": "x"}, native)).only.finished == [(reason, native)]
    assert fold(streamed(chunk({"content": "x"}, native))).only.finished == [(reason, native)]


def test_the_word_of_the_vendor_behind_a_gateway_is_the_native_one() -> None:
    choice = {"index": 0, "message": {}, "finish_reason": "length", "native_finish_reason": "MAX_TOKENS"}
    told = fold(ADAPTER.read_answer(json.dumps({"choices": [choice]}).encode()))
    assert told.only.finished == [("length", "MAX_TOKENS")]


@pytest.mark.parametrize("finish", ["", None])
def test_an_answer_that_does_not_say_why_it_finished_is_finished(finish: str | None) -> None:
    assert fold(whole({"content": "x"}, finish)).only.finished == [("stop", None)]
    assert fold(streamed(chunk({"content": "x"}, finish))).only.finished == [("stop", None)]


# ---------------------------------------------------------------- thought


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thought_in_plain_text(field: str) -> None:
    events = streamed(chunk({field: "Hm, "}), chunk({field: "hm."}), chunk({"content": "Yes"}, "stop"))
    assert events[1:4] == [ReasoningDelta(text="Hm, "), ReasoningDelta(text="hm."), TextDelta(text="Yes")]
    assert fold(whole({field: "Hm.", "content": "Yes"})).only.thought == "Hm."


def test_thought_that_is_told_twice_is_told_once() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "format": "anthropic-claude-v1", "index": 0}
    events = streamed(chunk({"reasoning": "Hm.", "reasoning_content": "Hm.", "reasoning_details": [detail]}))
    assert events[1] == ReasoningDelta(text="Hm.", format="anthropic-claude-v1")
    assert [type(event) for event in events[2:]] == [Finished]


def test_thought_with_a_ciphertext_beside_it() -> None:
    detail = {"type": "reasoning.encrypted", "data": "c", "format": "openai-responses-v1", "id": "rs", "index": 1}
    events = whole({"reasoning": "Hm.", "reasoning_details": [detail], "content": "x"})
    assert events[1:3] == [
        ReasoningDelta(text="Hm."),
        ReasoningDelta(data="c", format="openai-responses-v1", id="rs", index=1),
    ]


def test_thought_among_the_parts_of_the_content() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}, {"type": "reference"}]},
        {"type": "text", "text": "Yes"},
        {"type": "reference", "reference_ids": [1]},
        7,
    ]
    said = fold(whole({"content": parts})).only
    assert (said.thought, said.text) == ("Hm.", "Yes")


def test_the_proof_of_a_call_belongs_to_the_call() -> None:
    proof = {"type": "reasoning.encrypted", "data": "p", "format": "google-gemini-v1", "id": "call_a", "index": 0}
    called = piece(0, "call_a", name="weather", arguments="{}")
    events = streamed(chunk({"tool_calls": [called], "reasoning_details": [proof]}))
    assert events[1] == ToolCallStarted(index=0, id="call_a", name="weather", signature="p")
    assert not any(isinstance(event, ReasoningDelta) for event in events)


def test_the_proof_of_a_call_in_googles_own_place() -> None:
    called = piece(0, "a", name="w", arguments="{}") | {"extra_content": {"google": {"thought_signature": "p"}}}
    assert streamed(chunk({"tool_calls": [called]}))[1] == ToolCallStarted(index=0, id="a", name="w", signature="p")


# ---------------------------------------------------------------- calls


def test_calls_as_openai_streams_them() -> None:
    assert calls_in(
        piece(0, "a", name="weather", arguments=""),
        piece(0, arguments='{"ci'),
        piece(0, arguments='ty":1}'),
        piece(1, "b", name="clock", arguments=""),
        piece(1, arguments="{}"),
    ) == [["a", "weather", '{"city":1}'], ["b", "clock", "{}"]]


def test_calls_that_take_turns() -> None:
    assert calls_in(
        piece(0, "a", name="x", arguments=""),
        piece(1, "b", name="y", arguments=""),
        piece(0, arguments="1"),
        piece(1, arguments="2"),
    ) == [["a", "x", "1"], ["b", "y", "2"]]


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "a", name="x", arguments="1"), piece(1, "b", name="y", arguments="2")],
        [piece(None, "a", name="x", arguments="1"), piece(None, "b", name="y", arguments="2")],
        [piece(0, "a", name="x", arguments="1"), piece(0, "b", name="y", arguments="2")],
        [piece(0, "a", name="x"), piece(0, "a", name="x", arguments="1"), piece(1, "b", name="y", arguments="2")],
        [piece(None, "a", name="x"), piece(None, None, arguments="1"), piece(None, "b", name="y", arguments="2")],
        [piece(0, "a", arguments="1"), piece(0, name="x"), piece(1, "b", name="y", arguments="2")],
        [piece(3, "a", name="x", arguments="1"), piece(7, "b", name="y", arguments="2")],
    ],
    ids=["whole", "no index", "one index", "repeated", "no index, in pieces", "name late", "odd indexes"],
)
def test_calls_as_others_stream_them(pieces: list[dict[str, Any]]) -> None:
    assert calls_in(*pieces) == [["a", "x", "1"], ["b", "y", "2"]]


def test_a_call_without_an_id_gets_the_same_one_on_every_reading() -> None:
    pieces = [piece(None, name="x", arguments="1"), piece(None, name="y", arguments="2")]
    assert calls_in(*pieces) == calls_in(*pieces) == [["call_c1_0_0", "x", "1"], ["call_c1_0_1", "y", "2"]]


def test_an_answer_that_calls_and_stops_ends_with_calls() -> None:
    assert calls_in(piece(0, "a", name="x", arguments="{}"), finish="stop") == [["a", "x", "{}"]]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ({"name": "x"}, "{}"),
        ({"name": "x", "arguments": None}, "{}"),
        ({"name": "x", "arguments": ""}, "{}"),
        ({"name": "x", "arguments": {"a": [1]}}, '{"a":[1]}'),
        ({"name": "x", "arguments": "not JSON"}, "not JSON"),
    ],
)
def test_arguments_of_every_kind(function: dict[str, Any], arguments: str) -> None:
    message = {"content": None, "tool_calls": [{"id": "a", "type": "function", "function": function}]}
    assert fold(whole(message, "tool_calls")).only.calls == [["a", "x", arguments]]


def test_the_call_of_a_custom_tool_holds_its_text() -> None:
    custom = {"id": "a", "type": "custom", "custom": {"name": "shell", "input": 'echo "ü"\n'}}
    [told] = fold(whole({"tool_calls": [custom]}, "tool_calls")).only.calls
    assert (told[:2], json.loads(told[2])) == (["a", "shell"], {"input": 'echo "ü"\n'})
    later = {"index": 0, "type": "custom", "custom": {"input": " and more"}}
    [told] = calls_in({"index": 0, **custom}, later)
    assert json.loads(told[2]) == {"input": 'echo "ü"\n and more'}


def test_the_form_before_tool_calls() -> None:
    told = streamed(
        chunk({"function_call": {"name": "x", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    )
    assert fold(told).only.calls == [["call_c1_0_0", "x", "{}"]]
    assert fold(whole({"content": "x", "function_call": {"name": "", "arguments": ""}})).only.calls == []


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), st.data())
def test_arguments_arrive_as_they_were_written_however_they_were_cut(arguments: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=4)))
    bounds = [0, *cuts, len(arguments)]
    pieces = [arguments[bounds[at] : bounds[at + 1]] for at in range(len(bounds) - 1)]
    raw = as_stream(
        [
            chunk({"tool_calls": [piece(0, "a", name="x", arguments="")]}),
            *(chunk({"tool_calls": [piece(0, arguments=one)]}) for one in pieces),
            DONE,
        ]
    )
    assert fold(in_pieces(ADAPTER, raw)).only.calls == [["a", "x", arguments]]


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    "place",
    [
        {"usage": {"prompt_tokens": 1, "completion_tokens": 0}},
        {"x_groq": {"id": "r", "usage": {"prompt_tokens": 1, "completion_tokens": 0}}},
        {"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 1, "completion_tokens": 0}}]},
    ],
)
def test_usage_in_every_place_and_a_zero_is_a_zero(place: dict[str, Any]) -> None:
    told = fold(streamed(chunk({"content": "x"}, "stop"), chunk(None, **place) | place))
    assert told.usage is not None
    assert told.usage.usage == Usage(input_tokens=1, output_tokens=0)


def test_the_last_usage_counts_and_one_that_is_none_does_not() -> None:
    told = fold(
        streamed(
            chunk({"content": "x"}, usage={"prompt_tokens": 1}),
            chunk({}, "stop", usage={"prompt_tokens": 2}),
            chunk(usage=None),
            chunk(usage={}),
            chunk(usage=[]),
            chunk(usage={"prompt_tokens": "many"}),
        )
    )
    assert told.usage is not None
    assert told.usage.usage == Usage(input_tokens=2)


# ---------------------------------------------------------------- the end, and what goes wrong


def test_a_stream_is_complete_when_it_said_so() -> None:
    reader = ADAPTER.stream_reader()
    assert not reader.complete
    reader.feed(as_stream([chunk({"content": "x"})]))
    assert not reader.complete
    reader.feed(as_stream([chunk({}, "stop")]))
    assert reader.complete
    reader = ADAPTER.stream_reader()
    reader.feed(as_stream([chunk({"content": "x"}), DONE]))
    assert reader.complete


def test_nothing_counts_after_the_end() -> None:
    reader = ADAPTER.stream_reader()
    reader.feed(as_stream([chunk({"content": "x"}, "stop"), DONE]))
    assert reader.feed(as_stream([chunk({"content": "y"}), "nonsense"])) == []


def test_comments_and_events_without_data_are_passed_over() -> None:
    reader = ADAPTER.stream_reader()
    assert reader.feed(b": OPENROUTER PROCESSING\n\nevent: ping\n\n") == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"error": {"message": "Busy", "code": 429}}, ("Busy", "429")),
        ({"error": {"message": "Bad", "type": "server_error", "code": None}}, ("Bad", "server_error")),
        ({"error": "Plain"}, ("Plain", None)),
        ({"object": "error", "message": "vLLM", "code": 400}, ("vLLM", "400")),
        ({"error": {}}, ("The provider reported an error.", None)),
        (
            chunk({"content": ""}, "error", error={"message": "Gone", "code": "provider_unavailable"}),
            ("Gone", "provider_unavailable"),
        ),
    ],
)
def test_an_error_in_the_middle(error: dict[str, Any], expected: tuple[str, str | None]) -> None:
    reader = ADAPTER.stream_reader()
    events = reader.feed(as_stream([chunk({"content": "x"}, usage={"prompt_tokens": 1}), error, chunk({}, "stop")]))
    told = fold(events)
    assert told.failed == [expected]
    assert told.usage is not None
    assert told.only.finished == []
    assert not reader.complete


def test_nonsense_after_a_good_start_loses_nothing_that_came_before() -> None:
    reader = ADAPTER.stream_reader()
    events = reader.feed(as_stream([chunk({"content": "x"}), "<html>"]))
    assert [type(event) for event in events] == [Started, TextDelta, Failed]
    assert not reader.complete


@pytest.mark.parametrize("data", [b"data: <html>\n\n", b"data: 7\n\n", b'data: {"choices":7}\n\n', b"data: \xff\n\n"])
def test_nonsense_at_the_start_is_not_this_dialect(data: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ADAPTER.stream_reader().feed(data)
    assert not failed.value.retryable


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"choices":null}', b'{"choices":{}}', b"\xff"])
def test_a_whole_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ADAPTER.read_answer(body)
    assert not failed.value.retryable


def test_an_error_with_a_good_status() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ADAPTER.read_answer(b'{"error":{"message":"Busy","code":502},"choices":[]}')
    assert failed.value.message == "Busy"


def test_an_error_answer() -> None:
    failed = ADAPTER.read_error(
        400, b'{"error":{"message":"Too long","code":"context_length_exceeded","param":"messages"}}'
    )
    assert (failed.message, failed.code, failed.param) == ("Too long", "context_length_exceeded", "messages")
    assert failed.client_fault


def test_a_message_beside_its_deltas_is_not_told_twice() -> None:
    """Perplexity sends the whole message so far with every delta."""
    choice = {"index": 0, "delta": {"content": "x"}, "message": {"content": "x"}}
    told = fold(streamed({"choices": [choice]}, {"choices": [{"index": 0, "message": {"content": "x"}}]}))
    assert told.only.text == "x"


def test_arguments_are_events_of_their_call() -> None:
    events = streamed(chunk({"tool_calls": [piece(0, "a", name="x", arguments='{"')]}), chunk({}, "tool_calls"))
    assert events[1:3] == [ToolCallStarted(index=0, id="a", name="x"), ToolCallArguments(index=0, fragment='{"')]
