"""A conversation as Gemini's turns: canonical messages on the left, parts on the right."""

import msgspec
import pytest

from arouter.domain.chat import Audio, File, Image, Message, Reasoning, Refusal, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from tests.providers.gemini_requests import GEMINI, HELLO_TURN, Body, body, calls, parts, prepare, result, user

PLACEHOLDER = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="


# ---------------------------------------------------------------- messages


def test_system_and_developer_messages_become_the_system_instruction_in_their_order() -> None:
    written = body(
        Message(role="system", parts=(Text(text="Be brief."),)),
        user("Hello"),
        Message(role="developer", parts=(Text(text="Speak French."),)),
    )
    assert written == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Speak French."}]},
        "contents": [HELLO_TURN],
    }


def test_system_messages_alone_get_an_empty_user_turn() -> None:
    assert body(Message(role="system", parts=(Text(text="Say hi."),)))["contents"] == [
        {"role": "user", "parts": [{"text": ""}]}
    ]


def test_neighbouring_messages_of_one_side_become_one_turn_and_empty_ones_none() -> None:
    written = body(
        user("one"),
        user("two"),
        Message(role="assistant", parts=(Text(text="three"),)),
        Message(role="assistant", parts=(Refusal(text="four"),)),
        user("five"),
        Message(role="assistant"),
    )
    assert written["contents"] == [
        {"role": "user", "parts": [{"text": "one"}, {"text": "two"}]},
        {"role": "model", "parts": [{"text": "three"}, {"text": "four"}]},
        {"role": "user", "parts": [{"text": "five"}]},
    ]


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (Image(data="QUJD", media_type="image/png"), {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}),
        (Image(data="QUJD"), {"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}}),
        (Image(url="data:image/webp;base64,QUJD"), {"inlineData": {"mimeType": "image/webp", "data": "QUJD"}}),
        (Image(url="data:text/plain;charset=utf-8,A%42C"), {"inlineData": {"mimeType": "text/plain", "data": "QUJD"}}),
        (
            Image(url="https://example.com/a/cat.PNG?size=2#top"),
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a/cat.PNG?size=2#top"}},
        ),
        (
            Image(url="https://example.com/cat.png", media_type="image/gif"),
            {"fileData": {"mimeType": "image/gif", "fileUri": "https://example.com/cat.png"}},
        ),
        (Image(url="https://example.com/watch?v=1"), {"fileData": {"fileUri": "https://example.com/watch?v=1"}}),
        (Audio(data="QUJD", format="wav"), {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}),
        (Audio(data="QUJD", format="opus"), {"inlineData": {"mimeType": "audio/opus", "data": "QUJD"}}),
        (File(data="QUJD", name="report.pdf"), {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}}),
        (
            File(data="data:application/pdf;base64,QUJD", name="report"),
            {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}},
        ),
        (
            File(url="https://example.com/1", name="notes.md"),
            {"fileData": {"mimeType": "text/markdown", "fileUri": "https://example.com/1"}},
        ),
        (
            File(file_id="https://files.example/v1beta/files/abc", media_type="video/mp4"),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://files.example/v1beta/files/abc"}},
        ),
    ],
)
def test_media_travel_by_value_or_by_address(part: Image | Audio | File, written: Body) -> None:
    assert parts(Message(role="user", parts=(part,))) == [written]


@pytest.mark.parametrize("part", [Image(), File(name="a.pdf"), Image(url="data:image/png;base64")])
def test_media_without_content_cannot_be_said(part: Image | File) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(Message(role="user", parts=(part,)))
    assert refused.value.param == "messages"


# ---------------------------------------------------------------- tool calls and their results


def test_parallel_calls_and_their_results_are_one_turn_each() -> None:
    written = body(
        user("Weather in Paris and Rome?"),
        calls(
            ToolCall(id="c1", name="weather", arguments='{"city": "Paris"}', signature="c2ln"),
            ToolCall(id="c2", name="clock", arguments=""),
        ),
        result("c1", '{"degrees": 21.50}'),
        result("c2", "noon"),
        user("So?"),
    )
    assert written["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Paris"}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"id": "c2", "name": "clock", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"degrees": 21.5}}},
                {"functionResponse": {"id": "c2", "name": "clock", "response": {"result": "noon"}}},
                {"text": "So?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("text", "is_error", "response"),
    [
        ("sunny", False, '{"result":"sunny"}'),
        ("", False, '{"result":""}'),
        ("[1, 2]", False, '{"result":"[1, 2]"}'),
        ('{"b": 1.0, "a": 12345678901234567890123}', False, '{"b": 1.0, "a": 12345678901234567890123}'),
        ('{"half": ', False, '{"result":"{\\"half\\": "}'),
        ("no such city", True, '{"error":"no such city"}'),
        ('{"status": 404}', True, '{"error":{"status": 404}}'),
    ],
)
def test_a_response_is_an_object_and_json_stays_as_it_was_written(text: str, is_error: bool, response: str) -> None:
    call = calls(ToolCall(id="c1", name="f", arguments="{}"))
    written = prepare(user("?"), call, result("c1", text, is_error=is_error)).body.decode()
    assert f'"response":{response}' in written
    msgspec.json.decode(written)


