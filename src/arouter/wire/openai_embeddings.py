"""OpenAI's `POST /v1/embeddings` as a client speaks it: the request read, the answer written.

https://platform.openai.com/docs/api-reference/embeddings: `input` is a text, an array of texts, an array of tokens or
an array of these. OpenAI's own SDKs ask for `base64`, which is 32 bit floats in little-endian order.
"""

import base64
import struct
from collections.abc import Mapping

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import Json
from arouter.domain.embeddings import EmbeddingsAnswer, EmbeddingsRequest, Input, Vector
from arouter.wire.fields import Fields, decoded, missing, wrong_type, wrong_value
from arouter.wire.openai_chat.usage import usage_json

GATEWAY_FIELDS = frozenset(
    {"model", "models", "route", "provider", "usage", "user", "safety_identifier", "session_id", "metadata", "trace"}
)
"""Instructions to the gateway, and for whom the request is: never in `EmbeddingsRequest.rest`."""

CANONICAL_FIELDS = frozenset({"input", "dimensions", "encoding_format", "task_type", "title"})
"""Read into fields of `EmbeddingsRequest`, or obeyed when the answer is written. `task_type` and `title` are Gemini's
words, which a client of this format may add."""

FORMATS = ("float", "base64")


def read_embeddings(fields: Mapping[str, msgspec.Raw], *, model: str, identity: str | None) -> EmbeddingsRequest:
    """The canonical form of a request.

    `fields` is the top-level object with its values undecoded. InvalidRequest, naming the field, if something is
    missing or malformed.
    """
    request = Fields({name: decoded(name, raw) for name, raw in fields.items() if name not in GATEWAY_FIELDS})
    dimensions = request.integer("dimensions")
    if dimensions is not None and dimensions < 1:
        raise wrong_value("dimensions", "at least 1")
    _check_format(request)
    rest = {name: value for name, value in request.values.items() if name not in CANONICAL_FIELDS and value is not None}
    return EmbeddingsRequest(
        model=model,
        inputs=_inputs(request),
        dimensions=dimensions,
        task_type=request.text("task_type"),
        title=request.text("title"),
        identity=identity,
        rest=rest,
    )


def wants_base64(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the client asks for vectors in base64. InvalidRequest if it asks for anything unknown."""
    raw = fields.get("encoding_format")
    if raw is None:
        return False
    return _check_format(Fields({"encoding_format": decoded("encoding_format", raw)})) == "base64"


def embeddings_body(answer: EmbeddingsAnswer, *, model: str, as_base64: bool, charge: Charge) -> bytes:
    """The answer's body. The model is the one that the answer names, or else `model`."""
    data = [
        {"object": "embedding", "index": index, "embedding": pack(vector) if as_base64 else list(vector)}
        for index, vector in enumerate(answer.vectors)
    ]
    told: Json = {
        "object": "list",
        "data": data,
        "model": model if answer.model is None else answer.model,
        "usage": msgspec.Raw(_usage(charge)),
    }
    return msgspec.json.encode(told)


def pack(vector: Vector) -> str:
    """The numbers as 32 bit floats in base64. One that such a float cannot hold becomes infinite."""
    try:
        packed = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError:
        packed = struct.pack(f"<{len(vector)}f", *(_narrowed(number) for number in vector))
    return base64.b64encode(packed).decode()


def unpack(text: str) -> Vector:
    """The numbers in base64. ValueError if it is none, or no whole number of floats."""
    packed = base64.b64decode(text, validate=True)
    if len(packed) % 4:
        raise ValueError("no whole number of 32 bit floats")
    return struct.unpack(f"<{len(packed) // 4}f", packed)


_LARGEST_FLOAT = 3.4028234663852886e38


def _narrowed(number: float) -> float:
    if abs(number) <= _LARGEST_FLOAT:
        return number
    return float("inf") if number > 0 else float("-inf")


def _check_format(request: Fields) -> str | None:
    form = request.text("encoding_format")
    if form is not None and form not in FORMATS:
        raise wrong_value("encoding_format", f"one of {', '.join(FORMATS)}")
    return form


def _inputs(request: Fields) -> tuple[Input, ...]:
    value = request.get("input")
    match value:
        case None:
            raise missing("input")
        case str():
            return (_text(value, "input"),)
        case []:
            raise wrong_value("input", "a text or at least one")
        case list() if isinstance(value[0], int):
            return (_tokens(value, "input"),)
        case list():
            return tuple(_input(one, f"input[{at}]") for at, one in enumerate(value))
        case _:
            raise wrong_type("input", "a string or an array", value)


def _input(value: object, param: str) -> Input:
    match value:
        case str():
            return _text(value, param)
        case list():
            return _tokens(value, param)
        case _:
            raise wrong_type(param, "a string or an array of integers", value)


def _text(value: str, param: str) -> str:
    if not value:
        raise wrong_value(param, "a text that is not empty")
    return value


def _tokens(value: list[object], param: str) -> tuple[int, ...]:
    if not value:
        raise wrong_value(param, "an array that is not empty")
    for at, token in enumerate(value):
        if not isinstance(token, int) or isinstance(token, bool):
            raise wrong_type(f"{param}[{at}]", "an integer", token)
    return tuple(token for token in value if isinstance(token, int))


def _usage(charge: Charge) -> bytes:
    """The usage object; nothing is generated, so that nothing is said of a completion."""
    told = msgspec.json.decode(
        usage_json(charge.usage, cost=charge.cost, prompt_cost=charge.prompt_cost, completion_cost=None),
        type=dict[str, msgspec.Raw],
    )
    told.pop("completion_tokens")
    return msgspec.json.encode(told)
