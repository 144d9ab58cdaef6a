"""Thoughts of every provider go out in blocks of the Messages API and come back as they were."""

import msgspec
import pytest
from anthropic.types import RedactedThinkingBlock, ThinkingBlock
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import Json, Reasoning
from arouter.wire.anthropic_messages.thoughts import (
    ANTHROPIC_FORMAT,
    read_redacted,
    read_thinking,
    redacted,
    thought_block,
)
from arouter.wire.fields import Fields
from arouter.wire.seals import PREFIX, Seal, seal, unsealed
from tests.wire.strategies import FORMATS, MAYBE, TEXT

PROOFS = st.none() | TEXT | TEXT.map(f"{PREFIX}{{}}".format)


def read(block: Json) -> Reasoning:
    thought = read_thinking(Fields(block)) if block["type"] == "thinking" else read_redacted(Fields(block))
    assert isinstance(thought, Reasoning)
    return thought


def test_a_signed_thought_of_anthropics_is_the_block_that_anthropic_sent() -> None:
    block: Json = {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCg=="}
    thought = read(block)
    assert thought == Reasoning(text="Hm.", signature="EqQBCg==", format=ANTHROPIC_FORMAT)
    assert thought_block(thought) == block


def test_a_thought_whose_text_anthropic_omitted_is_still_a_thinking_block() -> None:
    block: Json = {"type": "thinking", "thinking": "", "signature": "EqQBCg=="}
    assert thought_block(read(block)) == block


def test_a_redacted_thought_of_anthropics_is_the_block_that_anthropic_sent() -> None:
    block: Json = {"type": "redacted_thinking", "data": "EmwKAhgB"}
    assert read(block) == Reasoning(data="EmwKAhgB", format=ANTHROPIC_FORMAT)
    assert thought_block(read(block)) == block


@pytest.mark.parametrize(
    ("thought", "kind"),
    [
        (Reasoning(text="Sum.", data="gAAAAA==", format="openai-responses-v1", id="rs_1"), "thinking"),
        (Reasoning(data="gAAAAA==", format="openai-responses-v1", id="rs_1"), "redacted_thinking"),
        (Reasoning(text="Hm.", signature="Cs4B", format="google-gemini-v1"), "thinking"),
        (Reasoning(signature="Cs4B", format="google-gemini-v1"), "redacted_thinking"),
        (Reasoning(text="Hm."), "thinking"),
    ],
)
def test_a_thought_of_another_provider_is_sealed(thought: Reasoning, kind: str) -> None:
    block = thought_block(thought)
    assert block["type"] == kind
    proof = block["signature" if kind == "thinking" else "data"]
    assert isinstance(proof, str)
    assert proof.startswith(PREFIX)
    assert read(block) == thought


def test_the_proof_of_a_call_names_its_call() -> None:
    block = redacted(Seal(call_id="call_1", signature="Cs4B"))
    assert read_redacted(Fields(block)) == ("call_1", "Cs4B")


@given(st.builds(Reasoning, text=TEXT, signature=PROOFS, data=PROOFS, format=FORMATS, id=MAYBE))
def test_any_thought_comes_back_as_it_was(thought: Reasoning) -> None:
    block = thought_block(thought)
    kind = ThinkingBlock if block["type"] == "thinking" else RedactedThinkingBlock
    passed_back = kind.model_validate(block).to_dict()
    assert read(passed_back) == thought


@given(st.builds(Seal, format=MAYBE, id=MAYBE, signature=MAYBE, data=MAYBE, call_id=MAYBE))
def test_a_seal_is_opened_as_it_was_closed(told: Seal) -> None:
    assert unsealed(seal(told)) == told


@given(TEXT | st.binary().map(lambda data: PREFIX + data.decode("latin-1")) | st.just(PREFIX + "W10"))
def test_what_is_no_seal_is_anthropics(proof: str) -> None:
    if proof and unsealed(proof) is None:
        assert read({"type": "thinking", "thinking": "", "signature": proof}).signature == proof
        assert read({"type": "redacted_thinking", "data": proof}).data == proof


def test_a_seal_can_be_read_with_any_tool() -> None:
    told = seal(Seal(format="google-gemini-v1", signature="Cs4B"))
    assert told == PREFIX + "eyJmb3JtYXQiOiJnb29nbGUtZ2VtaW5pLXYxIiwic2lnbmF0dXJlIjoiQ3M0QiJ9"
    assert msgspec.json.decode(b'{"format":"google-gemini-v1","signature":"Cs4B"}', type=Seal) == unsealed(told)


def test_a_thought_without_a_signature_is_nobodys() -> None:
    assert read({"type": "thinking", "thinking": "Hm."}) == Reasoning(text="Hm.")
    assert read({"type": "thinking", "thinking": "Hm.", "signature": ""}) == Reasoning(text="Hm.")
