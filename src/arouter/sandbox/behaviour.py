"""How the sandbox behaves: its knobs, and how one request turns them.

A knob is set in four places, the later one winning: the behaviour that the server was started with, the name of
the model (`sandbox-slow`), what follows the name (`sandbox?tokens=100&token_ms=5`, or with semicolons, which some
clients let through where they refuse a question mark: `sandbox;tokens=100;token_ms=5`), and the request header
`X-Sandbox: tokens=100,token_ms=5`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args
from urllib.parse import unquote_plus

from arouter.domain.errors import InvalidRequest

Says = Literal["text", "echo", "json", "refusal"]
UsageMode = Literal["normal", "none", "zero", "every_chunk", "with_choices"]
WrongOutput = Literal["", "not_json", "truncated_json", "html", "empty", "bad_sse", "wrong_content_type", "not_http"]

MAX_TOKENS = 1_000_000
"""More tokens than this in one answer are a typing error, not a test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What the sandbox does with a request. A value out of range raises ValueError."""

    ttft_ms: float = 0.0
    """The time to the first token."""
    token_ms: float = 0.0
    """The time between two tokens. An answer that is not streamed takes as long as its stream would."""
    says: Says = "text"
    """A fixed friendly text, the last user message, JSON for the schema that was asked for, or a refusal."""
    tool_call: bool = False
    """Calls the first tool offered, unless the last message is already a tool's result."""
    tokens: int = 16
    """Tokens of the friendly text, one word each. Everything else that it says counts its own words or pieces."""
    prompt_tokens: int | None = None
    """All input tokens. None: counted from the request (`answers.count_prompt_tokens`)."""
    cached_tokens: int = 0
    """How many of the input tokens came from a cache."""
    cache_write_tokens: int = 0
    """How many of the input tokens were written to a cache. Gemini has no word for it."""
    reasoning_tokens: int = 0
    """Tokens of visible thought before the answer, counted in addition to `tokens`."""
    usage: UsageMode = "normal"
    """`none`: left out; `zero`: all zeros; `every_chunk`: as far as it got, in each event of a stream;
    `with_choices`: in an OpenAI stream, in the last chunk whose choices are not empty, asked for or not."""
    finish_reason: str = ""
    """Replaces the true one. OpenAI's words are translated to the dialect, any other is sent as it is."""
    failure_rate: float = 0.0
    """The share of requests, from 0 to 1, that are answered with `failure_status`."""
    failure_status: int = 500
    retry_after_s: int | None = None
    """The `Retry-After` header of a failure."""
    error_after: int | None = None
    """A stream reports an error of the dialect's own shape after that many events, and ends."""
    cut_after: int | None = None
    """The connection is cut after that many events of a stream, or bytes of an answer that is not streamed."""
    reset: bool = False
    """A cut is a TCP reset, which may also take what was sent before with it, instead of an early end."""
    drop: bool = False
    """The connection is closed before the first byte of the answer."""
    stall_after: int | None = None
    """Nothing more is sent after that many events or bytes; the connection stays open."""
    never_answer: bool = False
    """Nothing is sent at all; the connection stays open."""
    wrong_output: WrongOutput = ""

    def __post_init__(self) -> None:
        for name in ("ttft_ms", "token_ms"):
            value = getattr(self, name)
            _check(math.isfinite(value) and value >= 0, name, "a number of at least 0")
        _check(0 <= self.failure_rate <= 1, "failure_rate", "a number from 0 to 1")
        _check(400 <= self.failure_status <= 599, "failure_status", "an HTTP status from 400 to 599")
        for name in ("tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"):
            _check(0 <= getattr(self, name) <= MAX_TOKENS, name, f"a whole number from 0 to {MAX_TOKENS}")
        for name in ("prompt_tokens", "retry_after_s", "error_after", "cut_after", "stall_after"):
            value = getattr(self, name)
            _check(value is None or value >= 0, name, "a whole number of at least 0, or none")
        for name, choices in _CHOICES.items():
            _check(getattr(self, name) in choices, name, "one of " + ", ".join(map(repr, choices)))


