"""A request to a provider's own path, read as far as rules and records need it. Nothing of it is changed.

What goes on is the method, the path behind the provider's name, the query without our key, a short list of header
fields, and the body.
"""

import json
import re
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from arouter.domain.errors import InvalidRequest, NotPermitted
from arouter.engine.admission import resolve_user
from arouter.engine.call import Sent
from arouter.engine.routing import NO_MODEL
from arouter.providers.passing.paths import model_in_path
from arouter.web.inference.head import FORWARDED, Head
from arouter.web.inference.request import RequestReader
from arouter.wire.multipart import MEDIA_TYPE, boundary_of, read_form

_JSON = "application/json"
_KEY = b"key"
_OF_THE_BODY = b"content-type"
_FALL_BACKS = ("models", "fallbacks")
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_VISIBLE = re.compile(rb"[!-~]*").fullmatch
_PLAIN = re.compile(rb"[\t -~]*").fullmatch
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text_decoder: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)
_flag_decoder = msgspec.json.Decoder(bool)


class PassingReader(RequestReader):
    """Reads one request."""

    __slots__ = ()

    in_pieces = True

    def read(self, body: bytes) -> None:
        head = self.head
        said = head.user()
        self.user = resolve_user(self.key, said)
        self.overruled = self.user != said
        if b"sec-websocket-key" in head.headers:
            raise InvalidRequest(
                "WebSockets are not passed on. Use the provider's HTTP paths.", code="websocket_not_supported"
            )
        provider, path = split_path(head.path)
        _check_path(path)
        content_type = head.content_type
        model = _path_model(path) or self._body_model(content_type, body)
        if model is not None:
            self.requested_model = f"{provider}/{model}"
        self.models = (f"{provider}/{NO_MODEL if model is None else model}",)
        self.sent = Sent(
            content_type=content_type if body else None,
            body=body,
            method=head.method,
            path=path,
            query=without_key(head.query),
            headers=tuple(_forwarded(head)),
        )

    def _body_model(self, content_type: str, body: bytes) -> str | None:
        """The model that the body names, if there is one that can be seen."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind == MEDIA_TYPE:
            return _form_model(content_type, body)
        if kind != _JSON and body.lstrip()[:1] != b"{":
            return None
        try:
            fields = _fields_decoder.decode(body)
            model = _text_decoder.decode(fields["model"]) if "model" in fields else None
        except _MALFORMED:
            return None
        self.stream = _is_true(fields.get("stream"))
        self.asked_bytes = len(body)
        if self.key.allowed_models is not None:
            _check_one_model(fields, body)
        return model


class ClosedReader(PassingReader):
    """A request to a path that the operator does not let through."""

    __slots__ = ()

    def read(self, body: bytes) -> None:
        super().read(body)
        raise NotPermitted(
            "This gateway passes on the paths of providers whose usage it can read, and lists of models. Its operator "
            "can let every path through (server.pass_through).",
            code="path_not_allowed",
        )


def split_path(path: str) -> tuple[str, str]:
    """The provider that a path begins with, and the provider's own path."""
    provider, slash, rest = path[1:].partition("/")
    return unquote(provider), slash + rest


def without_key(query: bytes) -> str:
    """The query as it came, without our key. InvalidRequest for one that cannot be sent."""
    pieces = [piece for piece in query.split(b"&") if unquote_to_bytes(piece.partition(b"=")[0]) != _KEY]
    kept = b"&".join(pieces)
    if not _VISIBLE(kept):
        raise InvalidRequest("The query has characters that a URL cannot hold.", code="invalid_value")
    return kept.decode("ascii")


def _check_path(path: str) -> None:
    """The base URL is the whole of the provider that may be reached."""
    if not _VISIBLE(path.encode("latin-1", "replace")) or "#" in path or "?" in path:
        raise InvalidRequest("The path has characters that a URL cannot hold.", code="invalid_value")
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise InvalidRequest("A path may not lead out of the provider.", code="invalid_value")


def _forwarded(head: Head) -> list[tuple[str, str]]:
    headers = head.forwarded
    for name, value in headers.items():
        if not _PLAIN(value):
            raise InvalidRequest(f"The header {name.decode()} is not plain text.", code="invalid_value")
    return [(name.decode(), headers[name].decode()) for name in sorted(FORWARDED & headers.keys() - {_OF_THE_BODY})]


def _path_model(path: str) -> str | None:
    model = model_in_path(path)
    return None if model is None else unquote(model)


def _form_model(content_type: str, body: bytes) -> str | None:
    """A form that is none is for the provider to refuse."""
    try:
        return read_form(body, boundary_of(content_type)).text("model")
    except InvalidRequest:
        return None


def _is_true(raw: msgspec.Raw | None) -> bool:
    try:
        return raw is not None and _flag_decoder.decode(raw)
    except _MALFORMED:
        return False


def _check_one_model(fields: dict[str, msgspec.Raw], body: bytes) -> None:
    """A list of allowed models holds only for a body in which nobody can read another model."""
    names: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        names[:] = [name for name, _ in pairs]  # Those of the outermost object come last.

    try:
        json.loads(body, object_pairs_hook=note)
    except (ValueError, RecursionError):
        names = ["model", "model"]
    if names.count("model") > 1 or any(name in fields for name in _FALL_BACKS):
        raise NotPermitted(
            "This API key takes one model for each request: name it once, without others to fall back to.",
            code="model_not_allowed",
            param="model",
        )
