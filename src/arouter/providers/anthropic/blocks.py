"""Content blocks of an answer, as they open, grow and close, turned into canonical events.

A whole answer is read in the same way: each of its blocks opens with all its content, and closes.

1. `text`, `thinking`, `redacted_thinking` and `tool_use` have a counterpart. Every other type (what the provider's own
   tools did: `server_tool_use`, `web_search_tool_result`, `mcp_tool_use`, …, and what is yet to come) is passed over
   with all its deltas: a client could not answer such a call.
2. Calls and thoughts are each counted from 0, whatever the index of their block.
3. A call's arguments are the streamed fragments, verbatim. Where none came, they are the block's `input` as compact
   JSON, with its keys in their order and its numbers as written; `{}` where there is none.
4. Citations of a text block with a URL become OpenAI's `url_citation` when the block closes, because only then the
   span of the cited text, in characters of the whole answer, is known.
"""

from dataclasses import dataclass, field

import msgspec

from arouter.domain.chat import (
    Annotated,
    Event,
    Json,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.domain.value import constructor

THINKING_FORMAT = "anthropic-claude-v1"
"""The name of Anthropic's signed thoughts in `reasoning_details`."""

_NOTHING = msgspec.Raw(b"")


class _Typed(msgspec.Struct, gc=False):
    type: str = ""


class _Block(msgspec.Struct, gc=False):
    type: str
    text: str = ""
    citations: list[msgspec.Raw] | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = _NOTHING


class _Citation(msgspec.Struct, gc=False):
    url: str | None = None
    source: str | None = None
    """Where a search result that the client itself provided comes from; often a URL."""
    title: str | None = None
    cited_text: str | None = None


class Delta(msgspec.Struct, gc=False):
    """The `delta` of a `content_block_delta`."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    citation: msgspec.Raw = _NOTHING


DELTA_TYPES = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"})

_text_delta = constructor(TextDelta)
_TYPED = msgspec.json.Decoder(_Typed)
_BLOCK = msgspec.json.Decoder(_Block)
_CITATION = msgspec.json.Decoder(_Citation)
_BLOCK_TYPES = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


@dataclass(slots=True)
class _Open:
    """A block that has begun and not ended."""

    type: str
    number: int
    """Of a call or a thought: which one. Of a text: where it begins, in characters of the answer's text."""
    input: bytes = b""
    fragments: int = 0
    citations: list[_Citation] = field(default_factory=list)


class Blocks:
    """The blocks of one answer. Its methods may raise what decoding raises."""

    __slots__ = ("_calls", "_open", "_text_length", "_thoughts")

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._thoughts = 0
        self._text_length = 0

    def open(self, index: int, raw: msgspec.Raw) -> list[Event]:
        """The block at `index` begins; `raw` is its JSON."""
        if _TYPED.decode(raw).type not in _BLOCK_TYPES:
            return []
        block = _BLOCK.decode(raw)
        match block.type:
            case "text":
                self._open[index] = _Open("text", self._text_length)
                for citation in block.citations or ():
                    self._cite(index, citation)
                return self._text(block.text)
            case "tool_use":
                return self._call(index, block)
        number = self._thoughts
        self._thoughts += 1
        self._open[index] = _Open("thinking", number)
        return _thought(number, text=block.thinking, signature=block.signature, data=block.data)

    def extend(self, index: int, delta: Delta) -> list[Event]:
        """The next piece of the block at `index`."""
        block = self._open.get(index)
        if block is None:
            return []
        if delta.type == "text_delta":
            return self._text(delta.text)
        match delta.type:
            case "input_json_delta" if block.type == "tool_use" and delta.partial_json:
                block.fragments += 1
                return [ToolCallArguments(index=block.number, fragment=delta.partial_json)]
            case "thinking_delta" | "signature_delta" if block.type == "thinking":
                return _thought(block.number, text=delta.thinking, signature=delta.signature)
            case "citations_delta" if block.type == "text":
                self._cite(index, delta.citation)
        return []

    def close(self, index: int) -> list[Event]:
        """The block at `index` is complete."""
        block = self._open.pop(index, None)
        if block is None:
            return []
        if block.type == "tool_use" and not block.fragments:
            arguments = msgspec.json.format(block.input or b"{}", indent=-1).decode()
            return [ToolCallArguments(index=block.number, fragment=arguments)]
        return [
            Annotated(annotation=_url_citation(citation, block.number, self._text_length))
            for citation in block.citations
        ]

    def close_all(self) -> list[Event]:
        """No block follows."""
        return [event for index in list(self._open) for event in self.close(index)]

    def _text(self, text: str) -> list[Event]:
        if not text:
            return []
        self._text_length += len(text)
        return [_text_delta(text=text)]

    def _call(self, index: int, block: _Block) -> list[Event]:
        number = self._calls
        self._calls += 1
        self._open[index] = _Open("tool_use", number, input=bytes(block.input))
        return [ToolCallStarted(index=number, id=block.id, name=block.name)]

    def _cite(self, index: int, raw: msgspec.Raw) -> None:
        citation = _CITATION.decode(raw)
        if _url(citation) is not None:
            self._open[index].citations.append(citation)


def _thought(number: int, *, text: str = "", signature: str = "", data: str = "") -> list[Event]:
    if not text and not signature and not data:
        return []
    return [
        ReasoningDelta(text=text, signature=signature or None, data=data or None, format=THINKING_FORMAT, index=number)
    ]


def _url(citation: _Citation) -> str | None:
    if citation.url is not None:
        return citation.url
    source = citation.source
    return source if source is not None and source.startswith(("https://", "http://")) else None


def _url_citation(citation: _Citation, start: int, end: int) -> Json:
    """OpenAI's form of a citation; `content`, the text that is cited, is OpenRouter's addition to it."""
    told: Json = {
        "url": _url(citation),
        "title": citation.title or "",
        "start_index": start,
        "end_index": end,
    }
    if citation.cited_text is not None:
        told["content"] = citation.cited_text
    return {"type": "url_citation", "url_citation": told}
