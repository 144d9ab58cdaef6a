"""The conversation as Gemini takes it: one system instruction, and turns of `user` and `model`.

1. System and developer messages, wherever they stand, become the `systemInstruction`, in their order.
2. Neighbouring messages of one side become one turn; the results of parallel calls must stand in one.
3. A tool's result is a `functionResponse` in a user turn; its name is that of the call with the same id. Its
   `response` must be an object: a JSON object travels as it was written, any other text as `{"result": …}`, a failure
   as `{"error": …}`. Pictures that a tool gave follow as parts of their own.
4. Ids of calls are always sent, those that we or another provider made as well: Gemini takes any, and they are what
   tells two parallel calls of one function apart.
5. Thought signatures go back where they came from: on the `functionCall` of their call, on the text or image that they
   stand behind, or, where they stand before all of it, one by one on the text and image parts of the message. Those of
   other providers mean nothing here; the text of a thought is sent whoever thought it.
6. Gemini 3 refuses a history in which the first call of a step has no signature. A client that lost it, or a call that
   another model made, gets the placeholder that Google documents for this case
   (https://ai.google.dev/gemini-api/docs/thought-signatures).
7. A conversation of system messages alone gets an empty user turn, because Gemini wants at least one.
"""

from collections.abc import Sequence

import msgspec

from arouter.domain.chat import Audio, File, Image, Json, Message, Part, Reasoning, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.providers.gemini.media import audio_part, file_part, image_part
from arouter.providers.gemini.thinking import FIRST_WITH_LEVELS, Version
from arouter.wire.openai_chat.reasoning_details import GEMINI_FORMAT

REASONING_FORMAT = GEMINI_FORMAT
"""The `format` of reasoning that Gemini made."""

PLACEHOLDER_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""`skip_thought_signature_validator` in base64."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def system_instruction(messages: Sequence[Message]) -> Json | None:
    """What system and developer messages say; None if there are none."""
    parts = [
        _plain_part(part) for message in messages if message.role in ("system", "developer") for part in message.parts
    ]
    return {"parts": parts} if parts else None


def contents(messages: Sequence[Message], version: Version | None) -> list[Json]:
    """The turns. InvalidRequest if arguments are not a JSON object, or if a result belongs to no call."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    turns: list[tuple[str, list[Json]]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role, parts = _turn(message, names, version)
        if not parts:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        else:
            turns.append((role, parts))
    return [{"role": role, "parts": parts} for role, parts in turns or [("user", [{"text": ""}])]]


def _turn(message: Message, names: dict[str, str], version: Version | None) -> tuple[str, list[Json]]:
    if message.role == "assistant":
        return "model", _model_parts(message, version)
    if message.role == "tool":
        return "user", _tool_result(message, names)
    return "user", [_plain_part(part) for part in message.parts]


def _plain_part(part: Part) -> Json:
    """A part that stands for itself: text, picture, sound, document."""
    if isinstance(part, Text):
        return {"text": part.text}
    if isinstance(part, Image):
        return image_part(part)
    if isinstance(part, File):
        return file_part(part)
    if isinstance(part, Audio):
        return audio_part(part)
    return {"text": part.text}


# ---------------------------------------------------------------- what the model said


def _model_parts(message: Message, version: Version | None) -> list[Json]:
    """Thoughts, text and calls, each with its signature (rules 5 and 6)."""
    parts: list[Json] = []
    signatures: list[str] = []
    of_calls: dict[str, str] = {}
    call_ids = {call.id for call in message.tool_calls}
    for part in message.parts:
        if not isinstance(part, Reasoning):
            parts.append(_plain_part(part))
            continue
        if part.text:
            parts.append({"text": part.text, "thought": True})
        signature = _signature(part)
        if signature is None:
            continue
        if part.id in call_ids:
            of_calls[part.id or ""] = signature
        elif not signatures and parts and _can_be_signed(parts[-1]):
            parts[-1]["thoughtSignature"] = signature
        else:
            signatures.append(signature)
    _sign(parts, signatures)
    parts.extend(_call_part(call, call.signature or of_calls.get(call.id)) for call in message.tool_calls)
    if message.tool_calls and version is not None and version >= FIRST_WITH_LEVELS:
        parts[-len(message.tool_calls)].setdefault("thoughtSignature", PLACEHOLDER_SIGNATURE)
    return parts


def _can_be_signed(part: Json) -> bool:
    return not part.get("thought") and "thoughtSignature" not in part and part != {"text": ""}


def _signature(part: Reasoning) -> str | None:
    """Gemini's own proof. Some clients know only one field for opaque reasoning, so it may have come as `data`."""
    if part.format != REASONING_FORMAT:
        return None
    return part.signature if part.signature is not None else part.data


def _sign(parts: list[Json], signatures: list[str]) -> None:
    """Puts the signatures on the visible parts in their order; those left over get an empty text part each.

    An empty text part is how Gemini itself sends a signature that comes after everything else.
    """
    unsigned = [part for part in parts if _can_be_signed(part)]
    for part, signature in zip(unsigned, signatures, strict=False):
        part["thoughtSignature"] = signature
    parts.extend({"text": "", "thoughtSignature": signature} for signature in signatures[len(unsigned) :])


def _call_part(call: ToolCall, signature: str | None) -> Json:
    arguments = _json_object(call.arguments or "{}")
    if arguments is None:
        raise InvalidRequest(f"the arguments of the call of {call.name!r} must be a JSON object", param="messages")
    part: Json = {"functionCall": {**_id(call.id), "name": call.name, "args": arguments}}
    if signature is not None:
        part["thoughtSignature"] = signature
    return part


# ---------------------------------------------------------------- what tools gave


def _tool_result(message: Message, names: dict[str, str]) -> list[Json]:
    """The response (rule 3), and what the tool gave beyond text."""
    call_id = message.tool_call_id or ""
    name = names.get(call_id) or message.name
    if name is None:
        raise InvalidRequest(f"no earlier message holds the call {call_id!r} of this tool result", param="messages")
    text = "".join(part.text for part in message.parts if not isinstance(part, Image | File | Audio))
    media = [_plain_part(part) for part in message.parts if isinstance(part, Image | File | Audio)]
    response = {**_id(call_id), "name": name, "response": _response(text, message.is_error)}
    return [{"functionResponse": response}, *media]


def _response(text: str, is_error: bool) -> object:
    written = _json_object(text)
    if is_error:
        return {"error": text if written is None else written}
    return {"result": text} if written is None else written


def _json_object(text: str) -> msgspec.Raw | None:
    """The text itself if it is a JSON object, so that no number and no order of keys changes; else None."""
    try:
        _OBJECT.decode(text)
    except (ValueError, RecursionError):
        return None
    return msgspec.Raw(text)


def _id(call_id: str) -> Json:
    return {"id": call_id} if call_id else {}
