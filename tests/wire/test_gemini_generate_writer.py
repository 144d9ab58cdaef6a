"""Answers in Gemini's words: streamed in both forms, and whole."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.chat import (
    Annotated,
    Event,
    Failed,
    Finished,
    FinishReason,
    ImageMade,
    Json,
    LogprobsTold,
    Message,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.money import Picodollars
from arouter.domain.usage import METERS, Usage
from arouter.providers.gemini import GeminiAdapter
from arouter.providers.usage import gemini_usage
from arouter.wire.answer import AnswerWriter
from arouter.wire.gemini_generate.fields import strict_base64
from arouter.wire.gemini_generate.usage import usage_metadata
from arouter.wire.gemini_generate.writer import GenerateWriter
from arouter.wire.json_array import ArraySplitter
from tests.wire.generate_bodies import messages
from tests.wire.strategies import answers

Body = dict[str, Any]

CHARGE = Charge(usage=Usage(input_tokens=3, output_tokens=5, reasoning_tokens=2), cost=Picodollars(1_234_500_000))
STOP = Finished(reason=FinishReason.STOP, native_reason="end_turn")
ANTHROPIC = "anthropic-claude-v1"
GEMINI = "google-gemini-v1"


def writer(**form: bool) -> AnswerWriter:
    return GenerateWriter(id="gen-1", model="m", **form)


def chunks(*batches: Sequence[Event], charge: Charge | None = CHARGE) -> list[Body]:
    """Each chunk of a stream, as JSON."""
    one = writer()
    written = b"".join(one.encode(batch) for batch in batches) + one.last(charge)
    return [json.loads(event.removeprefix(b"data: ")) for event in written.split(b"\n\n") if event]


def whole(*events: Event) -> Body:
    told: Body = json.loads(writer().whole(events, CHARGE))
    return told


def parts(*events: Event) -> list[Body]:
    """The parts of a whole answer with one candidate."""
    [candidate] = whole(*events, STOP)["candidates"]
    told: list[Body] = candidate["content"]["parts"]
    return told


# ---------------------------------------------------------------- text, and the shape of it all


def test_a_whole_answer() -> None:
    assert whole(Started(id="up", model="claude-x"), TextDelta(text="Hel"), TextDelta(text="lo"), STOP) == {
        "candidates": [
            {"content": {"parts": [{"text": "Hello"}], "role": "model"}, "index": 0, "finishReason": "STOP"}
        ],
        "modelVersion": "claude-x",
        "responseId": "gen-1",
        "usageMetadata": {
            "promptTokenCount": 3,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 8,
            "cost": 0.0012345,
        },
    }


def test_a_stream() -> None:
    first, second, last = chunks([Started(model="x")], [TextDelta(text="Hel")], [TextDelta(text="lo")], [STOP])
    assert first == {
        "candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}],
        "modelVersion": "x",
        "responseId": "gen-1",
    }
    assert second["candidates"][0]["content"]["parts"] == [{"text": "lo"}]
    assert last["candidates"] == [
        {"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0, "finishReason": "STOP"}
    ]
    assert last["usageMetadata"]["totalTokenCount"] == 8


def test_the_bytes_of_a_stream_of_events() -> None:
    one = writer()
    assert one.encode([TextDelta(text="a\nb")]) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"a\\nb"}],"role":"model"},"index":0}],'
        b'"modelVersion":"m","responseId":"gen-1"}\n\n'
    )
    assert one.last(None).endswith(b'"modelVersion":"m","responseId":"gen-1"}\n\n')


def test_a_stream_as_an_array() -> None:
    one = writer(as_array=True)
    written = one.encode([TextDelta(text="a")]) + one.encode([TextDelta(text="b"), STOP]) + one.last(CHARGE)
    assert [piece["candidates"][0]["content"]["parts"] for piece in json.loads(written)] == [
        [{"text": "a"}],
        [{"text": "b"}],
        [{"text": ""}],
    ]
    assert len(json.loads(writer(as_array=True).last(CHARGE))) == 1


def test_what_adds_nothing_writes_nothing() -> None:
    one = writer()
    assert one.encode([]) == b""
    assert one.encode([Started(model="x"), UsageReported(usage=Usage(), raw=b"{}"), TextDelta(text="")]) == b""
    assert one.encode([STOP]) == b""


def test_a_client_that_wants_no_usage_gets_none() -> None:
    assert "usageMetadata" not in chunks([STOP], charge=None)[-1]


def test_a_price_that_is_not_known_is_null() -> None:
    told = json.loads(writer().whole([STOP], Charge()))
    assert told["usageMetadata"] == {"cost": None}


def test_candidates_are_told_apart() -> None:
    first, last = chunks(
        [TextDelta(text="a", choice=1), TextDelta(text="b", choice=0)],
        [Finished(reason=FinishReason.LENGTH, choice=0), Finished(reason=FinishReason.STOP, choice=1)],
    )
    assert [(one["index"], one["content"]["parts"]) for one in first["candidates"]] == [
        (0, [{"text": "b"}]),
        (1, [{"text": "a"}]),
    ]
    assert [(one["index"], one["finishReason"]) for one in last["candidates"]] == [(0, "MAX_TOKENS"), (1, "STOP")]


def test_a_refusal_and_an_image() -> None:
    assert parts(
        RefusalDelta(text="No."),
        ImageMade(url="data:image/png;base64,AAAA"),
        ImageMade(url="https://a.example/x.png"),
    ) == [
        {"text": "No."},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://a.example/x.png"}},
    ]


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("reason", "native", "word"),
    [
        (FinishReason.STOP, "end_turn", "STOP"),
        (FinishReason.STOP, None, "STOP"),
        (FinishReason.TOOL_CALLS, "tool_use", "STOP"),
        (FinishReason.LENGTH, "max_tokens", "MAX_TOKENS"),
        (FinishReason.LENGTH, "CONTINUATION", "MAX_TOKENS"),
        (FinishReason.CONTENT_FILTER, "refusal", "SAFETY"),
        (FinishReason.CONTENT_FILTER, "RECITATION", "RECITATION"),
        (FinishReason.STOP, "RECITATION", "STOP"),
        (FinishReason.ERROR, None, "OTHER"),
        (FinishReason.ERROR, "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_why_it_ended(reason: FinishReason, native: str | None, word: str) -> None:
    [candidate] = whole(Finished(reason=reason, native_reason=native))["candidates"]
    assert candidate["finishReason"] == word
    assert types.FinishReason(word)


def test_a_candidate_that_never_ended_has_no_reason() -> None:
    [candidate] = whole(TextDelta(text="a"))["candidates"]
    assert "finishReason" not in candidate


@pytest.mark.parametrize("begun", [False, True])
def test_a_stream_that_broke_off(begun: bool) -> None:
    one, other = writer(), writer(as_array=True)
    if begun:
        one.encode([TextDelta(text="a")])
    start = other.encode([TextDelta(text="a")]) if begun else b""
    told = ("Broke off.", "upstream_error", {"provider": "x"})
    event = one.error(*told, type_="server_error")
    assert event.startswith(b'data: {"error":')
    assert event.endswith(b"}\n\n")
    *_, error = json.loads(start + other.error(*told, type_="server_error"))
    assert error == json.loads(event.removeprefix(b"data: "))
    assert error["error"]["status"] == "INTERNAL"


def test_an_error_goes_on_in_an_array_that_somebody_else_began() -> None:
    end = writer(as_array=True, begun=True).error("x", "upstream_error", {}, type_="server_error")
    assert len(json.loads(b'[{"candidates":[]}' + end)) == 2


# ---------------------------------------------------------------- calls

CALL = (
    ToolCallStarted(index=0, id="c1", name="f"),
    ToolCallArguments(index=0, fragment='{"a": 1.10,\n'),
    ToolCallArguments(index=0, fragment='"b":12345678901234567890}'),
)
CALLED = Finished(reason=FinishReason.TOOL_CALLS)


def test_a_call_is_told_once_it_is_whole() -> None:
    one = writer()
    assert one.encode(CALL[:2]) == b""
    assert one.encode(CALL[2:]) == b""
    assert (
        b'"parts":[{"functionCall":{"id":"c1","name":"f","args":{"a":1.10,"b":12345678901234567890}}}]'
        in one.encode([CALLED])
    )
    assert b'"finishReason":"STOP"' in one.last(CHARGE)


def test_calls_that_come_mixed() -> None:
    mixed = (
        ToolCallStarted(index=1, id="c2", name="g", signature="c2ln"),
        CALL[0],
        ToolCallArguments(index=1, fragment=""),
        *CALL[1:],
    )
    assert parts(*mixed) == [
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1.1, "b": 12345678901234567890}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}, "thoughtSignature": "c2ln"},
    ]


@pytest.mark.parametrize(
    ("arguments", "reason", "word"),
    [
        ('{"a": ', FinishReason.TOOL_CALLS, "MALFORMED_FUNCTION_CALL"),
        ("[1]", FinishReason.TOOL_CALLS, "MALFORMED_FUNCTION_CALL"),
        ('{"a": [1,]}', FinishReason.STOP, "MALFORMED_FUNCTION_CALL"),
        ('{"a": ', FinishReason.LENGTH, "MAX_TOKENS"),
    ],
)
def test_arguments_that_are_no_object_are_no_call(arguments: str, reason: FinishReason, word: str) -> None:
    events = (CALL[0], ToolCallArguments(index=0, fragment=arguments), Finished(reason=reason))
    [candidate] = whole(*events)["candidates"]
    assert candidate["content"]["parts"] == [{"text": ""}]
    assert candidate["finishReason"] == word
    assert candidate["finishMessage"] == f"Malformed function call: f({arguments})"
    assert candidate == chunks(events)[-1]["candidates"][0]


def test_a_piece_of_a_call_that_never_began_is_nothing() -> None:
    assert parts(ToolCallArguments(index=4, fragment="{}")) == [{"text": ""}]


# ---------------------------------------------------------------- thoughts


def test_a_thought_of_gemini_s_own() -> None:
    assert parts(
        ReasoningDelta(text="Let me ", format=GEMINI),
        ReasoningDelta(text="see.", format=GEMINI),
        TextDelta(text="Yes."),
        ReasoningDelta(signature="c2ln", format=GEMINI, index=1),
    ) == [{"text": "Let me see.", "thought": True}, {"text": "Yes.", "thoughtSignature": "c2ln"}]


def test_a_proof_that_comes_alone() -> None:
    _, proof, _ = chunks([TextDelta(text="Yes.")], [ReasoningDelta(signature="c2ln", format=GEMINI)], [STOP])
    assert proof["candidates"][0]["content"]["parts"] == [{"text": "", "thoughtSignature": "c2ln"}]


def said_again(*batches: Sequence[Event]) -> Message:
    """What a client sends back of a stream: Google's SDK remembers each chunk as a turn of its own."""
    turns = []
    for chunk in chunks(*batches):
        read = types.GenerateContentResponse._from_response(response=chunk, kwargs={})
        assert read.candidates
        assert read.candidates[0].content is not None
        turns.append(read.candidates[0].content.model_dump(mode="json", exclude_none=True))
    [message] = messages(*turns)
    return message


