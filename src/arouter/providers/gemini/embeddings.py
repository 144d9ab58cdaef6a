"""Gemini's embeddings as an upstream: translated from the canonical form, or relayed byte for byte.

Always as a batch, which holds one input as well as many. Gemini takes texts only: tokens belong to OpenAI's models.
Older models tell no usage at all; newer ones tell `promptTokenCount`, and its modalities under a name of their own.
"""

from collections.abc import Mapping

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import Json
from arouter.domain.embeddings import EmbeddingsAnswer, EmbeddingsRequest
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.base import Prepared
from arouter.providers.gemini.error import ErrorObject, failure
from arouter.providers.gemini.request import resource
from arouter.providers.told import Told
from arouter.providers.usage import gemini_usage
from arouter.providers.whole import WholeAnswers
from arouter.wire.gemini_generate.calls import Method
from arouter.wire.gemini_generate.request import GATEWAY_FIELDS, LABELS, without_user

_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_MOST_ERROR_TEXT = 2000
_NULL = msgspec.Raw(b"null")


class _Embedding(msgspec.Struct):
    values: list[float] | None = None


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding] | None = None
    embedding: _Embedding | None = None
    usage_metadata: msgspec.Raw = _NULL
    error: ErrorObject | None = None


class _Head(msgspec.Struct, rename="camel"):
    """What the ledger needs of an answer."""

    embeddings: msgspec.Raw = _NULL
    embedding: msgspec.Raw = _NULL
    usage_metadata: msgspec.Raw = _NULL
    error: ErrorObject | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_usage = msgspec.json.Decoder(dict[str, object] | None).decode
_decode_head = msgspec.json.Decoder(_Head).decode

# ---------------------------------------------------------------- translated


def prepare_embeddings(request: EmbeddingsRequest) -> Prepared:
    """The request in Gemini's dialect. InvalidRequest if an input is tokens."""
    name = resource(request.model)
    shared: Json = {"model": name}
    for word, value in (
        ("taskType", request.task_type),
        ("title", request.title),
        ("outputDimensionality", request.dimensions),
    ):
        if value is not None:
            shared[word] = value
    requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in _texts(request)]
    return Prepared(
        path=f"/v1beta/{name}:{Method.EMBED_BATCH}",
        body=msgspec.json.encode({"requests": requests}),
        dropped=tuple(request.rest),
    )


def _texts(request: EmbeddingsRequest) -> list[str]:
    texts = [one for one in request.inputs if isinstance(one, str)]
    if len(texts) < len(request.inputs):
        raise InvalidRequest(
            "`input` must be text: tokens mean something to OpenAI's models only.", code="invalid_value", param="input"
        )
    return texts


def read_embeddings_answer(body: bytes, *, inputs: int) -> EmbeddingsAnswer:
    """The answer for that many inputs. UpstreamFailed if it is none, or has not a vector for each."""
    try:
        answer = _decode_answer(body)
    except _MALFORMED as exc:
        raise _no_embeddings(body) from exc
    if answer.error is not None:
        raise failure(answer.error.code, answer.error)
    found = answer.embeddings if answer.embedding is None else [answer.embedding]
    vectors = tuple(tuple(one.values) for one in found or () if one.values)
    if len(vectors) != inputs:
        raise _no_embeddings(body)
    usage, raw = _usage(answer.usage_metadata)
    return EmbeddingsAnswer(vectors=vectors, usage=usage, raw_usage=raw)


def _usage(raw: msgspec.Raw) -> tuple[Usage | None, bytes | None]:
    """UpstreamFailed if it is no object."""
    try:
        told = _decode_usage(raw)
    except _MALFORMED as exc:
        raise _no_embeddings(bytes(raw)) from exc
    if not told:
        return None, None
    details = told.get("promptTokensDetails", told.get("promptTokenDetails"))
    return gemini_usage({**told, "promptTokensDetails": details}), bytes(raw)


# ---------------------------------------------------------------- relayed


def relay_embed_request(fields: Mapping[str, msgspec.Raw], *, model: str, is_batch: bool) -> Prepared:
    """The client's request for Google. The requests of a batch name the model again: it must be that of the path.

    InvalidRequest if `requests` is not an array of objects.
    """
    name = resource(model)
    sent = {field: raw for field, raw in fields.items() if field not in GATEWAY_FIELDS}
    if LABELS in sent and (labels := without_user(sent.pop(LABELS))) is not None:
        sent[LABELS] = labels
    if is_batch and "requests" in sent:
        sent["requests"] = _renamed(sent["requests"], name)
    method = Method.EMBED_BATCH if is_batch else Method.EMBED
    return Prepared(path=f"/v1beta/{name}:{method}", body=msgspec.json.encode(sent))


def _renamed(requests: msgspec.Raw, name: str) -> msgspec.Raw:
    try:
        each = msgspec.json.decode(requests, type=list[dict[str, msgspec.Raw]])
    except _MALFORMED as exc:
        raise InvalidRequest("`requests` must be an array of objects.", code="invalid_type", param="requests") from exc
    model = msgspec.Raw(msgspec.json.encode(name))
    return msgspec.Raw(msgspec.json.encode([{**one, "model": model} for one in each]))


class EmbedRelay(WholeAnswers):
    """One answer on its way through, byte for byte. It is never a stream."""

    __slots__ = ("_body", "told")

    def __init__(self) -> None:
        self._body = b""
        self.told = Told()

    def read_answer(self, body: bytes) -> None:
        """Read an answer. UpstreamFailed if it is none."""
        try:
            answer = _decode_head(body)
        except _MALFORMED as exc:
            raise _no_embeddings(body) from exc
        if answer.error is not None:
            raise failure(answer.error.code, answer.error)
        if answer.embeddings == _NULL and answer.embedding == _NULL:
            raise _no_embeddings(body)
        self.told.usage, self.told.raw_usage = _usage(answer.usage_metadata)
        self.told.complete = True
        self._body = body

    def answer(self, charge: Charge) -> bytes:
        """The answer that was read, as it came."""
        del charge
        return self._body


def _no_embeddings(body: bytes) -> UpstreamFailed:
    return UpstreamFailed(
        "the provider's answer holds no embeddings",
        retryable=False,
        detail=body[:_MOST_ERROR_TEXT].decode(errors="replace"),
    )
