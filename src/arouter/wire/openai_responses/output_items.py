"""The items of an answer while they grow: what each is so far, and the events that tell how it begins, grows and ends.

An event is the JSON object of a stream, but for its `sequence_number`. An item begins in the stream without content;
what is told of it at its end is what the whole answer says of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from arouter.domain.chat import Json, ReasoningDelta
from arouter.wire.openai_responses.formats import OPENAI_FORMAT, SUMMARY_FORMATS
from arouter.wire.seals import Seal, is_sealed, seal

Status = Literal["in_progress", "completed", "incomplete"]


@dataclass(slots=True, kw_only=True)
class Item:
    """What every item has."""

    id: str
    position: int
    """`output_index`."""
    status: Status = "in_progress"

    def told(self) -> Json:
        """The item as it is so far."""
        raise NotImplementedError

    def begin(self) -> Iterator[Json]:
        yield {"type": "response.output_item.added", "output_index": self.position, "item": self.told()}

    def end(self, status: Status) -> Iterator[Json]:
        """Ends the item. Nothing for one that has ended."""
        if self.status != "in_progress":
            return
        yield from self._end_content()
        self.status = status
        yield {"type": "response.output_item.done", "output_index": self.position, "item": self.told()}

    def _end_content(self) -> Iterator[Json]:
        yield from ()

    def _event(self, kind: str, **rest: object) -> Json:
        return {"type": f"response.{kind}", "item_id": self.id, "output_index": self.position, **rest}


# ---------------------------------------------------------------- messages


@dataclass(slots=True, kw_only=True)
class ContentPart:
    """A text, or a refusal, within a message."""

    is_refusal: bool
    index: int
    start: int
    """Where it begins, in characters of the answer's text."""
    texts: list[str] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    head: bytes = b""
    """What each of its pieces begins with in a stream; the writer's own."""

    def told(self) -> Json:
        text = "".join(self.texts)
        if self.is_refusal:
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "annotations": list(self.annotations),
            "logprobs": list(self.logprobs),
            "text": text,
        }


@dataclass(slots=True, kw_only=True)
class MessageItem(Item):
    """Texts and refusals, one after the other; the last one is open."""

    parts: list[ContentPart] = field(default_factory=list)

    def told(self) -> Json:
        return {
            "id": self.id,
            "type": "message",
            "status": self.status,
            "content": [part.told() for part in self.parts],
            "role": "assistant",
        }

    def open(self, *, is_refusal: bool, start: int) -> Iterator[Json]:
        """Begins a part, unless the last one is of this kind."""
        if self.parts and self.parts[-1].is_refusal == is_refusal:
            return
        yield from self._end_content()
        part = ContentPart(is_refusal=is_refusal, index=len(self.parts), start=start)
        self.parts.append(part)
        yield self._part_event("content_part.added", part, part=part.told())

    def is_open(self, part: ContentPart) -> bool:
        return self.status == "in_progress" and part is self.parts[-1]

    def add(self, text: str, logprobs: list[Json]) -> Iterator[Json]:
        """Adds to the open part."""
        part = self.parts[-1]
        part.texts.append(text)
        if part.is_refusal:
            yield self._part_event("refusal.delta", part, delta=text)
            return
        part.logprobs += logprobs
        yield self._part_event("output_text.delta", part, delta=text, logprobs=logprobs)

    def annotate(self, part: ContentPart, annotation: Json) -> Iterator[Json]:
        """A citation may come when its text has ended, since providers tell some at the end only."""
        index = len(part.annotations)
        part.annotations.append(annotation)
        yield self._part_event("output_text.annotation.added", part, annotation_index=index, annotation=annotation)

    def _end_content(self) -> Iterator[Json]:
        if not self.parts:
            return
        part = self.parts[-1]
        text = "".join(part.texts)
        if part.is_refusal:
            yield self._part_event("refusal.done", part, refusal=text)
        else:
            yield self._part_event("output_text.done", part, text=text, logprobs=list(part.logprobs))
        yield self._part_event("content_part.done", part, part=part.told())

    def _part_event(self, kind: str, of: ContentPart, **rest: object) -> Json:
        return self._event(kind, content_index=of.index, **rest)


# ---------------------------------------------------------------- thoughts


