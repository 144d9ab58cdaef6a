"""Everything recorded with the real API passes through both dialects of ours: requests in and out, answers out and in.

What is written back must mean what was sent; where the canonical form is coarser than Gemini's, `meant` says how.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from google.genai import types

from arouter.domain.charge import Charge
from arouter.domain.chat import ChatRequest, Event, TextDelta, UsageReported
from arouter.providers.gemini import GeminiAdapter
from arouter.wire.gemini_generate.fields import ProtoFields, camel, standard_base64
from arouter.wire.gemini_generate.json_schema import json_schema
from arouter.wire.gemini_generate.request import read_generate
from arouter.wire.gemini_generate.writer import GenerateWriter
from tests.providers.test_gemini_recordings import ALL, STREAMED, WHOLE, events_of, fold, in_pieces, name
from tests.recordings import Recording, need_recordings

Body = dict[str, Any]

# ---------------------------------------------------------------- requests


def read(recording: Recording) -> ChatRequest:
    fields = msgspec.json.decode(msgspec.json.encode(recording.request), type=dict[str, msgspec.Raw])
    model = recording.path.partition("/models/")[2].partition(":")[0]
    return read_generate(fields, model=model, identity=None, stream=recording.stream)


def camelled(value: Any) -> Any:
    """Every name in camel case: our own and Google's spelling are the same to it."""
    match value:
        case dict():
            return {camel(key): camelled(inner) for key, inner in value.items()}
        case list():
            return [camelled(inner) for inner in value]
        case _:
            return value


def said_parts(contents: list[Body]) -> Iterator[tuple[str, Body]]:
    """Who said what, part by part, as far as the canonical form can hold it.

    Pictures that a function gave stand behind its result. What Google's own tools did is left out but for the code
    that ran, which is told in words, and so is what only a video has.
    """
    for turn in contents:
        for part in turn["parts"]:
            told = {key: value for key, value in part.items() if key != "videoMetadata"}
            match told:
                case {"functionResponse": response}:
                    media = response.get("parts", [])
                    rest = {key: value for key, value in response.items() if key != "parts"}
                    yield turn["role"], {"functionResponse": rest}
                    yield from ((turn["role"], plain(camelled(one))) for one in media)
                case {"executableCode": code}:
                    yield turn["role"], {"text": f"```{code['language'].lower()}\n{code['code']}\n```"}
                case {"codeExecutionResult": result}:
                    yield turn["role"], {"text": f"```\n{result['output']}\n```"}
                case {"toolCall": _} | {"toolResponse": _}:
                    continue
                case _:
                    yield turn["role"], plain(told)


def plain(part: Body) -> Body:
    match part:
        case {"inlineData": {"mimeType": kind, "data": data}}:
            return {**part, "inlineData": {"mimeType": kind, "data": standard_base64(data)}}
        case _:
            return part


def meant(request: Body) -> Body:
    """What a request says, as far as the canonical form can hold it."""
    config = dict(request.get("generationConfig", {}))
    if config.get("responseModalities") == ["TEXT"]:
        del config["responseModalities"]  # Everybody answers with text.
    thinking = camelled(config.get("thinkingConfig"))
    if thinking is not None:
        config["thinkingConfig"] = {"includeThoughts": False, **thinking}
    calling = request.get("toolConfig", {}).get("functionCallingConfig")
    if calling == {"mode": "VALIDATED"}:
        calling = {"mode": "AUTO"}  # What more it promises is in the list of what was dropped.
    system = request.get("systemInstruction", {"parts": []})["parts"]
    return {
        "contents": list(said_parts(request["contents"])),
        "system": [part["text"] for part in system],
        "functions": [function for tool in request.get("tools", []) for function in declared(tool)],
        "calling": calling,
        "config": config,
        "cached": request.get("cachedContent"),
    }


def declared(tool: Body) -> Iterator[Body]:
    for function in tool.get("functionDeclarations", []):
        schema = camelled({"p": function}).get("p", {}).get("parametersJsonSchema")
        if schema is not None:
            schema = next(function[key] for key in function if camel(key) == "parametersJsonSchema")
        elif "parameters" in function:
            schema = json_schema(ProtoFields(function["parameters"]))
        yield {"name": function["name"], "description": function["description"], "schema": schema}


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_request_written_back_means_the_same(recording: Recording) -> None:
    written = json.loads(GeminiAdapter().prepare(read(recording)).body)
    assert meant(written) == meant(recording.request)


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_what_google_alone_has_is_named_as_dropped(recording: Recording) -> None:
    tools = recording.request.get("tools", [])
    config = recording.request.get("toolConfig", {})
    own_tools = any(key != "functionDeclarations" for tool in tools for key in tool)
    own_config = set(config) - {"functionCallingConfig"} or config.get("functionCallingConfig", {}).get("mode") == (
        "VALIDATED"
    )
    dropped = {*(["tools"] if own_tools else []), *(["toolConfig"] if own_config else [])}
    assert set(GeminiAdapter().prepare(read(recording)).dropped) == dropped


