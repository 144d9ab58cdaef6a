"""Messages: every role, every kind of content, tool calls and thoughts sent back."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import (
    Audio,
    Event,
    File,
    Image,
    Json,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.wire import sse
from arouter.wire.openai_chat.chunks import ChunkEncoder
from arouter.wire.openai_chat.completion import completion_body
from tests.wire.chat_bodies import HELLO, read, read_message
from tests.wire.strategies import TEXT

PDF = "data:application/pdf;base64,JVBERi0="


def part(**fields: object) -> Part:
    (only,) = read_message(role="user", content=[fields]).parts
    return only


# ---------------------------------------------------------------- roles and content


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_a_message_has_a_role_a_content_and_maybe_a_name(role: Role) -> None:
    assert read_message(role=role, content="hi", name="ann") == Message(
        role=role,
        parts=(Text(text="hi"),),
        name="ann",
    )


def test_the_result_of_a_tool() -> None:
    assert read_message(role="tool", tool_call_id="call_1", content=[{"type": "text", "text": "4"}]) == Message(
        role="tool", parts=(Text(text="4"),), tool_call_id="call_1"
    )


def test_an_assistant_may_say_nothing() -> None:
    silences: list[Json] = [{}, {"content": None}, {"content": []}, {"tool_calls": None, "refusal": None}]
    for silence in silences:
        assert read_message(role="assistant", **silence) == Message(role="assistant")


def test_an_empty_text_is_a_text() -> None:
    assert read_message(role="user", content="").parts == (Text(text=""),)


def test_a_cache_mark_stays_with_its_part() -> None:
    mark: Json = {"type": "ephemeral", "ttl": "1h"}
    assert part(type="text", text="t", cache_control=mark) == Text(text="t", cache_control=mark)
    web = {"url": "https://example.com/a.png"}
    assert part(type="image_url", image_url=web, cache_control=mark) == Image(url=web["url"], cache_control=mark)
    assert part(type="file", file={"file_id": "f"}, cache_control=mark) == File(file_id="f", cache_control=mark)


def test_an_image_by_url_and_by_value() -> None:
    url = "https://example.com/a.png"
    assert part(type="image_url", image_url={"url": url, "detail": "low"}) == Image(url=url, detail="low")
    assert part(type="image_url", image_url=url) == Image(url=url)
    assert part(type="image_url", image_url={"url": "data:image/PNG;base64,AA=="}) == Image(
        data="AA==", media_type="image/png"
    )


@pytest.mark.parametrize(
    ("url", "media_type", "content"),
    [
        ("data:image/png;base64,AAE=", "image/png", b"\x00\x01"),
        ("DATA:image/png;charset=x;BASE64,AAE=", "image/png", b"\x00\x01"),
        ("data:image/svg+xml,%3Csvg%2F%3E", "image/svg+xml", b"<svg/>"),
        ("data:image/png;base64,AAE%3D", "image/png", b"\x00\x01"),
        ("data:;base64,AAE=", None, b"\x00\x01"),
        ("data:image/svg+xml,a,b", "image/svg+xml", b"a,b"),
    ],
)
def test_a_data_url_becomes_base64(url: str, media_type: str | None, content: bytes) -> None:
    image = part(type="image_url", image_url={"url": url})
    assert image == Image(data=base64.b64encode(content).decode(), media_type=media_type)


def test_a_sound() -> None:
    assert part(type="input_audio", input_audio={"data": "UklG", "format": "wav"}) == Audio(data="UklG", format="wav")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"file_id": "file-1", "filename": "a.pdf"}, File(file_id="file-1", name="a.pdf")),
        ({"file_data": PDF, "filename": "a.pdf"}, File(data="JVBERi0=", media_type="application/pdf", name="a.pdf")),
        ({"file_data": "JVBERi0=", "filename": "a.pdf"}, File(data="JVBERi0=", name="a.pdf")),
        ({"file_data": "https://example.com/a.pdf"}, File(url="https://example.com/a.pdf")),
    ],
)
def test_a_file(file: dict[str, str], expected: File) -> None:
    assert part(type="file", file=file) == expected


def test_documents_and_videos_of_other_vendors() -> None:
    assert part(type="document_url", document_url=PDF) == File(data="JVBERi0=", media_type="application/pdf")
    assert part(type="video_url", video_url={"url": "https://example.com/v"}) == File(url="https://example.com/v")
    thoughts = [{"type": "text", "text": "Hm, "}, {"type": "text", "text": "hm."}]
    assert part(type="thinking", thinking=thoughts) == Reasoning(text="Hm, hm.")


def test_refusals_in_a_part_and_in_the_message() -> None:
    assert read_message(
        role="assistant", content=[{"type": "refusal", "refusal": "No."}], refusal="Still no."
    ).parts == (
        Refusal(text="No."),
        Refusal(text="Still no."),
    )


# ---------------------------------------------------------------- tool calls


def test_tool_calls_keep_their_arguments_as_written() -> None:
    arguments = '{ "a":1.50,'
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}, "index": 0}
    assert read_message(role="assistant", tool_calls=[call]).tool_calls == (
        ToolCall(id="c", name="f", arguments=arguments),
    )


def test_a_custom_call_becomes_a_function_of_its_input() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": 'SELECT "x"'}}
    assert read_message(role="assistant", tool_calls=[call]).tool_calls == (
        ToolCall(id="c", name="sql", arguments='{"input":"SELECT \\"x\\""}'),
    )


def test_a_proof_comes_back_in_googles_form() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    signed = call | {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    assert read_message(role="assistant", tool_calls=[signed]).tool_calls[0].signature == "c2ln"
    others: list[Any] = [None, {}, {"google": None}, {"google": {}}, {"other": {}}]
    for content in others:
        (unsigned,) = read_message(role="assistant", tool_calls=[call | {"extra_content": content}]).tool_calls
        assert unsigned.signature is None


@pytest.mark.parametrize("field", ["data", "signature"])
def test_a_proof_comes_back_in_openrouters_form(field: str) -> None:
    told = read_message(
        role="assistant",
        reasoning="Hm",
        reasoning_details=[{"type": "reasoning.encrypted", "id": "c", "format": "google-gemini-v1", field: "c2ln"}],
        tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
    )
    assert told.tool_calls == (ToolCall(id="c", name="f", arguments="{}", signature="c2ln"),)
    assert told.parts == (Reasoning(text="Hm"),)


def test_legacy_function_calls_find_their_results() -> None:
    read_back = read(
        {
            "messages": [
                *HELLO,
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "1"}},
                {"role": "function", "name": "f", "content": "one"},
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "2"}},
                {"role": "function", "name": "f", "content": "two"},
            ]
        }
    ).messages
    calls = [told.tool_calls[0] for told in read_back if told.tool_calls]
    results = [told for told in read_back if told.role == "tool"]
    assert [call.arguments for call in calls] == ["1", "2"]
    assert calls[0].id != calls[1].id
    assert [(told.tool_call_id, told.parts) for told in results] == [
        (calls[0].id, (Text(text="one"),)),
        (calls[1].id, (Text(text="two"),)),
    ]


# ---------------------------------------------------------------- thoughts sent back


def test_thoughts_come_before_what_was_said() -> None:
    details = [
        {"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "ZA==", "format": "anthropic-claude-v1", "id": "r", "index": 1},
        {"type": "reasoning.summary", "summary": "In short", "format": "openai-responses-v1", "index": 2},
    ]
    assert read_message(role="assistant", reasoning="Hm", reasoning_details=details, content="Hi").parts == (
        Reasoning(text="Hm", signature="s", format="anthropic-claude-v1"),
        Reasoning(data="ZA==", format="anthropic-claude-v1", id="r"),
        Reasoning(text="In short", format="openai-responses-v1"),
        Text(text="Hi"),
    )


def test_the_collected_pieces_of_a_stream_are_joined() -> None:
    pieces = [
        {"type": "reasoning.text", "text": "H", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "text": "m", "index": 0},
        {"type": "reasoning.text", "text": "", "signature": "s", "index": 0},
        {"type": "reasoning.text", "text": "Next", "index": 0},
        {"type": "reasoning.text", "text": "?", "id": "other", "index": 0},
        {"type": "reasoning.text", "text": "!", "id": "another", "index": 0},
    ]
    assert read_message(role="assistant", reasoning_details=pieces).parts == (
        Reasoning(text="Hm", signature="s", format="anthropic-claude-v1"),
        Reasoning(text="Next?", id="other"),
        Reasoning(text="!", id="another"),
    )


def test_entries_without_an_index_stay_apart() -> None:
    entries = [{"type": "reasoning.text", "text": "a"}, {"type": "reasoning.text", "text": "b"}]
    assert read_message(role="assistant", reasoning_details=entries).parts == (Reasoning(text="a"), Reasoning(text="b"))


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thoughts_as_a_plain_text(field: str) -> None:
    assert read_message(role="assistant", content="Hi", **{field: "Hm"}).parts == (
        Reasoning(text="Hm"),
        Text(text="Hi"),
    )


def test_a_thought_that_is_told_twice_is_read_once() -> None:
    assert read_message(role="assistant", reasoning="Hm", reasoning_content="Hm").parts == (Reasoning(text="Hm"),)
    assert read_message(role="assistant", reasoning="", reasoning_content="Hm").parts == (Reasoning(text="Hm"),)


# ---------------------------------------------------------------- there and back


@st.composite
def thoughts(draw: st.DrawFn) -> list[Reasoning]:
    """Blocks of thought as a provider closes them: by a signature, or as a ciphertext."""
    spoken = st.builds(
        Reasoning, text=TEXT.filter(bool), signature=TEXT, format=st.just("anthropic-claude-v1"), id=st.none() | TEXT
    )
    hidden = st.builds(Reasoning, data=TEXT, format=st.just("anthropic-claude-v1"))
    return draw(st.lists(spoken | hidden, max_size=4))


def told_in_pieces(block: Reasoning, index: int) -> list[Event]:
    if block.data is not None:
        return [ReasoningDelta(data=block.data, format=block.format, index=index)]
    letters = [ReasoningDelta(text=letter, format=block.format, id=block.id, index=index) for letter in block.text]
    return [*letters, ReasoningDelta(signature=block.signature, index=index)]


@given(thoughts(), st.none() | TEXT)
def test_a_client_that_sends_the_answer_back_returns_every_proof(blocks: list[Reasoning], proof: str | None) -> None:
    events: list[Event] = [event for index, block in enumerate(blocks) for event in told_in_pieces(block, index)]
    events += [ToolCallStarted(index=0, id="c", name="f", signature=proof), ToolCallArguments(index=0, fragment="{}")]
    body = completion_body(events, id="gen-1", created_s=1, model="m", usage_json=None)
    whole = msgspec.json.decode(body)["choices"][0]["message"]
    stream = sse.Splitter().feed(ChunkEncoder(id="gen-1", created_s=1, model="m").encode(events))
    deltas = [msgspec.json.decode(event.data)["choices"][0]["delta"] for event in stream]
    pieces = [piece for delta in deltas for piece in delta.get("reasoning_details", ())]

    expected = Message(
        role="assistant",
        parts=tuple(blocks),
        tool_calls=(ToolCall(id="c", name="f", arguments="{}", signature=proof),),
    )
    assert read_message(**whole) == expected
    assert read_message(**whole | {"reasoning_details": pieces}) == expected
