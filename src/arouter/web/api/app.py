"""The management and activity API: every resource's endpoints on one FastAPI application.

Bodies are read and written by `arouter.wire` with exact numbers; what FastAPI does here is routing, the edge of
errors and the OpenAPI document.
"""

import re

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute

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
from arouter.web.api.openapi import answers, document, documentation
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
        _add(app, endpoint)
    _let_names_hold_lines(app)
    docs = Docs(document(app, endpoints))
    for path, handler in (("/openapi.json", docs.document), ("/docs", docs.page)):
        app.add_api_route(path, handler, methods=["GET", "HEAD"], include_in_schema=False)
    Faults(app).install()
    return app


def _add(app: FastAPI, endpoint: Endpoint) -> None:
    handler = _naming_the_request(endpoint.handler)
    paths = [endpoint.path] if endpoint.open else [prefix + endpoint.path for prefix in endpoint.prefixes]
    app.add_api_route(
        paths[0],
        handler,
        methods=[endpoint.method],
        status_code=endpoint.status,
        summary=endpoint.summary,
        tags=[endpoint.tag],
        operation_id=endpoint.operation_id,
        responses=answers(endpoint),
        openapi_extra=documentation(endpoint),
    )
    for path in paths[1:]:
        app.add_api_route(path, handler, methods=[endpoint.method], include_in_schema=False)
    if endpoint.method == "GET":
        for path in paths:
            app.add_api_route(path, handler, methods=["HEAD"], include_in_schema=False)


def _let_names_hold_lines(app: FastAPI) -> None:
    """A parameter that is the rest of a path is any text; the framework's would end at the first line."""
    for route in app.routes:
        if isinstance(route, APIRoute) and ":path}" in route.path:
            route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)


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
