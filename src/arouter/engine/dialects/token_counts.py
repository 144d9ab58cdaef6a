"""How many tokens a request has: asked of a provider that counts in the client's dialect, else estimated here."""

from abc import ABC, abstractmethod

from arouter.domain.chat import ChatRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers.anthropic.relay import relay_count_request
from arouter.providers.base import Prepared, Relay
from arouter.providers.gemini.relay import relay_count_tokens_request
from arouter.providers.openai_endpoints.answer import BodyRelay
from arouter.providers.vendors import Dialect
from arouter.wire.answer import AnswerWriter
from arouter.wire.anthropic_messages.request import read_messages_request
from arouter.wire.anthropic_messages.token_count import token_count_body as messages_body
from arouter.wire.gemini_generate.count_tokens import read_count_tokens
from arouter.wire.gemini_generate.count_tokens import token_count_body as gemini_body
from arouter.wire.prompt_estimate import estimated_prompt_tokens

_WHAT = "a count of tokens"


class _TokenCount(ABC):
    """What the two dialects share. Implements `arouter.engine.call.Ingress` together with them."""

    conversation: str | None = None

    dialect: Dialect

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        return self._to_provider(call, route)

    def here(self, call: Call, route: Route) -> bytes | None:
        """The answer with an estimate; None where the provider counts. InvalidRequest as for the request itself."""
        deployment = route.deployment
        # Clouds that host the dialect have no such path.
        if route.dialect == self.dialect and deployment.platform is None:
            return None
        return self._estimated(call, route.model)

    @abstractmethod
    def _to_provider(self, call: Call, route: Route) -> tuple[Prepared, Relay]:
        """For a provider that counts."""

    @abstractmethod
    def _estimated(self, call: Call, model: str) -> bytes:
        """The answer with our own figure."""

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        raise AssertionError("what is counted is not answered: `relay` or `here` serve it")

    def writer(self, call: Call, model: str, *, begun: bool = False) -> AnswerWriter:
        raise AssertionError("a count is never a stream")


class MessagesTokenCount(_TokenCount):
    """`POST /v1/messages/count_tokens`."""

    dialect: Dialect = "anthropic"

    def _to_provider(self, call: Call, route: Route) -> tuple[Prepared, Relay]:
        vendor = route.deployment.vendor
        betas = call.header(b"anthropic-beta")
        prepared = relay_count_request(
            call.fields,
            vendor=vendor,
            model=route.model,
            version=call.header(b"anthropic-version"),
            betas=() if betas is None else (betas,),
        )
        return prepared, BodyRelay(vendor, what=_WHAT, must="input_tokens")

    def _estimated(self, call: Call, model: str) -> bytes:
        request = read_messages_request(call.fields, model=model, identity=None, stream=False)
        return messages_body(estimated_prompt_tokens(request))


class GeminiTokenCount(_TokenCount):
    """`POST /v1beta/models/{model}:countTokens`."""

    dialect: Dialect = "gemini"

    def _to_provider(self, call: Call, route: Route) -> tuple[Prepared, Relay]:
        prepared = relay_count_tokens_request(call.fields, model=route.model)
        return prepared, BodyRelay(route.deployment.vendor, what=_WHAT, must="totalTokens")

    def _estimated(self, call: Call, model: str) -> bytes:
        return gemini_body(estimated_prompt_tokens(read_count_tokens(call.fields, model=model)))
