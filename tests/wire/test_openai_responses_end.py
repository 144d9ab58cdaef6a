"""How an answer ends, whole, cut or broken off, and what it repeats of its request."""

from collections.abc import Iterator

import msgspec
import pytest
from openai import APIError, OpenAI, Stream
from openai._models import FinalRequestOptions
from openai.types.responses import ResponseStreamEvent

from arouter.domain.charge import Charge
from arouter.domain.chat import Event, Finished, FinishReason, Json, ReasoningDelta, Started, TextDelta
from arouter.domain.errors import InvalidRequest
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage
from arouter.wire.openai_responses.writer import ResponsesWriter
from tests.wire.responses_bodies import events_of, kinds, streamed, whole, writer

STOP = Finished(reason=FinishReason.STOP)


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("reason", "status", "incomplete", "code", "item"),
    [
        (None, "completed", None, None, "completed"),
        (FinishReason.STOP, "completed", None, None, "completed"),
        (FinishReason.TOOL_CALLS, "completed", None, None, "completed"),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}, None, "incomplete"),
        (FinishReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}, None, "incomplete"),
        (FinishReason.ERROR, "failed", None, "server_error", "incomplete"),
    ],
)
def test_every_end(
    reason: FinishReason | None, status: str, incomplete: Json | None, code: str | None, item: str
) -> None:
    finish = [] if reason is None else [Finished(reason=reason)]
    end = streamed([TextDelta(text="a"), *finish])[-1]
    assert end["type"] == f"response.{status}"
    response = end["response"]
    assert response == whole([TextDelta(text="a"), *finish]) | {"usage": None}
    assert (response["status"], response["incomplete_details"]) == (status, incomplete)
    assert (response["error"] or {}).get("code") == code
    assert response["output"][0]["status"] == item


def test_only_what_was_cut_is_incomplete() -> None:
    cut: list[Event] = [
        TextDelta(text="a"),
        ReasoningDelta(text="Hm"),
        TextDelta(text="b"),
        Finished(reason=FinishReason.LENGTH),
    ]
    first, _, last = whole(cut)["output"]
    assert (first["status"], last["status"]) == ("completed", "incomplete")


def test_an_answer_that_never_began_ends_as_one_that_did() -> None:
    events = streamed([])
    assert kinds(events) == ["created", "in_progress", "completed"]
    assert events[-1]["response"]["output"] == []


def test_the_end_has_the_usage_and_the_cost() -> None:
    charge = Charge(
        usage=Usage(input_tokens=10, output_tokens=5), cost=Picodollars(1_000_000), prompt_cost=Picodollars(600_000)
    )
    writing = writer()
    writing.encode([TextDelta(text="a"), STOP])
    assert b'"cost":0.000001,' in writing.last(charge)
    usage = whole([STOP], charge)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (10, 5, 15)


# ---------------------------------------------------------------- a stream that broke off


def test_a_stream_that_breaks_off_ends_as_openais() -> None:
    writing = writer()
    stream = writing.encode([TextDelta(text="Hel")])
    ending = writing.error("Gone.", "upstream_error", {"provider": "x"}, type_="server_error")
    error, failed = events_of(stream + ending)[-2:]
    assert error == {
        "type": "error",
        "code": "upstream_error",
        "message": "Gone.",
        "param": None,
        "error": {
            "message": "Gone.",
            "type": "server_error",
            "param": None,
            "code": "upstream_error",
            "metadata": {"provider": "x"},
        },
        "sequence_number": 5,
    }
    response = failed["response"]
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 6)
    assert (response["status"], response["error"]) == ("failed", {"code": "server_error", "message": "Gone."})
    assert response["output"][0]["content"][0]["text"] == "Hel"
    assert response["output"][0]["status"] == "incomplete"


def test_a_limit_of_the_provider_has_a_code_of_its_own() -> None:
    stream = writer().error("Slow down.", "rate_limit_exceeded", {}, type_="rate_limit_error")
    events = events_of(stream)
    assert kinds(events) == ["created", "in_progress", "error", "failed"]
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


def test_a_stream_of_the_providers_own_gets_the_error_and_no_second_response() -> None:
    writing = ResponsesWriter(id="gen-1", created_s=0, model="m", fields={}, begun=True)
    [error] = events_of(writing.error("Gone.", "upstream_error", {}, type_="server_error"))
    assert (error["type"], error["code"], error["message"]) == ("error", "upstream_error", "Gone.")


class Bytes:
    """As much of an HTTP response as the SDK's stream reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.request = None

    def iter_bytes(self) -> Iterator[bytes]:
        yield self._data

    def close(self) -> None: ...


def test_the_sdk_raises_the_error() -> None:
    ending = writer().error("Gone.", "upstream_error", {}, type_="server_error")
    stream = Stream[ResponseStreamEvent](
        cast_to=ResponseStreamEvent,  # type: ignore[arg-type]  # as the SDK calls it
        response=Bytes(ending),  # type: ignore[arg-type]
        client=OpenAI(api_key="x", base_url="http://localhost"),
        options=FinalRequestOptions(method="post", url="/responses"),
    )
    with pytest.raises(APIError, match=r"^Gone\.$") as caught:
        list(stream)
    assert caught.value.code == "upstream_error"


# ---------------------------------------------------------------- what is repeated of the request


def test_the_settings_of_the_request_are_repeated() -> None:
    schema: Json = {"type": "object"}
    sent: Json = {
        "instructions": "Be brief.",
        "max_output_tokens": 100,
        "temperature": 0,
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_object"}},
        "tool_choice": "required",
        "truncation": "auto",
        "metadata": {"a": "b"},
        "user": "user_12345",
    }
    tools = [{"type": "function", "name": "f", "parameters": schema}, {"type": "web_search"}]
    answer = whole([], None, input="Hello", tools=tools, store=True, service_tier="flex", **sent)
    assert {name: answer[name] for name in sent} == sent
    function: Json = {"type": "function", "name": "f", "description": None, "parameters": schema, "strict": None}
    assert answer["tools"] == [function, {"type": "web_search"}]
    assert (answer["store"], answer["service_tier"], answer["background"]) == (False, None, False)
    assert "input" not in answer


def test_what_was_not_sent_has_openais_default_or_none() -> None:
    answer = whole([])
    assert answer == whole([], temperature=None, tools=None, metadata=None, text=None)
    assert (answer["temperature"], answer["top_p"], answer["tools"], answer["tool_choice"]) == (None, None, [], "auto")
    assert (answer["parallel_tool_calls"], answer["metadata"]) == (True, {})
    assert answer["text"] == {"format": {"type": "text"}}


def test_a_setting_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        ResponsesWriter(id="gen-1", created_s=1, model="m", fields={"metadata": msgspec.Raw(b'{"a":tru}')})
    assert (caught.value.param, caught.value.code) == ("metadata", "invalid_json")


def test_line_ends_of_the_request_do_not_end_an_event() -> None:
    fields = {"metadata": msgspec.Raw(b'{\n\n"a":"b"\r\n}')}
    writing = ResponsesWriter(id="gen-1", created_s=1, model="m", fields=fields)
    assert events_of(writing.encode([Started()]))[0]["response"]["metadata"] == {"a": "b"}
