"""The conversation: turns and parts as messages."""

import base64

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.chat import Audio, File, Image, Message, Part, Reasoning, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from tests.wire.generate_bodies import Body, messages, model, read_bytes, user
from tests.wire.strategies import JSON, TEXT

GEMINI = "google-gemini-v1"


def parts(*said: Body) -> tuple[Part, ...]:
    """What one turn of the user says."""
    [message] = messages(user(*said))
    return message.parts


def thoughts(*said: Body) -> tuple[Part, ...]:
    """What one turn of the model says, but for its calls."""
    [message] = messages(model(*said))
    return message.parts


def call(name: str, call_id: str | None = None, **args: object) -> Body:
    told = {} if call_id is None else {"id": call_id}
    return {"functionCall": {**told, "name": name, "args": args}}


def result(name: str, call_id: str | None = None, **response: object) -> Body:
    told = {} if call_id is None else {"id": call_id}
    return {"functionResponse": {**told, "name": name, "response": response}}


# ---------------------------------------------------------------- what somebody says


def test_texts_in_their_order() -> None:
    assert parts({"text": "a"}, {"text": ""}, {"text": "b"}) == (Text(text="a"), Text(text=""), Text(text="b"))


PICTURE = {"mimeType": "image/PNG", "data": "+/8="}


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({"inlineData": PICTURE}, Image(data="+/8=", media_type="image/png")),
        ({"inline_data": {"mime_type": "image/png", "data": "-_8"}}, Image(data="+/8=", media_type="image/png")),
        ({"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}}, Audio(data="AAAA", format="mp3")),
        ({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}, Audio(data="AAAA", format="wav")),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
            File(data="AAAA", media_type="application/pdf", name="a.pdf"),
        ),
        ({"inlineData": {"data": "AAAA"}}, File(data="AAAA")),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/x"}},
            Image(url="https://a.example/x", media_type="image/png"),
        ),
        (
            {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}},
            File(url="https://youtu.be/x"),
        ),
        (
            {"file_data": {"mime_type": "audio/ogg", "file_uri": "gs://x/y"}},
            File(url="gs://x/y", media_type="audio/ogg"),
        ),
    ],
)
def test_media(part: Body, read: Part) -> None:
    assert parts(part) == (read,)


@given(st.binary(max_size=40))
def test_what_google_s_sdk_writes_in_base64_is_the_same_bytes(data: bytes) -> None:
    written = types.Part.from_bytes(data=data, mime_type="image/png").model_dump(mode="json", exclude_none=True)
    [image] = parts(written)
    assert isinstance(image, Image)
    assert base64.b64decode(image.data or "", validate=True) == data


def test_code_that_ran_is_told_in_words() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}, "thoughtSignature": "AAAA"}
    ran = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
    assert thoughts(code, ran, {"text": "It is 1."}) == (
        Text(text="```python\nprint(1)\n```"),
        Text(text="```\n1\n```"),
        Text(text="It is 1."),
    )


def test_what_only_google_understands_is_left_out() -> None:
    own = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "1"}, "thoughtSignature": "AAAA"}
    assert thoughts(own, {"toolResponse": {"id": "1"}}, {"text": "a"}) == (Text(text="a"),)
    assert messages(user({"text": "a"}), model(own)) == messages(user({"text": "a"}))


# ---------------------------------------------------------------- calls and their results


def test_a_call_and_its_result() -> None:
    asked, answered = messages(model({"text": "Let me see."}, call("f", "c1", a=1)), user(result("f", "c1", x="y")))
    assert asked == Message(
        role="assistant",
        parts=(Text(text="Let me see."),),
        tool_calls=(ToolCall(id="c1", name="f", arguments='{"a":1}'),),
    )
    assert answered == Message(role="tool", tool_call_id="c1", name="f", parts=(Text(text='{"x":"y"}'),))