SIGNED = [
    ReasoningDelta(text="Let me ", format=ANTHROPIC),
    ReasoningDelta(text="see."),
    ReasoningDelta(signature="sig==not base64", format=ANTHROPIC),
]
REDACTED = [ReasoningDelta(data="ciphertext", format=ANTHROPIC, index=1)]
SUMMARY = [
    ReasoningDelta(text="**Sum**", format="openai-responses-v1", id="rs_1", index=2),
    ReasoningDelta(data="gAAA", format="openai-responses-v1", id="rs_1", index=2),
]
THOUGHTS: tuple[Reasoning, ...] = (
    Reasoning(text="Let me see.", signature="sig==not base64", format=ANTHROPIC),
    Reasoning(data="ciphertext", format=ANTHROPIC),
    Reasoning(text="**Sum**", data="gAAA", format="openai-responses-v1", id="rs_1"),
)


@pytest.mark.parametrize("together", [False, True])
def test_thoughts_of_other_providers_survive_the_way_to_the_client_and_back(together: bool) -> None:
    events: list[Event] = [*SIGNED, *REDACTED, *SUMMARY, TextDelta(text="Yes."), *CALL, CALLED]
    message = said_again(events) if together else said_again(*([event] for event in events))
    assert message.parts == (*THOUGHTS, Text(text="Yes."))
    arguments = '{"a":1.1,"b":12345678901234567890}'
    assert message.tool_calls == (ToolCall(id="c1", name="f", arguments=arguments),)


