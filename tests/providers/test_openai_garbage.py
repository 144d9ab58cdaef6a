"""Whatever bytes come from an upstream of OpenAI's dialects: they are read, relayed or refused, and nothing else
happens."""

import json
import random
from contextlib import suppress
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Adapter
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.openai_responses import ResponsesAdapter, ResponsesRelay
from arouter.providers.vendors import BY_NAME
from tests.providers.openai_answers import as_stream, in_pieces
from tests.recordings import Recording, need_recordings, recordings

CHAT = ChatAdapter(BY_NAME["openai"])
RESPONSES = ResponsesAdapter(BY_NAME["openai"])
ADAPTERS = pytest.mark.parametrize("adapter", [CHAT, RESPONSES], ids=["chat", "responses"])

USAGE = {"prompt_tokens": 3, "completion_tokens": 4}
CHAT_SAMPLE = as_stream(
    [
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "reasoning": "Hm, hm."}}]},
        {"id": "c", "choices": [{"index": 0, "delta": {"content": "Grüße, 世界"}}]},
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "n", "arguments": "{}"}}]},
                }
            ]
        },
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": USAGE},
        "[DONE]",
    ]
)
RESPONSES_SAMPLE = as_stream(
    [
        {"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm."},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "c"},
        },
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Grüße, 世界"},
        {
            "type": "response.completed",
            "response": {"id": "r", "status": "completed", "output": [], "usage": {"input_tokens": 1}},
        },
    ]
)
SAMPLES = pytest.mark.parametrize(
    ("adapter", "sample"), [(CHAT, CHAT_SAMPLE), (RESPONSES, RESPONSES_SAMPLE)], ids=["chat", "responses"]
)

