"""A model's thoughts in `thinking` and `redacted_thinking` blocks, whichever provider thought them.

Anthropic's own are native: a `thinking` block with its `signature`, a `redacted_thinking` block with its `data`. What
other providers prove their thoughts with (OpenAI's ciphertext and id, Gemini's signature of a call, a thought without
any proof) has no field of its own here, so it travels as a seal (`arouter.wire.seals`), in the field whose value
every client sends back untouched.

    a visible thought           thinking           in `signature`
    a hidden one                redacted_thinking  in `data`
    the proof of a tool call    redacted_thinking  in `data`, right before the `tool_use` block of the call

Anthropic refuses a signature that it did not make, so a seal is taken out of what goes there:
`arouter.providers.anthropic.relay`. A seal hides nothing; it is an encoding, and what it holds is the client's own.
"""

from arouter.domain.chat import Json, Reasoning
from arouter.wire.fields import Fields
from arouter.wire.seals import Seal, is_sealed, seal, unsealed

ANTHROPIC_FORMAT = "anthropic-claude-v1"
"""The name of Anthropic's signed thoughts in `reasoning_details`."""


def is_native(told: Seal) -> bool:
    """Whether Anthropic's own block says all of it."""
    proof = told.signature if told.data is None else told.data
    one = proof is not None and (told.signature is None or told.data is None)
    plain = told.format == ANTHROPIC_FORMAT and told.id is None and told.call_id is None
    return one and plain and bool(proof) and not is_sealed(proof)


# ---------------------------------------------------------------- writing


def signature_of(told: Seal) -> str:
    """The `signature` of a visible thought."""
    if is_native(told) and told.signature is not None:
        return told.signature
    return seal(told)


def redacted(told: Seal) -> Json:
    """The block of a thought that has no text, or of the proof of a tool call."""
    data = told.data if is_native(told) and told.data is not None else seal(told)
    return {"type": "redacted_thinking", "data": data}


def is_visible(text: str, told: Seal) -> bool:
    """Whether it is a `thinking` block: it says something, or it is Anthropic's and its text was omitted."""
    return bool(text) or (is_native(told) and told.signature is not None)


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
