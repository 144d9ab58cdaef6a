"""Google's Vertex AI, which hosts models of several makers, each in its own dialect.

    Gemini     /publishers/google/models/{model}:generateContent, :streamGenerateContent    as at Gemini's own API
    Claude     /publishers/anthropic/models/{model}:rawPredict, :streamRawPredict           Anthropic's Messages
    others     /endpoints/openapi/chat/completions                                          OpenAI's dialect

All of it below `/v1/projects/{project}/locations/{location}`. Sources:
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis.
"""

from dataclasses import replace
from urllib.parse import quote

import msgspec

from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.providers.base import Prepared
from arouter.providers.gemini.error import failure, read_error_object
from arouter.providers.hosted_messages import BETA_HEADER, hosted_fields, is_streamed
from arouter.providers.vendors import Dialect

ANTHROPIC_VERSION = "vertex-2023-10-16"
EVERYWHERE = "global"
_CONTINENTS = frozenset({"us", "eu"})

_MODELS_PATH = "/v1beta/models/"


def base_url(project: str, location: str) -> str:
    """Where a project's models are asked in a location: a region, `us`, `eu`, or `global`."""
    if location == EVERYWHERE:
        host = "aiplatform.googleapis.com"
    elif location in _CONTINENTS:
        host = f"aiplatform.{location}.rep.googleapis.com"
    else:
        host = f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}"


class Vertex:
    """The platform. It has no state."""

    __slots__ = ()

    def place(self, prepared: Prepared, model: str, dialect: Dialect) -> Prepared:
        match dialect:
            case "anthropic":
                return _claude(prepared, model)
            case "gemini":
                path = f"/publishers/google/models/{_after(_MODELS_PATH, prepared.path)}"
            case _:
                path = f"/endpoints/openapi{prepared.path}"
        return replace(prepared, path=path)

    def unwrapper(self, dialect: Dialect) -> None:
        return None

    def read_error(self, status: int, body: bytes) -> UpstreamFailed | None:
        """Google's own errors, which an answer in any of the dialects may be."""
        error = read_error_object(body)
        return None if error is None or error.status is None else failure(status, error)


def _claude(prepared: Prepared, model: str) -> Prepared:
    fields = hosted_fields(prepared, ANTHROPIC_VERSION)
    method = "streamRawPredict" if is_streamed(fields) else "rawPredict"
    name = quote(model.rpartition("/")[2], safe="@", errors="replace")
    return replace(
        prepared,
        path=f"/publishers/anthropic/models/{name}:{method}",
        body=msgspec.json.encode(fields),
        headers=tuple((name, text) for name, text in prepared.headers if name.lower() == BETA_HEADER),
    )


def _after(prefix: str, path: str) -> str:
    if not path.startswith(prefix):
        raise InvalidRequest("Vertex AI has no such model.", code="invalid_value", param="model")
    return path[len(prefix) :]
