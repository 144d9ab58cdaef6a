"""What the model thought earlier, in the form in which a vendor takes it back (`Abilities.thoughts`).

1. OpenRouter takes every thought, with its proofs, and gives each to the provider that made it; a tool call's proof
   is an entry under the call's id.
2. The others take plain text, and only what they or their like said plainly: what another provider signed or
   encrypted is its own affair.
3. DeepSeek refuses a call in the history without `reasoning_content`; the text of one that nobody thought about is
   empty. Source: https://api-docs.deepseek.com/guides/thinking_mode.
"""

from collections.abc import Iterable

from arouter.domain.chat import Json, Message, Reasoning, ToolCall
from arouter.providers.openai_chat.abilities import Abilities
from arouter.wire.openai_chat.reasoning_details import ENCRYPTED, GEMINI_FORMAT, SUMMARY, SUMMARY_FORMATS, TEXT

PLAIN_FORMATS = (None, "unknown")


def thoughts_of(message: Message, able: Abilities) -> Json:
    """The fields that say what the assistant of `message` thought; those of `content_parts` are in its content."""
    thoughts = [part for part in message.parts if isinstance(part, Reasoning)]
    match able.thoughts:
        case "details":
            details = [*_details(thoughts), *_proofs(message.tool_calls)]
            return {"reasoning_details": details} if details else {}
        case "reasoning" | "reasoning_content" as field:
            text = plain_text(thoughts)
            return {field: text} if text or (able.thinking and message.tool_calls) else {}
    return {}


def plain_text(thoughts: Iterable[Reasoning]) -> str:
    """What was thought in plain text and is nobody's secret (rule 2)."""
    return "".join(
        thought.text
        for thought in thoughts
        if thought.signature is None and thought.data is None and thought.format in PLAIN_FORMATS
    )


def _details(thoughts: Iterable[Reasoning]) -> Iterable[Json]:
    for thought in thoughts:
        named = {name: told for name in ("format", "id") if (told := getattr(thought, name)) is not None}
        if thought.text or thought.signature is not None:
            if thought.format in SUMMARY_FORMATS:
                entry: Json = {"type": SUMMARY, "summary": thought.text, **named}
            else:
                entry = {"type": TEXT, "text": thought.text, **named}
            if thought.signature is not None:
                entry["signature"] = thought.signature
            yield entry
        if thought.data is not None:
            yield {"type": ENCRYPTED, "data": thought.data, **named}


def _proofs(calls: Iterable[ToolCall]) -> Iterable[Json]:
    for call in calls:
        if call.signature is not None:
            yield {"type": ENCRYPTED, "data": call.signature, "format": GEMINI_FORMAT, "id": call.id}
