"""The output items of a response, as they open, grow and close, turned into canonical events.

A whole answer is read in the same way: each of its items closes, and what was not told of it is told then. So a
provider may leave out any event but the last.

1. `message`, `reasoning`, `function_call`, `custom_tool_call` and `image_generation_call` have a counterpart. Every
   other type (what the provider's own tools did: `web_search_call`, `mcp_call`, …, `compaction`, and what is yet to
   come) is passed over: a client of another dialect could not answer it.
2. A reasoning item is one thought: its summaries and its text, with an empty line between them, and the ciphertext
   that closes it, under the item's id.
3. Citations count from the beginning of their part here, and from that of the message's text in the canonical form.
4. A custom tool takes plain text: as a function, it takes an object that holds the text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from arouter.domain.chat import (
    Annotated,
    Event,
    ImageMade,
    Json,
    LogprobsTold,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.providers.openai_responses.schema import Item, Part, StreamEvent, decode_item, decode_outline

_CALLS = frozenset({"function_call", "custom_tool_call"})
_TYPES = _CALLS | {"message", "reasoning", "image_generation_call"}


@dataclass(slots=True)
class _Piece:
    """How much of a part has been told."""

    begins: int = 0
    """In characters of the answer's text."""
    characters: int = 0
    annotations: int = 0
    logprobs: int = 0


@dataclass(slots=True)
class _Open:
    """An item that has begun."""

    number: int = -1
    """Of a call or a thought: which one."""
    pieces: dict[tuple[str, int], _Piece] = field(default_factory=dict)
    closed: bool = False


