"""`POST /embeddings` of OpenAI and its kin as an upstream: translated from the canonical form, or relayed.

Who relays changes the model, the identity and the usage object, which grows by the cost; every other byte stays.
OpenAI takes the end user of embeddings in `user`: there is no `safety_identifier`.
"""

from collections.abc import Mapping

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.embeddings import EmbeddingsAnswer, EmbeddingsRequest, Vector
from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.base import Prepared
from arouter.providers.openai import FALL_BACK_FIELDS, ROUTING_FIELDS, Fields, read_error
from arouter.providers.told import Told
from arouter.providers.usage import openai_usage_from_json
from arouter.providers.vendors import Vendor
from arouter.providers.whole import WholeAnswers
from arouter.wire.openai_chat.usage import charged_usage
from arouter.wire.openai_embeddings import unpack

EMBEDDINGS_PATH = "/embeddings"
"""Appended to the base URL."""

_NULL = msgspec.Raw(b"null")
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MOST_ERROR_TEXT = 2000


class _Embedding(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0


class _Answer(msgspec.Struct):
    data: list[_Embedding] | None = None
    model: str | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


class _Head(msgspec.Struct):
    """What the ledger needs of an answer."""

    data: msgspec.Raw = _NULL
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_fields: msgspec.json.Decoder[Fields] = msgspec.json.Decoder(dict[str, msgspec.Raw])

# ---------------------------------------------------------------- translated


def prepare_embeddings(request: EmbeddingsRequest, *, vendor: Vendor) -> Prepared:
    """The request in OpenAI's dialect. A task and a title have no counterpart."""
    body: dict[str, object] = {"model": request.model, "input": list(request.inputs), "encoding_format": "float"}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.identity is not None and vendor.identity_field is not None:
        body["user"] = request.identity
    unsaid = {"task_type": request.task_type, "title": request.title, **request.rest}
    dropped = tuple(name for name, value in unsaid.items() if value is not None)
    return Prepared(path=EMBEDDINGS_PATH, body=msgspec.json.encode(body), dropped=dropped)


def read_embeddings_answer(body: bytes, *, vendor: Vendor, inputs: int) -> EmbeddingsAnswer:
    """The answer for that many inputs. UpstreamFailed if it is none, or has not a vector for each."""
    try:
        answer = _decode_answer(body)
        if answer.error != _NULL:
            raise read_error(vendor.name, 200, body)
        vectors = {one.index: _vector(one.embedding) for one in answer.data or ()}
        usage, raw = _usage(answer.usage, vendor)
    except (*_MALFORMED, ValueError) as exc:
        raise _no_embeddings(vendor, body) from exc
    if sorted(vectors) != list(range(inputs)):
        raise _no_embeddings(vendor, body)
    in_order = tuple(vectors[index] for index in range(inputs))
    return EmbeddingsAnswer(vectors=in_order, model=answer.model, usage=usage, raw_usage=raw)


def _vector(embedding: list[float] | str) -> Vector:
    return unpack(embedding) if isinstance(embedding, str) else tuple(embedding)


def _usage(raw: msgspec.Raw, vendor: Vendor) -> tuple[Usage | None, bytes | None]:
    if raw == _NULL:
        return None, None
    usage = openai_usage_from_json(bytes(raw), vendor.name)
    return usage, bytes(raw)


# ---------------------------------------------------------------- relayed


def relay_embeddings_request(
    fields: Mapping[str, msgspec.Raw], *, vendor: Vendor, model: str, identity: str | None
) -> Prepared:
    """The client's request for this vendor: `fields` with the few that are ours to change, changed."""
    taken = {"user", "safety_identifier", *FALL_BACK_FIELDS}
    if not vendor.takes_routing_fields:
        taken.update(ROUTING_FIELDS)
    sent = {name: raw for name, raw in fields.items() if name not in taken}
    sent["model"] = msgspec.Raw(msgspec.json.encode(model))
    if identity is not None and vendor.identity_field is not None:
        sent["user"] = msgspec.Raw(msgspec.json.encode(identity))
    return Prepared(path=EMBEDDINGS_PATH, body=msgspec.json.encode(sent))


class EmbeddingsRelay(WholeAnswers):
    """One answer on its way through. It is never a stream."""

    __slots__ = ("_fields", "_vendor", "told")

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._fields: Fields = {}
        self.told = Told()

    def read_answer(self, body: bytes) -> None:
        """Read an answer. UpstreamFailed if it is none."""
        try:
            answer = _decode_head(body)
            usage, raw = _usage(answer.usage, self._vendor)
            self._fields = _decode_fields.decode(body)
        except _MALFORMED as exc:
            raise _no_embeddings(self._vendor, body) from exc
        if answer.error != _NULL:
            raise read_error(self._vendor.name, 200, body)
        if answer.data == _NULL:
            raise _no_embeddings(self._vendor, body)
        told = self.told
        told.upstream_id, told.upstream_model = answer.id, answer.model
        told.usage, told.raw_usage = usage, raw
        told.complete = True

    def answer(self, charge: Charge) -> bytes:
        """The answer that was read, with the cost in its usage object; every other value as it came."""
        usage = msgspec.Raw(charged_usage(self.told.raw_usage, charge))
        return msgspec.json.encode({**self._fields, "usage": usage})


def _no_embeddings(vendor: Vendor, body: bytes) -> UpstreamFailed:
    return UpstreamFailed(
        f"The provider {vendor.name} sent an answer that holds no embeddings.",
        retryable=False,
        metadata={"provider": vendor.name},
        detail=body[:_MOST_ERROR_TEXT].decode(errors="replace"),
    )
