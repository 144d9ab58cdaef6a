"""The paths of providers whose answers can be read: one line for each.

A path is told as it is appended to the provider's base URL. Only what a `POST` to one of them answers is read: to look
at an answer that is kept there costs nothing, though it tells the same usage again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from arouter.providers import openai
from arouter.providers.base import Relay
from arouter.providers.openai_endpoints.answer import CompletionRelay
from arouter.providers.passing.taps import (
    Note,
    ObjectTap,
    note_endpoint,
    note_generated,
    note_message,
    note_response,
)
from arouter.providers.told import Told, ToldWithoutText
from arouter.providers.vendors import Dialect, Vendor

_GEMINI = r"/v1(?:beta|alpha)?[0-9]*/models/([^/:]+)"
_model_in = re.compile(rf"{_GEMINI}:[A-Za-z]+").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A path that costs something."""

    dialect: Dialect
    path: str
    """A regular expression."""
    name: str
    """As records have it, behind the provider's name."""
    tap: Callable[[Vendor], Relay]
    """A fresh reader of one answer."""


def _openai(path: str, tap: Callable[[Vendor], Relay]) -> Known:
    return Known(dialect="openai", path=re.escape(path), name=f"/v1{path}", tap=tap)


def _gemini(verb: str) -> Known:
    name = f"/v1beta/models/{{model}}:{verb}"
    return Known(dialect="gemini", path=f"{_GEMINI}:{verb}", name=name, tap=_text(note_generated))


def _text(note: Note) -> Callable[[Vendor], Relay]:
    return lambda vendor: ObjectTap(note, Told())


def _endpoint(vendor: Vendor) -> Relay:
    return ObjectTap(note_endpoint(vendor.name), ToldWithoutText())


def _images(vendor: Vendor) -> Relay:
    return ObjectTap(note_endpoint(vendor.name, of_images=True), ToldWithoutText())


KNOWN = (
    _openai("/chat/completions", openai.Relay),
    _openai("/completions", CompletionRelay),
    _openai("/responses", _text(note_response)),
    _openai("/embeddings", _endpoint),
    _openai("/rerank", _endpoint),
    _openai("/moderations", _endpoint),
    _openai("/images/generations", _images),
    _openai("/images/edits", _images),
    _openai("/audio/speech", _endpoint),
    _openai("/audio/transcriptions", _endpoint),
    _openai("/audio/translations", _endpoint),
    Known(dialect="anthropic", path="/v1/messages", name="/v1/messages", tap=_text(note_message)),
    _gemini("generateContent"),
    _gemini("streamGenerateContent"),
    _gemini("embedContent"),
    _gemini("batchEmbedContents"),
)

_MATCHES = tuple((known, re.compile(known.path).fullmatch) for known in KNOWN)


def known_path(dialect: Dialect, path: str) -> Known | None:
    """What is known of a path of a provider that speaks this dialect; None where that is nothing."""
    return next((known for known, matches in _MATCHES if known.dialect == dialect and matches(path)), None)


def model_in_path(path: str) -> str | None:
    """The model that a path of Gemini's names, still encoded."""
    found = _model_in(path)
    return None if found is None else found[1]


def below_base(path: str, base: str) -> str:
    """The path to append to a base URL whose own path is `base`. What the end of the one and the beginning of the
    other have in common is said once: `/v1/files` at `…/openai/v1` is `/files`."""
    segments = base.split("/")[1:]
    for at in range(len(segments)):
        end = "/" + "/".join(segments[at:])
        if path == end or path.startswith(f"{end}/"):
            return path[len(end) :] or "/"
    return path