def test_arguments_and_results_keep_every_digit() -> None:
    body = b"""{"contents": [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"b":1.10,  "a":12345678901234567890}}}]},
        {"parts": [{"functionResponse": {"name": "f", "response": {"r": 1.0e2 }}}]}]}"""
    asked, answered = read_bytes(body).messages
    assert asked.tool_calls[0].arguments == '{"b":1.10,  "a":12345678901234567890}'
    assert answered.parts == (Text(text='{"r": 1.0e2 }'),)


def test_calls_without_ids_are_paired_by_name_and_order() -> None:
    asked, first, second, third = messages(
        model(call("f", n=1), call("g"), call("f", n=2)),
        user(result("f", r=1), result("f", r=2), result("g", r=3)),
    )
    ids = [call.id for call in asked.tool_calls]
    assert len(set(ids)) == 3
    assert [first.tool_call_id, second.tool_call_id, third.tool_call_id] == [ids[0], ids[2], ids[1]]


def test_made_up_ids_are_the_same_when_the_conversation_goes_on() -> None:
    begun = [user({"text": "a"}), model(call("f")), user(result("f", r=1))]
    longer = messages(*begun, model(call("f")), user(result("f", r=2)))
    assert longer[: len(messages(*begun))] == messages(*begun)
    assert longer[1].tool_calls[0].id != longer[3].tool_calls[0].id


def test_a_result_that_lost_its_id_finds_its_call() -> None:
    asked, answered = messages(model(call("f", "c1")), user(result("f", r=1)))
    assert answered.tool_call_id == asked.tool_calls[0].id == "c1"
    asked, answered = messages(model(call("f")), user(result("f", "other", r=1)))
    assert answered.tool_call_id == asked.tool_calls[0].id


def test_a_result_among_what_the_user_says_keeps_its_place() -> None:
    _, *told = messages(model(call("f", "c1")), user({"text": "a"}, result("f", "c1", r=1), {"text": "b"}))
    assert [message.role for message in told] == ["user", "tool", "user"]


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"result": "sunny"}, "sunny", False),
        ({"error": "no such city"}, "no such city", True),
        ({"error": {"code": 1}}, '{"code":1}', True),
        ({"result": 5}, '{"result":5}', False),
        ({"output": "x"}, '{"output":"x"}', False),
        ({"result": "a", "more": 1}, '{"result":"a","more":1}', False),
        ({"result": '{"a":1}'}, '{"result":"{\\"a\\":1}"}', False),
        ({}, "{}", False),
        (None, "{}", False),
    ],
)
def test_what_a_function_gave(response: Body | None, text: str, is_error: bool) -> None:
    told = {"functionResponse": {"name": "f", "response": response}}
    _, answered = messages(model(call("f")), user(told))
    assert (answered.parts, answered.is_error) == ((Text(text=text),), is_error)


def test_pictures_that_a_function_gave() -> None:
    told = {"functionResponse": {"name": "f", "response": {}, "parts": [{"inline_data": PICTURE}]}}
    _, answered = messages(model(call("f")), user(told))
    assert answered.parts == (Text(text="{}"), Image(data="+/8=", media_type="image/png"))


def test_the_proof_of_a_call_stays_with_it() -> None:
    [asked] = messages(model({**call("f", "c1"), "thoughtSignature": "c2ln"}))
    assert asked.tool_calls[0].signature == "c2ln"


