"""OpenAI's dialect at Azure.

    the v1 API         /openai/v1/chat/completions                              the deployment is `model` in the body
    dated versions     /openai/deployments/{deployment}/chat/completions        `api-version` in the query

Source: https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle. In both the key travels in `api-key`.
"""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import msgspec

from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Prepared
from arouter.providers.openai import read_error
from arouter.providers.vendors import Dialect

V1_PATH = "/openai/v1"
DATED_PATH = "/openai"

CONTENT_FILTER = "content_filter"

_OF_DEPLOYMENTS = frozenset({"/chat/completions", "/completions", "/embeddings"})
"""What is asked of a deployment; the rest of a dated version names the deployment in the body."""


class _Verdict(msgspec.Struct):
    filtered: bool = False


class _Filtered(msgspec.Struct):
    content_filter_result: dict[str, msgspec.Raw] | None = None
    content_filter_results: dict[str, msgspec.Raw] | None = None


class _Blocking(msgspec.Struct):
    blocked: bool = False
    content_filter_results: dict[str, msgspec.Raw] | None = None


class _Error(msgspec.Struct):
    code: str | None = None
    innererror: _Filtered | None = None
    content_filters: list[_Blocking] | None = None


class _Body(msgspec.Struct):
    error: _Error


_BODY = msgspec.json.Decoder(_Body)
_VERDICT = msgspec.json.Decoder(_Verdict)
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Azure:
    """One resource at Azure."""

    __slots__ = ("_by_deployment", "_query")

    def __init__(self, *, api_version: str = "", by_deployment: bool = False) -> None:
        """`by_deployment` is for the dated versions; the v1 API takes a version only to ask for its preview."""
        self._query = f"api-version={api_version}" if api_version else ""
        self._by_deployment = by_deployment

    def place(self, prepared: Prepared, model: str, dialect: Dialect) -> Prepared:
        path = prepared.path
        if self._by_deployment and path in _OF_DEPLOYMENTS:
            path = f"/deployments/{quote(model, safe='')}{path}"
        query = "&".join(part for part in (prepared.query, self._query) if part)
        return replace(prepared, path=path, query=query)

    def unwrapper(self, dialect: Dialect) -> None:
        return None

    def read_error(self, status: int, body: bytes) -> UpstreamFailed | None:
        """A prompt that the content filter refused: the error says for what."""
        try:
            error = _BODY.decode(body).error
        except _MALFORMED:
            return None
        if error.code != CONTENT_FILTER:
            return None
        failure = read_error("azure", status, body)
        failure.metadata = {**failure.metadata, "reasons": sorted(set(_reasons(error)))}
        return failure


def _reasons(error: _Error) -> Iterator[str]:
    """The categories for which something was filtered: `hate`, `violence`, `jailbreak`, …"""
    told = (
        []
        if error.innererror is None
        else [
            error.innererror.content_filter_result,
            error.innererror.content_filter_results,
        ]
    )
    told += [one.content_filter_results for one in error.content_filters or () if one.blocked]
    for results in told:
        for category, raw in (results or {}).items():
            if _is_filtered(raw):
                yield category


def _is_filtered(raw: msgspec.Raw) -> bool:
    try:
        return _VERDICT.decode(raw).filtered
    except _MALFORMED:
        return False
