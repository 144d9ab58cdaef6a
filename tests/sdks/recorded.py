"""Recorded answers for the tests of SDKs: few of them, in which is everything that is in all of them."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.acceptance.library_costs import body_of
from tests.acceptance.recorded import Counts, Said, counts, said, written
from tests.providers.test_recorded_costs import usage_object
from tests.recordings import Recording, recordings

APIS = (
    "openai.chat",
    "compatible.chat",
    "openrouter.chat",
    "openai.responses",
    "anthropic.messages",
    "google.generate",
)

NOT_CHAT = {"abddd6170048", "94f3c139dee1", "58960564c728"}
"""Sent to OpenRouter's `/responses`."""

_WORDS = frozenset(("type", "finish_reason", "finishReason", "stop_reason", "status", "role"))
"""Fields whose values are a few words of the dialect, and not what a model said."""
_OPAQUE = frozenset(("args", "arguments", "input", "parameters", "schema", "content"))
"""Fields whose objects are whatever a tool wants."""


@cache
def covering(api: str) -> tuple[Recording, ...]:
    """Recordings of an API such that every field and every word of the dialect that occurs in any is in one of them."""
    chosen: list[Recording] = []
    covered: set[tuple[bool, str]] = set()
    for recording in recordings(api):
        if recording.status != 200 or recording.id in NOT_CHAT:
            continue
        shapes = {(recording.stream, shape) for text in written(recording) for shape in _shapes(json.loads(text), "")}
        if not shapes <= covered:
            chosen.append(recording)
            covered |= shapes
    return tuple(chosen)


def _shapes(value: Any, path: str) -> Iterator[str]:
    """The paths of everything in a JSON value, with its word or its kind."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _OPAQUE and isinstance(inner, dict):
                yield f"{path}.{name}"
            else:
                yield from _shapes(inner, f"{path}.{name}")
    elif isinstance(value, list):
        yield f"{path}[{'' if value else '0'}]"
        for inner in value:
            yield from _shapes(inner, f"{path}[]")
    elif path.rpartition(".")[2] in _WORDS:
        yield f"{path}={value}"
    else:
        yield f"{path}:{'null' if value is None else 'scalar'}"


# ---------------------------------------------------------------- what a recording says


def told(recording: Recording) -> Said:
    """Text and calls, with the calls' arguments decoded."""
    if recording.api == "openai.responses":
        return _said_by_responses(recording)
    answer = said(recording)
    if recording.api in ("anthropic.messages", "google.generate"):
        return answer
    calls = [(name, json.loads(arguments)) for name, arguments in answer.calls]
    return Said(text=_text(answer.text), calls=calls, finish_reason=answer.finish_reason)


def _text(content: object) -> object:
    """Mistral's models say parts, of which some are thoughts."""
    if not isinstance(content, list):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def response_of(recording: Recording) -> dict[str, Any]:
    """The whole response of a recording of Responses: of a stream, what its last event has."""
    last = json.loads(written(recording)[-1])
    response: dict[str, Any] = last["response"] if recording.stream else last
    return response


def _said_by_responses(recording: Recording) -> Said:
    output = response_of(recording)["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    calls = [item for item in output if item["type"] == "function_call"]
    return Said(
        text="".join(part["text"] for part in parts if part["type"] == "output_text"),
        calls=[(item["name"], json.loads(item["arguments"])) for item in calls],
        finish_reason=None,
    )


def counted(recording: Recording) -> tuple[int | None, int | None]:
    """Input tokens with the cached ones, and output tokens with the thoughts."""
    if recording.api == "openai.responses":
        usage = response_of(recording)["usage"]
        return (None, None) if usage is None else (usage["input_tokens"], usage["output_tokens"])
    known: Counts = counts(recording, usage_object(body_of(recording)))
    return known.prompt_tokens, known.completion_tokens
