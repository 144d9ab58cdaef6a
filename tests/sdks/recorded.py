"""Recorded answers for the tests of SDKs: few of them, in which is everything that is in all of them."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.acceptance.library_costs import body_of
from tests.acceptance.recorded import DIALECTS, counts, dialect_of, written
from tests.providers.test_recorded_costs import usage_object
from tests.recordings import Recording, recordings

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
        if recording.status != 200 or dialect_of(recording) != DIALECTS[api]:
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


def counted(recording: Recording) -> tuple[int | None, int | None]:
    """Input tokens with the cached ones, and output tokens with the thoughts; None where the provider told none."""
    usage = usage_object(body_of(recording))
    if not usage:
        return None, None
    known = counts(recording, usage)
    return known.prompt_tokens, known.completion_tokens
