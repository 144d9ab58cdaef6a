"""`instructions` and `input`: what each item is read as, and which items make one message."""

import pytest

from arouter.domain.chat import Audio, File, Image, Json, Message, Part, Reasoning, Refusal, Text, Tool, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.wire.seals import Seal, seal
from tests.wire.responses_bodies import read, read_items, read_with

ASKED: Json = {"role": "user", "content": "Weather?"}
CALL: Json = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a": 1.0}'}
OUTPUT: Json = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}


def said(text: str) -> Json:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def parts_of(*content: Json) -> tuple[Part, ...]:
    """The parts of a user's message."""
    (message,) = read_items({"type": "message", "role": "user", "content": content})
    return message.parts


# ---------------------------------------------------------------- what is told


def test_a_text_is_the_users() -> None:
    assert read({"input": "Hello"}).messages == (Message(role="user", parts=(Text(text="Hello"),)),)


def test_instructions_come_first() -> None:
    first, second = read_with(instructions="Be brief.").messages
    assert first == Message(role="system", parts=(Text(text="Be brief."),))
    assert second.role == "user"


@pytest.mark.parametrize("instructions", [None, ""])
def test_instructions_that_say_nothing_are_none(instructions: object) -> None:
    assert read_with(instructions=instructions) == read_with()


@pytest.mark.parametrize("role", ["user", "system", "developer", "assistant"])
def test_a_message_needs_no_type(role: str) -> None:
    (message,) = read_items({"role": role, "content": "Hello"})
    assert (message.role, message.parts) == (role, (Text(text="Hello"),))


def test_every_kind_of_content() -> None:
    assert parts_of(
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        {"type": "input_file", "file_data": "JVBERi0="},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "refusal", "refusal": "No."},
    ) == (
        Text(text="Look"),
        Image(url="https://example.com/a.png", detail="low"),
        Image(data="AA==", media_type="image/png"),
        File(file_id="file-1"),
        File(data="JVBERi0=", media_type="application/pdf", name="a.pdf"),
        File(data="JVBERi0="),
        File(url="https://example.com/a.pdf"),
        File(file_id="file-2"),
        Audio(data="UklG", format="wav"),
        Refusal(text="No."),
    )


def test_marks_of_what_to_cache() -> None:
    assert parts_of(
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "u", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "input_text", "text": "b", "prompt_cache_breakpoint": None},
    ) == (
        Text(text="a", cache_control={"type": "ephemeral"}),
        Image(url="u", cache_control={"type": "ephemeral", "ttl": "1h"}),
        Text(text="b"),
    )


# ---------------------------------------------------------------- what the model gave


def test_what_the_model_gave_in_one_turn_is_one_message() -> None:
    thought: Json = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Look"}, {"type": "summary_text", "text": "it up"}],
        "encrypted_content": "gAAAAA",
    }
    assert read_items(ASKED, thought, said("I will look."), CALL, OUTPUT, said("It is sunny.")) == (
        Message(role="user", parts=(Text(text="Weather?"),)),
        Message(
            role="assistant",
            parts=(
                Reasoning(text="Look\n\nit up", data="gAAAAA", format="openai-responses-v1", id="rs_1"),
                Text(text="I will look."),
            ),
            tool_calls=(ToolCall(id="call_1", name="f", arguments='{"a": 1.0}'),),
        ),
        Message(role="tool", parts=(Text(text="Sunny"),), tool_call_id="call_1"),
        Message(role="assistant", parts=(Text(text="It is sunny."),)),
    )


def test_calls_that_were_made_together_stay_together() -> None:
    second = CALL | {"call_id": "call_2"}
    asked, *results = read_items(CALL, second, OUTPUT, OUTPUT | {"call_id": "call_2"})
    assert [call.id for call in asked.tool_calls] == ["call_1", "call_2"]
    assert [result.tool_call_id for result in results] == ["call_1", "call_2"]


def test_a_tools_output_may_have_parts() -> None:
    output = [{"type": "input_text", "text": "Here"}, {"type": "input_image", "image_url": "https://example.com/a"}]
    (result,) = read_items(OUTPUT | {"output": output})
    assert result.parts == (Text(text="Here"), Image(url="https://example.com/a"))


