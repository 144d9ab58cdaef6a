"""What an answer says, taken from its JSON by plain lookups: as a provider told it, or as a client heard it.

The words are the same for each dialect, so that an answer that was translated can be laid beside the one that came.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

MESSAGES_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
    None: "error",
}
GENERATE_REASONS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "OTHER": "error"}
RESPONSES_REASONS = {
    ("completed", None): "stop",
    ("complete", None): "stop",
    ("incomplete", "max_output_tokens"): "length",
    ("incomplete", "content_filter"): "content_filter",
    ("failed", None): "error",
    ("queued", None): "error",
}
"""Why an answer ended, in OpenAI's words; a background response that has not begun yet has not ended well."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of a tool of the client's."""

    id: str | None
    """None where the provider gave it none."""
    name: str
    arguments: object
    """Decoded: what is written between the tokens may differ."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer, however it was cut."""

    text: str
    thought: str = ""
    """What the model let see of its thoughts, without white space: how blocks are put together may differ."""
    calls: list[Call] = field(default_factory=list)
    finish_reason: str | None


def _call(call_id: str | None, name: str, arguments: str) -> Call:
    return Call(id=call_id, name=name, arguments=json.loads(arguments) if arguments else {})


def _without_space(thoughts: Iterable[str]) -> str:
    return "".join("".join(thoughts).split())


# ---------------------------------------------------------------- chat completions


def chat(completion: Json) -> Said:
    """One `chat.completion`."""
    [choice] = completion["choices"]
    message = choice["message"]
    return Said(
        text="".join(_chat_texts(message.get("content"))),
        thought=_without_space(_chat_thoughts(message)),
        calls=[
            _call(call.get("id"), call["function"]["name"], call["function"].get("arguments", ""))
            for call in message.get("tool_calls") or []
        ],
        finish_reason=choice["finish_reason"],
    )


def _chat_texts(content: object) -> Iterator[str]:
    """Of text, of nothing, or of a list of parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (part["text"] for part in content if part["type"] == "text")


def _chat_thoughts(message: Json) -> Iterator[str]:
    """By the first of the names that vendors have for them that says something."""
    content = message.get("content")
    for name in ("reasoning_content", "reasoning"):
        if message.get(name):
            yield message[name]
            return
    if isinstance(content, list):
        yield from (one["text"] for part in content if part["type"] == "thinking" for one in part["thinking"])
    yield from (detail.get("text") or "" for detail in message.get("reasoning_details") or [])


def chat_stream(chunks: list[Json]) -> Said:
    """`chat.completion.chunk`s."""
    choices = [choice for chunk in chunks for choice in chunk.get("choices", [])]
    deltas = [choice["delta"] for choice in choices]
    calls: dict[int, tuple[str | None, str, str]] = {}
    for piece in (call for delta in deltas for call in delta.get("tool_calls") or []):
        call_id, name, arguments = calls.get(piece["index"], (None, "", ""))
        function = piece["function"]
        calls[piece["index"]] = (
            piece.get("id") or call_id,
            name + (function.get("name") or ""),
            arguments + (function.get("arguments") or ""),
        )
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    return Said(
        text="".join(text for delta in deltas for text in _chat_texts(delta.get("content"))),
        thought=_without_space(thought for delta in deltas for thought in _chat_thoughts(delta)),
        calls=[_call(*calls[index]) for index in sorted(calls)],
        finish_reason=reasons[-1] if reasons else None,
    )


# ---------------------------------------------------------------- responses


def responses(response: Json) -> Said:
    """One `response`. What OpenAI's own tools did is no call that a client answers."""
    output = response["output"]
    texts = [part["text"] for item in output if item["type"] == "message" for part in item["content"]]
    calls = [
        _call(item["call_id"], item["name"], item["arguments"]) for item in output if item["type"] == "function_call"
    ]
    thoughts = [
        part["text"]
        for item in output
        if item["type"] == "reasoning"
        for part in [*(item.get("summary") or []), *(item.get("content") or [])]
    ]
    return Said(
        text="".join(texts),
        thought=_without_space(thoughts),
        calls=calls,
        finish_reason=_responses_reason(response, calls),
    )


