"""`reasoning_details`, OpenRouter's form of a model's thoughts: written into answers, read back from requests.

Each entry is one block of thought:

    {"type": "reasoning.text", "text": …, "signature": …}   visible thought, with the proof that closes it
    {"type": "reasoning.summary", "summary": …}             a summary of hidden thought
    {"type": "reasoning.encrypted", "data": …}              a ciphertext

and may carry `format` (whose proof it is), `id` and `index`. In a stream an entry arrives in pieces that share an
`index`. OpenAI's SDKs join such pieces by `index` as the position in the list and concatenate their strings, so we
number the entries by position, and say `format` and `id` once for each entry. Clients that only collect the pieces
send them back as they came; they are joined here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from arouter.domain.chat import Json, Reasoning, ReasoningDelta
from arouter.wire.fields import Fields

TEXT = "reasoning.text"
SUMMARY = "reasoning.summary"
ENCRYPTED = "reasoning.encrypted"

GEMINI_FORMAT = "google-gemini-v1"
"""The format of a tool call's proof: only Gemini has them."""

SUMMARY_FORMATS = ("openai-responses-v1", "azure-openai-responses-v1", "xai-responses-v1")
"""Formats in which visible text is a summary of thought that stays hidden."""


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Thoughts:
    """What an assistant's message says of its thinking."""

    parts: tuple[Reasoning, ...]
    proofs: dict[str, str]
    """A tool call's id → the provider's proof that belongs to it."""


def read_thoughts(message: Fields, call_ids: Iterable[str]) -> Thoughts:
    """The thoughts in `reasoning_details`, or else in `reasoning` (OpenRouter) or `reasoning_content` (DeepSeek)."""
    known_calls = set(call_ids)
    blocks: list[tuple[int | None, Reasoning]] = []
    proofs: dict[str, str] = {}
    for entry in message.children("reasoning_details"):
        thought = _read_entry(entry)
        proof = thought.data if thought.signature is None else thought.signature
        if thought.id in known_calls and proof is not None:
            proofs[thought.id] = proof
        else:
            _append(blocks, entry.integer("index"), thought)
    if not blocks:
        blocks = [(None, Reasoning(text=text)) for text in _plain(message)]
    return Thoughts(parts=tuple(thought for _, thought in blocks), proofs=proofs)


def _plain(message: Fields) -> list[str]:
    return [text for text in (message.text("reasoning"), message.text("reasoning_content")) if text][:1]


def _read_entry(entry: Fields) -> Reasoning:
    """An entry of any type: what it says is in its fields, and an unknown type may hold the same ones."""
    return Reasoning(
        text=entry.text("text") or entry.text("summary") or "",
        signature=entry.text("signature"),
        data=entry.text("data"),
        format=entry.text("format"),
        id=entry.text("id"),
    )


def _append(blocks: list[tuple[int | None, Reasoning]], index: int | None, thought: Reasoning) -> None:
    """Adds an entry, or joins it to the piece before it that has the same index and is still open."""
    for at in range(len(blocks) - 1, -1, -1):
        other_index, block = blocks[at]
        if index is None or other_index != index:
            continue
        if _continues(block, thought):
            blocks[at] = (index, _joined(block, thought))
            return
        break
    blocks.append((index, thought))


def _continues(block: Reasoning, piece: Reasoning) -> bool:
    closed = block.signature is not None or block.data is not None
    other_id = block.id is not None and piece.id is not None and block.id != piece.id
    return not closed and not other_id and piece.data is None


def _joined(block: Reasoning, piece: Reasoning) -> Reasoning:
    return replace(
        block,
        text=block.text + piece.text,
        signature=piece.signature,
        format=piece.format if block.format is None else block.format,
        id=piece.id if block.id is None else block.id,
    )


# ---------------------------------------------------------------- writing


@dataclass(slots=True)
class _Block:
    """An entry that may still grow."""

    position: int
    kind: str
    format: str | None
    id: str | None


class DetailsWriter:
    """Writes the thoughts of one choice as pieces of entries; one writer for each choice of one answer."""

    __slots__ = ("_length", "_open")

    def __init__(self) -> None:
        self._length = 0
        self._open: dict[int, _Block] = {}

    def pieces(self, delta: ReasoningDelta) -> list[Json]:
        """The pieces that say `delta`; none where it says nothing. A signature or a ciphertext closes its block."""
        pieces = []
        if delta.text or delta.signature is not None:
            pieces.append(self._visible(delta))
        if delta.data is not None:
            self._open.pop(delta.index, None)
            pieces.append(self._entry(ENCRYPTED, delta.format, delta.id) | {"data": delta.data})
        return pieces

    def proof(self, call_id: str, signature: str) -> Json:
        """The entry that carries a tool call's proof, under the call's id."""
        return self._entry(ENCRYPTED, GEMINI_FORMAT, call_id) | {"data": signature}

    def _visible(self, delta: ReasoningDelta) -> Json:
        block = self._open.get(delta.index)
        if block is None:
            kind = SUMMARY if delta.format in SUMMARY_FORMATS else TEXT
            piece = self._entry(kind, delta.format, delta.id)
            block = _Block(self._length - 1, kind, delta.format, delta.id)
            self._open[delta.index] = block
        else:
            piece = self._continuation(block, delta)
        piece["summary" if block.kind == SUMMARY else "text"] = delta.text
        if delta.signature is not None:
            piece["signature"] = delta.signature
            del self._open[delta.index]
        return piece

    def _continuation(self, block: _Block, delta: ReasoningDelta) -> Json:
        piece: Json = {"type": block.kind, "index": block.position}
        if block.format is None and delta.format is not None:
            block.format = piece["format"] = delta.format
        if block.id is None and delta.id is not None:
            block.id = piece["id"] = delta.id
        return piece

    def _entry(self, kind: str, format_: str | None, id_: str | None) -> Json:
        entry: Json = {"type": kind, "index": self._length}
        self._length += 1
        if format_ is not None:
            entry["format"] = format_
        if id_ is not None:
            entry["id"] = id_
        return entry


def join_pieces(pieces: Sequence[Json]) -> list[Json]:
    """The whole entries that the pieces of one choice make, in order."""
    entries: list[Json] = []
    for piece in pieces:
        position = piece["index"]
        assert isinstance(position, int)
        if position == len(entries):
            entries.append(dict(piece))
            continue
        entry = entries[position]
        for name, value in piece.items():
            if name in ("text", "summary"):
                entry[name] = f"{entry[name]}{value}"
            else:
                entry[name] = value
    return entries
