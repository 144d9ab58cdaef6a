"""Whatever bytes come as an answer of the Messages API: they are read or refused, and nothing else happens."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamFailed
from tests.providers.anthropic_streams import ADAPTER, as_stream, streamed

SAMPLE = as_stream(
    {
        "id": "msg_1",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "Hm, hm, hm.", "signature": "proof"},
            {"type": "text", "text": "Grüße, 世界", "citations": [{"url": "https://example.com", "title": "E"}]},
            {"type": "tool_use", "id": "t", "name": "n", "input": {"a": [1, 2.50]}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
)

WORDS = st.sampled_from(
    [
        *("type", "index", "delta", "message", "usage", "error", "content", "content_block", "text", "thinking"),
        *("message_start", "message_delta", "content_block_start", "content_block_delta", "content_block_stop"),
        *("text_delta", "input_json_delta", "citations_delta", "partial_json", "citation", "tool_use", "input", "id"),
        *("stop_reason", "stop_details", "explanation", "url", "citations", "signature", "data", "input_tokens"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=6)


def read_all(data: bytes, cut: int) -> None:
    """Reads it as a stream in two pieces, and whole; only UpstreamFailed may come of it."""
    reader = ADAPTER.stream_reader()
    with suppress(UpstreamFailed):
        reader.feed(data[:cut])
        reader.feed(data[cut:])
    with suppress(UpstreamFailed):
        ADAPTER.read_answer(data)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_garbage_is_refused_and_never_crashes(data: bytes, cut: int) -> None:
    read_all(data, cut)
    read_all(b"data: " + data + b"\n\n", cut)


@given(st.lists(OBJECTS, max_size=5), st.integers(0, 500))
def test_json_of_another_shape_is_refused_and_never_crashes(objects: list[dict[str, Any]], cut: int) -> None:
    read_all(b"".join(f"data: {json.dumps(one)}\n\n".encode() for one in objects), cut)
    for one in objects:
        read_all(json.dumps(one).encode(), cut)


@given(st.integers(0, len(SAMPLE)), st.integers(0, 20), st.binary(max_size=10))
def test_a_damaged_stream_never_crashes(at: int, removed: int, inserted: bytes) -> None:
    read_all(SAMPLE[:at] + inserted + SAMPLE[at + removed :], at)


@given(st.lists(st.integers(0, len(SAMPLE)), max_size=20))
@settings(max_examples=50)
def test_a_stream_cut_anywhere_is_the_same(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(SAMPLE)]
    reader = ADAPTER.stream_reader()
    events = [event for start, stop in pairwise(bounds) for event in reader.feed(SAMPLE[start:stop])]
    assert events == streamed(SAMPLE)
    assert reader.complete
