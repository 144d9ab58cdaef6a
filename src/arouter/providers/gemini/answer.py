"""A generateContent answer, whole or as server-sent events, read into canonical events.

1. A whole answer and each event of a stream have one shape, so one reader reads both.
2. Text is text; a part marked `thought` is reasoning. A `thoughtSignature` stays with its call, and is reasoning of
   its own everywhere else. The parts of tools that Google runs itself (`executableCode`, `toolCall`, …) are no calls
   for the client to answer: they are left out, with their signatures.
3. A call without an id gets one made from the answer's id and its place, the same on every reading.
4. Arguments keep their order of keys and every digit; only white space between tokens goes.
5. Usage comes in every event, and the last one counts. In the middle of a stream it is checked, and kept back until
   somebody asks for it: the next event has another one, and to read it takes longer than the rest of the event.
6. `finishReason` ends a choice; a blocked prompt ends the answer without one.
7. Nonsense at the start is not this dialect, and UpstreamFailed; nonsense after a good start is a `Failed` event, so
   that what was told before it, usage above all, is not lost with it.
"""

from collections.abc import Callable
from hashlib import blake2b

import msgspec

from arouter.domain.chat import (
    Annotated,
    Event,
    Failed,
    Finished,
    FinishReason,
    ImageMade,
    Json,
    LogprobsTold,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.errors import UpstreamFailed
from arouter.domain.value import constructor
from arouter.providers.gemini.citations import of_grounding, of_quotes
from arouter.providers.gemini.contents import REASONING_FORMAT
from arouter.providers.gemini.error import ErrorObject, failure, message_of, read_error_object
from arouter.providers.gemini.schema import (
    NOTHING,
    Answer,
    Blob,
    Candidate,
    FunctionCall,
    Logprobs,
    Part,
    Token,
    decode,
    not_this_dialect,
)
from arouter.providers.text_usage import gemini_text_usage
from arouter.providers.usage import gemini_usage
from arouter.wire.gemini_generate.reasons import read_reason
from arouter.wire.sse import EventTooLarge, Splitter, data_of

_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_text_delta = constructor(TextDelta)
_decode_usage: Callable[[msgspec.Raw], dict[str, object] | None] = msgspec.json.Decoder(dict[str, object] | None).decode


def read_answer(body: bytes) -> list[Event]:
    """The events of a whole answer. UpstreamFailed if it is an error or not this dialect.

    Each choice is finished in the end: one without a reason broke off, and so did an answer without any choice.
    """
    answer = decode(body)
    if answer.error is not None:
        raise failure(answer.error.code, answer.error)
    reader = _Reader()
    events: list[Event] = []
    reader.read(answer, events)
    reader.close(events)
    return events


class GeminiStreamReader:
    """Reads a stream of server-sent events; see the head of this file."""

    __slots__ = ("_reader", "_splitter")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._reader = _Reader()

    @property
    def complete(self) -> bool:
        """Whether every choice that began has its `finishReason`, or the prompt was blocked."""
        return self._reader.complete

    def take_usage(self) -> UsageReported | None:
        """Rule 5."""
        return self._reader.take_usage()

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. UpstreamFailed(retryable=False) if it is not this dialect."""
        events: list[Event] = []
        try:
            only = self._splitter.only_event(data)
            if only is not None:
                self._read(only, events)
                self._reader.keeps_usage = True
                return events
            for block in self._splitter.cut(data):
                said = data_of(block) or bare(block)
                if said:
                    self._read(said, events)
            if events:
                self._reader.keeps_usage = True
        except EventTooLarge as exc:
            events.append(self._nonsense(not_this_dialect(str(exc))))
        except UpstreamFailed as exc:
            events.append(self._nonsense(exc))
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        # An error in the middle of a stream may be the one element of an array.
        error = read_error_object(data) if data.startswith(b"[") else None
        if error is None:
            answer = decode(data)
            error = answer.error
        if error is not None:
            events.append(_failed(error))
            return
        self._reader.read(answer, events)

    def _nonsense(self, failed: UpstreamFailed) -> Failed:
        """Rule 7."""
        if not self._reader.started:
            raise failed
        return Failed(message=failed.message)


def bare(raw: bytes) -> bytes:
    """What stands in a stream without being an event: JSON or a page of HTML, but no comment and no lone field."""
    stripped = raw.strip()
    return stripped if stripped.startswith((b"{", b"[", b"<")) else b""


def _failed(error: ErrorObject) -> Failed:
    code = error.status or (None if error.code is None else str(error.code))
    return Failed(message=message_of(error) or "Gemini broke off with an error", code=code)


class _Choice:
    """What is known of one candidate while it is read."""

    __slots__ = ("annotated", "calls", "finished", "index", "texts", "thinking", "thought")

    def __init__(self, index: int) -> None:
        self.index = index
        self.calls = 0
        self.texts: list[str] = []
        self.thought = 0
        """The number of the next block of reasoning."""
        self.thinking = False
        """Whether a block of visible thought is open."""
        self.finished: str | None = None
        self.annotated: list[Json] = []


class _Reader:
    """Turns decoded answers of one exchange into events, in order."""

    __slots__ = ("_answer_id", "_blocked", "_choices", "_kept", "_unfinished", "keeps_usage", "started")

    def __init__(self) -> None:
        self._answer_id: str | None = None
        self.started = False
        self._blocked = False
        self._choices: dict[int, _Choice] = {}
        self._unfinished = 0
        """How many of the choices have no reason yet."""
        self.keeps_usage = False
        """Rule 5. Not in what comes first: some dialects tell there how much was read."""
        self._kept: msgspec.Raw | None = None

    @property
    def complete(self) -> bool:
        return self._blocked or (bool(self._choices) and not self._unfinished)

    def read(self, answer: Answer, events: list[Event]) -> None:
        if not self.started:
            events.append(self._start(answer))
        for candidate in answer.candidates or ():
            self._candidate(candidate, events)
        feedback = answer.prompt_feedback
        if feedback is not None and feedback.block_reason is not None and not self._blocked and not self._choices:
            self._blocked = True
            events.append(Finished(reason=FinishReason.CONTENT_FILTER, native_reason=feedback.block_reason))
        if answer.usage_metadata is not NOTHING:
            self._usage(answer.usage_metadata, events)

    def take_usage(self) -> UsageReported | None:
        if self._kept is None:
            return None
        raw, self._kept = self._kept, None
        return _reported(raw)

    def close(self, events: list[Event]) -> None:
        """The ends that a whole answer did not tell."""
        if not self._choices and not self._blocked:
            events.append(Finished(reason=FinishReason.ERROR))
        for choice in self._choices.values():
            if choice.finished is None:
                events.append(Finished(reason=FinishReason.ERROR, choice=choice.index))

    def _start(self, answer: Answer) -> Started:
        self.started = True
        self._answer_id = answer.response_id
        model = answer.model_version
        return Started(id=answer.response_id, model=None if model is None else model.removeprefix("models/"))

    def _usage(self, raw: msgspec.Raw, events: list[Event]) -> None:
        try:
            if self.keeps_usage and self._unfinished:
                if _decode_usage(raw) is not None:
                    self._kept = raw
                return
            reported = _reported(raw)
        except (ValueError, RecursionError) as exc:
            raise not_this_dialect(str(exc)) from exc
        if reported is not None:
            self._kept = None
            events.append(reported)

    def _candidate(self, candidate: Candidate, events: list[Event]) -> None:
        choice = self._choices.get(candidate.index)
        if choice is None:
            choice = self._choices[candidate.index] = _Choice(candidate.index)
            self._unfinished += 1
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._part(part, choice, events)
        if candidate.logprobs_result is not None:
            if not _says_text(candidate) and (kept := self.take_usage()) is not None:
                events.append(kept)  # Who writes them takes them for those of a text right before them.
            _add_logprobs(candidate.logprobs_result, choice, events)
        if candidate.grounding_metadata is not None or candidate.citation_metadata is not None:
            _add_annotations(candidate, choice, events)
        reason = candidate.finish_reason
        if reason is not None and reason not in (_UNSPECIFIED, choice.finished):
            if choice.finished is None:
                self._unfinished -= 1
            choice.finished = reason
            meaning = read_reason(reason, called=choice.calls > 0)
            events.append(Finished(reason=meaning, native_reason=reason, choice=choice.index))

    def _part(self, part: Part, choice: _Choice, events: list[Event]) -> None:
        text = part.text
        if text is not None and part.thought and part.function_call is None:
            events.append(
                ReasoningDelta(
                    text=text,
                    signature=part.thought_signature,
                    format=REASONING_FORMAT,
                    index=choice.thought,
                    choice=choice.index,
                )
            )
            choice.thinking = True
            return
        if choice.thinking:
            choice.thinking = False
            choice.thought += 1
        if part.function_call is not None:
            self._call(part.function_call, part.thought_signature, choice, events)
            return
        if text:
            choice.texts.append(text)
            events.append(_text_delta(text=text, choice=choice.index))
        if part.inline_data is not None:
            _add_image(part.inline_data, choice, events)
        if part.thought_signature is not None and (text is not None or part.inline_data is not None):
            _add_proof(part.thought_signature, choice, events)

    def _call(self, call: FunctionCall, signature: str | None, choice: _Choice, events: list[Event]) -> None:
        arguments = _compact(call.args)
        index = choice.calls
        choice.calls += 1
        call_id = call.id or self._call_id(call.name, arguments, index, choice.index)
        events.append(
            ToolCallStarted(index=index, id=call_id, name=call.name, signature=signature, choice=choice.index)
        )
        events.append(ToolCallArguments(index=index, fragment=arguments, choice=choice.index))

    def _call_id(self, name: str, arguments: str, index: int, choice: int) -> str:
        """Rule 3. An answer without an id, which the API always sends, is told apart by what is called."""
        answer = self._answer_id or blake2b(f"{name} {arguments}".encode(errors="replace"), digest_size=8).hexdigest()
        return f"call_{answer}_{choice}_{index}" if choice else f"call_{answer}_{index}"


def _says_text(candidate: Candidate) -> bool:
    parts = None if candidate.content is None else candidate.content.parts
    return any(part.text for part in parts or ())


def _add_image(image: Blob, choice: _Choice, events: list[Event]) -> None:
    events.append(ImageMade(url=f"data:{image.mime_type};base64,{image.data}", choice=choice.index))


def _add_proof(signature: str, choice: _Choice, events: list[Event]) -> None:
    """The signature of a text or an image: a block of reasoning of its own."""
    proof = ReasoningDelta(signature=signature, format=REASONING_FORMAT, index=choice.thought, choice=choice.index)
    events.append(proof)
    choice.thought += 1


def _compact(arguments: msgspec.Raw) -> str:
    """Rule 4. UpstreamFailed if it is no text at all; `null` is how a call without arguments may look."""
    try:
        text = msgspec.json.format(bytes(arguments), indent=-1).decode()
    except (ValueError, RecursionError) as exc:
        raise not_this_dialect(str(exc)) from exc
    return "{}" if text == "null" else text


def _reported(raw: msgspec.Raw) -> UsageReported | None:
    """None if it is null. Raises what decoding raises if it is nothing else than that or an object."""
    usage = gemini_text_usage(raw)
    if usage is None:
        told = _decode_usage(raw)
        if told is None:
            return None
        usage = gemini_usage(told)
    return UsageReported(usage=usage, raw=bytes(raw))


def _add_annotations(candidate: Candidate, choice: _Choice, events: list[Event]) -> None:
    """What is cited, each once: a stream may repeat its grounding."""
    text = "".join(choice.texts)
    found: list[Json] = []
    if candidate.grounding_metadata is not None:
        found.extend(of_grounding(candidate.grounding_metadata, text))
    if candidate.citation_metadata is not None:
        found.extend(of_quotes(candidate.citation_metadata, text))
    for annotation in found:
        if annotation not in choice.annotated:
            choice.annotated.append(annotation)
            events.append(Annotated(annotation=annotation, choice=choice.index))


def _add_logprobs(result: Logprobs, choice: _Choice, events: list[Event]) -> None:
    """OpenAI's entries: the chosen token of each step, and the likeliest ones beside it."""
    tops = result.top_candidates or []
    entries = []
    for step, chosen in enumerate(result.chosen_candidates or ()):
        likeliest = (tops[step].candidates or ()) if step < len(tops) else ()
        entries.append({**_token(chosen), "top_logprobs": [_token(token) for token in likeliest]})
    if entries:
        events.append(LogprobsTold(content=tuple(entries), choice=choice.index))


def _token(token: Token) -> Json:
    return {
        "token": token.token,
        "logprob": token.log_probability,
        "bytes": list(token.token.encode(errors="replace")),
    }
