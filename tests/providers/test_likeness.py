"""Events that are like the one before are read from their bytes alone, and say the same as if they were parsed."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamFailed
from arouter.providers.likeness import likeness_of
from arouter.providers.openai import Relay
from arouter.providers.vendors import BY_NAME
from tests.recordings import need_recordings, recordings

BEFORE = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"'
BEHIND = b'"},"finish_reason":null}]'
END = b"}\n\n"
PADDED = BEHIND + b',"usage":null,"obfuscation":"'


def plain(text: bytes) -> bytes:
    return BEFORE + text + BEHIND + END


def padded(text: bytes, padding: bytes) -> bytes:
    return BEFORE + text + PADDED + padding + b'"' + END


# ---------------------------------------------------------------- one event and another


def test_another_text() -> None:
    like = likeness_of(plain(b"Hello"), b'"Hello"')
    assert like is not None
    assert like.text_bytes(plain(b" you")) == 4
    assert like.text_bytes(plain(b"")) == 0
    assert like.text_bytes(plain("日本".encode())) == 6
    assert like.text_bytes(plain(b'\\"a\\"\\n\\\\')) == 9


def test_another_padding() -> None:
    like = likeness_of(padded(b"Hello", b"x9"), b'"Hello"')
    assert like is not None
    assert like.text_bytes(padded(b" you", b"AbCdEf")) == 4
    assert like.text_bytes(padded(b" you", b"")) == 4
    assert like.text_bytes(padded(b"\\n" + PADDED.replace(b'"', b'\\"'), b"x")) == 2 + len(PADDED) + PADDED.count(b'"')


@pytest.mark.parametrize(
    "event",
    [
        plain(b"a\\"),
        plain(b"a\\\\\\"),
        plain(b'a\\"b"'),
        plain(b"a\\u0041"),
        plain(b"a\\x"),
        plain(b"a\x01b"),
        plain(b"a\nb"),
        plain(b'a","role":"x'),
        plain(b"a")[:-1],
        plain(b"a") + b"\n",
        plain(b"a") + plain(b"b"),
        plain(b"a").replace(b"c1", b"c2"),
        plain(b"a").replace(b"null", b'"stop"'),
        padded(b"a", b"b"),
        BEFORE + b"a",
        BEFORE,
        b"",
    ],
)
def test_another_event(event: bytes) -> None:
    like = likeness_of(plain(b"Hello"), b'"Hello"')
    assert like is not None
    assert like.text_bytes(event) is None


@pytest.mark.parametrize("padding", [b'a","error":"b', b"a\\", b"a\\u0041", b'a"} ', b'a\\"","error":"b'])
def test_a_padding_that_says_more(padding: bytes) -> None:
    like = likeness_of(padded(b"Hello", b"x9"), b'"Hello"')
    assert like is not None
    assert like.text_bytes(padded(b"a", padding)) is None


def test_a_text_that_stands_there_twice_tells_nothing() -> None:
    event = b'data: {"a":{"content":"x"},"choices":[{"delta":{"content":"x"}}]}\n\n'
    assert likeness_of(event, b'"x"') is None


def test_no_text_tells_nothing() -> None:
    assert likeness_of(plain(b"x").replace(b'"x"', b"null"), b"null") is None


# ---------------------------------------------------------------- a stream says the same, however it comes


def told(pieces: list[bytes]) -> tuple[bytes, dict[str, object]]:
    """What goes on to the client, and what the ledger gets to know."""
    relay = Relay(BY_NAME["openai"])
    sent = b""
    failed = None
    try:
        for piece in pieces:
            sent += relay.feed(piece)
        relay.end()
    except UpstreamFailed as failure:
        failed = failure.message
    return sent, {**asdict(relay.told), "failed": failed}


def apart(stream: list[bytes]) -> list[bytes]:
    """Each event in two pieces: no event is compared with the one before."""
    return [piece for event in stream for piece in (event[:1], event[1:])]


FIRST = b'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
DONE = b"data: [DONE]\n\n"

texts = st.text(alphabet=st.sampled_from('ab"\\\n\x01é日 /'), max_size=6)
members = {
    "id": st.sampled_from(["c1", "c1", "c1", "c2", None]),
    "model": st.sampled_from(["m", "m", "m", "n"]),
    "usage": st.sampled_from([None, None, None, {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}]),
    "service_tier": st.sampled_from([None, None, "flex"]),
    "error": st.sampled_from([None, None, None, None, {"message": "no"}]),
    "obfuscation": texts,
}
deltas = st.fixed_dictionaries(
    {"content": st.one_of(texts, texts, texts, st.none())},
    optional={"refusal": st.one_of(st.none(), texts), "reasoning": texts, "role": st.just("assistant")},
)
choices = st.fixed_dictionaries(
    {"index": st.just(0), "delta": deltas},
    optional={"finish_reason": st.sampled_from([None, None, None, "stop"]), "logprobs": st.just({"content": "a"})},
)
chunks = st.builds(
    lambda told, choice, behind: {**told, "choices": [choice], **behind},
    st.fixed_dictionaries({}, optional={name: members[name] for name in ("id", "model", "service_tier", "error")}),
    choices,
    st.fixed_dictionaries({}, optional={name: members[name] for name in ("usage", "obfuscation")}),
)


@st.composite
def events(draw: st.DrawFn) -> list[bytes]:
    """Some chunks, many of them alike, as a provider with this way to write JSON writes them."""
    narrow, ascii_only = draw(st.booleans()), draw(st.booleans())
    separators = (",", ":") if narrow else None
    said: list[dict[str, object]] = []
    for chunk in draw(st.lists(chunks, min_size=1, max_size=4)):
        for text in draw(st.lists(texts, min_size=1, max_size=4)):
            choice = chunk["choices"][0]
            said.append({**chunk, "choices": [{**choice, "delta": {**choice["delta"], "content": text}}]})
    written = [json.dumps(each, separators=separators, ensure_ascii=ascii_only).encode() for each in said]
    return [FIRST, *(b"data: " + each + b"\n\n" for each in written), DONE]


def test_only_the_event_before_counts() -> None:
    one = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    other = b'data: {"model":"n","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
    sent, said = told([FIRST, one, one, other, one])
    assert (sent, said["upstream_model"], said["output_bytes"]) == (b"".join([FIRST, one, one, other, one]), "m", 4)


@pytest.mark.parametrize(
    "between",
    [
        DONE,
        b'data: {"error":{"message":"no"}}\n\n',
        b'data: {"choices":[],"model":"n","usage":{"prompt_tokens":1}}\n\n',
    ],
)
def test_what_comes_between_counts(between: bytes) -> None:
    one = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    stream = [FIRST, one, one, between, one]
    assert told(stream) == told([b"".join(stream)]) == told(apart(stream))


def test_a_piece_of_an_event_is_not_left_behind() -> None:
    one = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    pieces = [FIRST, one, b": wait", one, one]
    assert told(pieces) == told([b"".join(pieces)]) == told(apart(pieces))
    pieces = [FIRST, one + one + b": wait", one, one]
    assert told(pieces) == told(apart(pieces))


def test_the_rest_of_a_line_end_is_not_left_behind() -> None:
    one = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\r\n\r'
    stream = [FIRST, one, b"\n" + one, b"\n" + one + b"\n"]
    assert told(stream) == told([b"".join(stream)]) == told(apart(stream))
    assert told(stream)[1]["output_bytes"] == 3


@given(events(), st.integers(2, 5))
def test_it_says_the_same_alone_and_together(stream: list[bytes], together: int) -> None:
    some = [b"".join(stream[at : at + together]) for at in range(0, len(stream), together)]
    assert told(stream) == told([b"".join(stream)]) == told(some) == told(apart(stream))


def test_recordings_say_the_same_alone_and_together() -> None:
    need_recordings()
    compared = 0
    for api in ("openai.chat", "openrouter.chat", "compatible.chat"):
        for recording in recordings(api):
            if recording.status == 200 and recording.stream:
                stream = [each + b"\n\n" for each in recording.response_text.encode().split(b"\n\n") if each]
                assert told(stream) == told([b"".join(stream)]) == told(apart(stream)), recording.id
                compared += 1
    assert compared


def test_most_events_of_openai_are_like_the_one_before() -> None:
    need_recordings()
    alike = compared = 0
    for recording in recordings("openai.chat"):
        if recording.status == 200 and recording.stream:
            before = None
            for each in recording.response_text.encode().split(b"\n\n"):
                event = each + b"\n\n"
                if (text := _text_of(event)) is not None:
                    if before is not None:
                        compared += 1
                        alike += before.text_bytes(event) is not None
                    before = likeness_of(event, text)
    assert alike > compared * 0.8


def _text_of(event: bytes) -> bytes | None:
    """The text of an event that says nothing else, as it is written."""
    if not event.startswith(b"data: {"):
        return None
    choices = json.loads(event[6:]).get("choices") or [{}]
    text = choices[0].get("delta", {}).get("content")
    written = None if text is None else json.dumps(text, ensure_ascii=False).encode()
    return written if written is not None and b'"content":' + written in event else None
