"""The dialects of clients: what one sends to say hello, and what it hears in an answer.

Every rule of a stream's form that the dialect has is checked on the way: what ends it, what comes last, which numbers
count up.
"""

import json
from dataclasses import dataclass
from typing import Any

from tests.acceptance import counts as count
from tests.acceptance import said as say
from tests.acceptance.client import Answer, fields
from tests.acceptance.counts import Counts
from tests.acceptance.recorded import data, events
from tests.acceptance.said import Said

Json = dict[str, Any]

CLIENTS = ("chat", "responses", "messages")
HELLO = "Hello, who is there?"
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


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
    return PATHS[client]


def asked(client: str, model: str, user: str) -> Json:
    """The fields of every request that are for the gateway."""
    return {"model": model, "user": user}


def hello(client: str, model: str, user: str, *, stream: bool) -> Json:
    """A simple request."""
    said: Json = {"role": "user", "content": HELLO}
    streamed = {"stream": True} if stream else {}
    match client:
        case "chat":
            body: Json = {"messages": [said]}
        case "responses":
            body = {"input": [said]}
        case _:
            body = {"messages": [said], "max_tokens": 1000}
    return {**body, **streamed, **asked(client, model, user)}


# ---------------------------------------------------------------- what is heard


def heard(client: str, answer: Answer, *, stream: bool) -> Heard:
    """An answer to a request that was translated."""
    if not stream:
        body, usage = answer.json, fields(answer.body)["usage"]
        return _heard(client, say.WHOLE[client](body), usage, body)
    texts = _texts(client, answer)
    told = [json.loads(text) for text in texts]
    said = say.STREAMED[client](told)
    match client:
        case "chat":
            _check_chat(told)
            return _heard(client, said, fields(texts[-1])["usage"], told[-1])
        case "responses":
            _check_responses(told, said)
            response = told[-1]["response"]
            return _heard(client, said, fields(fields(texts[-1])["response"])["usage"], response)
        case _:
            _check_messages(told)
            return _heard(client, said, fields(texts[-2])["usage"], told[0]["message"])


def _heard(client: str, said: Said, usage: bytes, body: Json) -> Heard:
    counts = count.IN[client](json.loads(usage))
    return Heard(said=said, counts=counts, cost=fields(usage)["cost"], id=body["id"], model=body["model"])


def _texts(client: str, answer: Answer) -> list[str]:
    """The JSON of each event of a stream, which is named in the dialects that have names."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer.body.decode())
    if client == "chat":
        assert found.pop() == "data: [DONE]"
    texts = []
    for event in found:
        text = data(event)
        assert text is not None
        if client != "chat":
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