def test_a_thought_without_a_proof_before_one_with_it_stays_apart() -> None:
    message = said_again([ReasoningDelta(text="Hm. ", index=5), *SIGNED], [STOP])
    assert message.parts == (Reasoning(text="Hm. "), THOUGHTS[0])


@st.composite
def proven(draw: st.DrawFn) -> tuple[list[Event], tuple[Reasoning, ...]]:
    """Blocks of thought, each in pieces and with a proof, and what they are."""
    events: list[Event] = []
    wanted = []
    for index in range(draw(st.integers(1, 4))):
        pieces = draw(st.lists(st.text("abé🙂\n", max_size=4), max_size=3))
        kind = draw(st.sampled_from([ANTHROPIC, "openai-responses-v1", None]))
        proof = draw(st.text("ab=/+ é", min_size=1, max_size=6))
        is_data = draw(st.booleans())
        thought_id = draw(st.none() | st.just(f"rs_{index}"))
        events += [ReasoningDelta(text=piece, format=kind, id=thought_id, index=index) for piece in pieces]
        told: dict[str, Any] = {"data" if is_data else "signature": proof, "format": kind, "id": thought_id}
        events.append(ReasoningDelta(**told, index=index))
        wanted.append(Reasoning(text="".join(pieces), **told))
    return events, tuple(wanted)


