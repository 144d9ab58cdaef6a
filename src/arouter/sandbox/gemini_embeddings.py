# ruff: noqa: N815 - the fields are named as Google writes them
"""Embeddings in Gemini's form, one or a batch of them: the vectors that the same texts have in OpenAI's."""

import re
from typing import Final
from urllib.parse import unquote

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import count_prompt_tokens
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.dialect import Stamp, decode
from arouter.sandbox.embeddings import vector
from arouter.sandbox.plan import Plan, Received, whole_body

TARGET: Final = re.compile(r"/v1(?:beta|alpha)?/models/(.+):(embedContent|batchEmbedContents)(?:\?.*)?")
"""Where they are asked for; like Gemini's other paths with whatever the client wrote before the colon."""

_DIMENSIONS = 3072
_encode = msgspec.json.encode


class _Part(msgspec.Struct):
    text: str | None = None


class _Content(msgspec.Struct):
    parts: list[_Part]

    @property
    def text(self) -> str:
        return "".join([part.text for part in self.parts if part.text is not None])


class _Request(msgspec.Struct):
    content: _Content
    outputDimensionality: int | None = None
    output_dimensionality: int | None = None

    @property
    def dimensions(self) -> int:
        asked = self.outputDimensionality if self.outputDimensionality is not None else self.output_dimensionality
        return _DIMENSIONS if asked is None else asked


class _Batch(msgspec.Struct):
    requests: list[_Request]


def model_of(received: Received) -> str:
    """The model, from the path."""
    found = TARGET.fullmatch(received.target)
    return unquote(found[1]) if found is not None else ""


def embedded(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """The answer. InvalidRequest, naming the param, if it is no such request."""
    found = TARGET.fullmatch(received.target)
    if found is not None and found[2] == "embedContent":
        request = decode(received.body, _Request)
        return whole_body(_encode({"embedding": _embedding(request), "usageMetadata": _usage([request])}))
    batch = decode(received.body, _Batch).requests
    if not batch:
        raise InvalidRequest("* BatchEmbedContentsRequest.requests: must not be empty", param="requests")
    told = {"embeddings": [_embedding(request) for request in batch], "usageMetadata": _usage(batch)}
    return whole_body(_encode(told))


def _embedding(request: _Request) -> Json:
    if not 1 <= request.dimensions <= _DIMENSIONS:
        raise InvalidRequest(f"* output_dimensionality must be from 1 to {_DIMENSIONS}", param="output_dimensionality")
    return {"values": vector(request.content.text, request.dimensions)}


def _usage(batch: list[_Request]) -> Json:
    tokens = sum([count_prompt_tokens(len(request.content.text)) for request in batch])
    return {"promptTokenCount": tokens, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": tokens}]}