def test_arguments_keep_every_digit_and_the_order_of_keys() -> None:
    arguments = '{"z": 0.10, "a": 123456789012345678901234567890}'
    assert f'"args":{arguments}' in prepare(calls(ToolCall(id="c", name="f", arguments=arguments))).body.decode()


def test_pictures_of_a_tool_follow_its_response() -> None:
    screenshot = Message(role="tool", tool_call_id="c1", parts=(Image(data="QUJD", media_type="image/png"),))
    written = body(calls(ToolCall(id="c1", name="shoot", arguments="{}")), screenshot)
    assert written["contents"][1]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "shoot", "response": {"result": ""}}},
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
    ]


def test_a_result_of_an_unknown_call_needs_a_name_of_its_own() -> None:
    [part] = parts(result("lost", "1", name="f"))
    assert part == {"functionResponse": {"id": "lost", "name": "f", "response": {"result": "1"}}}
    with pytest.raises(InvalidRequest) as refused:
        prepare(result("lost", "1"))
    assert refused.value.param == "messages"


@pytest.mark.parametrize("arguments", ["{", "[]", "1", "null", '{"a": 1} x', "[" * 100_000])
def test_arguments_that_are_no_json_object_cannot_be_said(arguments: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(calls(ToolCall(id="c", name="f", arguments=arguments)))
    assert refused.value.param == "messages"


# ---------------------------------------------------------------- thoughts and signatures


def test_a_signature_goes_back_on_the_text_it_came_with() -> None:
    said = (
        Reasoning(text="Let me think.", format=GEMINI),
        Reasoning(signature="c2ln", format=GEMINI),
        Text(text="Hi!"),
    )
    assert parts(Message(role="assistant", parts=said)) == [
        {"text": "Let me think.", "thought": True},
        {"text": "Hi!", "thoughtSignature": "c2ln"},
    ]


def test_several_signatures_go_on_several_parts_in_their_order_and_the_last_ones_on_empty_text() -> None:
    said = (
        Reasoning(signature="b25l", format=GEMINI),
        Reasoning(signature="dHdv", format=GEMINI),
        Reasoning(signature="dGhyZWU=", format=GEMINI),
        Text(text="Here:"),
        Image(data="QUJD", media_type="image/png"),
    )
    assert parts(Message(role="assistant", parts=said)) == [
        {"text": "Here:", "thoughtSignature": "b25l"},
        {"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thoughtSignature": "dHdv"},
        {"text": "", "thoughtSignature": "dGhyZWU="},
    ]


def test_a_signature_with_the_id_of_a_call_goes_on_that_call() -> None:
    message = calls(
        ToolCall(id="c1", name="f", arguments="{}"),
        ToolCall(id="c2", name="g", arguments="{}"),
        said=(Reasoning(data="c2ln", id="c2", format=GEMINI),),
    )
    assert [part.get("thoughtSignature") for part in parts(message)] == [None, "c2ln"]


def test_proofs_of_another_provider_stay_behind_and_its_thoughts_do_not() -> None:
    said = (
        Reasoning(text="Hm.", signature="c2ln", format="anthropic-claude-v1"),
        Reasoning(data="c2VjcmV0", format="openai-responses-v1"),
        Text(text="Hi!"),
    )
    assert parts(Message(role="assistant", parts=said)) == [{"text": "Hm.", "thought": True}, {"text": "Hi!"}]


@pytest.mark.parametrize(
    ("model", "first"),
    [("gemini-3-flash-preview", PLACEHOLDER), ("gemini-2.5-pro", None), ("gemini-flash-latest", None)],
)
def test_gemini_3_gets_a_placeholder_on_the_first_call_that_has_no_signature(model: str, first: str | None) -> None:
    two = (ToolCall(id="c1", name="f", arguments="{}"), ToolCall(id="c2", name="g", arguments="{}"))
    assert [part.get("thoughtSignature") for part in parts(calls(*two), model=model)] == [first, None]


def test_a_real_signature_is_never_replaced() -> None:
    call = ToolCall(id="c1", name="f", arguments="{}", signature="cmVhbA==")
    [part] = parts(calls(call), model="gemini-3.1-pro-preview")
    assert part["thoughtSignature"] == "cmVhbA=="