@given(proven(), st.booleans())
def test_any_thoughts_survive_the_way_to_the_client_and_back(
    thoughts: tuple[list[Event], tuple[Reasoning, ...]], together: bool
) -> None:
    events, wanted = thoughts
    message = said_again([*events, STOP]) if together else said_again(*([event] for event in events), [STOP])
    assert message.parts == wanted


# ---------------------------------------------------------------- citations and log probabilities


def citation(start: int, end: int, url: str = "https://a.example", title: str = "A") -> Annotated:
    inner: Json = {"start_index": start, "end_index": end, "url": url, "title": title}
    return Annotated(annotation={"type": "url_citation", "url_citation": inner})


def test_citations_come_at_the_end_and_count_bytes() -> None:
    text = "Zürich is sunny. Bern too."
    events: list[Event] = [
        TextDelta(text=text),
        citation(0, 16),
        citation(17, 26, "https://b.example", ""),
        citation(17, 26),
        citation(0, 999, "https://c.example"),
        Annotated(annotation={"type": "file_citation"}),
        STOP,
    ]
    first, last = chunks(events)
    assert "groundingMetadata" not in first["candidates"][0]
    grounding = last["candidates"][0]["groundingMetadata"]
    assert grounding == {
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"web": {"uri": "https://b.example"}},
            {"web": {"uri": "https://c.example", "title": "A"}},
        ],
        "groundingSupports": [
            {"segment": {"endIndex": 17, "text": "Zürich is sunny."}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 18, "endIndex": 27, "text": "Bern too."}, "groundingChunkIndices": [1]},
            {"segment": {"startIndex": 18, "endIndex": 27, "text": "Bern too."}, "groundingChunkIndices": [0]},
        ],
    }
    assert whole(*events)["candidates"][0]["groundingMetadata"] == grounding
    assert "groundingMetadata" not in whole(TextDelta(text="a"), STOP)["candidates"][0]


