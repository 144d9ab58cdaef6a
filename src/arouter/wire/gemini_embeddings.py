"""Gemini's `:embedContent` and `:batchEmbedContents` as a client speaks them: the request read, the answer written.

https://ai.google.dev/api/embeddings: a batch holds whole requests, each with a task, a title and dimensions of its own.
The canonical form has one of each for all inputs, so a batch that mixes them cannot be said to anybody but Google. The
texts of one content make one vector; they are joined with line ends.
"""

from collections.abc import Mapping, Sequence

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import Json
from arouter.domain.embeddings import EmbeddingsAnswer, EmbeddingsRequest
from arouter.domain.errors import InvalidRequest
from arouter.wire.fields import decoded, missing, wrong_value
from arouter.wire.gemini_generate.fields import ProtoFields
from arouter.wire.gemini_generate.request import GATEWAY_FIELDS
from arouter.wire.numbers import dollars

_EMBEDDED = frozenset({"model", "content", "taskType", "title", "outputDimensionality", "requests", "labels"})
_SHARED = ("taskType", "title", "outputDimensionality")
_UNSPECIFIED = "TASK_TYPE_UNSPECIFIED"


def read_embed(
    fields: Mapping[str, msgspec.Raw], *, model: str, identity: str | None, is_batch: bool
) -> EmbeddingsRequest:
    """The canonical form of a request of either kind.

    `fields` is the top-level object with its values undecoded. InvalidRequest, naming the field, if something is
    missing or malformed, or if one of Google's abilities is asked for.
    """
    request = ProtoFields({name: decoded(name, raw) for name, raw in fields.items() if name not in GATEWAY_FIELDS})
    requests = request.objects("requests") if is_batch else [request]
    if not requests:
        raise missing("requests")
    first = requests[0]
    _check_alike(requests)
    dimensions = first.integer("outputDimensionality")
    if dimensions is not None and dimensions < 1:
        raise wrong_value(first.param("outputDimensionality"), "at least 1")
    task_type = first.text("taskType")
    rest = {
        name: value
        for one in (request, *requests)
        for name, value in one.values.items()
        if name not in _EMBEDDED and value is not None
    }
    return EmbeddingsRequest(
        model=model,
        inputs=tuple(_text(one.required_child("content")) for one in requests),
        dimensions=dimensions,
        task_type=None if task_type == _UNSPECIFIED else task_type,
        title=first.text("title"),
        identity=identity,
        rest=rest,
    )


def embed_body(answer: EmbeddingsAnswer, *, is_batch: bool, charge: Charge) -> bytes:
    """The answer's body."""
    embeddings = [{"values": list(vector)} for vector in answer.vectors]
    told: Json = {"embeddings": embeddings} if is_batch else {"embedding": embeddings[0] if embeddings else {}}
    prompt_tokens = charge.usage.prompt_tokens
    counts: Json = (
        {} if prompt_tokens is None else {"promptTokenCount": prompt_tokens, "totalTokenCount": prompt_tokens}
    )
    told["usageMetadata"] = {**counts, "cost": dollars(charge.cost)}
    return msgspec.json.encode(told)


def _check_alike(requests: Sequence[ProtoFields]) -> None:
    for name in _SHARED:
        for one in requests[1:]:
            if one.get(name) != requests[0].get(name):
                raise InvalidRequest(
                    f"`{one.param(name)}` must be the same for all requests of a batch with this model's provider.",
                    code="invalid_value",
                    param=one.param(name),
                )


def _text(content: ProtoFields) -> str:
    parts = content.objects("parts")
    if not parts:
        raise missing(content.param("parts"))
    texts = [part.text("text") for part in parts]
    for part, text in zip(parts, texts, strict=True):
        if text is None:
            raise wrong_value(part.path, "a text: this model's provider embeds nothing else")
    return "\n".join(text for text in texts if text is not None)
