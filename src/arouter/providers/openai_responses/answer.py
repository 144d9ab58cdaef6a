"""A response, whole or as a stream of named events, read into canonical events.

1. The last event of a stream holds the whole response again: what no event before it told is taken from there.
2. Usage comes with the end, whichever it is: `response.completed`, `response.incomplete` or `response.failed`.
3. A response that failed is a `Failed` after its usage. One that failed without any is an UpstreamFailed: nothing was
   spent, and somebody else may be asked.
4. An `error` event and nonsense after a good start are a `Failed`; nonsense at the start is not this dialect. Events
   of a type that is not known here are passed over, and nothing counts after the end.
"""

from collections.abc import Iterator

import msgspec

from arouter.domain.chat import Event, Failed, Finished, FinishReason, Started, UsageReported
from arouter.domain.errors import UpstreamFailed
from arouter.providers.openai_error import MALFORMED, error_object, not_this_dialect, read_error
from arouter.providers.openai_responses.output import Output
from arouter.providers.openai_responses.schema import (
    ENDS,
    NULL,
    Response,
    StreamEvent,
    decode_event,
    decode_outline,
    decode_response,
    finish_of,
    usage_of,
)
from arouter.wire import sse

_OK = 200
EXPECTED = "a response"
_FORMATS = {"azure": "azure-openai-responses-v1", "xai": "xai-responses-v1"}
_OUR_EVENTS = ENDS | {
    "error",
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.annotation.added",
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
}


def thought_format(vendor: str) -> str:
    """The name of the vendor's ciphertexts in `reasoning_details`."""
    return _FORMATS.get(vendor, "openai-responses-v1")


def read_response(vendor: str, body: bytes) -> list[Event]:
    """The events of a whole answer. UpstreamFailed if it is an error or no response."""
    try:
        response = decode_response(body)
        if response.output is None and response.error == NULL:
            raise not_this_dialect(vendor, EXPECTED, body)
        if response.error != NULL and usage_of(response, vendor) is None:
            raise read_error(vendor, _OK, body)
        reader = _Reader(vendor)
        return [*reader.start(response), *reader.end(response)]
    except MALFORMED as error:
        raise not_this_dialect(vendor, EXPECTED, body) from error


class ResponsesStream:
    """Reads one streamed answer: bytes in, in pieces of any size; events out."""

    __slots__ = ("_complete", "_failed", "_reader", "_splitter", "_vendor")

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._splitter = sse.Splitter()
        self._reader = _Reader(vendor)
        self._complete = False
        self._failed = False

    @property
    def complete(self) -> bool:
        """Whether the event has come that ends the response."""
        return self._complete and not self._failed

    def take_usage(self) -> None:
        """None: no usage is kept back."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. UpstreamFailed(retryable=False) if it is not this dialect."""
        events: list[Event] = []
        try:
            for arrived in self._splitter.feed(data):
                if self._complete or self._failed:
                    break
                if arrived.data and arrived.data != sse.DONE:
                    self._read(arrived.data, events)
        except sse.EventTooLarge as error:
            events.append(self._nonsense(data, error))
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        try:
            events.extend(self._translate(decode_event(data), data))
        except msgspec.ValidationError as error:
            if not _is_of_unknown_kind(data):
                events.append(self._nonsense(data, error))
        except MALFORMED as error:
            events.append(self._nonsense(data, error))

    def _translate(self, event: StreamEvent, data: bytes) -> Iterator[Event]:
        reader = self._reader
        if event.type == "error" or (not event.type and event.error != NULL):
            self._failed = True
            yield _failed(data)
        elif event.response is not None:
            yield from reader.start(event.response)
            if event.type in ENDS:
                self._complete = True
                yield from reader.end(event.response)
        elif event.type == "response.output_item.added":
            yield from reader.output.open(event.output_index, event.item)
        elif event.type == "response.output_item.done":
            yield from reader.output.close(event.output_index, event.item)
        elif event.type == "response.output_text.annotation.added":
            yield from reader.output.annotate(event)
        else:
            yield from reader.output.extend(event)

    def _nonsense(self, data: bytes, cause: Exception) -> Failed:
        """Rule 4."""
        self._failed = True
        failed: UpstreamFailed = not_this_dialect(self._vendor, EXPECTED, data)
        if not self._reader.started:
            raise failed from cause
        return Failed(message=failed.message)


class _Reader:
    """What is common to a whole response and a streamed one."""

    __slots__ = ("_vendor", "output", "started")

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self.output = Output(thought_format(vendor))
        self.started = False

    def start(self, response: Response) -> Iterator[Event]:
        if not self.started:
            self.started = True
            yield Started(id=response.id, model=response.model)

    def end(self, response: Response) -> Iterator[Event]:
        """What it used, what was not told of its output, why it ended, and what failed.

        Usage comes first, so that nothing that is wrong with the rest can hide it.
        """
        used = usage_of(response, self._vendor)
        if used is not None:
            usage, raw = used
            yield UsageReported(usage=usage, raw=raw, service_tier=response.service_tier)
        for index, item in enumerate(response.output or ()):
            yield from self.output.close(index, item)
        reason, native = finish_of(response)
        if reason == FinishReason.STOP and self.output.called:
            reason = FinishReason.TOOL_CALLS
        yield Finished(reason=reason, native_reason=native)
        if response.error != NULL:
            yield _failed(b'{"error":' + bytes(response.error) + b"}")


def _failed(data: bytes) -> Failed:
    """The failure that an `error` event, or the error of a response, tells of."""
    told = error_object(data)
    name = None if told.name == "error" else told.name
    return Failed(message=told.message or "The provider reported an error.", code=name)


def _is_of_unknown_kind(data: bytes) -> bool:
    """Whether an event that does not look as expected is none that we know."""
    try:
        return decode_outline(data).type not in _OUR_EVENTS
    except MALFORMED:
        return False
