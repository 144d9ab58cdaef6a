"""OpenAI's endpoints besides chat as a client speaks them. They are relayed, and never translated."""

from abc import abstractmethod
from collections.abc import Callable

import msgspec

from arouter.domain.chat import ChatRequest
from arouter.domain.errors import InvalidRequest
from arouter.engine.call import Call, Sent
from arouter.engine.routing import Route
from arouter.providers.base import Prepared, Relay
from arouter.providers.openai_endpoints.answer import BodyRelay, CompletionRelay, TextRelay
from arouter.providers.openai_endpoints.request import AS_TOLD, relay_completion, relay_fields, relay_form
from arouter.providers.openai_endpoints.stream import BytesRelay, EventRelay
from arouter.providers.quantity import characters_usage
from arouter.providers.vendors import VENDORS, Vendor
from arouter.wire.openai_failures import FailureWriter

DIALECTS = ("openai", "responses")
"""Whose models may have these endpoints."""
SPEAKERS = tuple(vendor.name for vendor in VENDORS if vendor.dialect in DIALECTS)
"""The vendors that speak it. Not each of them has each endpoint: one that has not says so itself."""

_PLAIN_TEXTS = frozenset({"text", "srt", "vtt"})


class Endpoint:
    """Implements `arouter.engine.call.Ingress` for one path."""

    conversation: str | None = None

    def __init__(self, path: str) -> None:
        """`path` is appended to the provider's base URL."""
        self._path = path

    def relay(self, call: Call, route: Route, identity: str | None) -> tuple[Prepared, Relay] | None:
        vendor = route.deployment.vendor
        return self._relay(call, vendor, route.model, identity) if route.dialect in DIALECTS else None

    @abstractmethod
    def _relay(self, call: Call, vendor: Vendor, model: str, identity: str | None) -> tuple[Prepared, Relay]:
        """For a vendor of this dialect."""

    def read(self, call: Call, model: str, identity: str | None) -> ChatRequest:
        raise InvalidRequest(
            f"The provider of this model has nothing like {call.opening.endpoint}. "
            "Ask for the model of a provider that speaks OpenAI's dialect; metadata lists them.",
            code="endpoint_not_supported",
            param="model",
            metadata={"providers": SPEAKERS},
        )

    def writer(self, call: Call, model: str, *, begun: bool = False) -> FailureWriter:
        return FailureWriter()


class Completions(Endpoint):
    """`POST /v1/completions`, from before chat."""

    def _relay(self, call: Call, vendor: Vendor, model: str, identity: str | None) -> tuple[Prepared, Relay]:
        prepared = relay_completion(
            call.fields, self._path, vendor=vendor, model=model, identity=identity, stream=call.stream
        )
        return prepared, CompletionRelay(vendor)

    def writer(self, call: Call, model: str, *, begun: bool = False) -> FailureWriter:
        return FailureWriter(choices=True)


class Bodies(Endpoint):
    """An endpoint that takes JSON and answers with JSON."""

    def __init__(self, path: str, *, what: str, must: str, of_text: bool = False, takes_identity: bool = False) -> None:
        """As for `BodyRelay`; `takes_identity`: there is a field for the end user's pseudonym."""
        super().__init__(path)
        self._what = what
        self._must = must
        self._of_text = of_text
        self._takes_identity = takes_identity

    def _relay(self, call: Call, vendor: Vendor, model: str, identity: str | None) -> tuple[Prepared, Relay]:
        shown = identity if self._takes_identity else None
        prepared = relay_fields(call.fields, self._path, vendor=vendor, model=model, identity=shown)
        return prepared, BodyRelay(vendor, what=self._what, must=self._must, of_text=self._of_text)


class Images(Endpoint):
    """`POST /v1/images/generations`, and `/v1/images/edits`, which takes a form."""

    def _relay(self, call: Call, vendor: Vendor, model: str, identity: str | None) -> tuple[Prepared, Relay]:
        if call.sent is None:
            prepared = relay_fields(call.fields, self._path, vendor=vendor, model=model, identity=identity)
        else:
            prepared = _relay_form(call.sent, self._path, vendor, model, identity)
        if call.stream:
            return prepared, EventRelay(vendor, what="a stream of images", of_images=True)
        return prepared, BodyRelay(vendor, what="a list of images", must="data", of_images=True)


class Speech(Endpoint):
    """`POST /v1/audio/speech`: a text in, sound out, as bytes or in events."""

    def _relay(self, call: Call, vendor: Vendor, model: str, identity: str | None) -> tuple[Prepared, Relay]:
        prepared = relay_fields(call.fields, self._path, vendor=vendor, model=model, identity=None, manner=AS_TOLD)
        if _said(call, "stream_format") == "sse":
            return prepared, EventRelay(vendor, what="a stream of speech")
        text = _said(call, "input")
        return prepared, BytesRelay(None if text is None else characters_usage(len(text)))


class Transcriptions(Endpoint):
    """`POST /v1/audio/transcriptions` and `/v1/audio/translations`: a form with a sound in, its text out."""

    def _relay(self, call: Call, vendor: Vendor, model: str, identity: str | None) -> tuple[Prepared, Relay]:
        assert call.sent is not None
        prepared = _relay_form(call.sent, self._path, vendor, model, None)
        if call.stream:
            return prepared, EventRelay(vendor, what="a stream of a transcription")
        kind: Callable[..., Relay] = TextRelay if _said(call, "response_format") in _PLAIN_TEXTS else BodyRelay
        return prepared, kind(vendor, what="a transcription", must="text")


def _relay_form(sent: Sent, path: str, vendor: Vendor, model: str, identity: str | None) -> Prepared:
    assert sent.form is not None
    assert sent.content_type is not None
    return relay_form(sent.form, path, content_type=sent.content_type, vendor=vendor, model=model, identity=identity)


def _said(call: Call, name: str) -> str | None:
    """A text among the fields, which its reader has looked at."""
    raw = call.fields.get(name)
    return None if raw is None else msgspec.json.decode(raw, type=str | None)


COMPLETIONS = Completions("/completions")
MODERATIONS = Bodies("/moderations", what="a list of verdicts", must="results")
RERANK = Bodies("/rerank", what="a ranking", must="results", of_text=True)
IMAGES = Images("/images/generations")
IMAGE_EDITS = Images("/images/edits")
SPEECH = Speech("/audio/speech")
TRANSCRIPTIONS = Transcriptions("/audio/transcriptions")
TRANSLATIONS = Transcriptions("/audio/translations")
