"""OpenAI's chat completions as a client speaks them."""

from arouter.domain.chat import ChatRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers import openai
from arouter.providers.base import Prepared, Relay
from arouter.wire.openai_chat.request import read_chat
from arouter.wire.openai_chat.writer import ChatWriter


class Chat:
    """Implements `arouter.engine.call.Ingress`."""

    conversation: str | None = None

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        if route.dialect != "openai":
            return None
        vendor = route.deployment.vendor
        prepared = openai.relay_request(
            call.fields, vendor=vendor, model=route.model, stream=call.stream, identity=identity
        )
        return prepared, openai.Relay(vendor)

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        return read_chat(call.fields, model=model, identity=identity, stream=call.stream)

    def writer(self, call: Call, model: str, *, begun: bool = False) -> ChatWriter:
        return ChatWriter(id=call.opening.id, created_s=call.opening.created_at_us // 1_000_000, model=model)
