"""Whether the process lives, whether it can serve, and what it counts. Open without a key."""

import msgspec
from fastapi import Request, Response

from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.services import ApiServices

# prometheus_client's text without UTF-8 names is this version of the exposition format.
METRICS_TYPE = "text/plain; version=0.0.4"


class Health(msgspec.Struct, frozen=True):
    status: str


class CheckAnswer(msgspec.Struct, frozen=True):
    name: str
    ok: bool
    text: str


class ReadinessAnswer(msgspec.Struct, frozen=True):
    """`status` is `ok` or `unavailable`; the checks say why."""

    status: str
    checks: list[CheckAnswer]


class HealthApi:
    """Answers whoever watches the process."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/healthz",
                handler=self.alive,
                operation_id="getHealth",
                summary="200 while the process serves",
                tag="Operation",
                answers={JSON: Health},
                open=True,
            ),
            Endpoint(
                method="GET",
                path="/readyz",
                handler=self.ready,
                operation_id="getReadiness",
                summary="200 when requests can be served, 503 with reasons when not",
                tag="Operation",
                answers={JSON: ReadinessAnswer},
                open=True,
            ),
            Endpoint(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                operation_id="getMetrics",
                summary="Prometheus metrics",
                tag="Operation",
                answers={"text/plain": None},
                open=True,
            ),
        )

    async def alive(self, _: Request) -> Response:
        """Says nothing of storage or providers: a restart would not mend those."""
        return answer_json(msgspec.json.encode(Health("ok")))

    async def ready(self, _: Request) -> Response:
        """For load balancers: whether to send requests here."""
        readiness = await self._services.ready()
        checks = [CheckAnswer(check.name, check.ok, check.text) for check in readiness.checks]
        answer = ReadinessAnswer("ok" if readiness.ok else "unavailable", checks)
        return answer_json(msgspec.json.encode(answer), 200 if readiness.ok else 503)

    async def metrics(self, _: Request) -> Response:
        """In the text format; never with a user, a key or a prompt in a label."""
        return Response(await self._services.metrics(), media_type=METRICS_TYPE)
