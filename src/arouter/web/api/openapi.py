"""The OpenAPI document: FastAPI's, with the schemas of the structs that the bodies are read from and written with.

The structs are the bodies, so the document cannot say something else than what is sent.
"""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from arouter.domain.chat import Json
from arouter.web.api.endpoint import JSON, Endpoint
from arouter.web.api.inference_docs import CHAT_PATH, chat_schemas, inference_paths
from arouter.web.api.parameters import Parameter

_REFERENCE = "#/components/schemas/{name}"
_IN_PATH = re.compile(r"\{(\w+)(?::path)?\}")

_FAULTS = {
    400: "The request cannot be understood.",
    401: "No key, or none that is known.",
    402: "A budget or the credits are spent.",
    403: "The key may not do this.",
    404: "There is no such thing, or the key may not know of it.",
    409: "It names something that is there already, and says something else of it.",
    429: "Too many requests.",
    501: "It needs libraries that are not installed.",
    502: "The provider failed.",
    503: "No provider can answer.",
    504: "The provider did not answer in time.",
}


_NOT_OF_INFERENCE = {409, 501}


class Fault(msgspec.Struct, frozen=True):
    """What went wrong. `code` is for machines and always a string; `message` says what to do next."""

    message: str
    type: str
    param: str | None
    code: str
    metadata: dict[str, Any]


class FaultAnswer(msgspec.Struct, frozen=True):
    error: Fault


def _documentation(endpoint: Endpoint) -> Json:
    """What FastAPI cannot see in the handler: the parameters, the bodies and the errors."""
    extra: Json = {
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in _IN_PATH.findall(endpoint.path)
            ),
            *(_parameter(parameter) for parameter in endpoint.parameters),
            *(_parameter(header, place="header") for header in endpoint.headers),
        ],
    }
    if endpoint.body is not None:
        content = {JSON: {"schema": _reference(endpoint.body)}}
        extra["requestBody"] = {"required": endpoint.body_required, "content": content}
    if endpoint.open or endpoint.public:
        extra["security"] = []
    return extra


def _answers(endpoint: Endpoint) -> dict[int | str, dict[str, object]]:
    """FastAPI's `responses`."""
    content = {
        media_type: {"schema": {"type": "string"} if form is None else _reference(form)}
        for media_type, form in endpoint.answers.items()
    }
    told: dict[int | str, dict[str, object]] = {endpoint.status: {"description": "As asked.", "content": content}}
    for status in endpoint.errors:
        told[status] = _fault(status)
    return told


def document(endpoints: Sequence[Endpoint]) -> Json:
    """The whole document, which takes a tenth of a second to make."""
    made: Json = get_openapi(
        title="ARouter",
        version=version("arouter"),
        summary="A self-hosted LLM gateway that remembers what each of your users used and what it cost.",
        description=f"Every path under `/v1` is served under `/api/v1` as well. Inference is OpenAI's format: "
        f"`POST {CHAT_PATH}`.",
        routes=[_route(endpoint) for endpoint in endpoints],
    )
    inference = inference_paths()
    faults = {str(status): _fault(status) for status in _FAULTS if status not in _NOT_OF_INFERENCE}
    for item in inference.values():
        for operation in item.values():
            operation["responses"].update(faults)  # type: ignore[index]
    made["paths"] = {**inference, **made["paths"]}  # type: ignore[dict-item]
    made["components"] = {"schemas": _schemas(endpoints) | chat_schemas(), "securitySchemes": _security_schemes()}
    made["security"] = [{"bearer": []}, {"x_api_key": []}, {"query_key": []}]
    return made


def _route(endpoint: Endpoint) -> APIRoute:
    """The first of its paths, as FastAPI describes it. Nothing is served by it."""
    return APIRoute(
        endpoint.path if endpoint.open else endpoint.prefixes[0] + endpoint.path,
        endpoint.handler,
        methods=[endpoint.method],
        status_code=endpoint.status,
        summary=endpoint.summary,
        tags=[endpoint.tag],
        operation_id=endpoint.operation_id,
        responses=_answers(endpoint),
        openapi_extra=_documentation(endpoint),
    )


def _schemas(endpoints: Sequence[Endpoint]) -> Json:
    forms: dict[type[msgspec.Struct], None] = {FaultAnswer: None}
    for endpoint in endpoints:
        forms |= dict.fromkeys(form for form in (endpoint.body, *endpoint.answers.values()) if form is not None)
    _, components = msgspec.json.schema_components(list(forms), ref_template=_REFERENCE)
    for endpoint in endpoints:
        if endpoint.body is not None:
            # A field that is not known is refused: see `arouter.wire.json_body`.
            components[endpoint.body.__name__]["additionalProperties"] = False
    return components


def _reference(form: type[msgspec.Struct]) -> Mapping[str, str]:
    return {"$ref": _REFERENCE.format(name=form.__name__)}


def _fault(status: int) -> dict[str, object]:
    return {"description": _FAULTS[status], "content": {JSON: {"schema": _reference(FaultAnswer)}}}


def _parameter(parameter: Parameter, *, place: str = "query") -> Json:
    schema: Mapping[str, object] = parameter.schema
    if parameter.repeatable:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
    }


def _security_schemes() -> Json:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer lr_live_…`"},
        "x_api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "query_key": {"type": "apiKey", "in": "query", "name": "key"},
    }
