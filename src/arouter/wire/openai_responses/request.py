"""A request of OpenAI's Responses, read into the canonical form."""

from collections.abc import Iterator, Mapping

import msgspec

from arouter.domain.chat import ChatRequest, ReasoningRequest, ResponseFormat
from arouter.domain.errors import InvalidRequest
from arouter.wire.efforts import read_effort, read_reasoning
from arouter.wire.fields import Fields, decoded, wrong_type, wrong_value
from arouter.wire.gateway_fields import GATEWAY_FIELDS
from arouter.wire.openai_responses.input_items import Conversation, read_conversation
from arouter.wire.openai_responses.tools import read_tool_choice, read_tools

CANONICAL_FIELDS = frozenset(
    {
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "top_logprobs",
        "include",
        "text",
        "reasoning",
        "service_tier",
    }
)
"""Read into fields of `ChatRequest`. OpenRouter's Responses have the penalties and `top_k`."""

KEPT_ELSEWHERE: Mapping[str, str] = {
    "previous_response_id": "Send the items of the conversation so far in `input`",
    "conversation": "Send the items of the conversation so far in `input`",
    "prompt": "Send its text in `instructions`",
}
"""Fields that name something kept at OpenAI, and what to send instead."""

LOGPROBS = "message.output_text.logprobs"
_ALWAYS_INCLUDED = "reasoning.encrypted_content"
"""A client of ours needs it to go on: nothing of the conversation is kept here."""

_ASKS_FOR_NOTHING: Mapping[str, object] = {"truncation": "disabled", "background": False}
_PARTLY_READ: Mapping[str, frozenset[str]] = {
    "reasoning": frozenset({"effort", "summary", "generate_summary", "max_tokens", "exclude", "enabled"}),
    "text": frozenset({"format", "verbosity"}),
}
"""What is read of these objects. Thoughts are shown whether or not a summary is asked for: other providers have one
kind of them."""


def read_responses(fields: Mapping[str, msgspec.Raw], *, model: str, identity: str | None, stream: bool) -> ChatRequest:
    """The canonical form of a request.

    `fields` is the top-level object with its values undecoded; `model` is the upstream's own name of the model and
    `identity` the pseudonym of the end user. InvalidRequest, naming the field, if something is missing or malformed,
    or cannot be had from another provider than OpenAI at all.
    """
    request = Fields({name: decoded(name, raw) for name, raw in fields.items() if name not in GATEWAY_FIELDS})
    _refuse_state(request)
    conversation = read_conversation(request)
    tools, other_tools = read_tools([*request.children("tools"), *conversation.tools])
    tool_choice, other_choice = read_tool_choice(request)
    rest = dict(_rest(request, conversation))
    if other_tools:
        rest["tools"] = list(other_tools)
    if other_choice is not None:
        rest["tool_choice"] = other_choice
    top_logprobs = request.integer("top_logprobs")
    logprobs = LOGPROBS in _included(request) or bool(top_logprobs)
    return ChatRequest(
        model=model,
        messages=tuple(conversation.messages),
        stream=stream,
        tools=tools,
        tool_choice=tool_choice,
        parallel_tool_calls=request.flag("parallel_tool_calls"),
        max_tokens=request.integer("max_output_tokens"),
        temperature=request.number("temperature"),
        top_p=request.number("top_p"),
        top_k=request.integer("top_k"),
        frequency_penalty=request.number("frequency_penalty"),
        presence_penalty=request.number("presence_penalty"),
        logprobs=True if logprobs else None,
        top_logprobs=top_logprobs if logprobs else None,
        response_format=_response_format(request),
        reasoning=_reasoning(request),
        service_tier=request.text("service_tier"),
        identity=identity,
        rest=rest,
    )


def _refuse_state(request: Fields) -> None:
    """What only OpenAI can do, because it keeps conversations."""
    for name, instead in KEPT_ELSEWHERE.items():
        if request.get(name) is not None:
            raise InvalidRequest(
                f"`{name}` names something that is kept at OpenAI, which the provider of this model cannot see. "
                f"{instead}, or ask a model of OpenAI.",
                code="unsupported_parameter",
                param=name,
            )
    if request.flag("background"):
        raise InvalidRequest(
            "The provider of this model answers at once and not in the background. "
            "Leave `background` out and wait for the answer, or ask a model of OpenAI.",
            code="unsupported_parameter",
            param="background",
        )


def _rest(request: Fields, conversation: Conversation) -> Iterator[tuple[str, object]]:
    """What has no canonical form, by names that say what it is and that no adapter takes for a field of its own."""
    for name, value in request.values.items():
        if value is None or name in CANONICAL_FIELDS or _ASKS_FOR_NOTHING.get(name) == value:
            continue
        # An array is OpenAI's; Anthropic has an object of the same name, which a client may mean.
        yield (
            "context_management.compaction" if name == "context_management" and isinstance(value, list) else name,
            value,
        )
    for name, read in _PARTLY_READ.items():
        for inner, value in (request.json(name) or {}).items():
            if value is not None and inner not in read:
                yield f"{name}.{inner}", value
    verbosity = Fields(request.json("text") or {}, "text").text("verbosity")
    if verbosity is not None:
        yield "verbosity", verbosity  # As it is called in chat completions.
    included = [name for name in _included(request) if name not in (LOGPROBS, _ALWAYS_INCLUDED)]
    if included:
        yield "include", included
    for kind, items in conversation.others.items():
        yield f"input.{kind}", items


def _included(request: Fields) -> list[str]:
    return [_text(value, f"include[{at}]") for at, value in enumerate(request.array("include") or ())]


def _text(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(param, "a string", value)
    return value


def _response_format(request: Fields) -> ResponseFormat | None:
    text = request.child("text")
    form = None if text is None else text.child("format")
    if form is None:
        return None
    match form.required_text("type"):
        case "text" | "json_object" as kind:
            return ResponseFormat(kind=kind)
        case "json_schema":
            return ResponseFormat(
                kind="json_schema", name=form.text("name"), schema=form.json("schema"), strict=form.flag("strict")
            )
        case _:
            raise wrong_value(form.param("type"), "text, json_object or json_schema")


def _reasoning(request: Fields) -> ReasoningRequest | None:
    """OpenAI's effort, and the fields that OpenRouter adds to it in both of its dialects."""
    wanted = request.child("reasoning")
    if wanted is None:
        return None
    wanted.text("summary")
    return read_reasoning(wanted, read_effort(wanted, "effort"))
