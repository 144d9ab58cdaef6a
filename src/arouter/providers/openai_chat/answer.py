"""A chat completion, whole or as chunks, read into canonical events.

1. A completion and a chunk have one shape but for `message` and `delta`, so one reader reads both.
2. Usage may come in any chunk and more than once; each is reported, with the service tier that was told so far.
3. `[DONE]` ends the stream, and with it each choice that has not told why it finished: some vendors never do. Without
   it a stream is complete when every choice told so.
4. An error in the middle of a stream, and nonsense after a good start, are a `Failed`: what was told before it, usage
   above all, is not lost with it. Nonsense at the start is not this dialect, and UpstreamFailed. Nothing counts after
   the end.
"""

from collections.abc import Iterator

from arouter.domain.chat import Event, Failed, Started, UsageReported
from arouter.domain.errors import UpstreamFailed
from arouter.providers.openai_chat.choice import ChoiceReader
from arouter.providers.openai_chat.schema import Answer, decode
from arouter.providers.openai_error import MALFORMED, error_object, not_this_dialect, read_error
from arouter.providers.usage import openai_usage_in
from arouter.wire import sse

_OK = 200
_EXPECTED = "a chat completion"


def read_completion(vendor: str, body: bytes) -> list[Event]:
    """The events of a whole answer. UpstreamFailed if it is an error or no completion."""
    try:
        answer = decode(body)
    except MALFORMED as error:
        raise not_this_dialect(vendor, _EXPECTED, body) from error
    if answer.is_error:
        raise read_error(vendor, _OK, body)
    if answer.choices is None:
        raise not_this_dialect(vendor, _EXPECTED, body)
    reader = _Reader(vendor)
    # The usage stays at the end, after the ends of the choices that told none.
    events = list(reader.read(answer))
    at = len(events) - 1 if events and isinstance(events[-1], UsageReported) else len(events)
    return [*events[:at], *reader.close(), *events[at:]]


class ChatStream:
    """Reads one streamed answer: bytes in, in pieces of any size; events out."""

    __slots__ = ("_done", "_failed", "_reader", "_splitter", "_vendor")

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._splitter = sse.Splitter()
        self._reader = _Reader(vendor)
        self._done = False
        self._failed = False

    @property
    def complete(self) -> bool:
        """Whether `[DONE]` has come, or every choice has its finish reason (rule 3)."""
        return not self._failed and (self._done or self._reader.finished)

    def take_usage(self) -> None:
        """None: no usage is kept back."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. UpstreamFailed(retryable=False) if it is not this dialect."""
        events: list[Event] = []
        try:
            for arrived in self._splitter.feed(data):
                if self._done or self._failed:
                    break
                if arrived.data == sse.DONE:
                    self._done = True
                    events.extend(self._reader.close())
                elif arrived.data:
                    self._read(arrived.data, events)
        except sse.EventTooLarge as error:
            events.append(self._nonsense(not_this_dialect(self._vendor, "a stream of one", data), error))
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        try:
            answer = decode(data)
        except MALFORMED as error:
            events.append(self._nonsense(not_this_dialect(self._vendor, _EXPECTED, data), error))
            return
        if answer.is_error:
            self._failed = True
            told = error_object(data)
            events.append(Failed(message=told.message or "The provider reported an error.", code=told.name))
            return
        events.extend(self._reader.read(answer))

    def _nonsense(self, failed: UpstreamFailed, cause: Exception) -> Failed:
        """Rule 4."""
        self._failed = True
        if not self._reader.started:
            raise failed from cause
        return Failed(message=failed.message)


class _Reader:
    """Turns the completions or chunks of one exchange into events, in order."""

    __slots__ = ("_choices", "_id", "_model", "_tier", "_vendor", "started")

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._id: str | None = None
        self._model: str | None = None
        self._tier: str | None = None
        self._choices: dict[int, ChoiceReader] = {}
        self.started = False

    @property
    def finished(self) -> bool:
        return bool(self._choices) and all(choice.finished for choice in self._choices.values())

    def read(self, answer: Answer) -> Iterator[Event]:
        yield from self._start(answer)
        for told in answer.choices or ():
            choice = self._choices.get(told.index)
            if choice is None:
                choice = self._choices[told.index] = ChoiceReader(told.index)
            yield from choice.read(told, self._id)
        raw = answer.told_usage
        if raw is not None:
            yield from self._usage(raw)

    def close(self) -> Iterator[Event]:
        """The ends that were not told."""
        for choice in self._choices.values():
            yield from choice.finish(None, None)

    def _start(self, answer: Answer) -> Iterator[Event]:
        """The beginning, again where its id or model is told late: Azure's first chunk has neither."""
        self._tier = answer.service_tier or self._tier
        known = (self._id, self._model)
        self._id = self._id or answer.id or None
        self._model = self._model or answer.model or None
        if not self.started or known != (self._id, self._model):
            self.started = True
            yield Started(id=self._id, model=self._model)

    def _usage(self, raw: bytes) -> Iterator[Event]:
        usage = openai_usage_in(raw, self._vendor)
        if usage is not None:
            yield UsageReported(usage=usage, raw=raw, service_tier=self._tier)
