"""Embeddings in OpenAI's form: the same text gets the same vector of length one, on every machine."""

import array
import base64
import hashlib
import math
import sys

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import count_prompt_tokens
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.dialect import Stamp, decode
from arouter.sandbox.plan import Plan, Received, whole_body

_DIMENSIONS = 1536
_MOST_DIMENSIONS = 4096


class _Request(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: str | None = None


def model_of(received: Received) -> str:
    """The model of a request for embeddings. InvalidRequest, naming the param, if it is none."""
    return decode(received.body, _Request).model


def embedded(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """The answer to a request for embeddings."""
    return whole_body(embed(received.body))


def embed(body: bytes) -> bytes:
    """A list of embeddings, one for each input. InvalidRequest, naming the param, if it is no such request."""
    request = decode(body, _Request)
    dimensions = _DIMENSIONS if request.dimensions is None else request.dimensions
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise InvalidRequest(f"dimensions must be from 1 to {_MOST_DIMENSIONS}", param="dimensions")
    inputs = _inputs(request.input)
    as_base64 = request.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector(text, dimensions), as_base64)}
        for index, (text, _) in enumerate(inputs)
    ]
    tokens = sum([count for _, count in inputs])
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": request.model, "usage": usage})


def vector(text: str, dimensions: int) -> list[float]:
    """The vector of a text: the bytes of SHAKE-256 as signed 16 bit numbers, scaled to length one."""
    numbers = array.array("h", hashlib.shake_256(text.encode()).digest(2 * dimensions))
    if sys.byteorder == "big":
        numbers.byteswap()
    length = math.sqrt(sum([number * number for number in numbers])) or 1.0
    return [number / length for number in numbers]


def _inputs(value: str | list[str | int | list[int]]) -> list[tuple[str, int]]:
    """Each input as a text and its tokens. A list of token numbers is one input, and tells its count itself."""
    if isinstance(value, str):
        return [(value, count_prompt_tokens(len(value)))]
    if not value:
        raise InvalidRequest("input must not be empty", param="input")
    if any(isinstance(one, int) for one in value):
        return [(str(value), len(value))]
    return [(one, count_prompt_tokens(len(one))) if isinstance(one, str) else (str(one), _length(one)) for one in value]


def _length(tokens: int | list[int]) -> int:
    return 1 if isinstance(tokens, int) else len(tokens)


def _encoded(numbers: list[float], as_base64: bool) -> list[float] | str:
    if not as_base64:
        return numbers
    floats = array.array("f", numbers)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()
