"""Anthropic's Messages as a client speaks them."""

from arouter.domain.chat import ChatRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers.anthropic.relay import MessagesRelay, relay_messages_request
from arouter.providers.base import Prepared, Relay
from arouter.wire.anthropic_messages.request import read_messages_request
from arouter.wire.anthropic_messages.writer import MessagesWriter


class Messages:
    """Implements `arouter.engine.call.Ingress`."""

    conversation: str | None = "messages"

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        if route.dialect != "anthropic":
            return None
        prepared = relay_messages_request(
            call.fields,
            vendor=route.deployment.vendor,
            model=route.model,
            stream=call.stream,
            identity=identity,
            version=call.header(b"anthropic-version"),
            betas=[betas] if (betas := call.header(b"anthropic-beta")) is not None else (),
        )
        return prepared, MessagesRelay()

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        return read_messages_request(call.fields, model=model, identity=identity, stream=call.stream)

    def writer(self, call: Call, model: str, *, begun: bool = False) -> MessagesWriter:
        return MessagesWriter(id=call.opening.id, model=model)
