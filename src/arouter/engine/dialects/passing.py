"""A provider's own paths: the request goes on as it came, and so does the answer, whatever it is."""

from arouter.domain.chat import ChatRequest
from arouter.domain.errors import InvalidRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers.base import Manner, Prepared, Relay
from arouter.providers.passing.paths import below_base, known_path
from arouter.providers.passing.relay import PassingRelay
from arouter.providers.vendors import ALIASES
from arouter.wire.openai_failures import FailureWriter

READ = "POST"
"""The method whose answers may tell a usage."""


class Passing:
    """Implements `arouter.engine.call.Ingress`."""

    conversation: str | None = None

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        sent = call.sent
        assert sent is not None
        deployment = route.deployment
        named = call.models[0].partition("/")[0]
        if deployment.provider not in (named, ALIASES.get(named)):
            raise InvalidRequest(
                f"{call.models[0]} is routed to {deployment.provider}, which does not know a path of {named}.",
                code="endpoint_not_supported",
                param="model",
            )
        path = below_base(sent.path, deployment.origin.path)
        known = known_path(deployment.vendor.dialect, path) if sent.method == READ else None
        prepared = Prepared(
            path=path,
            body=sent.body,
            query=sent.query,
            headers=sent.headers,
            manner=Manner(method=sent.method, content_type=sent.content_type, any_status=True),
        )
        return prepared, PassingRelay(None if known is None else known.tap(deployment.vendor))

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        raise InvalidRequest("A provider's own path is not translated.")

    def writer(self, call: Call, model: str, *, begun: bool = False) -> FailureWriter:
        """For nothing: an answer that is passed on and breaks off is cut."""
        return FailureWriter()
