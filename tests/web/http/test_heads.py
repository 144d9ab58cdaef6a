"""Heads: what is read of one is what two independent readers find in it, and it does not depend on those before."""

import re
import tracemalloc
from collections.abc import Mapping

import h11
import httptools
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arouter.web.http.heads import END_OF_HEAD, MOST_REMEMBERED_BYTES, Heads, KnownHead
from arouter.web.inference.head import read_head

Made = tuple[str, bytes, tuple[tuple[bytes, bytes], ...]]
Read = tuple[Made, bool, int]


def _make(path: str, query: bytes, fields: Mapping[bytes, bytes]) -> Made:
    return path, query, tuple(sorted(fields.items()))


def read_fresh(head: bytes) -> Read | None:
    return Heads(_make).read(head)


def again(known: KnownHead[Made], head: bytes) -> Read | None:
    """What a connection reads whose last head was the `known` one, if a body comes with it that is as long as it says:
    whichever of the numbers in it that is."""
    lengths = {int(digits) for digits in re.findall(rb"\d+", head) if len(digits) <= 15}
    found = [length for length in lengths if head == known.with_length % length + END_OF_HEAD]
    assert len(found) <= 1
    return (known.made, known.stays, found[0]) if found else None


def one(*lines: bytes, target: bytes = b"/v1/chat/completions") -> bytes:
    return b"\r\n".join((b"POST %b HTTP/1.1" % target, *lines)) + b"\r\n\r\n"


PLAIN = one(b"Host: a", b"Authorization: Bearer k", b"Content-Length: 17")

# ---------------------------------------------------------------- heads, and what may be wrong with them

NAMES = [b"Accept", b"User-Agent", b"X-Title", b"Authorization", b"X-Length", b"x-request-id", b"Connection", b"Cookie"]
LINES = [
    b"Content-Length: 5",
    b"content-length: 5",
    b"Content-Length: +5",
    b"Content-Length: -5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5 ",
    b"Content-Length:5",
    b"Content-Length:  5",
    b"Content-Length:\t5",
    b"Content-Length: 0x5",
    b"Content-Length: 5_0",
    b"Content-Length: \xb2",
    b"Content-Length: ",
    b"Content-Length: 005",
    b"Content-Length: " + b"9" * 30,
    b"Content-Length : 5",
    b" Content-Length: 5",
    b"X-Content-Length: 7",
    b"X-Length: 7",
    b"X: ength: 7",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:\tchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer_Encoding: chunked",
    b"\x0bTransfer-Encoding: chunked",
    b"TE: trailers",
    b"Trailer: X",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Connection: Keep-Alive",
    b"Connection: close, keep-alive",
    b"Connection: upgrade",
    b"Host: b",
    b"Host:",
    b" folded",
    b"\tfolded: x",
    b": no name",
    b"no colon",
    b"Na me: x",
    b"N\x00: x",
    b"X: a\rb",
    b"X: a\nb: c",
    b"X: a\x00b",
    b"X: \xff\xfe",
    b"X: \x7f",
]
REQUEST_LINES = [
    b"POST /v1/chat/completions HTTP/1.0",
    b"POST /v1/chat/completions HTTP/1.1 ",
    b"POST  /v1/chat/completions HTTP/1.1",
    b"POST /v1/chat/completions\tHTTP/1.1",
    b"POST /v1/chat/completions http/1.1",
    b"POST /v1/chat/completions",
    b"post /v1/chat/completions HTTP/1.1",
    b"GET /v1/chat/completions HTTP/1.1",
    b"POST http://a/v1/chat/completions HTTP/1.1",
    b"POST //a/v1/chat/completions HTTP/1.1",
    b"POST /v1/chat%2fcompletions HTTP/1.1",
    b"POST /v1/chat/completions?key=%41&b=/ HTTP/1.1",
    b"POST /v1/chat/completions?? HTTP/1.1",
    b"POST /v1/chat/completions#a HTTP/1.1",
    b"POST /v1/chat/completions?a#b HTTP/1.1",
    b'POST /a;b=\\c|{}^`"<> HTTP/1.1',
    b"POST /\xff HTTP/1.1",
    b"POST /\x00 HTTP/1.1",
    b"POST /length: HTTP/1.1",
    b"POST * HTTP/1.1",
    b"POST  HTTP/1.1",
    b"",
]
SPECIAL = [b"\r", b"\n", b"\r\n", b"\x00", b"\t", b" ", b":", b",", b"\x0b", b"\x7f", b"\x80", b"0", b"ength: ", b"%"]


TARGETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6).map(str.encode)
VALUES = st.binary(max_size=8) | st.just(b"a b") | st.just(b"")
LENGTHS = st.integers(0, 9999) | st.integers(10**14, 10**16)
OFTEN_NOTHING = st.just(0) | st.integers(0, 2)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    fields = draw(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=2, unique_by=lambda field: field[0]))
    lines = [b"%b: %b" % field for field in fields]
    lines += [draw(st.sampled_from(LINES)) for _ in range(draw(OFTEN_NOTHING))]
    lines += [b"Host: a"] if draw(st.integers(0, 19)) else []
    lines += [b"Content-Length: %d" % draw(LENGTHS)] if draw(st.integers(0, 19)) else []
    head = one(*draw(st.permutations(lines)), target=b"/" + draw(TARGETS))
    if draw(OFTEN_NOTHING):
        head = draw(st.sampled_from(REQUEST_LINES)) + head[head.index(b"\r\n") :]
    for _ in range(draw(OFTEN_NOTHING)):
        at = draw(st.integers(0, len(head)))
        taken = draw(st.integers(0, 1))
        head = head[:at] + draw(st.sampled_from(SPECIAL)) + head[at + taken :]
    head += b"\r\n\r\n"
    return head[: head.index(b"\r\n\r\n") + 4]


# ---------------------------------------------------------------- the independent readers


def by_h11(head: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(head)
    event = parser.next_event()
    assert isinstance(event, h11.Request), head
    assert event.http_version == b"1.1"
    return event.method, event.target, list(event.headers)


class Heard:
    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.whole = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.whole = True


def by_httptools(head: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    heard = Heard()
    parser = httptools.HttpRequestParser(heard)
    parser.feed_data(head)
    assert heard.whole, head
    assert parser.get_http_version() == "1.1"
    assert not parser.should_upgrade()
    return parser.get_method(), heard.url, heard.fields


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(heads())
@example(PLAIN)
def test_what_is_read_is_what_strict_readers_read(head: bytes) -> None:
    read = read_fresh(head)
    if read is None:
        return
    (path, query, fields), stays, length = read
    url = httptools.parse_url(path.encode() + (b"?" + query if query else b""))
    assert (url.path.decode(), url.query or b"") == (path, query)
    for method, target, found in (by_h11(head), by_httptools(head)):
        assert method == b"POST"
        assert target.partition(b"?")[::2] == (path.encode(), query)
        told = dict(found)
        assert len(told) == len(found)
        assert int(told.pop(b"content-length")) == length
        assert tuple(sorted(told.items())) == fields
        assert not told.keys() & {b"transfer-encoding", b"upgrade", b"expect"}
        assert stays == (told.get(b"connection", b"").lower() != b"close")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(heads(), min_size=1, max_size=3), st.lists(st.integers(0, 10**17), min_size=1, max_size=3), st.data())
def test_what_was_read_before_changes_nothing(said: list[bytes], lengths: list[int], data: st.DataObject) -> None:
    """The same heads again and again, with other lengths, and with something else for the digits."""
    shared = Heads(_make)
    others = [b"", b"+1", b" 1", b"1 ", b"1\t", b"0x1", b"1,1", b"\xb2", b"1\n", b"007"]
    for head in said:
        start = head.lower().find(b"length: ") + 8
        end = head.find(b"\r", start)
        variants = [head] + [head[:start] + b"%d" % length + head[end:] for length in lengths]
        variants += [head[:start] + data.draw(st.sampled_from(others)) + head[end:]]
        variants += [one(b"Host: a", b"Content-Length: 5"), head]
        for variant in (each[: each.index(b"\r\n\r\n") + 4] for each in variants):
            read = read_fresh(variant)
            assert shared.read(variant) == read
            assert shared.read(variant) == read
            for known in (shared.recall(each) for each in variants):
                assert known is None or again(known, variant) in (None, read)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(LINES), st.sampled_from(LINES), st.integers(0, 99), st.integers(0, 99))
def test_lines_that_look_like_a_length_are_not_confused_with_it(a: bytes, b: bytes, m: int, n: int) -> None:
    shared = Heads(_make)
    for length in (m, n):
        for lines in ((a, b), (b, a), (a,), (b,)):
            for at in range(len(lines) + 1):
                head = one(b"Host: a", *lines[:at], b"Content-Length: %d" % length, *lines[at:])
                assert shared.read(head) == read_fresh(head)


# ---------------------------------------------------------------- by example


def test_a_plain_head_is_read() -> None:
    made = ("/v1/chat/completions", b"", ((b"authorization", b"Bearer k"), (b"host", b"a")))
    assert read_fresh(PLAIN) == (made, True, 17)
    closed = PLAIN.replace(b"Host: a", b"Host: a\r\nConnection: close").replace(b"17", b"0")
    read = read_fresh(closed)
    assert read is not None
    assert read[1:] == (False, 0)


@pytest.mark.parametrize("line", REQUEST_LINES)
def test_a_request_line_in_any_other_form_is_for_others(line: bytes) -> None:
    plain = (b"/v1/chat/completions?", b"POST /a;", b"//a/", b"/length:")
    if not any(word in line for word in plain) or b"#" in line:
        assert read_fresh(line + PLAIN[PLAIN.index(b"\r\n") :]) is None


LEFT = [
    line
    for line in LINES
    if line.split(b":")[0] not in (b"X-Content-Length", b"X-Length", b"Connection", b"Transfer_Encoding", b"X")
]


