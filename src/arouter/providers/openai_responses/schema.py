"""The shapes of a response and of the events of its stream, as far as they are read, and what its end means."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from arouter.domain.chat import FinishReason, Json
from arouter.domain.usage import Usage
from arouter.providers.openai_error import MALFORMED
from arouter.providers.usage import Count, openai_usage_in

NULL = msgspec.Raw(b"null")

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
"""The events with which a stream ends, each with the whole response; beside them there is `error`."""

UNFINISHED = frozenset({"queued", "in_progress"})
"""The status of a response that is made in the background."""

_STATUS_REASONS: Mapping[str, FinishReason] = {
    "completed": FinishReason.STOP,
    "complete": FinishReason.STOP,
    "incomplete": FinishReason.LENGTH,
}
"""`complete` is what a response of OpenAI's first API version says. Every other status is no end that a client may
take for one."""


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """A response, whole or as an event tells of it."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = NULL
    tool_usage: msgspec.Raw = NULL
    service_tier: str | None = None
    incomplete_details: _Incomplete | None = None
    error: msgspec.Raw = NULL


class StreamEvent(msgspec.Struct, gc=False):
    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: object = None
    logprobs: list[Json] | None = None
    annotation: Json | None = None
    item: msgspec.Raw = NULL
    response: Response | None = None
    error: msgspec.Raw = NULL


class Outline(msgspec.Struct, gc=False):
    """So much of an event, or of an item, as says whether we know its kind."""

    type: str = ""


class Part(msgspec.Struct, gc=False):
    """A part of a message or of a thought."""

    type: str = ""
    text: str = ""
    refusal: str = ""
    annotations: list[Json] | None = None
    logprobs: list[Json] | None = None


class Item(msgspec.Struct, gc=False):
    """An item of `output` of a type that becomes events."""

    type: str = ""
    id: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str = ""
    arguments: str = ""
    input: str = ""
    result: str | None = None
    output_format: str | None = None


class _WebSearch(msgspec.Struct, gc=False):
    num_requests: Count | None = None


class _ToolUsage(msgspec.Struct, gc=False):
    web_search: _WebSearch | None = None


decode_response = msgspec.json.Decoder(Response).decode
decode_event = msgspec.json.Decoder(StreamEvent).decode
decode_outline = msgspec.json.Decoder(Outline).decode
decode_item = msgspec.json.Decoder(Item).decode
_decode_tool_usage = msgspec.json.Decoder(_ToolUsage | None).decode


def finish_of(response: Response) -> tuple[FinishReason, str | None]:
    """Why a response ended, in our words and in its own. A call in its output is not looked for."""
    status = response.status
    why = None if response.incomplete_details is None else response.incomplete_details.reason
    if status == "incomplete" and why is not None:
        filtered = why == "content_filter"
        return FinishReason.CONTENT_FILTER if filtered else FinishReason.LENGTH, why
    return _STATUS_REASONS.get(status or "", FinishReason.ERROR), status


def usage_of(response: Response, vendor: str) -> tuple[Usage, bytes] | None:
    """What was used, and the usage object; None where nothing was told. Searches are told beside it."""
    if response.usage == NULL:
        return None
    raw = bytes(response.usage)
    usage = openai_usage_in(raw, vendor)
    if usage is None:
        return None
    searches = _searches(response.tool_usage)
    return (usage if searches is None else replace(usage, web_searches=searches)), raw


def _searches(tool_usage: msgspec.Raw) -> int | None:
    try:
        told = _decode_tool_usage(tool_usage)
    except MALFORMED:
        return None
    return None if told is None or told.web_search is None else told.web_search.num_requests
