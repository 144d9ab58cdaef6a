"""The Messages API read and written: a request, canonical and back, and an answer, to events and back."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.chat import (
    ChatRequest,
    Event,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningRequest,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    UsageReported,
)
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.anthropic.request import write_request
from arouter.wire.anthropic_messages.request import read_messages_request
from tests.providers.anthropic_streams import streamed
from tests.recordings import Recording, recordings
from tests.wire.messages_bodies import as_the_sdk_reads, whole, writer
from tests.wire.strategies import JSON, TEXT

RECORDED = recordings("anthropic.messages")
WHOLE = [recording for recording in RECORDED if not recording.stream]
STREAMED = [recording for recording in RECORDED if recording.stream]

Object = dict[str, Any]


def read(body: bytes, model: str, *, identity: str | None = None, stream: bool = False) -> ChatRequest:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return read_messages_request(fields, model=model, identity=identity, stream=stream)


# ---------------------------------------------------------------- recorded requests

_NATIVE_BLOCKS = ("text", "tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document")
_NATIVE_RESULTS = ("text", "image", "document")


def means(request: Object) -> Object:
    """A recorded request in the one form in which it may be written back: strings as blocks, system apart, null as
    absent, neighbours of one role together, and without what has no canonical form."""
    system = _as_blocks(request.get("system"))
    turns: list[Object] = []
    for message in request["messages"]:
        blocks = [_block(block) for block in _as_blocks(message["content"]) if _is_native(block)]
        if message["role"] == "system":
            system += blocks
        elif turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": message["role"], "content": blocks})
    for turn in turns:
        # Results stand first, and calls last; within each the order is kept.
        turn["content"].sort(key=lambda block: {"tool_result": 0, "tool_use": 2}.get(block["type"], 1))
    meant = {name: value for name, value in request.items() if name in ("max_tokens", "thinking", "mcp_servers")}
    if meant.get("thinking", {}).get("type") == "adaptive":
        meant["thinking"] = {"display": "summarized", **meant["thinking"]}
    return meant | {"system": system, "messages": turns, "tools": _tools(request)}


def _as_blocks(content: object) -> list[Object]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content) if isinstance(content, list) else []


def _is_native(block: Object) -> bool:
    return block["type"] in _NATIVE_BLOCKS


def _block(block: Object) -> Object:
    if block["type"] == "image" and block["source"]["type"] == "file":
        return {"type": "document", "source": block["source"]}
    if block["type"] != "tool_result":
        return block
    content = [
        inner for inner in _as_blocks(block.get("content")) if inner["type"] in _NATIVE_RESULTS and inner != _EMPTY
    ]
    told: Object = {"type": "tool_result", "tool_use_id": block["tool_use_id"]}
    told |= {"content": content} if content else {}
    return told | ({"is_error": True} if block.get("is_error") else {})


_EMPTY = {"type": "text", "text": ""}


def _tools(request: Object) -> list[Object]:
    own = [tool for tool in request.get("tools") or () if tool.get("type") in (None, "custom")]
    others = [tool for tool in request.get("tools") or () if tool.get("type") not in (None, "custom")]
    known = ("name", "description", "input_schema", "strict", "cache_control")
    return [{name: tool[name] for name in known if tool.get(name)} for tool in own] + others


@pytest.mark.parametrize("recording", RECORDED, ids=lambda recording: recording.id)
def test_a_recorded_request_read_and_written_back_means_the_same(recording: Recording) -> None:
    request = read(json.dumps(recording.request).encode(), recording.request["model"])
    written = msgspec.json.decode(write_request(request).body, type=dict[str, Any])
    again = means({"system": [], "tools": [], **written})
    expected = means(recording.request)
    extra = [block for turn in expected["messages"] for block in turn["content"] if block["type"] == "tool_result"]
    named = {name for name in request.rest if name.startswith("messages.")}
    _forget_text_for_references(again, recording.request)
    assert again == expected, named
    assert len(extra) == sum(message.role == "tool" for message in request.messages)


def _forget_text_for_references(written: Object, request: Object) -> None:
    """Tools that a client's own search found are named in text, and a summary of what was compacted is text."""
    found = {
        inner["tool_name"]
        for message in request["messages"]
        for block in _as_blocks(message["content"])
        for inner in _as_blocks(block.get("content") if block["type"] == "tool_result" else None)
        if inner["type"] == "tool_reference"
    }
    summaries = [
        {"type": "text", "text": block["content"]}
        for message in request["messages"]
        for block in _as_blocks(message["content"])
        if block["type"] == "compaction"
    ]
    for turn in written["messages"]:
        turn["content"] = [block for block in turn["content"] if block not in summaries]
        for block in turn["content"]:
            if block["type"] == "tool_result" and "content" in block:
                block["content"] = [inner for inner in block["content"] if inner.get("text") not in found]
                if not block["content"]:
                    del block["content"]
    written["messages"] = [turn for turn in written["messages"] if turn["content"]]


