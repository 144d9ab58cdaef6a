"""What is particular about requests to Gemini's API: the model and the method are in the path."""

from typing import ClassVar

from arouter.domain.errors import InvalidRequest
from arouter.web.inference.request import RequestReader, check_array, read_text
from arouter.wire.gemini_generate.calls import Method, answers_in_events, read_call
from arouter.wire.gemini_generate.request import labelled_user
from arouter.wire.query_string import read_query_string

_VERSIONS = tuple(f"{root}/{version}" for root in ("", "/api") for version in ("v1beta/", "v1alpha/", "v1/"))

PREFIXES = (*(f"{root}models/" for root in (*_VERSIONS, "/", "/api/")), *_VERSIONS)
"""What comes before a model, the longer ones first. Vercel's SDK writes `models/` only before names without a slash."""


class GenerateReader(RequestReader):
    """Reads one request. A model without a provider is Google's."""

    __slots__ = ()

    asks: ClassVar[tuple[str, ...]] = ("systemInstruction", "system_instruction", "contents", "tools")
    default_provider = "google"

    def _read_model(self) -> str | None:
        return self._called()[0]

    def _read_stream(self) -> bool:
        streamed = self._called()[1] is Method.STREAM
        if streamed:
            self.in_events = answers_in_events(read_query_string(self.head.query))
        return streamed

    def _called(self) -> tuple[str, Method]:
        path = self.head.path
        prefix = next((prefix for prefix in PREFIXES if path.startswith(prefix)), "")
        return read_call(path[len(prefix) :])

    def _read_user(self, header_user: str | None) -> str | None:
        """Body `user`, else `labels.user`, else the header."""
        user = read_text(self.fields, "user") if "user" in self.fields else None
        if user is None:
            user = labelled_user(self.fields)
        return header_user if user is None else user

    def _check(self) -> int | None:
        check_array(self.fields, "contents")
        return super()._check()


class CountTokensReader(GenerateReader):
    """A request that is to be counted: what must be in it is for whoever counts."""

    __slots__ = ()

    asks = ("contents", "generateContentRequest")

    def _check(self) -> int | None:
        return RequestReader._check(self)


class EmbedReader(GenerateReader):
    """A request for one vector."""

    __slots__ = ()

    asks = ("content",)

    def _check(self) -> int | None:
        if self.fields.get("content") is None:
            raise InvalidRequest(
                "Missing required parameter: 'content'.", code="missing_required_parameter", param="content"
            )
        return RequestReader._check(self)


class EmbedBatchReader(GenerateReader):
    """A request for many."""

    __slots__ = ()

    def _check(self) -> int | None:
        return check_array(self.fields, "requests")