WORDS = st.sampled_from(
    [
        *(
            "id",
            "model",
            "choices",
            "index",
            "delta",
            "message",
            "content",
            "reasoning",
            "reasoning_details",
            "refusal",
        ),
        *(
            "tool_calls",
            "function",
            "name",
            "arguments",
            "custom",
            "input",
            "logprobs",
            "annotations",
            "images",
            "text",
        ),
        *("finish_reason", "usage", "error", "code", "service_tier", "type", "response", "item", "output", "status"),
        *("output_index", "content_index", "summary", "encrypted_content", "call_id", "annotation", "tool_usage"),
        *("response.created", "response.completed", "response.failed", "response.output_text.delta", "function_call"),
        *("response.output_item.added", "response.output_item.done", "custom_tool_call", "image_generation_call"),
        *("response.output_text.annotation.added", "response.function_call_arguments.delta", "start_index", "object"),
        *("response.custom_tool_call_input.delta", "incomplete_details", "reason", "x_groq", "thinking", "result"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=6)


def read_all(adapter: Adapter, data: bytes, cut: int) -> None:
    reader = adapter.stream_reader()
    with suppress(UpstreamFailed):
        reader.feed(data[:cut])
        reader.feed(data[cut:])
    assert reader.complete in (True, False)
    with suppress(UpstreamFailed):
        adapter.read_answer(data)


def relay_all(data: bytes, cut: int) -> None:
    relay = ResponsesRelay(BY_NAME["openai"])
    with suppress(UpstreamFailed):
        forwarded = relay.feed(data[:cut]) + relay.feed(data[cut:])
        relay.end()
        # Nothing is changed, and nothing is told before it came.
        assert data.removeprefix(b"\xef\xbb\xbf").startswith(forwarded + relay.last(None))
    with suppress(UpstreamFailed):
        whole = ResponsesRelay(BY_NAME["openai"])
        whole.read_answer(data)


@ADAPTERS
@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_garbage_is_refused_and_never_crashes(adapter: Adapter, data: bytes, cut: int) -> None:
    read_all(adapter, data, cut)
    read_all(adapter, b"data: " + data + b"\n\n", cut)


@ADAPTERS
@given(objects=st.lists(OBJECTS, max_size=5), cut=st.integers(0, 500))
@settings(max_examples=150)
def test_json_of_another_shape_never_crashes(adapter: Adapter, objects: list[dict[str, Any]], cut: int) -> None:
    read_all(adapter, as_stream(objects), cut)
    for one in objects:
        read_all(adapter, json.dumps(one).encode(), cut)


@SAMPLES
@given(at=st.integers(0, 1200), removed=st.integers(0, 20), inserted=st.binary(max_size=10))
def test_a_damaged_stream_never_crashes(
    adapter: Adapter, sample: bytes, at: int, removed: int, inserted: bytes
) -> None:
    read_all(adapter, sample[:at] + inserted + sample[at + removed :], at)


@SAMPLES
@given(cuts=st.lists(st.integers(0, 1200), max_size=20))
@settings(max_examples=50)
def test_a_stream_cut_anywhere_is_the_same(adapter: Adapter, sample: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(sample)), len(sample)]
    reader = adapter.stream_reader()
    events = [event for start, stop in pairwise(bounds) for event in reader.feed(sample[start:stop])]
    assert events == in_pieces(adapter, sample)
    assert reader.complete


@given(st.lists(OBJECTS, max_size=5), st.integers(0, 500))
def test_a_relay_of_json_of_another_shape_changes_nothing(objects: list[dict[str, Any]], cut: int) -> None:
    relay_all(as_stream(objects), cut)
    for one in objects:
        relay_all(json.dumps(one).encode(), cut)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_a_relay_of_garbage_never_crashes(data: bytes, cut: int) -> None:
    relay_all(data, cut)
    relay_all(b"data: " + data + b"\n\n", cut)


@given(st.integers(0, 1200), st.integers(0, 20), st.binary(max_size=10))
def test_a_relay_of_a_damaged_stream_never_crashes(at: int, removed: int, inserted: bytes) -> None:
    relay_all(RESPONSES_SAMPLE[:at] + inserted + RESPONSES_SAMPLE[at + removed :], at)


# ---------------------------------------------------------------- recorded answers with something odd in them

ODD: list[Any] = [
    *(None, True, 0, -1, 2**70, 1.5, 1e300, "", "x", [], {}, [None], [{}], {"a": None}, [[]], "\ud800"),
]
ROUNDS = 1500


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, one in inner for found in places(one, (*place, key)))]


def made_odd(text: str, chance: random.Random) -> str:
    """JSON with one value in it replaced, or left out."""
    whole = json.loads(text)
    place = chance.choice(places(whole))
    if not place:
        return json.dumps(chance.choice(ODD))
    within = whole
    for key in place[:-1]:
        within = within[key]
    if isinstance(within, dict) and chance.random() < 0.3:
        del within[place[-1]]
    else:
        within[place[-1]] = deepcopy(chance.choice(ODD))
    return json.dumps(whole)


def odd_answer(recording: Recording, chance: random.Random) -> bytes:
    if not recording.stream:
        return made_odd(recording.response_text, chance).encode()
    events = recording.response_text.split("\n\n")
    at = chance.choice([at for at, event in enumerate(events) if "data: {" in event])
    head, _, data = events[at].partition("data: ")
    events[at] = f"{head}data: {made_odd(data, chance)}"
    return "\n\n".join(events).encode()


@pytest.mark.parametrize(
    ("adapter", "api"), [(CHAT, "openai.chat"), (CHAT, "compatible.chat"), (RESPONSES, "openai.responses")]
)
def test_a_recorded_answer_with_something_odd_in_it_never_crashes(adapter: Adapter, api: str) -> None:
    need_recordings()
    chance = random.Random(api)
    answers = [recording for recording in recordings(api) if recording.status == 200]
    for _ in range(ROUNDS):
        data = odd_answer(chance.choice(answers), chance)
        read_all(adapter, data, len(data) // 2)
        if adapter is RESPONSES:
            relay_all(data, len(data) // 2)