# ---------------------------------------------------------------- any request

SAID = TEXT.filter(bool)
MARKS = st.none() | st.just({"type": "ephemeral", "ttl": "1h"})
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
FLAGS = st.none() | st.just(True)
NUMBERS = st.none() | st.floats(0, 1)
ARGUMENTS = st.dictionaries(TEXT, JSON, max_size=2).map(lambda value: msgspec.json.encode(value).decode())

TEXTS = st.builds(Text, text=SAID, cache_control=MARKS)
IMAGES = st.builds(Image, url=SAID, cache_control=MARKS) | st.builds(
    Image, data=SAID, media_type=st.just("image/png"), cache_control=MARKS
)
FILES = st.builds(
    File, data=st.just("JVBERi0="), media_type=st.just("application/pdf"), name=st.none() | SAID, cache_control=MARKS
) | st.builds(File, file_id=SAID, cache_control=MARKS)
THOUGHTS = st.builds(Reasoning, text=TEXT, signature=SAID, format=st.just("anthropic-claude-v1")) | st.builds(
    Reasoning, data=SAID, format=st.just("anthropic-claude-v1")
)
UNMARKED = st.builds(Text, text=SAID) | st.builds(Image, url=SAID)
CALLS = st.builds(ToolCall, id=IDS, name=SAID, arguments=ARGUMENTS)


def parts(kinds: st.SearchStrategy[Part], least: int = 1) -> st.SearchStrategy[tuple[Part, ...]]:
    return st.lists(kinds, min_size=least, max_size=3).map(tuple)


RESULTS = st.lists(
    st.builds(Message, role=st.just("tool"), parts=parts(UNMARKED, 0), tool_call_id=IDS, is_error=st.booleans()),
    max_size=2,
)
USERS = st.builds(Message, role=st.just("user"), parts=parts(TEXTS | IMAGES | FILES))
ASSISTANTS = st.builds(
    Message,
    role=st.just("assistant"),
    parts=parts(TEXTS | THOUGHTS),
    tool_calls=st.lists(CALLS, max_size=2).map(tuple),
)
SYSTEM = st.lists(st.builds(Message, role=st.just("system"), parts=parts(TEXTS)), max_size=1)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """A system prompt, and turns in which results come first."""
    told = draw(SYSTEM)
    for _ in range(draw(st.integers(1, 2))):
        told += [*draw(RESULTS), draw(USERS), draw(ASSISTANTS)]
    return tuple(told)


TOOLS = st.builds(
    Tool,
    name=SAID,
    description=st.none() | TEXT,
    parameters=st.dictionaries(SAID, JSON, max_size=2).map(lambda schema: {"type": "object"} | schema),
    strict=FLAGS,
    cache_control=MARKS,
)
CHOICES = st.builds(ToolChoice, mode=st.sampled_from(["auto", "required"])) | st.builds(
    ToolChoice, mode=st.just("named"), name=SAID
)
FORMATS = st.builds(ResponseFormat, kind=st.just("json_schema"), schema=st.dictionaries(TEXT, JSON, max_size=2))
REASONING = st.one_of(
    st.none(),
    st.builds(ReasoningRequest, effort=st.sampled_from(["low", "medium", "high"]), exclude=st.booleans()),
    st.builds(ReasoningRequest, max_tokens=st.integers(1024, 4096), exclude=st.booleans()),
)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """A request that the Messages API can say whole."""
    tools = tuple(draw(st.lists(TOOLS, max_size=2)))
    return ChatRequest(
        model="claude-sonnet-4-6",
        messages=draw(conversations()),
        stream=draw(st.booleans()),
        tools=tools,
        tool_choice=draw(CHOICES) if tools else None,
        parallel_tool_calls=draw(st.none() | st.just(False)) if tools else None,
        max_tokens=draw(st.integers(5000, 9000)),
        temperature=draw(NUMBERS),
        top_p=draw(NUMBERS),
        top_k=draw(st.none() | st.integers(0, 9)),
        stop=tuple(draw(st.lists(SAID.filter(lambda text: bool(text.strip())), max_size=2))),
        response_format=draw(st.none() | FORMATS),
        reasoning=draw(REASONING),
        service_tier=draw(st.sampled_from([None, "auto", "default"])),
        identity=draw(st.none() | SAID),
        rest=draw(st.sampled_from([{}, {"container": "c"}, {"speed": "fast", "mcp_servers": [{"url": "u"}]}])),
    )


