"""An answer in OpenAI's Responses: its events as a stream, or as one response.

1. A stream begins with `response.created` and `response.in_progress`, and ends with the event that carries the whole
   response: `response.completed`, `.incomplete` or `.failed`. There is no `[DONE]`.
2. Every event has its name twice, in the stream's `event:` line and as its `type`, and is numbered from 0.
3. A stream that broke off ends as OpenAI's do: an `error` event and `response.failed`. OpenAI documents the error's
   fields at the top of the event and sends them within `error`, by which its SDKs know an error: here they are in both.
   Where the stream was the provider's own, only the `error` event is added: SDKs take a response with another id than
   the one that began for a defect of the stream, and raise that instead of the error.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import Event, Failed, FinishReason, Json, Started, TextDelta, UsageReported
from arouter.wire import sse
from arouter.wire.errors import error_object
from arouter.wire.openai_responses.echo import echoed
from arouter.wire.openai_responses.output import Output
from arouter.wire.openai_responses.output_items import MessageItem
from arouter.wire.openai_responses.usage import usage_object

_INCOMPLETE: Mapping[FinishReason | None, str] = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
}
_TEXT_DELTA = "response.output_text.delta"
_RATE_LIMIT = "rate_limit_error"
_BROKE_OFF = "The provider broke off its answer."

_json = msgspec.json.Encoder().encode


class ResponsesWriter:
    """Writes one answer (`arouter.wire.answer.AnswerWriter`).

    `id` is our generation id, `created_s` Unix seconds; `model` is named until `Started` names another. `fields` is the
    request's top-level object, whose settings an answer repeats; InvalidRequest if one of them is not JSON.
    `begun` says that somebody else has begun the stream.
    """

    __slots__ = ("_begun", "_created_s", "_echo", "_id", "_is_foreign", "_model", "_number", "_output")

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the field's own name
        created_s: int,
        model: str,
        fields: Mapping[str, msgspec.Raw],
        begun: bool = False,
    ) -> None:
        self._id = id
        self._created_s = created_s
        self._model = model
        self._echo = echoed(fields)
        self._output = Output(id)
        self._number = 0
        self._begun = begun
        self._is_foreign = begun

    def encode(self, events: Sequence[Event]) -> bytes:
        """The events that tell `events`. `UsageReported` and `Failed` write nothing here: the one is told by `last`,
        the other by `error`."""
        if len(events) == 1:
            event = events[0]
            if type(event) is TextDelta and event.choice == 0:
                message = self._output.extend(event.text)
                if message is not None:
                    return self._piece(message, event.text)
        told = [event for event in events if not isinstance(event, UsageReported | Failed)]
        if not told:
            return b""
        self._name_model(told)
        return self._begin() + self._written(self._output.add(told))

    def _piece(self, message: MessageItem, text: str) -> bytes:
        """The event of a text without log probabilities: only the text itself is encoded."""
        part = message.parts[-1]
        if not part.head:
            place: Json = {"item_id": message.id, "output_index": message.position, "content_index": part.index}
            told = _json({"type": _TEXT_DELTA, **place})
            part.head = b"event: " + _TEXT_DELTA.encode() + b"\ndata: " + told[:-1] + b',"delta":'
        number = self._number
        self._number += 1
        return part.head + _json(text) + b',"logprobs":[],"sequence_number":%d}\n\n' % number

    def last(self, charge: Charge | None) -> bytes:
        """The event that ends the stream, with the usage, if there is one."""
        ended = self._begin() + self._written(self._output.end())
        response = self._response(charge)
        return ended + self._written([{"type": f"response.{response['status']}", "response": response}])

    def error(self, message: str, code: str, metadata: Mapping[str, object], *, type_: str) -> bytes:
        """The end of a stream that broke off."""
        begun = self._begin()
        self._output.break_off()
        error = error_object(message=message, type_=type_, param=None, code=code, metadata=metadata)
        told: Json = {"type": "error", "code": code, "message": message, "param": None, "error": error}
        if self._is_foreign:
            return self._written([told])
        # This one's codes are a closed list.
        failure = {"code": "rate_limit_exceeded" if type_ == _RATE_LIMIT else "server_error", "message": message}
        response = self._shape("failed", error=failure, output=self._output.told())
        return begun + self._written([told, {"type": "response.failed", "response": response}])

    def whole(self, events: Sequence[Event], charge: Charge) -> bytes:
        """The response that tells `events`."""
        self._name_model(events)
        for _ in self._output.add(events):
            pass
        for _ in self._output.end():
            pass
        return _json(self._response(charge))

    def _name_model(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Started) and event.model is not None:
                self._model = event.model

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        response = self._shape("in_progress")
        kinds = ("response.created", "response.in_progress")
        return self._written({"type": kind, "response": response} for kind in kinds)

    def _written(self, events: Iterable[Json]) -> bytes:
        pieces = []
        for event in events:
            kind = event["type"]
            assert isinstance(kind, str)
            event["sequence_number"] = self._number
            self._number += 1
            pieces.append(sse.encode(_json(event), kind.encode()))
        return b"".join(pieces)

    def _response(self, charge: Charge | None) -> Json:
        """The response at its end."""
        finished = self._output.finished
        usage = None if charge is None else usage_object(charge)
        output = self._output.told()
        if finished is FinishReason.ERROR:
            error = {"code": "server_error", "message": _BROKE_OFF}
            return self._shape("failed", error=error, output=output, usage=usage)
        reason = _INCOMPLETE.get(finished)
        if reason is not None:
            return self._shape("incomplete", incomplete_details={"reason": reason}, output=output, usage=usage)
        return self._shape("completed", output=output, usage=usage)

    def _shape(
        self,
        status: str,
        *,
        error: Mapping[str, str] | None = None,
        incomplete_details: Mapping[str, str] | None = None,
        output: Sequence[Json] = (),
        usage: Json | None = None,
    ) -> Json:
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created_s,
            "status": status,
            "error": error,
            "incomplete_details": incomplete_details,
            "model": self._model,
            "output": output,
            "usage": usage,
            **self._echo,
        }
