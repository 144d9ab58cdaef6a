"""The canonical chat: what every dialect's request is read into, and every answer is told in.

A request is a frozen value; an answer, streamed or whole, is a sequence of events. Translating from dialect A to
dialect B is then reading A's request and writing B's, and reading B's answer and writing A's.

Tool arguments travel as the JSON text that was written, never as parsed values: a model's half-finished or
oddly spaced JSON must arrive as it left. None means that the client did not say.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Literal

from arouter.domain.usage import Usage
from arouter.domain.value import value

Json = dict[str, object]
"""A decoded JSON object."""

# ---------------------------------------------------------------- parts of a message


@value(frozen=True, slots=True, kw_only=True)
class Text:
    text: str
    cache_control: Json | None = None
    """A cache mark as the client sent it (`{"type": "ephemeral", "ttl": "1h"}`)."""


@value(frozen=True, slots=True, kw_only=True)
class Image:
    """An image by URL or by value; exactly one of `url` and `data` is set."""

    url: str | None = None
    data: str | None = None
    """Base64."""
    media_type: str | None = None
    detail: str | None = None
    cache_control: Json | None = None


@value(frozen=True, slots=True, kw_only=True)
class Audio:
    data: str
    """Base64."""
    format: str
    """`wav`, `mp3`, …"""


@value(frozen=True, slots=True, kw_only=True)
class File:
    """A document by URL, by value or by the provider's own id."""

    url: str | None = None
    data: str | None = None
    """Base64."""
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None
    cache_control: Json | None = None


@value(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """What the model thought earlier, sent back so that it can go on.

    `signature` and `data` are the provider's own proofs and ciphertexts: kept byte for byte, meaningful only to the
    provider named in `format`.
    """

    text: str = ""
    signature: str | None = None
    data: str | None = None
    """Encrypted or redacted reasoning."""
    format: str | None = None
    """The `reasoning_details` format name, such as `anthropic-claude-v1`, `google-gemini-v1`."""
    id: str | None = None


@value(frozen=True, slots=True, kw_only=True)
class Refusal:
    text: str


@value(frozen=True, slots=True, kw_only=True)
class ToolCall:
    id: str
    name: str
    arguments: str
    """JSON text, as written."""
    signature: str | None = None
    """A provider's proof that belongs to this call (Gemini's `thoughtSignature`)."""


Part = Text | Image | Audio | File | Reasoning | Refusal

Role = Literal["system", "developer", "user", "assistant", "tool"]


@value(frozen=True, slots=True, kw_only=True)
class Message:
    role: Role
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant."""
    tool_call_id: str | None = None
    """Of a tool: which call this is the result of."""
    name: str | None = None
    is_error: bool = False
    """Of a tool: the call failed."""


# ---------------------------------------------------------------- the request


@value(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    description: str | None = None
    parameters: Json | None = None
    """A JSON Schema."""
    strict: bool | None = None
    cache_control: Json | None = None


@value(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None
    """The tool's name where mode is `named`."""
    allowed: tuple[str, ...] | None = None
    """The tools to choose from, where the client narrowed them."""


@value(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: Json | None = None
    strict: bool | None = None


@value(frozen=True, slots=True, kw_only=True)
class ReasoningRequest:
    effort: str | None = None
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh`."""
    max_tokens: int | None = None
    exclude: bool = False
    """Think, but do not show it."""


@value(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat completion, whatever dialect it came in."""

    model: str
    """The upstream's own name of the model."""
    messages: tuple[Message, ...]
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    reasoning: ReasoningRequest | None = None
    service_tier: str | None = None
    identity: str | None = None
    """The pseudonym of the end user for the provider; never the raw value."""
    rest: Mapping[str, object] = field(default_factory=dict)
    """Fields that the ingress dialect has and this form does not, decoded; an adapter uses or drops each by name."""


# ---------------------------------------------------------------- the answer, as events


class FinishReason(StrEnum):
    """OpenAI's finish reasons, and `error` for an answer that broke off."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


@value(frozen=True, slots=True, kw_only=True)
class Started:
    """The provider began to answer."""

    id: str | None = None
    """The provider's id of the answer."""
    model: str | None = None
    """The model that answers, by the provider's own name."""


@value(frozen=True, slots=True, kw_only=True)
class TextDelta:
    text: str
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class ReasoningDelta:
    """A piece of visible thought, or a proof that closes it."""

    text: str = ""
    signature: str | None = None
    data: str | None = None
    format: str | None = None
    id: str | None = None
    index: int = 0
    """Which block of thought within the answer."""
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class RefusalDelta:
    text: str
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class ToolCallStarted:
    """A call begins. `index` counts the calls of the choice from 0."""

    index: int
    id: str
    name: str
    signature: str | None = None
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class ToolCallArguments:
    """The next piece of the JSON text of a call's arguments."""

    index: int
    fragment: str
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class Annotated:
    """A citation in OpenAI's `annotations` form."""

    annotation: Json
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class ImageMade:
    """An image in the answer: a `data:` URL."""

    url: str
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class LogprobsTold:
    """OpenAI's `logprobs.content` entries."""

    content: tuple[Json, ...]
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class Finished:
    reason: FinishReason
    native_reason: str | None = None
    """The provider's own word."""
    choice: int = 0


@value(frozen=True, slots=True, kw_only=True)
class UsageReported:
    """Usage as far as the provider has told it. It may come more than once; the last one counts."""

    usage: Usage
    raw: bytes
    """The provider's usage object as JSON; several objects of one answer merged into one."""
    service_tier: str | None = None
    """What it was served with, where the provider tells that beside its usage object and not in it."""


@value(frozen=True, slots=True, kw_only=True)
class Failed:
    """The provider reports an error in the middle of a stream."""

    message: str
    code: str | None = None
    """The provider's own code or type."""


ChoiceEvent = (
    TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallStarted
    | ToolCallArguments
    | Annotated
    | ImageMade
    | LogprobsTold
    | Finished
)
"""The events that belong to a choice."""

Event = Started | ChoiceEvent | UsageReported | Failed
