"""The OpenAPI document agrees with what is served, and its page needs nothing from elsewhere."""

import asyncio
import re
from typing import Any

import jsonschema_rs
import pytest

from arouter.web.inference.dialects import dialects, gemini_dialects
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway

pytestmark = NEEDS_NO_STORE

METHODS = {"get", "post", "put", "patch", "delete", "head"}


@pytest.fixture
def document(gateway: Gateway) -> dict[str, Any]:
    answer = gateway.ask("GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): item[method]
        for path, item in document["paths"].items()
        for method in METHODS & set(item)
    }


def test_a_body_takes_the_fields_that_are_told_and_no_others(document: dict[str, Any]) -> None:
    for (_, path), operation in operations(document).items():
        if "requestBody" not in operation or not path.startswith(("/v1/keys", "/v1/provider-keys")):
            continue
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert document["components"]["schemas"][name]["additionalProperties"] is False


def test_every_operation_is_there(document: dict[str, Any]) -> None:
    assert set(operations(document)) == {
        *(("POST", dialect.path) for dialect in (*dialects(), *gemini_dialects())),
        *((method, "/{provider}/{path}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
        ("GET", "/v1/activity"),
        ("GET", "/v1/activity/summary"),
        ("GET", "/v1/activity/report"),
        ("GET", "/v1/activity/users"),
        ("GET", "/v1/users"),
        ("GET", "/v1/users/{user}"),
        ("GET", "/v1/users/{user}/limits"),
        ("GET", "/v1/users/me/usage"),
        ("POST", "/v1/user_tokens"),
        ("GET", "/v1/generation"),
        ("GET", "/api/usage/summary"),
        ("GET", "/api/usage/timeseries"),
        ("GET", "/v1/billing/transactions"),
        ("GET", "/v1/transactions"),
        ("GET", "/v1/balance"),
        ("GET", "/v1/credits"),
        ("POST", "/v1/credits"),
        ("PATCH", "/v1/credits"),
        ("GET", "/v1/credits/entries"),
        ("GET", "/v1/credits/entries/{id}"),
        ("GET", "/v1/organization/usage/completions"),
        ("GET", "/v1/organization/usage/embeddings"),
        ("GET", "/v1/organization/usage/moderations"),
        ("GET", "/v1/organization/costs"),
        ("GET", "/v1/key"),
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("GET", "/v1/keys/{hash}"),
        ("PATCH", "/v1/keys/{hash}"),
        ("DELETE", "/v1/keys/{hash}"),
        ("POST", "/v1/keys/{hash}/rotate"),
        ("GET", "/v1/provider-keys"),
        ("POST", "/v1/provider-keys"),
        ("GET", "/v1/provider-keys/{id}"),
        ("PATCH", "/v1/provider-keys/{id}"),
        ("DELETE", "/v1/provider-keys/{id}"),
        ("GET", "/v1/guardrails"),
        ("POST", "/v1/guardrails"),
        ("GET", "/v1/guardrails/explain"),
        ("GET", "/v1/guardrails/{id}"),
        ("PATCH", "/v1/guardrails/{id}"),
        ("DELETE", "/v1/guardrails/{id}"),
        ("PATCH", "/v1/users"),
        ("PATCH", "/v1/users/{user}"),
        ("GET", "/v1/organizations"),
        ("GET", "/v1/organizations/{id}"),
        ("PATCH", "/v1/organizations/{id}"),
        ("GET", "/v1/workspaces"),
        ("POST", "/v1/workspaces"),
        ("GET", "/v1/workspaces/{id}"),
        ("PATCH", "/v1/workspaces/{id}"),
        ("DELETE", "/v1/workspaces/{id}"),
        ("GET", "/v1/members"),
        ("GET", "/v1/members/{id}"),
        ("PATCH", "/v1/members/{id}"),
        ("DELETE", "/v1/members/{id}"),
        ("GET", "/v1/invitations"),
        ("POST", "/v1/invitations"),
        ("POST", "/v1/invitations/accept"),
        ("GET", "/v1/invitations/{id}"),
        ("DELETE", "/v1/invitations/{id}"),
        ("GET", "/v1/audit"),
        ("POST", "/v1/auth/sign-in"),
        ("POST", "/v1/auth/sign-out"),
        ("GET", "/v1/auth/me"),
        ("GET", "/v1/auth/sessions"),
        ("DELETE", "/v1/auth/sessions/{id}"),
        ("POST", "/v1/auth/password"),
        ("POST", "/v1/auth/totp"),
        ("POST", "/v1/auth/totp/confirm"),
        ("POST", "/v1/auth/totp/remove"),
        ("GET", "/v1/auth/oidc"),
        ("POST", "/v1/auth/oidc/{name}/begin"),
        ("POST", "/v1/auth/oidc/{name}/complete"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{slug}"),
        ("GET", "/v1/models/{author}/{slug}"),
        ("GET", "/v1beta/models"),
        ("GET", "/v1beta/models/{name}"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert references - set(schemas) == set()
    assert {"ActivityPage", "ChatCompletionRequest", "FaultAnswer"} <= references


def test_each_operation_is_named_once_and_explained(document: dict[str, Any]) -> None:
    told = list(operations(document).values())
    assert len({operation["operationId"] for operation in told}) == len(told)
    assert all(operation["summary"] and operation["description"] and operation["tags"] for operation in told)


def test_the_path_s_parameters_are_declared(document: dict[str, Any]) -> None:
    for (_, path), operation in operations(document).items():
        declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))


def test_keys_are_declared_and_open_paths_are_open(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["scheme"], schemes["x_api_key"]["name"]) == ("bearer", "X-Api-Key")
    assert {name for each in document["security"] for name in each} == set(schemes)
    unlocked = {path for (_, path), operation in operations(document).items() if operation.get("security") == []}
    assert unlocked == {
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/invitations/accept",
        "/v1/auth/sign-in",
        *(f"/v1/auth/oidc{rest}" for rest in ("", "/{name}/begin", "/{name}/complete")),
    }


def test_what_is_sent_fits_what_is_said(gateway: Gateway, document: dict[str, Any]) -> None:
    record = gateway.add_record(user="a", tags=("t",))
    gateway.add_record(user=None, cost=None, latency_us=None)
    paths = {
        "/v1/activity": "/v1/activity",
        "/v1/activity/summary": "/v1/activity/summary?group_by=user&limit=1",
        "/v1/activity/report": "/v1/activity/report?format=json&limit=1",
        "/v1/generation": f"/v1/generation?id={record.opening.id}",
        "/v1/key": "/v1/key",
        "/v1/keys": "/v1/keys",
        "/v1/keys/{hash}": f"/v1/keys/{gateway.live_key.hash}",
        "/v1/models": "/v1/models",
        "/healthz": "/healthz",
        "/readyz": "/readyz",
    }
    for path, asked in paths.items():
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = gateway.manage("GET", asked)
        assert answer.status_code == 200
        jsonschema_rs.validate({**schema, "components": document["components"]}, answer.json())
    fault = {"$ref": "#/components/schemas/FaultAnswer", "components": document["components"]}
    jsonschema_rs.validate(fault, gateway.get("/v1/nothing").json())


def test_every_declared_parameter_is_known(gateway: Gateway, document: dict[str, Any]) -> None:
    for (method, path), operation in operations(document).items():
        if method != "GET" or "{" in path:
            continue
        for parameter in operation.get("parameters", []):
            answer = gateway.manage("GET", f"{path}?{parameter['name']}=1")
            assert "Unknown parameter" not in answer.text


def test_the_page_stands_alone(gateway: Gateway) -> None:
    answer = gateway.ask("GET", "/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"https?://|src=|@import|url\(", answer.text)
    assert 'fetch("openapi.json")' in answer.text


def test_whoever_asks_first_gets_the_same_as_everybody(gateway: Gateway) -> None:
    async def at_once() -> set[bytes]:
        answers = await asyncio.gather(*(gateway.client.get("/openapi.json") for _ in range(3)))
        return {answer.content for answer in answers}

    (first,) = gateway.run(at_once())
    assert gateway.get("/openapi.json").content == first
