"""A model's thoughts in `thinking` and `redacted_thinking` blocks, whichever provider thought them.

Anthropic's own are native: a `thinking` block with its `signature`, a `redacted_thinking` block with its `data`. What
other providers prove their thoughts with (OpenAI's ciphertext and id, Gemini's signature of a call, a thought without
any proof) has no field of its own here, so it travels as a seal: text that begins with `PREFIX`, in the field whose
value every client sends back untouched.

    a visible thought           thinking           in `signature`
    a hidden one                redacted_thinking  in `data`
    the proof of a tool call    redacted_thinking  in `data`, right before the `tool_use` block of the call

Anthropic refuses a signature that it did not make, so a seal is taken out of what goes there:
`arouter.providers.anthropic.relay`. A seal hides nothing; it is an encoding, and what it holds is the client's own.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

import msgspec

from arouter.domain.chat import Json, Reasoning
from arouter.wire.fields import Fields

ANTHROPIC_FORMAT = "anthropic-claude-v1"
"""The name of Anthropic's signed thoughts in `reasoning_details`."""

PREFIX = "arouter.sealed."
"""No proof of Anthropic's begins like this: theirs are Base64, which has no full stop."""


class Seal(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a block says beside its text. None is what nobody said."""

    format: str | None = None
    id: str | None = None
    signature: str | None = None
    data: str | None = None
    call_id: str | None = None
    """The tool call that `signature` proves; the other fields are None then."""

    @property
    def is_native(self) -> bool:
        """Whether Anthropic's own block says all of it."""
        proof = self.signature if self.data is None else self.data
        one = proof is not None and (self.signature is None or self.data is None)
        plain = self.format == ANTHROPIC_FORMAT and self.id is None and self.call_id is None
        return one and plain and bool(proof) and not is_sealed(proof)


_SEAL = msgspec.json.Decoder(Seal)


def is_sealed(proof: object) -> bool:
    """Whether a signature, or the data of a redacted thought, looks like one that was written here."""
    return isinstance(proof, str) and proof.startswith(PREFIX)


def seal(told: Seal) -> str:
    """`told` as text of Base64's URL alphabet behind the prefix."""
    return PREFIX + urlsafe_b64encode(msgspec.json.encode(told)).decode().rstrip("=")


def unsealed(proof: str | None) -> Seal | None:
    """What a seal says; None for everything that is none."""
    if proof is None or not is_sealed(proof):
        return None
    encoded = proof[len(PREFIX) :]
    try:
        return _SEAL.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (Base64Error, ValueError, RecursionError):
        return None


# ---------------------------------------------------------------- writing


def signature_of(told: Seal) -> str:
    """The `signature` of a visible thought."""
    if told.is_native and told.signature is not None:
        return told.signature
    return seal(told)


def redacted(told: Seal) -> Json:
    """The block of a thought that has no text, or of the proof of a tool call."""
    data = told.data if told.is_native and told.data is not None else seal(told)
    return {"type": "redacted_thinking", "data": data}


def is_visible(text: str, told: Seal) -> bool:
    """Whether it is a `thinking` block: it says something, or it is Anthropic's and its text was omitted."""
    return bool(text) or (told.is_native and told.signature is not None)


def thought_block(thought: Reasoning) -> Json:
    """A whole thought as its block; `read_thinking` and `read_redacted` are the inverse."""
    told = Seal(format=thought.format, id=thought.id, signature=thought.signature, data=thought.data)
    if is_visible(thought.text, told):
        return {"type": "thinking", "thinking": thought.text, "signature": signature_of(told)}
    return redacted(told)


# ---------------------------------------------------------------- reading


def read_thinking(block: Fields) -> Reasoning:
    """A `thinking` block. One without a signature is a thought that nobody vouches for."""
    text = block.text("thinking")
    signature = block.text("signature")
    told = unsealed(signature)
    if told is None:
        told = Seal(signature=signature, format=ANTHROPIC_FORMAT) if signature else Seal()
    return _reasoning("" if text is None else text, told)


def read_redacted(block: Fields) -> Reasoning | tuple[str, str]:
    """A `redacted_thinking` block: a thought, or the id of a tool call and its proof."""
    data = block.required_text("data")
    told = unsealed(data)
    if told is None:
        return Reasoning(data=data, format=ANTHROPIC_FORMAT)
    if told.call_id is not None and told.signature is not None:
        return told.call_id, told.signature
    return _reasoning("", told)


def _reasoning(text: str, told: Seal) -> Reasoning:
    return Reasoning(text=text, signature=told.signature, data=told.data, format=told.format, id=told.id)
