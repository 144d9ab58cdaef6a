"""The content blocks of an answer: canonical events as the events by which a block begins, grows and ends.

1. One block is open at a time, as it is at Anthropic: the next one begins when the one before it has ended.
2. A call whose arguments are not yet an object in JSON stays open. What belongs to another block waits for it, so
   that calls whose pieces come mixed are told one after the other.
3. A thought ends with its proof; one that never gets a proof ends with a seal that says whose it was.
4. Citations belong to the text that is open; the text after a citation is a block of its own, as it is at Anthropic.
   A citation without an open text has no place and is left out, and so is a further piece of a call that has ended.
5. A picture is an image block as a request has it: Anthropic's models make none, so there is no other form.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from arouter.domain.chat import (
    Annotated,
    ImageMade,
    Json,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.wire.anthropic_messages.thoughts import (
    is_visible,
    redacted,
    signature_of,
)
from arouter.wire.seals import PREFIX, Seal

BlockEvent = TextDelta | ReasoningDelta | ToolCallStarted | ToolCallArguments | Annotated | ImageMade
"""The events that make the content of an answer."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INVALID = "INVALID_JSON"
"""The key under which Anthropic's documentation puts arguments that are not an object in JSON
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming)."""


@dataclass(slots=True)
class _Open:
    """A block that has begun and not ended."""

    kind: Literal["text", "thinking", "call"]
    number: int = 0
    """Of a call or a thought: which one, as the events count them."""
    cited: bool = False
    format: str | None = None
    id: str | None = None
    arguments: list[str] = field(default_factory=list)

    def is_whole(self) -> bool:
        """Whether the arguments of a call are an object in JSON."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        return as_object("".join(self.arguments)) is not None


class Blocks:
    """The content of one answer. Feed it every event of the content, in order."""

    __slots__ = ("_next", "_open", "_waiting", "called")

    def __init__(self) -> None:
        self._next = 0
        self._open: _Open | None = None
        self._waiting: list[BlockEvent] = []
        self.called = False
        """Whether there is a call among the blocks."""

    @property
    def text_index(self) -> int | None:
        """The index of the block that a further text belongs to; None if that would have to begin."""
        block = self._open
        return self._next - 1 if block is not None and block.kind == "text" and not block.cited else None

    def tell(self, event: BlockEvent) -> list[Json]:
        """What `event` adds."""
        if self._must_wait(event):
            self._waiting.append(event)
            return []
        told = self._tell(event)
        block = self._open
        if self._waiting and block is not None and block.is_whole():
            told += self._release()
        return told

    def close(self) -> list[Json]:
        """The content is at its end, whole or not."""
        told = self._shut()
        while self._waiting:
            told += self._release()
            told += self._shut()
        return told

    def _must_wait(self, event: BlockEvent) -> bool:
        block = self._open
        if block is None or block.kind != "call" or _continues(block, event):
            return False
        return bool(self._waiting) or not block.is_whole()

    def _release(self) -> list[Json]:
        waiting, self._waiting = self._waiting, []
        return [piece for event in waiting for piece in self.tell(event)]

    def _tell(self, event: BlockEvent) -> list[Json]:
        match event:
            case TextDelta(text=text):
                return self._say(text) if text else []
            case ReasoningDelta():
                return self._think(event)
            case ToolCallStarted():
                return self._call(event)
            case ToolCallArguments(fragment=fragment):
                return self._argue(event) if fragment else []
            case Annotated(annotation=annotation):
                return self._cite(annotation)
            case ImageMade(url=url):
                return [*self._shut(), *self._at_once({"type": "image", "source": _image_source(url)})]

    # ---------------------------------------------------------------- blocks

    def _begin(self, block: Json, opened: _Open) -> Json:
        self._open = opened
        self._next += 1
        return {"type": "content_block_start", "index": self._next - 1, "content_block": block}

    def _delta(self, delta: Json) -> Json:
        return {"type": "content_block_delta", "index": self._next - 1, "delta": delta}

    def _shut(self, proof: Seal | None = None) -> list[Json]:
        """The end of the open block; of a thought, with what proves it."""
        block, self._open = self._open, None
        if block is None:
            return []
        told: list[Json] = []
        if block.kind == "thinking":
            told.append(self._delta({"type": "signature_delta", "signature": signature_of(_proof(block, proof))}))
        told.append({"type": "content_block_stop", "index": self._next - 1})
        return told

    def _at_once(self, block: Json) -> list[Json]:
        """A block that begins with all that it holds."""
        begun = {"type": "content_block_start", "index": self._next, "content_block": block}
        self._next += 1
        return [begun, {"type": "content_block_stop", "index": self._next - 1}]

    # ---------------------------------------------------------------- what is said, thought and called

    def _say(self, text: str) -> list[Json]:
        told: list[Json] = []
        if self.text_index is None:
            told += self._shut()
            told.append(self._begin({"type": "text", "text": ""}, _Open("text")))
        told.append(self._delta({"type": "text_delta", "text": text}))
        return told

    def _think(self, delta: ReasoningDelta) -> list[Json]:
        said = Seal(format=delta.format, id=delta.id, signature=delta.signature, data=delta.data)
        proves = delta.signature is not None or delta.data is not None
        thought = self._open
        told: list[Json] = []
        if thought is None or thought.kind != "thinking" or thought.number != delta.index:
            if not is_visible(delta.text, said):
                return [*self._shut(), *self._at_once(redacted(said))] if proves else []
            told += self._shut()
            thought = _Open("thinking", delta.index)
            told.append(self._begin({"type": "thinking", "thinking": "", "signature": ""}, thought))
        if delta.text:
            told.append(self._delta({"type": "thinking_delta", "thinking": delta.text}))
        thought.format = delta.format if thought.format is None else thought.format
        thought.id = delta.id if thought.id is None else thought.id
        return told + self._shut(said) if proves else told

    def _call(self, call: ToolCallStarted) -> list[Json]:
        self.called = True
        told = self._shut()
        if call.signature is not None:
            told += self._at_once(redacted(Seal(call_id=call.id, signature=call.signature)))
        block: Json = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        told.append(self._begin(block, _Open("call", call.index)))
        return told

    def _argue(self, event: ToolCallArguments) -> list[Json]:
        call = self._open
        if call is None or not _continues(call, event):
            return []
        call.arguments.append(event.fragment)
        return [self._delta({"type": "input_json_delta", "partial_json": event.fragment})]

    def _cite(self, annotation: Json) -> list[Json]:
        block = self._open
        citation = _citation(annotation)
        if block is None or block.kind != "text" or citation is None:
            return []
        block.cited = True
        return [self._delta({"type": "citations_delta", "citation": citation})]


def _continues(call: _Open, event: BlockEvent) -> bool:
    return call.kind == "call" and isinstance(event, ToolCallArguments) and event.index == call.number


def _proof(thought: _Open, said: Seal | None) -> Seal:
    """What is known of a thought when it ends."""
    if said is None:
        return Seal(format=thought.format, id=thought.id)
    return Seal(format=thought.format, id=thought.id, signature=said.signature, data=said.data)


def _image_source(url: str) -> Json:
    head, comma, data = url.partition(";base64,")
    if not comma or not head.startswith("data:"):
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}


def _citation(annotation: Json) -> Json | None:
    """OpenAI's `url_citation` as a citation of a web search. Its index says that it is none of Anthropic's."""
    match annotation:
        case {"type": "url_citation", "url_citation": {"url": str() as url, **told}}:
            cited = told.get("content")
            return {
                "type": "web_search_result_location",
                "url": url,
                "title": told.get("title"),
                "cited_text": cited if isinstance(cited, str) else "",
                "encrypted_index": PREFIX,
            }
        case _:
            return None


def as_object(arguments: str) -> msgspec.Raw | None:
    """The text itself if it is an object in JSON, with every digit as it was written; else None."""
    try:
        encoded = arguments.encode()
        _OBJECT.decode(encoded)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return msgspec.Raw(encoded)


# ---------------------------------------------------------------- whole


def whole_blocks(pieces: Iterable[Json]) -> list[Json]:
    """The blocks that the pieces of one answer make."""
    made: list[_Made] = []
    for piece in pieces:
        match piece:
            case {"type": "content_block_start", "content_block": dict() as block}:
                made.append(_Made(block))
            case {"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": citation}}:
                made[-1].citations.append(citation)
            case {"type": "content_block_delta", "delta": dict() as delta}:
                made[-1].add(delta)
    return [block.told() for block in made]


@dataclass(slots=True)
class _Made:
    """A block and the pieces that it grew by."""

    block: Json
    pieces: list[str] = field(default_factory=list)
    citations: list[object] = field(default_factory=list)
    signature: object = ""

    def add(self, delta: Json) -> None:
        for name, piece in delta.items():
            if name == "signature":
                self.signature = piece
            elif name in ("text", "thinking", "partial_json") and isinstance(piece, str):
                self.pieces.append(piece)

    def told(self) -> Json:
        said = "".join(self.pieces)
        match self.block["type"]:
            case "text":
                told: Json = {"type": "text", "text": said}
                return {**told, "citations": self.citations} if self.citations else told
            case "thinking":
                return {"type": "thinking", "thinking": said, "signature": self.signature}
            case "tool_use":
                return {**self.block, "input": _input(said)}
            case _:
                return self.block


def _input(arguments: str) -> object:
    """The input of a call. Arguments that broke off are kept, under the key that Anthropic proposes."""
    if not arguments.strip():
        return {}
    written = as_object(arguments)
    return {_INVALID: arguments} if written is None else written