@dataclass(slots=True, kw_only=True)
class ReasoningItem(Item):
    """One block of thought. Its proof ends it."""

    block: int
    format: str | None
    thought_id: str | None
    """The provider's name of the block. Where it is OpenAI's, it is the item's too."""
    texts: list[str] = field(default_factory=list)
    signature: str | None = None
    data: str | None = None
    call_id: str | None = None
    as_summary: bool = True
    """Said when the first text comes: a block without text has an empty summary."""

    def told(self) -> Json:
        text = "".join(self.texts)
        told: Json = {"id": self.id, "type": "reasoning", "summary": []}
        if text and self.as_summary:
            told["summary"] = [{"type": "summary_text", "text": text}]
        elif text:
            told["content"] = [{"type": "reasoning_text", "text": text}]
        told["encrypted_content"] = None if self.status == "in_progress" else self._encrypted()
        return told

    def add(self, delta: ReasoningDelta) -> Iterator[Json]:
        """Adds a piece of the block. Its proof, if it has one, is told at the end."""
        if self.format is None:
            self.format = delta.format
        if self.thought_id is None:
            self.thought_id = delta.id
        self.signature = delta.signature
        self.data = delta.data
        if not delta.text:
            return
        if not self.texts:
            self.as_summary = self.format in SUMMARY_FORMATS
            yield self._part_event("part.added", self._part(""))
        self.texts.append(delta.text)
        yield self._text_event("delta", delta=delta.text)

    def _end_content(self) -> Iterator[Json]:
        if not self.texts:
            return
        text = "".join(self.texts)
        yield self._text_event("done", text=text)
        yield self._part_event("part.done", self._part(text))

    def _part(self, text: str) -> Json:
        return {"type": "summary_text" if self.as_summary else "reasoning_text", "text": text}

    def _part_event(self, kind: str, part: Json) -> Json:
        if self.as_summary:
            return self._event(f"reasoning_summary_{kind}", summary_index=0, part=part)
        return self._event(f"content_{kind}", content_index=0, part=part)

    def _text_event(self, kind: str, **rest: object) -> Json:
        if self.as_summary:
            return self._event(f"reasoning_summary_text.{kind}", summary_index=0, **rest)
        return self._event(f"reasoning_text.{kind}", content_index=0, **rest)

    def _encrypted(self) -> str | None:
        own = self.format == OPENAI_FORMAT and self.thought_id == self.id
        if own and self.signature is None and (self.data is None or not is_sealed(self.data)):
            return self.data
        return seal(
            Seal(
                format=self.format,
                id=self.thought_id,
                signature=self.signature,
                data=self.data,
                call_id=self.call_id,
            )
        )


# ---------------------------------------------------------------- calls and images


@dataclass(slots=True, kw_only=True)
class CallItem(Item):
    """A tool call. It is open until the answer ends: its arguments may come after another call began."""

    call_id: str
    name: str
    fragments: list[str] = field(default_factory=list)

    def told(self) -> Json:
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "arguments": "".join(self.fragments),
            "call_id": self.call_id,
            "name": self.name,
        }

    def add(self, fragment: str) -> Iterator[Json]:
        self.fragments.append(fragment)
        yield self._event("function_call_arguments.delta", delta=fragment)

    def _end_content(self) -> Iterator[Json]:
        yield self._event("function_call_arguments.done", name=self.name, arguments="".join(self.fragments))


@dataclass(slots=True, kw_only=True)
class ImageItem(Item):
    """An image, in the form of what OpenAI's image tool gives."""

    url: str

    def told(self) -> Json:
        told: Json = {"id": self.id, "type": "image_generation_call", "status": self.status, "result": None}
        if self.status != "in_progress":
            head, _, data = self.url.partition(",")
            media_type = head.removeprefix("data:").partition(";")[0]
            told |= {"result": data, "output_format": media_type.removeprefix("image/")}
        return told

    def begin(self) -> Iterator[Json]:
        # Not `super()`, which a class that dataclass makes again for its slots does not find.
        yield from Item.begin(self)
        yield self._event("image_generation_call.in_progress")

    def _end_content(self) -> Iterator[Json]:
        yield self._event("image_generation_call.completed")
