"""A provider's own paths: the request goes on as it came, and so does the answer, whatever it is."""

from arouter.domain.chat import ChatRequest
from arouter.domain.errors import InvalidRequest
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.providers.base import Manner, Prepared, Relay
from arouter.providers.passing.paths import below_base, known_path
from arouter.providers.passing.relay import PassingRelay
from arouter.wire.openai_failures import FailureWriter

READ = "POST"
"""The method whose answers may tell a usage."""


class Passing:
    """Implements `arouter.engine.call.Ingress`."""

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        sent = call.sent
        assert sent is not None
        deployment = route.deployment
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
