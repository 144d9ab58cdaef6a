"""Gemini's API as a client speaks it."""

from arouter.domain.chat import ChatRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers.base import Prepared, Relay
from arouter.providers.gemini.relay import GenerateRelay, relay_generate_request
from arouter.wire.gemini_generate.calls import answers_in_events
from arouter.wire.gemini_generate.request import read_generate
from arouter.wire.gemini_generate.writer import GenerateWriter
from arouter.wire.query_string import read_query_string


class Generate:
    """Implements `arouter.engine.call.Ingress`."""

    conversation: str | None = "contents"

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        if route.dialect != "gemini":
            return None
        prepared = relay_generate_request(
            call.fields,
            vendor=route.deployment.vendor,
            model=route.model,
            stream=call.stream,
            identity=identity,
            query=read_query_string(call.query),
        )
        return prepared, GenerateRelay(as_array=_as_array(call))

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        return read_generate(call.fields, model=model, identity=identity, stream=call.stream)

    def writer(self, call: Call, model: str, *, begun: bool = False) -> GenerateWriter:
        return GenerateWriter(id=call.opening.id, model=model, as_array=_as_array(call), begun=begun)


def _as_array(call: Call) -> bool:
    return call.stream and not answers_in_events(read_query_string(call.query))
