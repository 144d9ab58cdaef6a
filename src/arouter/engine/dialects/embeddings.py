"""Embeddings as clients of OpenAI's dialect and of Gemini's ask for them: relayed, or translated into the other's."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from arouter.domain.charge import Charge
from arouter.domain.chat import ChatRequest
from arouter.domain.embeddings import EmbeddingsAnswer, EmbeddingsRequest
from arouter.domain.errors import InvalidRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers import openai_embeddings
from arouter.providers.base import Prepared, Relay
from arouter.providers.gemini import embeddings as gemini_embeddings
from arouter.providers.told import Told
from arouter.providers.whole import WholeAnswers
from arouter.wire.answer import AnswerWriter
from arouter.wire.gemini_embeddings import embed_body, read_embed
from arouter.wire.openai_embeddings import embeddings_body, read_embeddings, wants_base64


class TranslatedEmbeddings(WholeAnswers):
    """An answer in the provider's dialect that becomes one in the client's."""

    __slots__ = ("_answer", "_read", "_write", "told")

    def __init__(
        self, read: Callable[[bytes], EmbeddingsAnswer], write: Callable[[EmbeddingsAnswer, Charge], bytes]
    ) -> None:
        self._read = read
        self._write = write
        self._answer = EmbeddingsAnswer(vectors=())
        self.told = Told()

    def read_answer(self, body: bytes) -> None:
        self._answer = answer = self._read(body)
        told = self.told
        told.upstream_model = answer.model
        told.usage, told.raw_usage = answer.usage, answer.raw_usage
        told.complete = True

    def answer(self, charge: Charge) -> bytes:
        return self._write(self._answer, charge)


class _Embeddings(ABC):
    """What the two dialects share. Implements `arouter.engine.call.Ingress` together with them."""

    conversation: str | None = None

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        match route.dialect:
            case "openai":
                return self._to_openai(call, route, identity)
            case "gemini":
                return self._to_gemini(call, route, identity)
            case _:
                raise InvalidRequest(
                    f"The provider {route.deployment.provider} has no embeddings. Ask for the model of one that speaks "
                    "OpenAI's dialect or Gemini's.",
                    code="endpoint_not_supported",
                    param="model",
                )

    @abstractmethod
    def _to_openai(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay]:
        """For a provider of OpenAI's dialect."""

    @abstractmethod
    def _to_gemini(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay]:
        """For Google."""

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        raise AssertionError("embeddings are no chat: `relay` serves them all")

    def writer(self, call: Call, model: str, *, begun: bool = False) -> AnswerWriter:
        raise AssertionError("an answer of embeddings is never a stream")


class OpenAIEmbeddings(_Embeddings):
    """`POST /v1/embeddings`."""

    def _to_openai(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay]:
        vendor = route.deployment.vendor
        prepared = openai_embeddings.relay_embeddings_request(
            call.fields, vendor=vendor, model=route.model, identity=identity
        )
        return prepared, openai_embeddings.EmbeddingsRelay(vendor)

    def _to_gemini(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay]:
        request = read_embeddings(call.fields, model=route.model, identity=identity)
        as_base64 = wants_base64(call.fields)

        def write(answer: EmbeddingsAnswer, charge: Charge) -> bytes:
            return embeddings_body(answer, model=route.model, as_base64=as_base64, charge=charge)

        return gemini_embeddings.prepare_embeddings(request), TranslatedEmbeddings(_from_gemini(request), write)


class GeminiEmbeddings(_Embeddings):
    """`:embedContent`, and `:batchEmbedContents` for many."""

    def __init__(self, *, is_batch: bool) -> None:
        self._is_batch = is_batch

    def _to_openai(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay]:
        vendor = route.deployment.vendor
        request = read_embed(call.fields, model=route.model, identity=identity, is_batch=self._is_batch)
        read = partial(openai_embeddings.read_embeddings_answer, vendor=vendor, inputs=len(request.inputs))
        prepared = openai_embeddings.prepare_embeddings(request, vendor=vendor)
        return prepared, TranslatedEmbeddings(read, self._write)

    def _to_gemini(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay]:
        prepared = gemini_embeddings.relay_embed_request(call.fields, model=route.model, is_batch=self._is_batch)
        return prepared, gemini_embeddings.EmbedRelay()

    def _write(self, answer: EmbeddingsAnswer, charge: Charge) -> bytes:
        return embed_body(answer, is_batch=self._is_batch, charge=charge)


def _from_gemini(request: EmbeddingsRequest) -> Callable[[bytes], EmbeddingsAnswer]:
    return partial(gemini_embeddings.read_embeddings_answer, inputs=len(request.inputs))
