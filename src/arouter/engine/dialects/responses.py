"""OpenAI's Responses as a client speaks them."""

from arouter.domain.chat import ChatRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers.base import Prepared, Relay
from arouter.providers.openai_responses import ResponsesRelay, relay_responses_request
from arouter.wire.openai_responses.request import read_responses
from arouter.wire.openai_responses.writer import ResponsesWriter


class Responses:
    """Implements `arouter.engine.call.Ingress`."""

    conversation: str | None = "input"

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        vendor = route.deployment.vendor
        dialect = route.dialect
        if dialect != "responses" and not (dialect == "openai" and vendor.has_responses):
            return None
        prepared = relay_responses_request(
            call.fields, vendor=vendor, model=route.model, stream=call.stream, identity=identity
        )
        return prepared, ResponsesRelay(vendor)

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        return read_responses(call.fields, model=model, identity=identity, stream=call.stream)

    def writer(self, call: Call, model: str, *, begun: bool = False) -> ResponsesWriter:
        created_s = call.opening.created_at_us // 1_000_000
        return ResponsesWriter(id=call.opening.id, created_s=created_s, model=model, fields=call.fields, begun=begun)