def responses_stream(told: list[Json]) -> Said:
    """The events, by what they add one after the other; of the last one, which has it all again, only the end."""
    pieces: dict[str, list[str]] = {}
    for event in told:
        if event["type"].endswith(".delta"):
            pieces.setdefault(event["type"].split(".")[1], []).append(event["delta"])
    begun = [one for one in told if one["type"] == "response.output_item.added"]
    calls = [
        _call(
            start["item"]["call_id"],
            start["item"]["name"],
            "".join(
                one["delta"]
                for one in told
                if one["type"] == "response.function_call_arguments.delta"
                and one["output_index"] == start["output_index"]
            ),
        )
        for start in begun
        if start["item"]["type"] == "function_call"
    ]
    return Said(
        text="".join(pieces.get("output_text", [])),
        thought=_without_space([*pieces.get("reasoning_summary_text", []), *pieces.get("reasoning_text", [])]),
        calls=calls,
        finish_reason=_responses_reason(told[-1]["response"], calls),
    )


def _responses_reason(response: Json, calls: list[Call]) -> str:
    reason = RESPONSES_REASONS[response["status"], (response.get("incomplete_details") or {}).get("reason")]
    return "tool_calls" if reason == "stop" and calls else reason


# ---------------------------------------------------------------- messages


def messages(message: Json) -> Said:
    """One `message`. What Anthropic's own tools did is no call that a client answers."""
    blocks = message["content"]
    return Said(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        thought=_without_space(block["thinking"] for block in blocks if block["type"] == "thinking"),
        calls=[
            Call(id=block["id"], name=block["name"], arguments=block["input"])
            for block in blocks
            if block["type"] == "tool_use"
        ],
        finish_reason=MESSAGES_REASONS[message["stop_reason"]],
    )


def messages_stream(told: list[Json]) -> Said:
    """The events of a stream."""
    [reason] = [one["delta"]["stop_reason"] for one in told if one["type"] == "message_delta"]
    return messages({"content": list(_streamed_blocks(told)), "stop_reason": reason})


def _streamed_blocks(told: list[Json]) -> Iterator[Json]:
    """The content blocks of a stream, put together again."""
    for start in (one for one in told if one["type"] == "content_block_start"):
        deltas = [
            one["delta"] for one in told if one["type"] == "content_block_delta" and one["index"] == start["index"]
        ]
        block = dict(start["content_block"])
        for kind, name in (("text", "text"), ("thinking", "thinking")):
            if block["type"] == kind:
                block[name] += "".join(delta[name] for delta in deltas if delta["type"] == f"{kind}_delta")
        if block["type"] == "tool_use":
            written = "".join(delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta")
            block["input"] = json.loads(written) if written else {}
        yield block


# ---------------------------------------------------------------- Gemini's generateContent


def generate(answer: Json) -> Said:
    """One `GenerateContentResponse`."""
    return generate_stream([answer])


def generate_stream(told: list[Json]) -> Said:
    """The chunks of a stream."""
    candidates = [candidate for one in told for candidate in one["candidates"]]
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts", [])]
    calls = [
        Call(
            id=part["functionCall"].get("id"),
            name=part["functionCall"]["name"],
            arguments=part["functionCall"].get("args", {}),
        )
        for part in parts
        if "functionCall" in part
    ]
    reason = GENERATE_REASONS[
        [candidate["finishReason"] for candidate in candidates if "finishReason" in candidate][-1]
    ]
    return Said(
        text="".join(part["text"] for part in parts if "text" in part and not part.get("thought")),
        thought=_without_space(part["text"] for part in parts if "text" in part and part.get("thought")),
        calls=calls,
        finish_reason="tool_calls" if calls and reason == "stop" else reason,
    )


WHOLE: Mapping[str, Callable[[Json], Said]] = {
    "chat": chat,
    "responses": responses,
    "messages": messages,
    "generate": generate,
}
STREAMED: Mapping[str, Callable[[list[Json]], Said]] = {
    "chat": chat_stream,
    "responses": responses_stream,
    "messages": messages_stream,
    "generate": generate_stream,
}
"""By dialect."""
