"""The dialects of clients: what one sends to say hello, and what it hears in an answer.

Every rule of a stream's form that the dialect has is checked on the way: what ends it, what comes last, which numbers
count up.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.acceptance import counts as count
from tests.acceptance import said as say
from tests.acceptance.client import Answer, fields
from tests.acceptance.counts import Counts
from tests.acceptance.recorded import data, events
from tests.acceptance.said import Said

Json = dict[str, Any]
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode

CLIENTS = ("chat", "responses", "messages", "generate")
HELLO = "Hello, who is there?"
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
MODELS_PATH = "/v1beta/models/"
"""Of Gemini's dialect, in which the model and the method follow."""
NAMES = {"generate": ("usageMetadata", "responseId", "modelVersion")}
"""Where an answer has its usage, its id and its model; in the other dialects they are `usage`, `id` and `model`."""
NAMED_EVENTS = ("responses", "messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An answer as a client understands it."""

    said: Said
    counts: Counts
    cost: bytes
    """As it is written."""
    id: str
    model: str


# ---------------------------------------------------------------- what is asked


def path(client: str, model: str, *, stream: bool) -> str:
    """Where a client asks."""
    if client == "generate":
        return MODELS_PATH + model + (":streamGenerateContent?alt=sse" if stream else ":generateContent")
    return PATHS[client]


def endpoint(client: str, *, stream: bool) -> str:
    """What the activity calls it: the path, without the model."""
    return path(client, "{model}", stream=stream).removesuffix("?alt=sse")


def asked(client: str, model: str, user: str) -> Json:
    """The fields of every request that are for the gateway."""
    if client == "generate":
        return {"labels": {"user": user}}
    return {"model": model, "user": user}


def hello(client: str, model: str, user: str, *, stream: bool) -> Json:
    """A simple request."""
    said: Json = {"role": "user", "content": HELLO}
    streamed = {"stream": True} if stream else {}
    match client:
        case "chat":
            body: Json = {"messages": [said], **streamed}
        case "responses":
            body = {"input": [said], **streamed}
        case "messages":
            body = {"messages": [said], "max_tokens": 1000, **streamed}
        case _:
            body = {"contents": [{"role": "user", "parts": [{"text": HELLO}]}]}
    return {**body, **asked(client, model, user)}


# ---------------------------------------------------------------- what is heard


def heard(client: str, answer: Answer, *, stream: bool) -> Heard:
    """An answer to a request that was translated."""
    if not stream:
        return _heard(client, say.WHOLE[client](answer.json), answer.body.decode())
    texts = _texts(client, answer)
    told = [json.loads(text) for text in texts]
    said = say.STREAMED[client](told)
    match client:
        case "chat":
            _check_chat(told)
        case "responses":
            _check_responses(told, said)
            return _heard(client, said, fields(texts[-1])["response"].decode())
        case "messages":
            _check_messages(told)
            # The first event has the message, the last but one what it used.
            return _heard(client, said, texts[-2], named=told[0]["message"])
        case _:
            _check_generate(told)
    return _heard(client, said, texts[-1])


def heard_in_array(answer: Answer) -> Heard:
    """A stream in Gemini's form without events."""
    chunks = [bytes(chunk).decode() for chunk in _decode_array(answer.body)]
    told = [json.loads(chunk) for chunk in chunks]
    _check_generate(told)
    return _heard("generate", say.generate_stream(told), chunks[-1])


def _heard(client: str, said: Said, text: str, named: Json | None = None) -> Heard:
    """`text` is what holds the usage, and the names too unless `named` does."""
    usage_name, id_name, model_name = NAMES.get(client, ("usage", "id", "model"))
    usage = fields(text)[usage_name]
    names = json.loads(text) if named is None else named
    return Heard(
        said=said,
        counts=count.IN[client](json.loads(usage)),
        cost=fields(usage)["cost"],
        id=names[id_name],
        model=names[model_name],
    )


def _texts(client: str, answer: Answer) -> list[str]:
    """The JSON of each event of a stream, which has its type for a name in the dialects that have names."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer.body.decode())
    if client == "chat":
        assert found.pop() == "data: [DONE]"
    texts = []
    for event in found:
        text = data(event)
        assert text is not None
        if client in NAMED_EVENTS:
            assert event.startswith(f"event: {json.loads(text)['type']}\n")
        texts.append(text)
    return texts


def _check_chat(told: list[Json]) -> None:
    """Usage is told once, at the end, in a chunk without a choice."""
    assert told[-1]["choices"] == []
    assert not any(chunk.get("usage") for chunk in told[:-1])
    assert {chunk["object"] for chunk in told} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in told}) == 1


def _check_responses(told: list[Json], said: Said) -> None:
    """Events are numbered; items begin and end in their order; the last event says again what was told in pieces.

    A citation may be told of a text that has ended: some providers tell them at the end only.
    """
    kinds = [one["type"] for one in told]
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    assert kinds[:2] == ["response.created", "response.in_progress"]
    response = told[-1]["response"]
    assert kinds[-1] == f"response.{response['status']}"
    assert say.responses(response) == said
    added = [one["output_index"] for one in told if one["type"] == "response.output_item.added"]
    assert added == list(range(len(response["output"])))
    done: dict[int, Json] = {}
    for one in told:
        if one["type"] == "response.output_item.done":
            done[one["output_index"]] = one["item"]
        elif one["type"] == "response.output_text.annotation.added" and one["output_index"] in done:
            done[one["output_index"]]["content"][one["content_index"]]["annotations"].append(one["annotation"])
    assert [done[index] for index in added] == response["output"]


def _check_messages(told: list[Json]) -> None:
    """One block after the other, each with its end, between the two ends of the message."""
    kinds = [one["type"] for one in told]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    open_ = None
    begun = 0
    for one in told[1:-2]:
        match one["type"]:
            case "content_block_start":
                assert (open_, one["index"]) == (None, begun)
                open_ = begun
                begun += 1
            case "content_block_delta":
                assert one["index"] == open_
            case kind:
                assert (kind, one["index"]) == ("content_block_stop", open_)
                open_ = None
    assert open_ is None


def _check_generate(told: list[Json]) -> None:
    """Only the last chunk tells the reason and the usage; each has a part, and a call is told whole."""
    assert "usageMetadata" in told[-1]
    assert not any("usageMetadata" in chunk for chunk in told[:-1])
    candidates = [candidate for chunk in told for candidate in chunk["candidates"]]
    assert ["finishReason" in candidate for candidate in candidates] == [False] * (len(candidates) - 1) + [True]
    assert all(candidate["content"]["parts"] for candidate in candidates)
    assert {chunk["responseId"] for chunk in told} == {told[0]["responseId"]}
