"""Thoughts of any provider inside `thoughtSignature`: what a client sends back is what it got."""

import base64

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import Reasoning
from arouter.wire.gemini_generate.proofs import native, seal, seal_call, unseal, unseal_call
from tests.wire.strategies import FORMATS, MAYBE, TEXT

REASONINGS = st.builds(Reasoning, text=TEXT, signature=MAYBE, data=MAYBE, format=FORMATS, id=MAYBE)


def sent_back(signature: str) -> str:
    """What Google's SDK makes of it: bytes, and base64 again."""
    part = types.Part.model_validate({"text": "", "thoughtSignature": signature})
    written = part.model_dump(mode="json", exclude_none=True)
    assert isinstance(written["thought_signature"], str)
    return written["thought_signature"]


@given(REASONINGS, st.integers(0, 10**6))
def test_a_sealed_thought_comes_back(thought: Reasoning, length: int) -> None:
    opened = unseal(sent_back(seal(thought, length)))
    assert opened is not None
    proof, told_length = opened
    assert (proof.signature, proof.data, proof.format, proof.id) == (
        thought.signature,
        thought.data,
        thought.format,
        thought.id,
    )
    assert told_length == length


def test_a_seal_needs_no_padding() -> None:
    thought = Reasoning(signature="s", format="anthropic-claude-v1")
    assert unseal(seal(thought, 1).rstrip("=")) == unseal(seal(thought, 1))


@given(st.binary(max_size=40).filter(lambda signature: not signature.startswith(b"arouter:1")))
def test_gemini_s_own_signature_stays_as_it_is(signature: bytes) -> None:
    text = base64.b64encode(signature).decode()
    assert native(Reasoning(signature=text, format="google-gemini-v1")) == text
    assert unseal(text) is None
    assert unseal_call(seal_call(text)) == text


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning(signature="c2ln", format="anthropic-claude-v1"),
        Reasoning(signature="c2ln"),
        Reasoning(signature="not base64!", format="google-gemini-v1"),
        Reasoning(signature="00", format="google-gemini-v1"),
        Reasoning(data="c2ln", format="google-gemini-v1"),
        Reasoning(signature="c2ln", id="call_1", format="google-gemini-v1"),
        Reasoning(format="google-gemini-v1"),
        Reasoning(signature=seal(Reasoning(), 0), format="google-gemini-v1"),
    ],
)
def test_what_is_not_gemini_s_own_must_be_sealed(thought: Reasoning) -> None:
    assert native(thought) is None


@given(TEXT)
def test_any_proof_of_a_call_comes_back(signature: str) -> None:
    sealed = seal_call(signature)
    back = unseal_call(sealed if not sealed or sealed == signature else sent_back(sealed))
    assert back == signature


@pytest.mark.parametrize("signature", ["", "YXJvdXRlcjox", "YXJvdXRlcjoxW10=", "YXJvdXRlcjoxe30", "YXJvdXRlcjox!", "x"])
def test_a_broken_seal_is_no_error(signature: str) -> None:
    opened = unseal(signature)
    assert opened is None or opened == (Reasoning(), 0)
    assert unseal_call(signature) == signature