@pytest.mark.parametrize("line", [*LEFT, b"X: a\rb", b"X: a\nb: c", b"X: a\x00b", b"X: \x7f", b"Connection: upgrade"])
def test_a_line_that_can_be_understood_otherwise_is_for_others(line: bytes) -> None:
    assert read_fresh(one(b"Host: a", line, b"Content-Length: 5")) is None
    assert read_fresh(one(b"Host: a", b"Content-Length: 5", line)) is None


@pytest.mark.parametrize("head", [one(b"Host: a"), one(b"Content-Length: 5"), one(b"Host: a", b"Content-Length: ")])
def test_a_head_that_lacks_something_is_for_others(head: bytes) -> None:
    assert read_fresh(head) is None


def test_what_nobody_makes_something_of_is_for_others() -> None:
    assert Heads(lambda path, query, fields: None).read(PLAIN) is None


def test_a_head_is_made_once_whatever_its_length_unless_it_changes_anyway() -> None:
    made: list[str] = []

    def make(path: str, query: bytes, fields: Mapping[bytes, bytes]) -> str:
        made.append(path)
        assert b"content-length" not in fields
        return path

    known = Heads(make)
    assert [known.read(PLAIN.replace(b"17", b"%d" % size)) for size in (1, 17, 3000)] == [
        ("/v1/chat/completions", True, size) for size in (1, 17, 3000)
    ]
    assert len(made) == 1
    for number in range(3):
        known.read(one(b"Host: a", b"X-Request-Id: 7", b"Content-Length: %d" % number))
    assert len(made) == 4


def test_a_connections_head_is_known_again_by_its_bytes() -> None:
    heads = Heads(_make)
    read = heads.read(PLAIN)
    known = heads.recall(PLAIN)
    assert known is not None
    assert again(known, PLAIN) == read
    longer = PLAIN.replace(b"17", b"123456")
    assert again(known, longer) == read_fresh(longer)
    assert again(known, PLAIN.replace(b"Host: a", b"Host: b")) is None
    assert again(known, PLAIN.replace(b"17", b"017")) is None
    changing = one(b"Host: a", b"X-Request-Id: 7", b"Content-Length: 1")
    heads.read(changing)
    assert heads.recall(changing) is None


@pytest.mark.parametrize("text", [b"100%", b"%d", b"%%d", b"%b%", b"ength: %d"])
def test_a_head_with_percent_signs_is_known_again(text: bytes) -> None:
    heads = Heads(_make)
    for lines in ((b"X-Title: " + text, b"Content-Length: 17"), (b"Content-Length: 17", b"X-Title: " + text)):
        head = one(b"Host: a", *lines)
        read = heads.read(head)
        known = heads.recall(head)
        assert (known is None) == (text == b"ength: %d" and lines[0] != b"Content-Length: 17")
        if known is not None:
            assert read is not None
            assert again(known, head) == read
            assert again(known, head.replace(b"17", b"5")) == (*read[:2], 5)


OF_AN_SDK = (
    b"Host: gateway.example.com:8080",
    b"Accept-Encoding: gzip, deflate, br, zstd",
    b"Connection: keep-alive",
    b"Accept: application/json",
    b"Content-Type: application/json",
    b"User-Agent: OpenAI/Python 2.8.1",
    b"X-Stainless-Lang: python",
    b"X-Stainless-Package-Version: 2.8.1",
    b"X-Stainless-OS: Linux",
    b"X-Stainless-Arch: x64",
    b"X-Stainless-Runtime: CPython",
    b"X-Stainless-Runtime-Version: 3.12.3",
    b"X-Stainless-Async: false",
    b"x-stainless-retry-count: 0",
    b"x-stainless-read-timeout: 600",
    b"Content-Length: 312",
)


def test_ten_thousand_keys_that_ask_in_turn_by_an_sdk_are_all_remembered() -> None:
    heads = Heads(_make)
    asked = [one(*OF_AN_SDK, b"Authorization: Bearer lr_live_%043d" % number) for number in range(10_000)]
    for head in asked:
        assert heads.read(head) is not None
    assert all(heads.recall(head) is not None for head in asked)


@pytest.mark.parametrize(("title_bytes", "heads_"), [(1, 3000), (3500, 6000)])
def test_what_is_remembered_is_bounded(title_bytes: int, heads_: int) -> None:
    known = Heads(lambda path, query, fields: read_head(fields, query))
    tracemalloc.start()
    try:
        for number in range(heads_):
            title = b"X-Title: " + b"x" * title_bytes
            known.read(one(b"Host: a", title, b"X-Api-Key: %d" % number, b"Content-Length: 1"))
            assert known.remembered_bytes <= MOST_REMEMBERED_BYTES
        size_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size_bytes < 3 * known.remembered_bytes
    assert most_bytes < 3 * MOST_REMEMBERED_BYTES


FIELDS = [b"authorization", b"x-api-key", b"x-request-id", b"x-arouter-user", b"x-arouter-tags", b"x-title", b"referer"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FIELDS), st.binary() | st.binary().map(b"Bearer ".__add__)), st.binary())
def test_something_is_made_of_any_fields(fields: dict[bytes, bytes], query: bytes) -> None:
    """A failure here would be one of the connection, and not of the request."""
    assert read_head(fields, b"key=" + query).session_id is None
