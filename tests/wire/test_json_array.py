"""A JSON array that streams: its elements, cut at every place, without a byte lost."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import Json
from arouter.wire.json_array import ArraySplitter, NotAnArray
from arouter.wire.sse import MAX_EVENT_BYTES
from tests.wire.strategies import JSON, TEXT


def read(pieces: list[bytes]) -> tuple[list[bytes], bytes, bool]:
    """The elements, all bytes, and whether the array is at its end."""
    splitter = ArraySplitter()
    elements = [element for piece in pieces for element in splitter.feed(piece)]
    raw = b"".join(element.raw for element in elements) + splitter.pending
    return [element.data for element in elements], raw, splitter.complete


STREAMS = [
    (b"[]", [], True),
    (b" [ ] \n", [], True),
    (b'[{"a":1}]', [b'{"a":1}'], True),
    (b'[{\n  "a": 1\n}\n,\r\n{"b": [2, {}]}\n]\n', [b'{\n  "a": 1\n}', b'{"b": [2, {}]}'], True),
    (b'[{"a":"]}\\"[{\\\\"},[1]]', [b'{"a":"]}\\"[{\\\\"}', b"[1]"], True),
    (b'[{"a":1}', [b'{"a":1}'], False),
    (b'[{"a":1},{"b"', [b'{"a":1}'], False),
    (b"", [], False),
    (b"  ", [], False),
]


@pytest.mark.parametrize(("stream", "elements", "complete"), STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_stream_is_read_however_it_is_cut(stream: bytes, elements: list[bytes], complete: bool, size: int) -> None:
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert read(pieces) == (elements, stream, complete)


@given(st.lists(st.dictionaries(TEXT, JSON, max_size=3), max_size=4), st.integers(1, 9), st.booleans())
def test_what_is_encoded_is_read_back(values: list[Json], size: int, spaced: bool) -> None:
    stream = msgspec.json.encode(values)
    stream = msgspec.json.format(stream, indent=2) if spaced else stream
    elements, raw, complete = read([stream[start : start + size] for start in range(0, len(stream), size)])
    assert [msgspec.json.decode(element) for element in elements] == msgspec.json.decode(stream)
    assert (raw, complete) == (stream, True)


@pytest.mark.parametrize(
    "stream", [b"{}", b'{"error":{}}', b"x[", b'"a"', b"]", b"[1]", b"[1,{}]", b'["a"]', b"[null]"]
)
def test_what_is_no_array_of_objects_is_refused(stream: bytes) -> None:
    with pytest.raises(NotAnArray):
        read([stream])
    with pytest.raises(NotAnArray):
        read([stream[at : at + 1] for at in range(len(stream))])


def test_an_element_that_never_ends_is_refused() -> None:
    splitter = ArraySplitter()
    splitter.feed(b'[{"a":"' + b"x" * (MAX_EVENT_BYTES - 10))
    with pytest.raises(NotAnArray):
        splitter.feed(b"x" * 10)