_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"says": get_args(Says), "usage": get_args(UsageMode), "wrong_output": get_args(WrongOutput)}
)


def _check(holds: bool, name: str, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{name} must be {wanted}")


NAMED: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "sandbox": {},
        "sandbox-echo": {"says": "echo"},
        "sandbox-tools": {"tool_call": True},
        "sandbox-reason": {"reasoning_tokens": 32},
        "sandbox-json": {"says": "json"},
        "sandbox-refuse": {"says": "refusal"},
        "sandbox-slow": {"ttft_ms": 1000.0, "token_ms": 100.0},
        "sandbox-cut": {"cut_after": 3},
        "sandbox-drop": {"drop": True},
        "sandbox-stall": {"stall_after": 3},
        "sandbox-hang": {"never_answer": True},
        "sandbox-garbage": {"wrong_output": "not_json"},
    }
)
"""What the models do that have a name of their own; `sandbox-error-<status>` comes on top."""

_PLAIN_NAMES = frozenset(name.removeprefix("sandbox-") for name in NAMED)
_ERROR_NAME = re.compile(r"(?:sandbox[-/])?error-([45]\d\d)")
_SETTINGS = re.compile(r"[?;]")
_BETWEEN_SETTINGS = re.compile(r"[&;]")


def for_request(base: Behaviour, model: str, header: str = "") -> Behaviour:
    """The behaviour for one request: `base`, changed by its model's name and its `X-Sandbox` header.

    InvalidRequest if a knob is unknown or its value is not one.
    """
    changes = _changes_of_name(model)
    separator = _SETTINGS.search(model)
    if separator is not None:
        pairs = _BETWEEN_SETTINGS.split(model[separator.end() :])
        changes |= _changes(unquote_plus(pair) for pair in pairs)
    if header:
        changes |= _changes(header.split(","))
    if not changes:
        return base
    try:
        return dataclasses.replace(base, **changes)  # type: ignore[arg-type]
    except ValueError as error:
        raise InvalidRequest(f"The sandbox cannot do this: {error}.") from error


def _changes_of_name(model: str) -> dict[str, object]:
    """`sandbox-echo`, `sandbox/echo` and `echo` are the same model."""
    name = _SETTINGS.split(model, maxsplit=1)[0]
    name = name.removeprefix("sandbox/")
    known = NAMED.get(name)
    if known is None and name in _PLAIN_NAMES:
        known = NAMED["sandbox-" + name]
    if known is not None:
        return dict(known)
    error = _ERROR_NAME.fullmatch(name)
    if error is not None:
        return {"failure_rate": 1.0, "failure_status": int(error[1])}
    return {}


def _changes(pairs: Iterable[str]) -> dict[str, object]:
    """`["tokens=3", "drop"]` as `{"tokens": 3, "drop": True}`."""
    changes: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not name:
            continue
        read = _KNOBS.get(name)
        if read is None:
            raise InvalidRequest(f"The sandbox has no knob {name!r}. It has: {', '.join(_KNOBS)}.")
        try:
            changes[name] = read(value.strip() if equals else "true")
        except ValueError as error:
            raise InvalidRequest(f"The sandbox cannot read {pair.strip()!r}: {error}.") from error
    return changes


def _read_bool(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise ValueError("neither true nor false")


def _read_optional_int(text: str) -> int | None:
    return None if text.lower() in ("", "none") else int(text)


_READERS: Mapping[object, Callable[[str], object]] = MappingProxyType(
    {float: float, int: int, bool: _read_bool, str: str, int | None: _read_optional_int}
)
_KNOBS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {field.name: _READERS.get(field.type, str) for field in dataclasses.fields(Behaviour)}
)
