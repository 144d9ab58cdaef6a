"""Generated parts of the docs that come from tables in the code."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi.routing import APIRoute

from arouter.domain.keys import Key
from arouter.domain.models import ModelInfo
from arouter.domain.roles import Action, Role, allows
from arouter.engine.estimates import Estimates
from arouter.engine.guardian import Guardian
from arouter.engine.leasing import Leasing
from arouter.engine.tasks import Tasks
from arouter.providers.vendors import VENDORS, Vendor
from arouter.settings import Row, rows
from arouter.store.base import Home
from arouter.store.memory import MemoryStore
from arouter.web.api import (
    activity,
    arouter_usage,
    audit,
    billing,
    high_usage,
    organization_usage,
    paging,
    ranges,
    report,
    summary_query,
    users,
)
from arouter.web.api.app import create_api
from arouter.web.api.filters import FILTERS
from arouter.web.api.parameters import Parameter
from arouter.web.api.services import ApiServices, Headers, Readiness
from tools.markdown import code, codes, table

# ---------------------------------------------------------------- settings


def settings() -> str:
    """One table for each section of the configuration."""
    sections: dict[str, list[Row]] = {}
    for row in rows():
        sections.setdefault(row.section, []).append(row)
    return "\n".join(f"### `[{section}]`\n\n{_section(of_it)}" for section, of_it in sections.items())


def _section(of_it: list[Row]) -> str:
    return table(
        ("name", "type", "default", "meaning", "in the environment"),
        ((code(row.name), row.type, _default(row.default), row.help, code(row.variable)) for row in of_it),
    )


def _default(value: object) -> str:
    if value is None:
        return "unset"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return code(text) if text else "empty"


# ---------------------------------------------------------------- vendors


def vendors() -> str:
    """The vendors, one line each."""
    return table(
        ("models begin with", "dialect", "base URL", "its key is read from", "the user's pseudonym goes to"),
        (_vendor(vendor) for vendor in VENDORS),
    )


def _vendor(vendor: Vendor) -> Sequence[str]:
    return (
        codes(f"{name}/" for name in (vendor.name, *vendor.aliases)),
        ", ".join(dict.fromkeys((vendor.dialect, *(dialect for _, dialect in vendor.dialects)))),
        code(vendor.base_url) if vendor.base_url else "in this process" if vendor.name == "sandbox" else "set it",
        "no key needed" if vendor.authentication == "none" else codes(vendor.key_variables) or "its section",
        code(vendor.identity_field) if vendor.identity_field else "nowhere",
    )


# ---------------------------------------------------------------- the HTTP API


def activity_parameters() -> str:
    return _parameters(activity.PARAMETERS)


def summary_parameters() -> str:
    shared = {parameter.name for parameter in FILTERS}
    return _parameters([parameter for parameter in summary_query.PARAMETERS if parameter.name not in shared])


def high_usage_parameters() -> str:
    ranged = {parameter.name for parameter in ranges.RANGE}
    shared = {parameter.name for parameter in FILTERS} - ranged
    return _parameters([parameter for parameter in high_usage.PARAMETERS if parameter.name not in shared])


def user_list_parameters() -> str:
    return _parameters(users.LIST_PARAMETERS)


def user_parameters() -> str:
    return _parameters(users.USER_PARAMETERS)


def organization_usage_parameters() -> str:
    return _parameters(organization_usage.COMPLETIONS_PARAMETERS)


def organization_cost_parameters() -> str:
    shared = organization_usage.COMPLETIONS_PARAMETERS
    return _parameters([one for one in organization_usage.COSTS_PARAMETERS if one not in shared])


def usage_series_parameters() -> str:
    return _parameters(arouter_usage.SERIES_PARAMETERS)


def transaction_parameters() -> str:
    return _parameters(billing.PARAMETERS)


def report_parameters() -> str:
    shared = {parameter.name for parameter in FILTERS}
    return _parameters([parameter for parameter in report.PARAMETERS if parameter.name not in shared])


def audit_parameters() -> str:
    return _parameters(audit.PARAMETERS)


def roles() -> str:
    """What each role may do."""
    return table(
        ("action", *(code(role) for role in Role)),
        ((code(action), *("yes" if allows(role, action) else "" for role in Role)) for action in Action),
    )


def key_list_parameters() -> str:
    return _parameters(paging.LIST_PARAMETERS)


def _parameters(parameters: Sequence[Parameter]) -> str:
    return table(
        ("parameter", "meaning", "values", "default"),
        (
            (code(parameter.name), parameter.description, _values(parameter.schema), _told(parameter.schema))
            for parameter in parameters
        ),
    )


def _values(schema: Any) -> str:
    if "enum" in schema:
        return codes(schema["enum"])
    if "minimum" in schema:
        return f"from {schema['minimum']}" + (f" to {schema['maximum']}" if "maximum" in schema else "")
    return "`true`, `false`" if schema.get("type") == "boolean" else "text"


def _told(schema: Any) -> str:
    return code(msgspec.json.encode(schema["default"]).decode().strip('"')) if "default" in schema else ""


def routes() -> str:
    """Every path of the OpenAPI document."""
    return table(
        ("method and path", "what it does"),
        (
            (code(f"{method.upper()} {path}"), operation["summary"])
            for path, item in openapi()["paths"].items()
            for method, operation in item.items()
        ),
    )


def openapi() -> Any:
    """The document that a gateway serves at `/openapi.json`."""
    api = create_api(_services())
    route = next(one for one in api.routes if isinstance(one, APIRoute) and one.path == "/openapi.json")
    return msgspec.json.decode(asyncio.run(route.endpoint(None)).body)


def _services() -> ApiServices:
    """What the API is built with, where nothing is asked of it."""
    store = MemoryStore(clock=_now_us)
    leasing = Leasing(store.counters, now_us=_now_us, tasks=Tasks(lambda name, failure: None))
    return ApiServices(
        directory=store.directory,
        ledger=store.ledger,
        authenticate=_nobody,
        now_us=_now_us,
        entropy=bytes,
        models=_no_models,
        ready=_ready,
        metrics=_no_metrics,
        default_home=Home(organization_id="org", workspace_id="ws", secret=bytes(32)),
        guardian=Guardian(store.directory, leasing, Estimates(lambda *_, **__: None)),
    )


async def _no_metrics() -> bytes:
    return b""


def _now_us() -> int:
    return 0


async def _nobody(headers: Headers, query: bytes) -> Key:
    raise NotImplementedError


def _no_models() -> Sequence[ModelInfo]:
    return ()


async def _ready() -> Readiness:
    return Readiness(checks=())
