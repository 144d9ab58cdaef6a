"""One endpoint of the API as a row of data: what serves it, and what the OpenAPI document says about it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from fastapi import Request, Response

from arouter.web.api.parameters import Parameter

Handler = Callable[[Request], Awaitable[Response]]

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`path` is below `/v1`, and is served below `/api/v1` too, unless other `prefixes` are named; an `open` one is
    served at the root, without a key."""

    method: str
    path: str
    handler: Handler
    operation_id: str
    summary: str
    tag: str
    parameters: tuple[Parameter, ...] = ()
    """Of the query string; those of the path are read from `path`."""
    headers: tuple[Parameter, ...] = ()
    """Header fields that it reads besides the key."""
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    answers: Mapping[str, type[msgspec.Struct] | None] = field(default_factory=dict)
    """By media type; None is a form that JSON Schema does not describe."""
    status: int = 200
    open: bool = False
    public: bool = False
    """Without a key, below `/v1` all the same."""
    prefixes: tuple[str, ...] = ("/v1", "/api/v1")
    """The first one is that of the documents."""
    errors: tuple[int, ...] = ()


def answer_json(content: bytes, status: int = 200) -> Response:
    """A JSON answer. `no-store`, because what an account spent is nobody else's business."""
    return Response(content, status_code=status, media_type=JSON, headers={"Cache-Control": "no-store"})
