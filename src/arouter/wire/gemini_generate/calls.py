"""Which call of the API a request means, and in which form a stream answers.

Model and method are one piece of the path: `/v1beta/models/{model}:{method}`. A model's name may hold slashes and
colons (`google/gemini-2.5-pro:free`), so the method is what follows the last colon.
"""

from collections.abc import Iterable
from enum import StrEnum

from arouter.domain.errors import InvalidRequest, NotFound
from arouter.wire.nearest import unknown

_ALT = ("alt", "$alt")
_SSE = "sse"
_FORMS = ("json", _SSE)


class Method(StrEnum):
    """What is called."""

    GENERATE = "generateContent"
    STREAM = "streamGenerateContent"
    COUNT_TOKENS = "countTokens"
    EMBED = "embedContent"
    EMBED_BATCH = "batchEmbedContents"


def read_call(rest: str) -> tuple[str, Method]:
    """The model's name and the method of `rest`, which is what follows `/models/`, percent-decoded.

    NotFound if there is no such method, InvalidRequest if there is no name.
    """
    model, colon, method = rest.rpartition(":")
    if not colon or method not in list(Method):
        raise NotFound(unknown("method", method if colon else "", Method))
    if not model:
        raise InvalidRequest("The path has no model.", code="missing_required_parameter", param="model")
    return model, Method(method)


def answers_in_events(query: Iterable[tuple[str, str]]) -> bool:
    """Whether a stream is asked for as server-sent events (`alt=sse`); else it is one JSON array.

    `query` holds the names and values of the query string. InvalidRequest for a form that we cannot read.
    """
    forms = [value for name, value in query if name in _ALT]
    form = forms[-1] if forms else _FORMS[0]
    if form not in _FORMS:
        raise InvalidRequest(f"`alt` must be one of {', '.join(_FORMS)}.", code="invalid_value", param="alt")
    return form == _SSE
