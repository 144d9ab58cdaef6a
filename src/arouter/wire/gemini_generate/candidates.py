"""One candidate of an answer: what its events add, in Gemini's words.

A stream tells them little by little, a whole answer at once: both are written from here, so that they cannot differ.

1. Pieces of text that come together are one part, and so are pieces of thought.
2. Gemini has no calls in pieces: they are kept until the candidate is finished, and told whole. Arguments that are no
   JSON object are none that a client could call with: such a call is left out, the reason is
   `MALFORMED_FUNCTION_CALL` (unless the answer was cut off, which explains it), and `finishMessage` holds the text.
3. Gemini's own signature stands on the part that it came with, or on an empty one; what proves another provider's
   thought is sealed, see `proofs`.
4. Every piece has a part, if an empty one, because Google's SDK forgets a turn in which one has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from arouter.domain.chat import (
    Annotated,
    ChoiceEvent,
    Finished,
    FinishReason,
    ImageMade,
    Json,
    LogprobsTold,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.wire.gemini_generate.grounding import grounding_metadata
from arouter.wire.gemini_generate.media import read_data_url
from arouter.wire.gemini_generate.proofs import native, seal, seal_call
from arouter.wire.gemini_generate.reasons import MALFORMED_CALL, write_reason

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class _Thought:
    """A block of thought that has no proof yet."""

    length: int = 0
    format: str | None = None
    id: str | None = None

    def grow(self, delta: ReasoningDelta) -> None:
        self.length += len(delta.text)
        self.format = delta.format if self.format is None else self.format
        self.id = delta.id if self.id is None else self.id


@dataclass(slots=True)
class _Call:
    """A tool call, gathered from its pieces."""

    id: str
    name: str
    signature: str | None
    arguments: list[str] = field(default_factory=list)

    def part(self) -> Json | None:
        """The part that tells it; None if its arguments are no JSON object (rule 2)."""
        arguments = _object("".join(self.arguments))
        if arguments is None:
            return None
        part: Json = {"functionCall": {**({"id": self.id} if self.id else {}), "name": self.name, "args": arguments}}
        return part if self.signature is None else {**part, "thoughtSignature": seal_call(self.signature)}


def _object(text: str) -> msgspec.Raw | None:
    """The JSON of an object without the line ends between its tokens, which no event can hold."""
    if not text.strip():
        return msgspec.Raw(b"{}")
    try:
        _fields.decode(text)
        msgspec.json.decode(text)
        return msgspec.Raw(msgspec.json.format(text.encode(), indent=-1))
    except (ValueError, RecursionError):
        return None


class Candidate:
    """Turns the events of one choice into Gemini's candidate. Feed it every event of the choice, in order."""

    __slots__ = (
        "_annotations",
        "_calls",
        "_end",
        "_index",
        "_malformed",
        "_parts",
        "_probabilities",
        "_run",
        "_run_is_thought",
        "_texts",
        "_thoughts",
    )

    def __init__(self, index: int) -> None:
        self._index = index
        self._parts: list[Json] = []
        """What was added and not taken yet; behind it the open run of text or thought."""
        self._run: list[str] = []
        self._run_is_thought = False
        self._thoughts: dict[int, _Thought] = {}
        self._calls: dict[int, _Call] = {}
        self._malformed: list[_Call] = []
        self._texts: list[str] = []
        self._annotations: list[Json] = []
        self._probabilities: list[Json] = []
        self._end: Finished | None = None

    def add(self, event: ChoiceEvent) -> None:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                self._texts.append(text)
                self._say(text, is_thought=False)
            case ReasoningDelta():
                self._think(event)
            case ToolCallStarted():
                self._calls[event.index] = _Call(event.id, event.name, event.signature)
            case ToolCallArguments(index=index, fragment=fragment):
                if index in self._calls:
                    self._calls[index].arguments.append(fragment)
            case ImageMade(url=url):
                self._add_part(_image(url))
            case Annotated(annotation=annotation):
                self._annotations.append(annotation)
            case LogprobsTold(content=content):
                self._probabilities += content
            case Finished():
                self._end = event
                self._tell_calls()

    def take(self) -> Json | None:
        """The next piece of a stream: what was added since the last one; None if nothing."""
        self._close_run()
        if not self._parts and not self._probabilities:
            return None
        return self._told(self._take_parts())

    def last(self) -> Json:
        """What was not taken yet, with the end."""
        self._tell_calls()
        self._close_run()
        told = self._told(self._take_parts())
        if self._end is not None:
            told["finishReason"] = self._reason(self._end)
        if self._malformed:
            calls = ", ".join(f"{call.name}({''.join(call.arguments)})" for call in self._malformed)
            told["finishMessage"] = f"Malformed function call: {calls}"
        grounding = grounding_metadata(self._annotations, "".join(self._texts)) if self._annotations else None
        return told if grounding is None else {**told, "groundingMetadata": grounding}

    def _told(self, parts: list[Json]) -> Json:
        told: Json = {"content": {"parts": parts, "role": "model"}, "index": self._index}
        if self._probabilities:
            told["logprobsResult"] = _logprobs(self._probabilities)
            self._probabilities = []
        return told

    def _take_parts(self) -> list[Json]:
        """Rule 4."""
        parts, self._parts = self._parts or [{"text": ""}], []
        return parts

    def _reason(self, end: Finished) -> str:
        return MALFORMED_CALL if self._malformed and end.reason is not FinishReason.LENGTH else write_reason(end)

    # ---------------------------------------------------------------- parts

    def _say(self, text: str, *, is_thought: bool) -> None:
        if not text:
            return
        if self._run and self._run_is_thought is not is_thought:
            self._close_run()
        self._run_is_thought = is_thought
        self._run.append(text)

    def _close_run(self) -> None:
        if self._run:
            text: Json = {"text": "".join(self._run)}
            self._parts.append({**text, "thought": True} if self._run_is_thought else text)
            self._run = []

    def _add_part(self, part: Json) -> None:
        self._close_run()
        self._parts.append(part)

    def _think(self, delta: ReasoningDelta) -> None:
        self._say(delta.text, is_thought=True)
        thought = self._thoughts.setdefault(delta.index, _Thought())
        thought.grow(delta)
        if delta.signature is None and delta.data is None:
            return
        del self._thoughts[delta.index]
        proof = Reasoning(signature=delta.signature, data=delta.data, format=thought.format, id=thought.id)
        signature = native(proof)
        if signature is None:
            self._sign(seal(proof, thought.length), is_thought=True)
        else:
            self._sign(signature, is_thought=thought.length > 0)

    def _sign(self, signature: str, *, is_thought: bool) -> None:
        """Rule 3."""
        self._close_run()
        part = self._parts[-1] if self._parts else None
        if (
            part is None
            or "thoughtSignature" in part
            or "functionCall" in part
            or part.get("thought", False) is not is_thought
        ):
            part = {"text": "", "thought": True} if is_thought else {"text": ""}
            self._parts.append(part)
        part["thoughtSignature"] = signature

    def _tell_calls(self) -> None:
        """Rule 2."""
        for _, call in sorted(self._calls.items()):
            part = call.part()
            if part is None:
                self._malformed.append(call)
            else:
                self._add_part(part)
        self._calls = {}


def _image(url: str) -> Json:
    inline = read_data_url(url)
    if inline is None:
        return {"fileData": {"fileUri": url}}
    media_type, data = inline
    return {"inlineData": {"mimeType": media_type, "data": data}}


# ---------------------------------------------------------------- log probabilities


def _logprobs(entries: list[Json]) -> Json:
    """The chosen token of each step, and the likeliest ones beside it."""
    tops = [_tops(entry.get("top_logprobs")) for entry in entries]
    told: Json = {"chosenCandidates": [_token(entry) for entry in entries]}
    return {**told, "topCandidates": [{"candidates": top} for top in tops]} if any(tops) else told


def _tops(tokens: object) -> list[Json]:
    return [_token(token) for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else []


def _token(entry: Mapping[str, object]) -> Json:
    named = {"token": entry.get("token"), "logProbability": entry.get("logprob")}
    return {name: value for name, value in named.items() if value is not None}