@given(requests())
def test_any_request_written_and_read_is_itself(request: ChatRequest) -> None:
    prepared = write_request(request)
    again = read(prepared.body, request.model, identity=request.identity, stream=request.stream)
    assert prepared.dropped == ()
    assert again == request


# ---------------------------------------------------------------- recorded answers


def charge_of(events: list[Event]) -> Charge:
    usages = [event.usage for event in events if isinstance(event, UsageReported)]
    return Charge(usage=usages[-1])


def content(blocks: list[Object]) -> Object:
    """What an answer says. Texts without citations between them may have been one block or several."""
    return {
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "others": [block for block in blocks if block["type"] in ("thinking", "redacted_thinking", "tool_use")],
        "citations": [
            [(citation["url"], citation["cited_text"], citation["title"]) for citation in cited]
            for _, cited in cited_texts(blocks)
        ],
    }


def cited_texts(blocks: list[Object]) -> list[tuple[str, list[Object]]]:
    """The texts with citations of something on the web."""
    cited = [
        (block["text"], [one for one in block.get("citations") or () if "url" in one])
        for block in blocks
        if block["type"] == "text"
    ]
    return [(text, citations) for text, citations in cited if citations]


def untyped(blocks: list[Object]) -> list[Object]:
    return [{name: value for name, value in block.items() if name != "caller"} for block in blocks]


def counted(usage: Object) -> Object:
    """The counts that both sides know, without those of server-side compaction."""
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return {name: usage.get(name) for name in names}


def check(message: Object, recorded: Object, *, usage: bool) -> None:
    assert content(message["content"]) == content(untyped(recorded["content"]))
    for (text, _), (recorded_text, _) in zip(
        cited_texts(message["content"]), cited_texts(recorded["content"]), strict=True
    ):
        assert text.endswith(recorded_text)
    assert message["stop_reason"] == recorded["stop_reason"]
    assert message["model"] == recorded["model"]
    if usage:
        assert counted(message["usage"]) == counted(recorded["usage"])


def plain(usage: Object) -> bool:
    return not any(iteration["type"] == "compaction" for iteration in usage.get("iterations") or ())


@pytest.mark.parametrize("recording", WHOLE, ids=lambda recording: recording.id)
def test_a_recorded_answer_translated_says_the_same(recording: Recording) -> None:
    events = AnthropicAdapter().read_answer(recording.response_text.encode())
    charge = charge_of(events)
    usage = plain(recording.body["usage"])
    check(whole(events, charge), recording.body, usage=usage)
    writing = writer()
    stream = b"".join([*(writing.encode([event]) for event in events), writing.last(charge)])
    check(as_the_sdk_reads(stream), recording.body, usage=usage)


@pytest.mark.parametrize("size", [1, 7, 37])
@pytest.mark.parametrize("recording", STREAMED, ids=lambda recording: recording.id)
def test_a_recorded_stream_translated_says_the_same(recording: Recording, size: int) -> None:
    data = recording.response_text.encode()
    events = streamed(data, size)
    writing = writer()
    stream = b"".join([*(writing.encode([event]) for event in events), writing.last(charge_of(events))])
    check(as_the_sdk_reads(stream), accumulated(data), usage=True)


def accumulated(data: bytes) -> Object:
    """The message that a recorded stream amounts to. The SDK's types do not know all that is in them."""
    message: Object = {}
    blocks: list[Object] = []
    for line in data.split(b"\n"):
        event: Any = json.loads(line[5:]) if line.startswith(b"data:") else {"type": "none"}
        match event:
            case {"type": "message_start"}:
                message |= event["message"]
            case {"type": "content_block_start"}:
                blocks.append(event["content_block"])
            case {"type": "content_block_delta", "index": index, "delta": {"type": "citations_delta", "citation": one}}:
                blocks[index]["citations"] = [*(blocks[index].get("citations") or ()), one]
            case {"type": "content_block_delta", "index": index, "delta": {"type": _, **delta}}:
                for name, piece in delta.items():
                    blocks[index][name] = blocks[index].get(name, "") + piece if isinstance(piece, str) else piece
            case {"type": "message_delta"}:
                message |= {**event["delta"], "usage": {**message["usage"], **event["usage"]}}
    return {**message, "content": blocks}
