"""Server-sent events: every way of ending a line, cut at every place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire import sse


def read(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    splitter = sse.Splitter()
    return [(event.name, event.data) for piece in pieces for event in splitter.feed(piece) if event.data or event.name]


STREAMS = [
    (b"data: a\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"", b"a"), (b"", b"b")]),
    (b"data: a\r\rdata: b\r\r", [(b"", b"a"), (b"", b"b")]),
    (b"data: a\n\r\ndata: b\r\n\n", [(b"", b"a"), (b"", b"b")]),
    (b"event: x\ndata: a\n\n", [(b"x", b"a")]),
    (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
    (b"data:a\n\n", [(b"", b"a")]),
    (b"data:  a\n\n", [(b"", b" a")]),
    (b": comment\n\ndata: a\n\n", [(b"", b"a")]),
    (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
    (b"id: 7\nretry: 10\ndata: a\n\n", [(b"", b"a")]),
    ("data: a\u2028b\u2029c\u0085d\n\n".encode(), [(b"", "a\u2028b\u2029c\u0085d".encode())]),
    (b"data: complete\n\ndata: never ended", [(b"", b"complete")]),
    (b"data: [DONE]\n\n", [(b"", b"[DONE]")]),
    (b"", []),
]


@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_a_stream_is_read_whole(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    assert read([stream]) == events


@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_a_stream_is_read_byte_by_byte(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    assert read([stream[i : i + 1] for i in range(len(stream))]) == events


@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_a_stream_is_read_cut_at_every_place(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    for place in range(len(stream) + 1):
        assert read([stream[:place], stream[place:]]) == events


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1).map(str.encode),
        max_size=8,
    ),
    st.lists(st.integers(1, 9), max_size=40),
)
def test_what_is_encoded_is_read_back_however_it_is_cut(datas: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(sse.encode(data) for data in datas)
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    assert read([*pieces, stream]) == [(b"", data) for data in datas]


@given(
    st.binary(max_size=200) | st.text("\r\nx:", max_size=60).map(str.encode),
    st.lists(st.integers(1, 20), max_size=20),
)
def test_the_raw_bytes_of_a_stream_are_all_there(stream: bytes, sizes: list[int]) -> None:
    stream = b"x" + stream
    splitter = sse.Splitter()
    seen = b""
    rest = stream
    for size in [*sizes, len(stream)]:
        seen += b"".join(event.raw for event in splitter.feed(rest[:size]))
        rest = rest[size:]
    assert seen + splitter.pending == stream


def test_an_event_that_never_ends_is_refused() -> None:
    splitter = sse.Splitter()
    splitter.feed(b"x" * sse.MAX_EVENT_BYTES)
    with pytest.raises(sse.EventTooLarge):
        splitter.feed(b"x")


def test_a_comment_is_not_an_event_for_a_reader() -> None:
    (event,) = sse.Splitter().feed(sse.comment(b"keep-alive"))
    assert event.data == b""


LINE_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r\n", b"\r"])
LINES = st.sampled_from([b"data: a", b"data: b", b"data:", b"event: x", b"event: data: y", b": z", b"data:  ", b""])
MIXED = st.lists(st.tuples(LINES, LINE_ENDS), max_size=8).map(lambda lines: b"".join(map(b"".join, lines)))
UNIFORM = st.builds(lambda lines, end: b"".join(line + end for line in lines), st.lists(LINES, max_size=8), LINE_ENDS)


@given(MIXED | UNIFORM, st.lists(st.integers(1, 30), max_size=8))
def test_the_data_alone_are_those_of_the_events(stream: bytes, sizes: list[int]) -> None:
    whole, quick = sse.Splitter(), sse.Splitter()
    for size in [*sizes, len(stream)]:
        piece, stream = stream[:size], stream[size:]
        events = whole.feed(piece)
        only = quick.only_event(piece)
        datas = [sse.data_of(block) for block in quick.cut(piece)] if only is None else [only]
        assert datas == [event.data for event in events]
        assert quick.pending == whole.pending


@given(MIXED | UNIFORM)
def test_a_stream_is_read_as_the_specification_says(stream: bytes) -> None:
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    datas, data = [], []
    for line in lines:
        if line.startswith(b"data:"):
            data.append(line.removeprefix(b"data:").removeprefix(b" "))
        elif not line:
            datas.append(b"\n".join(data))
            data = []
    # A carriage return at the very end may be the first half of a line end.
    ended = stream + b"\n" if stream.endswith(b"\r") else stream
    assert [said for event in sse.Splitter().feed(ended) if (said := event.data)] == [said for said in datas if said]


@pytest.mark.parametrize(
    ("piece", "only"),
    [
        (b"data: a\n\n", b"a"),
        (b"data: a\r\n\r\n", b"a"),
        (b"event: x\ndata: a\n\n", b"a"),
        (b"event: x\r\ndata: a\r\n\r\n", None),
        (b"data: a\n\ndata: b\n\n", None),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", None),
        (b"data: a\ndata: b\n\n", None),
        (b"data: a\rdata: b\n\n", None),
        (b"event: x\rdata: a\ndata: b\n\n", None),
        (b"event: x\n\n", None),
        (b"data: \n\n", None),
        (b"data: a\n", None),
    ],
)
def test_a_piece_is_exactly_one_event_in_a_plain_form(piece: bytes, only: bytes | None) -> None:
    assert sse.Splitter().only_event(piece) == only


def test_no_piece_is_one_event_while_another_is_incomplete() -> None:
    splitter = sse.Splitter()
    splitter.feed(b"data: a")
    assert splitter.only_event(b"data: b\n\n") is None
    assert [event.data for event in splitter.feed(b"data: b\n\n")] == [b"adata: b"]
