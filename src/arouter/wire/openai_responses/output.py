"""The output of one answer: canonical events as items, and as the events of a stream that tell them.

A stream sends the events, a whole answer has the items: both are made here, so that they cannot differ.

1. Texts, thoughts and images are items one after the other. What begins another one ends the text or thought before.
2. Calls are open until the answer ends (`CallItem`).
3. A proof that belongs to a call is a reasoning item of its own before it, because clients keep those.
4. Citations count in characters of the answer's text; here they count in those of their part.
5. Citations and log probabilities of a text that has ended are told of that text. Log probabilities have no place but
   a text: without one they are left out.
6. This dialect has one choice; a second one is not asked for, and left out.
"""

import re
from collections.abc import Iterator, Sequence

from arouter.domain.chat import (
    Annotated,
    Event,
    Finished,
    FinishReason,
    ImageMade,
    Json,
    LogprobsTold,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.wire.openai_responses.formats import OPENAI_FORMAT
from arouter.wire.openai_responses.output_items import (
    CallItem,
    ContentPart,
    ImageItem,
    Item,
    MessageItem,
    ReasoningItem,
    Status,
)

_OPENAI_ID = re.compile(r"rs_[A-Za-z0-9_-]+")
_COMPLETE = (None, FinishReason.STOP, FinishReason.TOOL_CALLS)


class Output:
    """Feed it every event, in order; `answer_id` is what the items' ids are made from."""

    __slots__ = ("_answer_id", "_calls", "_current", "_ids", "_length", "_texts", "finished", "items")

    def __init__(self, answer_id: str) -> None:
        self._answer_id = answer_id
        self.items: list[Item] = []
        self.finished: FinishReason | None = None
        self._ids: set[str] = set()
        self._current: MessageItem | ReasoningItem | None = None
        self._calls: dict[int, CallItem] = {}
        self._texts: list[tuple[MessageItem, ContentPart]] = []
        self._length = 0
        """Of the answer's text, in characters."""

    def told(self) -> list[Json]:
        """The items as they are so far."""
        return [item.told() for item in self.items]

    def add(self, events: Sequence[Event]) -> Iterator[Json]:
        """The stream's events that tell `events`."""
        waiting: TextDelta | None = None
        for event in events:
            if waiting is not None:
                text, waiting = waiting.text, None
                if isinstance(event, LogprobsTold) and event.choice == 0:
                    yield from self._say(text, is_refusal=False, logprobs=event.content)
                    continue
                yield from self._say(text, is_refusal=False)
            if isinstance(event, TextDelta) and event.choice == 0 and event.text:
                waiting = event  # Its log probabilities may follow, and share its event.
            else:
                yield from self._one(event)
        if waiting is not None:
            yield from self._say(waiting.text, is_refusal=False)

    def extend(self, text: str) -> MessageItem | None:
        """Adds to the text that is open, and gives its message; None, and nothing has changed, where none is.

        It is what `add` does for a single piece of text, without its event: nearly all of a stream is that.
        """
        message = self._current
        if not text or not isinstance(message, MessageItem) or message.parts[-1].is_refusal:
            return None
        message.parts[-1].texts.append(text)
        self._length += len(text)
        return message

    def _one(self, event: Event) -> Iterator[Json]:
        match event:
            case ToolCallArguments(choice=0):
                return self._arguments(event)
            case ReasoningDelta(choice=0):
                return self._thought(event)
            case RefusalDelta(choice=0):
                return self._say(event.text, is_refusal=True)
            case ToolCallStarted(choice=0):
                return self._call(event)
            case Annotated(choice=0):
                return self._annotation(event.annotation)
            case LogprobsTold(choice=0):
                return self._logprobs(event.content)
            case ImageMade(choice=0):
                return self._image(event)
            case Finished(choice=0):
                return self._finish(event.reason)
            case _:
                return iter(())

    def end(self) -> Iterator[Json]:
        """Ends what is still open."""
        status: Status = "completed" if self.finished in _COMPLETE else "incomplete"
        for item in self.items:
            yield from item.end(status)
        self._current = None
        self._calls = {}

    def break_off(self) -> None:
        """What is open stays as it is, and the stream tells no more of it."""
        for item in self.items:
            if item.status == "in_progress":
                item.status = "incomplete"

    def _finish(self, reason: FinishReason) -> Iterator[Json]:
        self.finished = reason
        yield from self.end()

    # ------------------------------------------------------------ items

    def _begin(self, item: Item) -> Iterator[Json]:
        yield from self._end_current()
        self.items.append(item)
        self._ids.add(item.id)
        yield from item.begin()

    def _end_current(self) -> Iterator[Json]:
        if self._current is not None:
            yield from self._current.end("completed")
            self._current = None

    def _made_up(self, prefix: str) -> str:
        return f"{prefix}_{self._answer_id}_{len(self.items)}"

    # ------------------------------------------------------------ what is said

    def _say(self, text: str, *, is_refusal: bool, logprobs: Sequence[Json] = ()) -> Iterator[Json]:
        if not text:
            return
        yield from self._open(is_refusal=is_refusal)
        if isinstance(self._current, MessageItem):
            yield from self._current.add(text, [_logprob(entry) for entry in logprobs])
        if not is_refusal:
            self._length += len(text)

    def _open(self, *, is_refusal: bool) -> Iterator[Json]:
        """Makes the current item a message whose last part is of this kind."""
        message = self._current
        if not isinstance(message, MessageItem):
            message = MessageItem(id=self._made_up("msg"), position=len(self.items))
            yield from self._begin(message)
            self._current = message
        known = len(message.parts)
        yield from message.open(is_refusal=is_refusal, start=self._length)
        if not is_refusal:
            self._texts += [(message, part) for part in message.parts[known:]]

    def _annotation(self, annotation: Json) -> Iterator[Json]:
        if not self._texts:
            yield from self._open(is_refusal=False)
        flat = _flat(annotation)
        start = flat.get("start_index")
        message, part = self._text_at(start) if isinstance(start, int) else self._texts[-1]
        for name in ("start_index", "end_index"):
            place = flat.get(name)
            if isinstance(place, int):
                flat[name] = max(place - part.start, 0)
        yield from message.annotate(part, flat)

    def _text_at(self, place: int) -> tuple[MessageItem, ContentPart]:
        """The text that holds a place of the answer's text."""
        return next((text for text in reversed(self._texts) if text[1].start <= place), self._texts[0])

    def _logprobs(self, content: Sequence[Json]) -> Iterator[Json]:
        if not self._texts or not content:
            return
        message, part = self._texts[-1]
        if message.is_open(part):
            yield from message.add("", [_logprob(entry) for entry in content])
        else:
            part.logprobs += [_logprob(entry) for entry in content]

    def _image(self, event: ImageMade) -> Iterator[Json]:
        item = ImageItem(id=self._made_up("ig"), position=len(self.items), url=event.url)
        yield from self._begin(item)
        yield from item.end("completed")

    # ------------------------------------------------------------ what is thought and called

    def _thought(self, delta: ReasoningDelta) -> Iterator[Json]:
        if not delta.text and delta.signature is None and delta.data is None:
            return
        item = self._current
        if not isinstance(item, ReasoningItem) or item.block != delta.index or _is_other(item, delta):
            item = self._new_thought(delta)
            yield from self._begin(item)
            self._current = item
        yield from item.add(delta)
        if delta.signature is not None or delta.data is not None:
            yield from self._end_current()

    def _new_thought(self, delta: ReasoningDelta) -> ReasoningItem:
        item_id = delta.id if delta.format == OPENAI_FORMAT else None
        if item_id is None or item_id in self._ids or _OPENAI_ID.fullmatch(item_id) is None:
            item_id = self._made_up("rs")
        return ReasoningItem(
            id=item_id, position=len(self.items), block=delta.index, format=delta.format, thought_id=delta.id
        )

    def _call(self, event: ToolCallStarted) -> Iterator[Json]:
        if event.signature is not None:
            proof = ReasoningItem(
                id=self._made_up("rs"),
                position=len(self.items),
                block=0,
                format=None,
                thought_id=None,
                signature=event.signature,
                call_id=event.id,
            )
            yield from self._begin(proof)
            yield from proof.end("completed")
        call = CallItem(id=self._made_up("fc"), position=len(self.items), call_id=event.id, name=event.name)
        yield from self._begin(call)
        self._calls[event.index] = call

    def _arguments(self, event: ToolCallArguments) -> Iterator[Json]:
        call = self._calls.get(event.index)
        if call is not None and event.fragment:
            yield from call.add(event.fragment)


def _is_other(item: ReasoningItem, delta: ReasoningDelta) -> bool:
    """Whether a piece names another block than the one that is open."""
    return item.thought_id is not None and delta.id is not None and item.thought_id != delta.id


def _flat(annotation: Json) -> Json:
    """`{"type": t, t: {…}}`, the form of chat completions, as `{"type": t, …}`."""
    kind = annotation.get("type")
    inner = annotation.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, dict) else dict(annotation)


def _logprob(entry: Json) -> Json:
    """An entry of chat completions, where `bytes` may be null."""
    tops = entry.get("top_logprobs")
    told = {name: entry.get(name) for name in ("token", "bytes", "logprob")}
    if told["bytes"] is None:
        told["bytes"] = list(str(told["token"]).encode(errors="replace"))
    if isinstance(tops, list):
        told["top_logprobs"] = [_logprob(top) for top in tops if isinstance(top, dict)]
    return told
