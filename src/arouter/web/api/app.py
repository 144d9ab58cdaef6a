"""The management and activity API: every resource's endpoints on one FastAPI application.

Bodies are read and written by `arouter.wire` with exact numbers; what the framework does here is routing, the edge of
errors and the OpenAPI document. The routes are plain ones: what FastAPI finds out about a handler it is only asked for
the document (`openapi`), since for all of them it takes most of the time of a start.
"""

import re
from collections.abc import Iterator
from functools import partial

from fastapi import FastAPI, Request, Response
from starlette.routing import Route

from arouter.web.api.activity import ActivityApi
from arouter.web.api.arouter_usage import ARouterUsageApi
from arouter.web.api.audit import AuditApi
from arouter.web.api.billing import BillingApi
from arouter.web.api.credits import CreditsApi
from arouter.web.api.docs import Docs
from arouter.web.api.endpoint import Endpoint, Handler
from arouter.web.api.faults import Faults
from arouter.web.api.guardrails import GuardrailsApi
from arouter.web.api.health import HealthApi
from arouter.web.api.high_usage import HighUsageApi
from arouter.web.api.keys import KeysApi
from arouter.web.api.members import MembersApi
from arouter.web.api.models import ModelsApi
from arouter.web.api.oidc import OidcApi
from arouter.web.api.openapi import document
from arouter.web.api.organization_usage import OrganizationUsageApi
from arouter.web.api.organizations import OrganizationsApi
from arouter.web.api.provider_keys import ProviderKeysApi
from arouter.web.api.report import ReportApi
from arouter.web.api.services import ApiServices, Check, Readiness
from arouter.web.api.sign_in import SignInApi
from arouter.web.api.summary import SummaryApi
from arouter.web.api.user_rules import UserRulesApi
from arouter.web.api.user_tokens import UserTokensApi
from arouter.web.api.users import UsersApi

__all__ = ["ApiServices", "Check", "Readiness", "create_api"]


def create_api(services: ApiServices) -> FastAPI:
    """The application. It keeps no state besides what `services` hold."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    endpoints = (
        *ActivityApi(services).endpoints(),
        *SummaryApi(services).endpoints(),
        *HighUsageApi(services).endpoints(),
        *UserTokensApi(services).endpoints(),
        *UsersApi(services).endpoints(),
        *ARouterUsageApi(services).endpoints(),
        *BillingApi(services).endpoints(),
        *CreditsApi(services).endpoints(),
        *OrganizationUsageApi(services).endpoints(),
        *ReportApi(services).endpoints(),
        *KeysApi(services).endpoints(),
        *ProviderKeysApi(services).endpoints(),
        *GuardrailsApi(services).endpoints(),
        *UserRulesApi(services).endpoints(),
        *OrganizationsApi(services).endpoints(),
        *MembersApi(services).endpoints(),
        *AuditApi(services).endpoints(),
        *SignInApi(services).endpoints(),
        *OidcApi(services).endpoints(),
        *ModelsApi(services).endpoints(),
        *HealthApi(services).endpoints(),
    )
    for endpoint in endpoints:
        app.router.routes.extend(_routes(endpoint))
    docs = Docs(partial(document, endpoints))
    for path, handler in (("/openapi.json", docs.document), ("/docs", docs.page)):
        app.add_api_route(path, handler, methods=["GET", "HEAD"], include_in_schema=False)
    Faults(app).install()
    return app


def _routes(endpoint: Endpoint) -> Iterator[Route]:
    """At each of its paths; a route of GET takes HEAD too."""
    handler = _naming_the_request(endpoint.handler)
    for prefix in ("",) if endpoint.open else endpoint.prefixes:
        route = Route(prefix + endpoint.path, handler, methods=[endpoint.method])
        if ":path}" in route.path:
            # A parameter that is the rest of a path is any text; the framework's would end at the first line.
            route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
        yield route


def _naming_the_request(handler: Handler) -> Handler:
    """The handler, whose answer tells the request's id where one was asked for: that of the audit log."""

    async def answer(request: Request) -> Response:
        response = await handler(request)
        request_id = getattr(request.state, "request_id", None)
        if request_id is not None:
            response.headers["X-Request-Id"] = request_id
        return response

    answer.__doc__ = handler.__doc__
    return answer