def test_log_probabilities() -> None:
    chosen: Json = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    other: Json = {"token": "b", "logprob": -1.5, "top_logprobs": [{"token": "b", "logprob": -1.5}]}
    first, second, _ = chunks(
        [TextDelta(text="a"), LogprobsTold(content=(chosen,))], [LogprobsTold(content=(other,))], [STOP]
    )
    assert first["candidates"][0]["logprobsResult"] == {"chosenCandidates": [{"token": "a", "logProbability": -0.5}]}
    assert second["candidates"][0]["logprobsResult"] == {
        "chosenCandidates": [{"token": "b", "logProbability": -1.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }


# ---------------------------------------------------------------- usage


COUNTS = st.none() | st.integers(0, 10**6)


@given(st.builds(Usage, **dict.fromkeys((*METERS, "reasoning_tokens"), COUNTS)))
def test_the_totals_are_read_back(usage: Usage) -> None:
    metadata = usage_metadata(Charge(usage=usage))
    read = gemini_usage(metadata)
    assert read.prompt_tokens == usage.prompt_tokens
    assert read.completion_tokens == usage.completion_tokens
    assert read.cached_tokens == usage.cached_tokens
    assert metadata.get("totalTokenCount") == usage.total_tokens
    if usage.completion_tokens is not None and (usage.reasoning_tokens or 0) <= (usage.output_tokens or 0):
        assert read.reasoning_tokens == usage.reasoning_tokens


MULTIMODAL = Usage(
    input_tokens=10,
    input_audio_tokens=3,
    input_image_tokens=4,
    input_video_tokens=0,
    cache_read_tokens=5,
    cache_read_audio_tokens=1,
    output_tokens=7,
    output_image_tokens=2,
    reasoning_tokens=4,
)


def test_every_modality_is_read_back() -> None:
    assert gemini_usage(usage_metadata(Charge(usage=MULTIMODAL))) == MULTIMODAL


# ---------------------------------------------------------------- any answer


def meaning(events: Sequence[Event]) -> dict[int, Body]:
    """What an answer says, choice by choice, however it was cut, as far as Gemini's dialect can tell it."""
    told: dict[int, Body] = {}
    for event in events:
        if isinstance(event, Started | UsageReported | Failed):
            continue
        said = told.setdefault(event.choice, {"text": "", "thought": "", "calls": {}, "images": []})
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                said["text"] += text
            case ReasoningDelta(text=text):
                said["thought"] += text
            case ToolCallStarted(id=call_id, name=name):
                said["calls"][event.index] = [call_id, name, ""]
            case ToolCallArguments(index=index, fragment=fragment):
                said["calls"][index][2] += fragment
            case ImageMade(url=url) if (data := strict_base64(url.partition(",")[2])) is not None:
                said["images"].append(data)  # What is no base64 is no picture for Gemini's clients.
    for said in told.values():
        said["calls"] = [
            [call_id, name, json.loads(arguments.strip() or "{}")]
            for _, (call_id, name, arguments) in sorted(said["calls"].items())
            if is_object(arguments.strip() or "{}")
        ]
    return told


def is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


@given(answers(), st.integers(1, 4), st.booleans())
def test_any_answer_says_the_same_in_every_form(events: list[Event], size: int, as_array: bool) -> None:
    one = writer(as_array=as_array)
    batches = [events[at : at + size] for at in range(0, len(events), size)]
    stream = b"".join(one.encode(batch) for batch in batches) + one.last(CHARGE)
    if as_array:
        bodies = [element.data for element in ArraySplitter().feed(stream)]
        assert len(json.loads(stream)) == len(bodies)
        stream = b"".join(b"data: " + body + b"\n\n" for body in bodies)
    reader = GeminiAdapter().stream_reader()
    streamed = reader.feed(stream)
    assert reader.complete
    read = GeminiAdapter().read_answer(writer().whole(events, CHARGE))
    wanted = meaning(events)
    assert meaning(streamed) == wanted
    assert meaning(read) == wanted
    for event in stream.split(b"\n\n"):
        if event:
            types.GenerateContentResponse._from_response(response=json.loads(event[6:]), kwargs={})