# ---------------------------------------------------------------- answers

SERVER_TOOLS = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


def events(recording: Recording) -> list[Event]:
    return GeminiAdapter().read_answer(recording.response_text.encode())


def charge(told: list[Event]) -> Charge:
    return Charge(usage=[event for event in told if isinstance(event, UsageReported)][-1].usage)


def writer() -> GenerateWriter:
    return GenerateWriter(id="gen-1", model="m")


def kept(recording: Recording) -> list[Body]:
    """The recorded parts but for those of Google's own tools, each call with the id that it was told under."""
    parts: list[Body] = []
    calls = 0
    for part in recording.body["candidates"][0].get("content", {}).get("parts", []):
        if any(tool in part for tool in SERVER_TOOLS):
            continue
        if "functionCall" in part:
            made = {"id": f"call_{recording.body['responseId']}_{calls}"}
            calls += 1
            parts.append({**part, "functionCall": {**made, **part["functionCall"]}})
            continue
        parts.append(part)
    return parts


def counts(metadata: Body) -> Body:
    """What is counted; the prompt of Google's own tools is a part of the prompt with us."""
    prompt = metadata["promptTokenCount"] + metadata.get("toolUsePromptTokenCount", 0)
    names = ("cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")
    told = {name: metadata[name] for name in names if name in metadata}
    if "thoughtsTokenCount" in told:
        told.setdefault("candidatesTokenCount", 0)
    return {"promptTokenCount": prompt, **told}


@pytest.mark.parametrize("recording", WHOLE, ids=name)
def test_a_whole_answer_is_written_as_it_came(recording: Recording) -> None:
    told = events(recording)
    written = json.loads(writer().whole(told, charge(told)))
    [candidate] = written["candidates"]
    assert candidate["content"] == {"role": "model", "parts": kept(recording) or [{"text": ""}]}
    assert candidate["finishReason"] == recording.body["candidates"][0]["finishReason"]
    assert counts(written["usageMetadata"]) == counts(recording.body["usageMetadata"])
    assert (written["responseId"], written["modelVersion"]) == (
        "gen-1",
        recording.body["modelVersion"].removeprefix("models/"),
    )


@pytest.mark.parametrize("recording", WHOLE, ids=name)
def test_google_s_own_types_read_what_is_written(recording: Recording) -> None:
    told = events(recording)
    written = writer().whole(told, charge(told))
    answer = types.GenerateContentResponse._from_response(response=json.loads(written), kwargs={})
    original = types.GenerateContentResponse._from_response(response=json.loads(recording.response_text), kwargs={})
    assert answer.text == (original.text or "" if kept(recording) == [] else original.text)
    assert [(call.name, call.args) for call in answer.function_calls or ()] == [
        (call.name, call.args) for call in original.function_calls or ()
    ]
    assert answer.candidates is not None
    assert original.candidates is not None
    assert answer.candidates[0].finish_reason == original.candidates[0].finish_reason


def read_again(written: bytes) -> list[Event]:
    """What our own reader makes of a written stream."""
    reader = GeminiAdapter().stream_reader()
    told = reader.feed(written)
    assert reader.complete
    return told


@pytest.mark.parametrize("recording", STREAMED, ids=name)
@pytest.mark.parametrize("size", [1, 7, 37, 1_000_000])
def test_a_stream_is_written_as_it_came(recording: Recording, size: int) -> None:
    told = in_pieces(recording, size)
    one = writer()
    chunks = [one.encode([event]) for event in told]
    written = fold(read_again(b"".join([*chunks, one.last(charge(told))])))
    expected = fold(told)
    assert {key: written[key] for key in written if key not in ("started", "usage")} == {
        key: expected[key] for key in expected if key not in ("started", "usage")
    }
    assert written["usage"][0].total_tokens == expected["usage"][0].total_tokens
    assert counts(json.loads(written["usage"][1])) == counts(events_of(recording)[-1]["usageMetadata"])


@pytest.mark.parametrize("recording", STREAMED, ids=name)
def test_every_chunk_of_a_stream_is_one_that_google_s_sdk_keeps(recording: Recording) -> None:
    told = in_pieces(recording, 1_000_000)
    one = writer()
    chunks = [chunk for event in told if (chunk := one.encode([event]))]
    chunks.append(one.last(charge(told)))
    texts = []
    for chunk in chunks:
        body = json.loads(chunk.removeprefix(b"data: "))
        answer = types.GenerateContentResponse._from_response(response=body, kwargs={})
        assert answer.candidates
        content = answer.candidates[0].content
        assert content is not None
        assert content.parts
        texts.append(answer.text or "")
    assert "".join(texts) == "".join(event.text for event in told if isinstance(event, TextDelta))


def test_the_recordings_are_there() -> None:
    need_recordings()
    assert len(ALL) > 100
    assert STREAMED
