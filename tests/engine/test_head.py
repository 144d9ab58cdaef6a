"""The header fields of an answer are read from its bytes as the parser would have told them, field by field."""

import pytest
from httptools import HttpParserError, HttpResponseParser
from hypothesis import given
from hypothesis import strategies as st

from arouter.engine.head import Headers, final_head

HEAD = b"HTTP/1.1 200 OK\r\nA:b\r\nb: \t c d \r\nSet-Cookie: one\r\nset-cookie: two\r\nEmpty:\r\n"


class Parsed:
    """What the parser tells of a head; None if it does not take it."""

    def __init__(self, head: bytes) -> None:
        self.fields: list[tuple[str, str]] = []
        self.complete = False
        try:
            HttpResponseParser(self).feed_data(head)
        except HttpParserError:
            self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.complete = True


def test_a_field_is_found_by_its_name_in_lower_case() -> None:
    headers = Headers(HEAD)
    assert dict(headers) == {"a": "b", "b": "c d ", "set-cookie": "two", "empty": ""}
    assert len(headers) == 4
    assert headers.get("content-length") is None
    with pytest.raises(KeyError):
        headers["content-length"]


def test_a_head_without_fields_has_none() -> None:
    assert dict(Headers(b"HTTP/1.1 200 OK\r\n")) == {}


def test_empty_lines_before_a_head_are_no_part_of_it() -> None:
    assert dict(Headers(b"\r\n\n\r\n" + HEAD)) == dict(Headers(HEAD))


names = st.sampled_from([b"a", b"B", b"content-Length", b"Transfer-encoding", b"x-\x7f", b"e e", b""])
values = st.lists(st.sampled_from([b"", b" ", b"\t", b"1", b"chunked", b":", b"\r", b"\n", b"\xe9", b"\x00", b"\x0b"]))
gaps = st.sampled_from([b":", b" :", b""])
lines = st.builds(lambda name, gap, value: name + gap + b"".join(value), names, gaps, values).filter(
    lambda line: b"\n\r\n" not in b"\n" + line + b"\r\n"  # the first empty line is the head's end
)


@given(st.lists(lines, max_size=4), st.sampled_from([b"", b"\r\n", b"\n\r\n"]))
def test_every_head_that_the_parser_takes_is_read_as_the_parser_reads_it(found: list[bytes], before: bytes) -> None:
    head = before + b"".join(line + b"\r\n" for line in (b"HTTP/1.1 200 OK", *found))
    parsed = Parsed(head + b"\r\n")
    if parsed.complete:  # else the connection is dropped, and nobody reads it
        assert dict(Headers(head)) == dict(parsed.fields)


@pytest.mark.parametrize(
    "before", [b"", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 A\r\nB: c\r\n\r\n\r\n"]
)
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 \r\nA: b\r\nC:\r\n"])
@pytest.mark.parametrize("behind", [b"", b"{}", b"\r\n\r\n"])
def test_the_final_head_is_found_whatever_stands_before_and_behind_it(
    before: bytes, head: bytes, behind: bytes
) -> None:
    assert final_head(before + head + b"\r\n" + behind) == head