@pytest.mark.parametrize(
    ("turns", "param"),
    [
        ([user(result("f", r=1))], "contents[0].parts[0].functionResponse.name"),
        ([model(call("f")), user(result("g", r=1))], "contents[1].parts[0].functionResponse.name"),
        ([model(call("f")), user(result("f"), result("f"))], "contents[1].parts[1].functionResponse.name"),
        ([user(call("f"))], "contents[0].parts[0].functionCall"),
        ([model({"functionCall": {"name": "f", "args": [1]}})], "contents[0].parts[0].functionCall.args"),
        ([model({"functionCall": {"args": {}}})], "contents[0].parts[0].functionCall.name"),
        (
            [model(call("f")), user({"functionResponse": {"name": "f", "response": "x"}})],
            "contents[1].parts[0].functionResponse.response",
        ),
        (
            [user({"inlineData": {"mimeType": "image/png", "data": "no base64!"}})],
            "contents[0].parts[0].inlineData.data",
        ),
        ([user({"inlineData": {"mimeType": "image/png"}})], "contents[0].parts[0].inlineData.data"),
        ([user({"fileData": {}})], "contents[0].parts[0].fileData.fileUri"),
    ],
)
def test_what_cannot_be_is_named(turns: list[Body], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        messages(*turns)
    assert refusal.value.param == param


# ---------------------------------------------------------------- what the model thought


def test_a_thought_and_gemini_s_own_proof() -> None:
    assert thoughts({"text": "Hm.", "thought": True}, {"text": "Yes.", "thoughtSignature": "c2ln"}) == (
        Reasoning(text="Hm."),
        Text(text="Yes."),
        Reasoning(signature="c2ln", format=GEMINI),
    )


def test_a_proof_on_a_thought_proves_that_thought() -> None:
    assert thoughts(
        {"text": "One.", "thought": True}, {"text": "Two.", "thought": True, "thoughtSignature": "c2ln"}
    ) == (Reasoning(text="One."), Reasoning(text="Two.", signature="c2ln", format=GEMINI))


def test_an_empty_part_may_carry_a_proof() -> None:
    assert thoughts({"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}) == (
        Text(text="a"),
        Reasoning(signature="c2ln", format=GEMINI),
    )


def test_the_pieces_of_a_stream_that_the_sdk_remembers_as_turns_are_one_message() -> None:
    pieces = [
        model({"text": "Let me ", "thought": True}),
        model({"text": "see.", "thought": True}),
        model({"text": "It is "}),
        model({"text": "sunny.", "thoughtSignature": "c2ln"}),
        model(call("f", "c1")),
        model({"text": ""}),
    ]
    assert messages(*pieces) == (
        Message(
            role="assistant",
            parts=(
                Reasoning(text="Let me see."),
                Text(text="It is sunny."),
                Reasoning(signature="c2ln", format=GEMINI),
            ),
            tool_calls=(ToolCall(id="c1", name="f", arguments="{}"),),
        ),
    )


# ---------------------------------------------------------------- any conversation


@st.composite
def conversations(draw: st.DrawFn) -> list[Body]:
    """Turns as a client may send them: each call is answered in the turn after it, with or without ids."""
    turns: list[Body] = []
    for _ in range(draw(st.integers(1, 3))):
        turns.append(user({"text": draw(TEXT)}))
        called = [
            (draw(st.sampled_from(["f", "g"])), draw(st.none() | st.uuids().map(str)))
            for _ in range(draw(st.integers(0, 3)))
        ]
        thought = [{"text": draw(TEXT), "thought": True}] if draw(st.booleans()) else []
        asked = [call(name, call_id, a=draw(JSON)) for name, call_id in called]
        turns.append(model(*thought, {"text": draw(TEXT)}, *asked))
        if called:
            turns.append(user(*(result(name, call_id, r=draw(JSON)) for name, call_id in called)))
    return turns


@given(conversations())
def test_every_call_has_its_result_and_nothing_is_lost(turns: list[Body]) -> None:
    told = messages(*turns)
    called = [call.id for message in told for call in message.tool_calls]
    answered = [message.tool_call_id for message in told if message.role == "tool"]
    assert sorted(called) == sorted(filter(None, answered))
    assert len(set(called)) == len(called)
    sent = [part for turn in turns for part in turn["parts"]]
    arguments = [json_of(call.arguments) for message in told for call in message.tool_calls]
    assert arguments == [part["functionCall"]["args"] for part in sent if "functionCall" in part]


def json_of(text: str) -> object:
    return msgspec.json.decode(text)
