"""Thoughts of any provider inside `thoughtSignature`, where Gemini's clients keep what they do not understand.

A provider's proofs (Anthropic's signature, OpenAI's ciphertext and its id) must come back byte for byte when the
conversation goes on. Gemini's clients send `thoughtSignature` back untouched, but as bytes: Google's SDK decodes its
base64 and writes it again, in the other alphabet. So what is not Gemini's own is sealed: a mark, and behind it the
whole thought but for its text, as JSON in base64. Gemini's own signature stays what it is.

The length of the thought's text is in the seal too: a client sends the pieces of several thoughts as one row of parts.
"""

import base64
import re

import msgspec

from arouter.domain.chat import Reasoning, ReasoningDelta
from arouter.wire.gemini_generate.fields import standard_base64, strict_base64
from arouter.wire.openai_chat.reasoning_details import GEMINI_FORMAT

_MARK = b"arouter:1"
"""Its nine bytes are twelve characters of base64, so that a seal is known by how it begins."""

_BEGINNING = base64.b64encode(_MARK).decode()

FOREIGN_TO_GEMINI = re.compile(
    rb'("thought(?:S|_s)ignature"\s*:\s*")(' + _BEGINNING.encode() + rb'[A-Za-z0-9+/_=-]*)(?=")'
)
"""A seal in the JSON text of a request: the name with the opening quote, and the seal. Within a string of JSON each
quote has a backslash before it, so nothing that anybody says looks like it."""


class _Sealed(msgspec.Struct, omit_defaults=True):
    """The thought, in names of one letter."""

    n: int = 0
    """Characters of its text."""
    s: str | None = None
    d: str | None = None
    f: str | None = None
    i: str | None = None


_decode = msgspec.json.Decoder(_Sealed).decode


def native(thought: Reasoning | ReasoningDelta) -> str | None:
    """The signature of a thought that can stand in `thoughtSignature` as it is; None if it must be sealed."""
    if thought.format != GEMINI_FORMAT or thought.data is not None or thought.id is not None:
        return None
    return thought.signature if thought.signature is not None and is_plain(thought.signature) else None


def is_plain(signature: str) -> bool:
    """Whether it is base64 as a client's SDK can read it, and no seal of ours."""
    plain = standard_base64(signature)
    return plain is not None and plain == strict_base64(plain) and not signature.startswith(_BEGINNING)


def seal(thought: Reasoning | ReasoningDelta, text_length: int) -> str:
    """The `thoughtSignature` from which `unseal` reads the thought again, without its text."""
    sealed = _Sealed(n=text_length, s=thought.signature, d=thought.data, f=thought.format, i=thought.id)
    return base64.b64encode(_MARK + msgspec.json.encode(sealed)).decode()


def unseal(signature: str) -> tuple[Reasoning, int] | None:
    """The thought without its text, and the length of its text; None if it is no seal but a signature of Gemini's."""
    if not signature.startswith(_BEGINNING):
        return None
    plain = standard_base64(signature)
    if plain is None:
        return None
    try:
        sealed = _decode(base64.b64decode(plain)[len(_MARK) :])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Reasoning(signature=sealed.s, data=sealed.d, format=sealed.f, id=sealed.i), max(0, sealed.n)


def seal_call(signature: str) -> str:
    """The proof of a tool call for its `thoughtSignature`."""
    return signature if is_plain(signature) else seal(Reasoning(signature=signature, format=GEMINI_FORMAT), 0)


def unseal_call(signature: str) -> str:
    """The proof of a tool call, as it was before `seal_call`."""
    opened = unseal(signature)
    return signature if opened is None or opened[0].signature is None else opened[0].signature