def test_the_thought_itself_is_more_than_its_summary() -> None:
    thought = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
    }
    (message,) = read_items(thought)
    assert message.parts == (Reasoning(text="long", format="openai-responses-v1"),)


def test_a_custom_tool_is_called_with_an_object_that_holds_its_text() -> None:
    call: Json = {"type": "custom_tool_call", "call_id": "call_1", "name": "sql", "input": 'SELECT "a"'}
    asked, result = read_items(call, OUTPUT | {"type": "custom_tool_call_output"})
    assert asked.tool_calls == (ToolCall(id="call_1", name="sql", arguments='{"input":"SELECT \\"a\\""}'),)
    assert result.tool_call_id == "call_1"


def test_an_image_that_the_model_made() -> None:
    made: Json = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AA=="}
    (message,) = read_items(made, made | {"output_format": "webp"}, made | {"result": None})
    assert message.parts == (Image(data="AA==", media_type="image/png"), Image(data="AA==", media_type="image/webp"))


# ---------------------------------------------------------------- proofs of other providers


def sealed(proof: Seal, text: str = "") -> Json:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": "rs_gen-1_0", "summary": summary, "encrypted_content": seal(proof)}


def test_a_sealed_thought_is_its_providers() -> None:
    (message,) = read_items(sealed(Seal(format="anthropic-claude-v1", signature="c2ln"), "Hm"))
    assert message.parts == (Reasoning(text="Hm", signature="c2ln", format="anthropic-claude-v1"),)


def test_a_calls_proof_is_no_thought() -> None:
    (message,) = read_items(sealed(Seal(signature="c2ln", call_id="call_1")), CALL)
    assert message.parts == ()
    assert message.tool_calls == (ToolCall(id="call_1", name="f", arguments='{"a": 1.0}', signature="c2ln"),)


def test_a_proof_whose_call_is_lost_is_kept() -> None:
    (message,) = read_items(sealed(Seal(signature="c2ln", call_id="call_9")), CALL)
    assert message.parts == (Reasoning(signature="c2ln", format="google-gemini-v1", id="call_9"),)
    assert message.tool_calls[0].signature is None


@pytest.mark.parametrize("broken", ["!", "A", "bm90IGpzb24=", "eyJkYXRhIjoxfQ==", "/w=="])
def test_a_proof_that_was_changed_on_the_way_is_refused(broken: str) -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": "arouter.sealed." + broken}
    with pytest.raises(InvalidRequest) as caught:
        read_items(item)
    assert (caught.value.param, caught.value.code) == ("input[0].encrypted_content", "invalid_value")


# ---------------------------------------------------------------- tools in mid-conversation, and OpenAI's own


def test_tools_may_come_in_the_middle() -> None:
    tool = {"type": "function", "name": "g", "description": "does g"}
    found: Json = {"type": "tool_search_output", "call_id": "c", "tools": [tool, {"type": "web_search"}]}
    more: Json = {"type": "additional_tools", "role": "developer", "tools": [tool, {"type": "function", "name": "h"}]}
    request = read({"input": [ASKED, more, found], "tools": [{"type": "function", "name": "f"}]})
    assert request.tools == (Tool(name="f"), Tool(name="g", description="does g"), Tool(name="h"))
    assert request.rest == {"tools": [{"type": "web_search"}], "input.tool_search_output": [found]}


def test_what_openais_own_tools_did_is_left_for_the_adapter_to_name() -> None:
    search: Json = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    other: Json = {"type": "compaction", "encrypted_content": "gAAAAA"}
    request = read({"input": [ASKED, search, other, search, said("Sunny")]})
    assert [message.role for message in request.messages] == ["user", "assistant"]
    assert request.rest == {"input.web_search_call": [search, search], "input.compaction": [other]}


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}])
def test_what_is_kept_at_openai_cannot_be_read(item: Json) -> None:
    with pytest.raises(InvalidRequest, match="Send the item itself") as caught:
        read_items(ASKED, item)
    assert (caught.value.param, caught.value.code) == ("input[1]", "unsupported_parameter")
