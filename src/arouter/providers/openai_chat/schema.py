"""The shapes of a completion and of a chunk, as far as they are read.

Only what must have its type has one. Vendors put objects of nothing (`"function_call": {"name": ""}`), empty strings
and nulls wherever OpenAI has a value or none, and a text may be a list of parts: such a field is `object`, and whoever
reads it takes what it understands.
"""

import msgspec

from arouter.domain.chat import Json

NULL = msgspec.Raw(b"null")


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: object = None


class Custom(msgspec.Struct, gc=False):
    """A tool that takes plain text."""

    name: str | None = None
    input: str | None = None


class CallPiece(msgspec.Struct, gc=False):
    """A whole call, or the next piece of one."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: object = None


class Detail(msgspec.Struct, gc=False):
    """An entry of `reasoning_details`, or a piece of one."""

    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    format: str | None = None
    id: str | None = None
    index: int | None = None


class Message(msgspec.Struct, gc=False):
    """`message` of a completion, `delta` of a chunk."""

    content: object = None
    reasoning: object = None
    reasoning_content: object = None
    reasoning_details: list[Detail] | None = None
    refusal: object = None
    tool_calls: list[CallPiece] | None = None
    function_call: Function | None = None
    annotations: list[Json] | None = None
    images: list[Json] | None = None


class Logprobs(msgspec.Struct, gc=False):
    content: list[Json] | None = None


class Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Message | None = None
    message: Message | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: Logprobs | None = None
    usage: msgspec.Raw = NULL
    """Where Moonshot tells it in a stream."""


class _GroqExtra(msgspec.Struct, gc=False):
    usage: msgspec.Raw = NULL


class Answer(msgspec.Struct, gc=False):
    """A completion or a chunk."""

    id: str | None = None
    model: str | None = None
    object: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = NULL
    x_groq: _GroqExtra | None = None
    service_tier: str | None = None
    error: msgspec.Raw = NULL

    @property
    def told_usage(self) -> bytes | None:
        """The usage object, wherever it is."""
        places = [self.usage, *(choice.usage for choice in self.choices or ())]
        if self.x_groq is not None:
            places.append(self.x_groq.usage)
        return next((bytes(place) for place in places if place != NULL), None)

    @property
    def is_error(self) -> bool:
        """vLLM writes its errors without an `error` around them."""
        return self.error != NULL or (self.object == "error" and self.choices is None)


decode = msgspec.json.Decoder(Answer).decode