class Output:
    """The output of one response. Its methods may raise what decoding raises."""

    __slots__ = ("_calls", "_format", "_items", "_text_length", "_thoughts")

    def __init__(self, thought_format: str) -> None:
        self._format = thought_format
        self._items: dict[int, _Open] = {}
        self._calls = 0
        self._thoughts = 0
        self._text_length = 0

    @property
    def called(self) -> bool:
        """Whether there was a call for the client to answer."""
        return self._calls > 0

    def open(self, index: int, raw: msgspec.Raw) -> Iterator[Event]:
        """The item at `index` begins; `raw` is its JSON. Of a call it says which."""
        if decode_outline(raw).type in _CALLS:
            yield from self._begin_call(index, decode_item(raw))

    def extend(self, event: StreamEvent) -> Iterator[Event]:
        """The next piece of an item."""
        delta = event.delta
        if not isinstance(delta, str):
            return
        index, part = event.output_index, event.content_index
        match event.type:
            case "response.output_text.delta":
                yield from self._text(index, part, delta)
                yield from self._logprobs(self._piece(index, "text", part), event.logprobs)
            case "response.refusal.delta":
                yield from self._refusal(index, part, delta)
            case "response.reasoning_summary_text.delta":
                yield from self._thought(index, "summary", event.summary_index, delta)
            case "response.reasoning_text.delta":
                yield from self._thought(index, "content", part, delta)
            case "response.function_call_arguments.delta":
                yield from self._arguments(index, delta)
            case "response.custom_tool_call_input.delta":
                yield from self._input(index, delta)

    def annotate(self, event: StreamEvent) -> Iterator[Event]:
        """A part is cited."""
        if event.annotation is not None:
            piece = self._piece(event.output_index, "text", event.content_index)
            piece.annotations += 1
            yield Annotated(annotation=_citation(event.annotation, piece.begins))

    def close(self, index: int, raw: msgspec.Raw) -> Iterator[Event]:
        """The item at `index` is complete."""
        if decode_outline(raw).type not in _TYPES:
            return
        item = decode_item(raw)
        open_ = self._items.setdefault(index, _Open())
        if open_.closed:
            return
        open_.closed = True
        match item.type:
            case "message":
                yield from self._close_message(index, item)
            case "reasoning":
                yield from self._close_thought(index, item)
            case "image_generation_call":
                if item.result:
                    yield ImageMade(url=f"data:image/{item.output_format or 'png'};base64,{item.result}")
            case _:
                yield from self._close_call(index, item)

    def _piece(self, index: int, kind: str, part: int) -> _Piece:
        pieces = self._items.setdefault(index, _Open()).pieces
        piece = pieces.get((kind, part))
        if piece is None:
            piece = pieces[kind, part] = _Piece(begins=self._text_length)
        return piece

    # ---------------------------------------------------------------- messages

    def _text(self, index: int, part: int, text: str) -> Iterator[Event]:
        piece = self._piece(index, "text", part)
        if text:
            piece.characters += len(text)
            self._text_length += len(text)
            yield TextDelta(text=text)

    def _logprobs(self, piece: _Piece, told: list[Json] | None) -> Iterator[Event]:
        if told:
            piece.logprobs += len(told)
            yield LogprobsTold(content=tuple(_logprob(entry) for entry in told))

    def _refusal(self, index: int, part: int, text: str) -> Iterator[Event]:
        if text:
            self._piece(index, "refusal", part).characters += len(text)
            yield RefusalDelta(text=text)

    def _close_message(self, index: int, item: Item) -> Iterator[Event]:
        for at, part in enumerate(item.content or ()):
            piece = self._piece(index, "text", at)
            yield from self._text(index, at, part.text[piece.characters :])
            yield from self._logprobs(piece, (part.logprobs or [])[piece.logprobs :])
            for annotation in (part.annotations or [])[piece.annotations :]:
                yield Annotated(annotation=_citation(annotation, piece.begins))
            refused = self._piece(index, "refusal", at)
            yield from self._refusal(index, at, part.refusal[refused.characters :])

    # ---------------------------------------------------------------- thoughts

    def _number(self, index: int) -> int:
        open_ = self._items.setdefault(index, _Open())
        if open_.number < 0:
            open_.number = self._thoughts
            self._thoughts += 1
        return open_.number

    def _thought(self, index: int, kind: str, part: int, text: str) -> Iterator[Event]:
        if not text:
            return
        number = self._number(index)
        piece = self._piece(index, kind, part)
        others = self._items[index].pieces.values()
        gap = "\n\n" if not piece.characters and any(other.characters for other in others) else ""
        piece.characters += len(text)
        yield ReasoningDelta(text=gap + text, format=self._format, index=number)

    def _close_thought(self, index: int, item: Item) -> Iterator[Event]:
        told: Iterable[tuple[str, list[Part]]] = (("summary", item.summary or []), ("content", item.content or []))
        for kind, parts in told:
            for at, part in enumerate(parts):
                yield from self._thought(index, kind, at, part.text[self._piece(index, kind, at).characters :])
        if item.encrypted_content:
            yield ReasoningDelta(
                data=item.encrypted_content, format=self._format, id=item.id, index=self._number(index)
            )

    # ---------------------------------------------------------------- calls

    def _begin_call(self, index: int, item: Item) -> Iterator[Event]:
        open_ = self._items.setdefault(index, _Open())
        if open_.number >= 0:
            return
        open_.number = self._calls
        self._calls += 1
        yield ToolCallStarted(index=open_.number, id=item.call_id or item.id or f"call_{index}", name=item.name)

    def _arguments(self, index: int, fragment: str) -> Iterator[Event]:
        open_ = self._items.get(index)
        if open_ is not None and open_.number >= 0 and fragment:
            self._piece(index, "arguments", 0).characters += len(fragment)
            yield ToolCallArguments(index=open_.number, fragment=fragment)

    def _input(self, index: int, text: str) -> Iterator[Event]:
        """Rule 4: the text goes on within one JSON string."""
        open_ = self._items.get(index)
        if open_ is None or open_.number < 0:
            return
        piece = self._piece(index, "input", 0)
        begins = '{"input":"' if not piece.characters else ""
        piece.characters += len(text)
        yield ToolCallArguments(index=open_.number, fragment=begins + msgspec.json.encode(text).decode()[1:-1])

    def _close_call(self, index: int, item: Item) -> Iterator[Event]:
        yield from self._begin_call(index, item)
        if item.type == "custom_tool_call":
            rest = item.input[self._piece(index, "input", 0).characters :]
            if rest or not item.input:
                yield from self._input(index, rest)
            yield ToolCallArguments(index=self._items[index].number, fragment='"}')
            return
        rest = item.arguments[self._piece(index, "arguments", 0).characters :]
        yield from self._arguments(index, rest)
        if not self._piece(index, "arguments", 0).characters:
            yield from self._arguments(index, "{}")


def _citation(annotation: Json, begins: int) -> Json:
    """OpenAI's other form of a citation: what it says, under the name of its type; rule 3."""
    kind = annotation.get("type")
    name = kind if isinstance(kind, str) else "url_citation"
    told = {key: value for key, value in annotation.items() if key != "type"}
    for key in ("start_index", "end_index"):
        place = told.get(key)
        if isinstance(place, int):
            told[key] = place + begins
    return {"type": name, name: told}


def _logprob(entry: Json) -> Json:
    """With the bytes of its token, which a stream leaves out."""
    token = entry.get("token")
    if "bytes" in entry or not isinstance(token, str):
        return entry
    return {**entry, "bytes": list(token.encode(errors="replace"))}
