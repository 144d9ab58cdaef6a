"""The script's side of a test: a line of JSON on standard input asks for something, a line on standard output tells it.

An error is an answer too: what an SDK raises is what its users have to deal with.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

Verbs = Mapping[str, Callable[..., object]]

PNG = "data:image/png;base64,"
"""What comes before an image in a URL."""
WEATHER_SAYS = "Sunny, 25 degrees."
"""What the tool of every script gives."""


def heard(
    *,
    text: str = "",
    thought: str = "",
    calls: list[tuple[str, object]] | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    pieces: int = 1,
    finish: str | None = None,
) -> dict[str, Any]:
    """An answer in the words that all scripts share.

    `input_tokens` counts cached ones and `output_tokens` thoughts, whatever the SDK's own way of counting is; `pieces`
    is how many texts came one after the other.
    """
    return {
        "text": text,
        "thought": thought,
        "calls": calls or [],
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "pieces": pieces,
        "finish": finish,
    }


def total(*counts: int | None) -> int:
    """A sum in which what is not told is nothing."""
    return sum(count for count in counts if count is not None)


def by_dialect(**verbs: Callable[..., object]) -> Callable[..., object]:
    """A verb that is carried out in the dialect that it is asked in."""
    return lambda *, dialect, **arguments: verbs[dialect](**arguments)


def serve(verbs: Verbs) -> None:
    """Do what is asked until nobody asks any more."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # What an SDK prints is not an answer.
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer: dict[str, object] = {"answer": verbs[asked["verb"]](**asked["arguments"])}
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what the test wants to see
            answer = {"error": _described(error)}
        told.write(json.dumps(answer) + "\n")
        told.flush()


def _described(error: BaseException) -> dict[str, object]:
    """What a user of the SDK can see of an error."""
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        chain += [kind.__name__ for kind in type(cause).__mro__]
        cause = cause.__cause__ or cause.__context__
    status = getattr(error, "status_code", None)
    return {
        "kind": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "causes": chain,
        "status": status if isinstance(status, int) else getattr(error, "code", None),
        "message": str(error),
        "body": repr(getattr(error, "body", None)),
    }
