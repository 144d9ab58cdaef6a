"""Recorded chat completions of OpenAI and of vendors that follow it, as an upstream of other dialects.

What is read from an answer is what the recording says; a request that was recorded, read and written again, asks for
the same.
"""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from arouter.domain.chat import ChatRequest
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.usage import openai_usage
from arouter.providers.vendors import BY_NAME, Vendor
from arouter.wire.openai_chat.request import read_chat
from tests.providers.openai_answers import CUTS, Fold, Said, fold, in_pieces
from tests.recordings import Recording, need_recordings, recordings

Body = dict[str, Any]

VENDORS = {
    "api.openai.com": "openai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.cerebras.ai": "cerebras",
    "api.z.ai": "zai",
    "ollama.com": "ollama",
    "openrouter.ai": "openrouter",
}

ALL = [
    recording
    for api in ("openai.chat", "compatible.chat", "openrouter.chat")
    for recording in recordings(api)
    if "messages" in recording.request
]
WHOLE = [recording for recording in ALL if recording.status == 200 and not recording.stream]
STREAMED = [recording for recording in ALL if recording.status == 200 and recording.stream]
REFUSED = [recording for recording in ALL if recording.status != 200]


def name(recording: Recording) -> str:
    return recording.id


def vendor_of(recording: Recording) -> Vendor:
    known = VENDORS.get(recording.host, "elsewhere")
    return BY_NAME.get(known) or Vendor(name=known, dialect="openai", base_url=None)


def adapter_of(recording: Recording) -> ChatAdapter:
    return ChatAdapter(vendor_of(recording))


# ---------------------------------------------------------------- what an answer says, by plain lookups


def parts_of(content: Any) -> tuple[str, str]:
    """The text and the thought of a `content`."""
    if not isinstance(content, list):
        return content or "", ""
    text = "".join(part["text"] for part in content if part["type"] == "text")
    thoughts = [thought["text"] for part in content if part["type"] == "thinking" for thought in part["thinking"]]
    return text, "".join(thoughts)


def add(said: Said, message: Body) -> None:
    text, thought = parts_of(message.get("content"))
    said.text += text
    details = message.get("reasoning_details") or []
    of_details = "".join(detail.get("text") or detail.get("summary") or "" for detail in details)
    said.thought += thought + (of_details or message.get("reasoning") or message.get("reasoning_content") or "")
    said.refusal += message.get("refusal") or ""
    said.proofs += [
        (detail.get("format"), detail.get("signature"), detail.get("data"))
        for detail in details
        if "signature" in detail or "data" in detail
    ]
    for call in message.get("tool_calls") or []:
        if "id" in call and call.get("index", len(said.calls)) == len(said.calls):
            said.calls.append([call["id"], call["function"]["name"], ""])
        said.calls[-1][2] += call["function"].get("arguments", "")
    said.citations += message.get("annotations") or []


def expected(answers: list[Body], field: str) -> Fold:
    whole = Fold(started=[(answers[0]["id"] or None, answers[0]["model"])])
    for answer in answers:
        for choice in answer["choices"]:
            said = whole.choices.setdefault(choice["index"], Said())
            add(said, choice[field])
            said.logprobs += (choice.get("logprobs") or {}).get("content") or []
            if choice.get("finish_reason"):
                native = choice.get("native_finish_reason") or choice["finish_reason"]
                said.finished.append((choice["finish_reason"], native))
    for said in whole.choices.values():
        for call in said.calls:
            call[2] = call[2] or "{}"
        # Snowflake says an empty word, or none; OpenRouter says it once more, with the usage.
        said.finished = said.finished[:1] or [("tool_calls" if said.calls else "stop", None)]
        if said.calls and said.finished[0][0] == "stop":
            said.finished = [("tool_calls", said.finished[0][1])]
    return whole


def check(told: Fold, answers: list[Body], field: str, vendor: str) -> None:
    wanted = expected(answers, field)
    usage = [answer["usage"] for answer in answers if answer.get("usage")]
    tiers = [answer["service_tier"] for answer in answers if answer.get("service_tier")]
    assert told.usage is not None
    assert json.loads(told.usage.raw) == usage[-1]
    assert told.usage.usage == openai_usage(usage[-1], vendor)
    assert told.usage.service_tier == (tiers[-1] if tiers else None)
    told.usage = None
    assert told == wanted


@pytest.mark.parametrize("recording", WHOLE, ids=name)
def test_a_whole_answer(recording: Recording) -> None:
    told = fold(adapter_of(recording).read_answer(recording.response_text.encode()))
    check(told, [recording.body], "message", vendor_of(recording).name)


def chunks_of(recording: Recording) -> list[Body]:
    lines = recording.response_text.split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


@pytest.mark.parametrize("recording", STREAMED, ids=name)
def test_a_streamed_answer_cut_anywhere(recording: Recording) -> None:
    raw = recording.response_text.encode()
    events = in_pieces(adapter_of(recording), raw)
    check(fold(events), chunks_of(recording), "delta", vendor_of(recording).name)
    for size in CUTS:
        assert in_pieces(adapter_of(recording), raw, size) == events


@pytest.mark.parametrize("recording", REFUSED, ids=name)
def test_a_refused_request(recording: Recording) -> None:
    failed = adapter_of(recording).read_error(recording.status, recording.response_text.encode())
    assert failed.message
    assert failed.upstream_status == recording.status
    assert failed.client_fault == (recording.status != 429)


def test_what_the_provider_behind_a_gateway_said_is_told() -> None:
    recording = next(one for one in REFUSED if one.status == 429 and vendor_of(one).name == "openrouter")
    failed = adapter_of(recording).read_error(recording.status, recording.response_text.encode())
    assert failed.message == (
        "Provider returned error: google/gemini-2.0-flash-exp:free is temporarily rate-limited upstream. Please retry"
        " shortly, or add your own key to accumulate your rate limits: https://openrouter.ai/settings/integrations"
    )


# ---------------------------------------------------------------- what a request asks


def read_again(recording: Recording, fields: dict[str, msgspec.Raw]) -> ChatRequest:
    model = recording.request["model"]
    return read_chat(fields, model=model, identity=None, stream=recording.stream)


def fields_of(body: bytes) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(body, type=dict[str, msgspec.Raw])


def asking(request: ChatRequest) -> ChatRequest:
    """A request without what asks for nothing."""
    return replace(request, n=None if request.n == 1 else request.n, rest={**request.rest, "thinking": None})


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_request_read_and_written_again_asks_for_the_same(recording: Recording) -> None:
    vendor = vendor_of(recording)
    request = read_again(recording, fields_of(msgspec.json.encode(recording.request)))
    prepared = adapter_of(recording).prepare(request)
    again = read_again(recording, fields_of(prepared.body))
    assert asking(again) == asking(request)
    assert prepared.dropped == ()
    sent = json.loads(prepared.body)
    assert sent["model"] == recording.request["model"]
    assert sent.get("stream", False) == recording.stream
    assert ("stream_options" in sent) == (recording.stream and vendor.name != "mistral")


def test_the_recordings_are_there_and_hold_what_these_tests_are_about() -> None:
    need_recordings()
    assert len(WHOLE) > 180
    assert len(STREAMED) > 25
    assert len(REFUSED) == 6
    together = "".join(recording.response_text for recording in (*WHOLE, *STREAMED))
    for field in ("reasoning", "reasoning_content", "reasoning_details", "annotations", "logprobs", "thinking"):
        assert f'"{field}"' in together
