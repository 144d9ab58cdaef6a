"""An answer in Gemini's words, streamed in either form or whole.

The forms of a stream: server-sent events (`alt=sse`), each with one `GenerateContentResponse` and without an end mark,
or one JSON array of them. `finishReason`, `usageMetadata` and what is cited come in the last chunk.
"""

from collections.abc import Mapping, Sequence

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import ChoiceEvent, Event, Json, Started
from arouter.wire import sse
from arouter.wire.gemini_generate.candidates import Candidate
from arouter.wire.gemini_generate.errors import stream_error
from arouter.wire.gemini_generate.usage import usage_metadata

_json = msgspec.json.Encoder().encode


class GenerateWriter:
    """Writes one answer; `arouter.wire.answer.AnswerWriter`."""

    __slots__ = ("_begun", "_candidates", "_id", "_model", "_sse")

    def __init__(self, *, id: str, model: str, as_array: bool = False, begun: bool = False) -> None:  # noqa: A002 - the field's own name
        """`id` is our generation id. `as_array`: the stream is one JSON array; `begun` says that somebody else has
        written elements of it, so that what comes here only goes on."""
        self._id = id
        self._model = model
        self._sse = not as_array
        self._begun = begun
        self._candidates: dict[int, Candidate] = {}

    def encode(self, events: Sequence[Event]) -> bytes:
        """The chunk that tells `events`; empty where they add nothing. Calls are told once they are whole.

        `Started` names the model of this chunk and those after it. `UsageReported` and `Failed` write nothing here:
        the one is told by `last`, the other by `error`.
        """
        self._add(events)
        told = [piece for _, one in sorted(self._candidates.items()) if (piece := one.take()) is not None]
        return self._framed(_json(self._answer(told))) if told else b""

    def last(self, charge: Charge | None) -> bytes:
        """The last chunk, with the reasons and the usage, and the end of the array. None: without usage."""
        return self._framed(self._end(charge)) + (b"" if self._sse else b"]")

    def error(self, message: str, code: str, metadata: Mapping[str, object], *, type_: str) -> bytes:
        """The chunk that tells that the answer broke off, and the end of the array."""
        return self._framed(stream_error(message, code, metadata, type_)) + (b"" if self._sse else b"]")

    def whole(self, events: Sequence[Event], charge: Charge) -> bytes:
        """The body that tells `events`. A candidate that never finished has no `finishReason`."""
        self._add(events)
        return self._end(charge)

    def _add(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, ChoiceEvent):
                candidate = self._candidates.get(event.choice)
                if candidate is None:
                    candidate = self._candidates[event.choice] = Candidate(event.choice)
                candidate.add(event)
            elif isinstance(event, Started) and event.model is not None:
                self._model = event.model

    def _end(self, charge: Charge | None) -> bytes:
        answer = self._answer([candidate.last() for _, candidate in sorted(self._candidates.items())])
        if charge is not None:
            answer["usageMetadata"] = usage_metadata(charge)
        return _json(answer)

    def _answer(self, candidates: list[Json]) -> Json:
        return {"candidates": candidates, "modelVersion": self._model, "responseId": self._id}

    def _framed(self, body: bytes) -> bytes:
        if self._sse:
            return sse.encode(body)
        mark = b",\r\n" if self._begun else b"["
        self._begun = True
        return mark + body
