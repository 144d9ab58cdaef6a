"""One choice of an answer: its messages, or the deltas of one, as canonical events.

1. Thought comes as text (`reasoning`, `reasoning_content`), as entries (`reasoning_details`), as parts of the content
   (Mistral), or as text and entries that say the same (OpenRouter): then the entries count.
2. An entry that carries the proof of a tool call, under the call's id, belongs to the call that comes with it.
3. A call is the end of an answer that `stop`s, whatever the vendor calls it.
4. A vendor that sends a whole `message` beside its deltas repeats itself; one that sends nothing else is read.
"""

from collections.abc import Iterator, Mapping

from arouter.domain.chat import (
    Annotated,
    Event,
    Finished,
    FinishReason,
    ImageMade,
    LogprobsTold,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from arouter.providers.openai_chat.calls import Calls
from arouter.providers.openai_chat.schema import Choice, Detail, Message

_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
    "insufficient_system_resource": FinishReason.ERROR,
}
"""OpenAI's words; Mistral's `model_length`, DeepSeek's `insufficient_system_resource`. Any other word (`eos`,
`end_turn`) is a vendor's for stop."""


class ChoiceReader:
    """What is known of one choice while it is read."""

    __slots__ = ("_calls", "_finished", "_said", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self._calls = Calls(index)
        self._finished = False
        self._said = False

    @property
    def finished(self) -> bool:
        return self._finished

    def read(self, choice: Choice, answer_id: str | None) -> Iterator[Event]:
        """The events of a choice of a completion or of a chunk."""
        message = choice.delta
        if message is None and not self._said:
            message = choice.message
        if message is not None:
            self._said = True
            yield from self._thoughts(message)
            yield from self._text(message)
        if choice.logprobs is not None and choice.logprobs.content:
            yield LogprobsTold(content=tuple(choice.logprobs.content), choice=self.index)
        if message is not None:
            yield from self._tool_calls(message, answer_id)
            yield from self._extras(message)
        if choice.finish_reason:
            yield from self.finish(choice.finish_reason, choice.native_finish_reason or choice.finish_reason)

    def finish(self, reason: str | None, native_reason: str | None) -> Iterator[Event]:
        """The end, told once."""
        if self._finished:
            return
        self._finished = True
        yield from self._calls.close()
        told = _REASONS.get(reason or "", FinishReason.STOP)
        if told == FinishReason.STOP and self._calls:
            told = FinishReason.TOOL_CALLS
        yield Finished(reason=told, native_reason=native_reason, choice=self.index)

    # ---------------------------------------------------------------- thought

    def _thoughts(self, message: Message) -> Iterator[Event]:
        details = message.reasoning_details or []
        with_call = {call.id for call in message.tool_calls or () if call.id}
        entries = [detail for detail in details if detail.id not in with_call]
        if not any(entry.text or entry.summary for entry in entries):
            for text in (message.reasoning, message.reasoning_content):
                if isinstance(text, str) and text:
                    yield ReasoningDelta(text=text, choice=self.index)
                    break
        for entry in entries:
            yield from self._detail(entry)

    def _detail(self, entry: Detail) -> Iterator[Event]:
        text = entry.text or entry.summary or ""
        if text or entry.signature is not None or entry.data is not None:
            yield ReasoningDelta(
                text=text,
                signature=entry.signature,
                data=entry.data,
                format=entry.format,
                id=entry.id,
                index=entry.index or 0,
                choice=self.index,
            )

    # ---------------------------------------------------------------- text

    def _text(self, message: Message) -> Iterator[Event]:
        match message.content:
            case str() as text if text:
                yield TextDelta(text=text, choice=self.index)
            case list() as parts:
                for part in parts:
                    yield from self._part(part)
        if isinstance(message.refusal, str) and message.refusal:
            yield RefusalDelta(text=message.refusal, choice=self.index)

    def _part(self, part: object) -> Iterator[Event]:
        match part:
            case {"type": "text", "text": str() as text} if text:
                yield TextDelta(text=text, choice=self.index)
            case {"type": "thinking", "thinking": list() as thoughts}:
                for thought in thoughts:
                    match thought:
                        case {"text": str() as text} if text:
                            yield ReasoningDelta(text=text, choice=self.index)

    # ---------------------------------------------------------------- everything else

    def _tool_calls(self, message: Message, answer_id: str | None) -> Iterator[Event]:
        proofs = {
            detail.id: proof
            for detail in message.reasoning_details or ()
            if detail.id is not None and (proof := detail.data or detail.signature)
        }
        for piece in message.tool_calls or ():
            yield from self._calls.add(piece, proofs, answer_id)
        if message.function_call is not None and not message.tool_calls:
            yield from self._calls.add_legacy(message.function_call, answer_id)

    def _extras(self, message: Message) -> Iterator[Event]:
        for annotation in message.annotations or ():
            # The position of an entry in a stream is the writer's to tell.
            told = {name: value for name, value in annotation.items() if name != "index"}
            yield Annotated(annotation=told, choice=self.index)
        for image in message.images or ():
            match image:
                case {"image_url": {"url": str() as url}}:
                    yield ImageMade(url=url, choice=self.index)
