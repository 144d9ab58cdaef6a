"""A chat completion request, read as far as the gateway needs it: who asks for which model, and how.

The rest stays the bytes that the client wrote. Each field is read into the reader as soon as it is valid, so that the
record of a refused request holds what could be understood of it.
"""

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.domain.keys import Key
from arouter.engine.admission import resolve_user
from arouter.providers.openai import Fields

MOST_FALLBACKS = 8
MOST_SESSION_BYTES = 256

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text_decoder: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)
_flag_decoder: msgspec.json.Decoder[bool | None] = msgspec.json.Decoder(bool | None)
_decode_names = msgspec.json.Decoder(list[str] | None).decode
_decode_options = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_BRACKET = ord("[")
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding may raise: of JSON that is none, of text that is none, of arrays in arrays without end."""


class ChatReader:
    """Reads one request."""

    __slots__ = ("_key", "fields", "include_usage", "models", "overruled", "session_id", "stream", "user")

    def __init__(self, key: Key, session_id: str | None) -> None:
        """`session_id` is what the headers say."""
        self._key = key
        self.fields: Fields = {}
        self.user: str | None = None
        self.overruled = False
        """The key attributes the request to somebody else than it says."""
        self.session_id = session_id
        self.models: tuple[str, ...] = ()
        self.stream = False
        self.include_usage = True

    @property
    def requested_model(self) -> str | None:
        return self.models[0] if self.models else None

    def read(self, body: bytes, header_user: str | None) -> None:
        """`header_user` is whom the headers name. InvalidRequest at the first thing that is not as it must be."""
        self.fields = _read_object(body)
        said = self._read_user(header_user)
        self.user = resolve_user(self._key, said)
        self.overruled = self.user != said
        self.models = self._read_models()
        self.stream = "stream" in self.fields and _read_flag(self.fields, "stream") is True
        if "stream_options" in self.fields:
            self.include_usage = self._read_include_usage()
        session_id = _read_text(self.fields, "session_id") if "session_id" in self.fields else None
        if session_id is not None:
            self.session_id = session_id.encode(errors="replace")[:MOST_SESSION_BYTES].decode(errors="ignore")
        self._check_messages()

    def _read_user(self, header_user: str | None) -> str | None:
        """Who the request says that it is for: body `user`, else `safety_identifier`, else the header."""
        user = _read_text(self.fields, "user") if "user" in self.fields else None
        if user is None and "safety_identifier" in self.fields:
            user = _read_text(self.fields, "safety_identifier")
        return header_user if user is None else user

    def _read_models(self) -> tuple[str, ...]:
        model = _read_text(self.fields, "model")
        fallbacks = self._read_fallbacks() if "models" in self.fields else ()
        if model is not None and not fallbacks:
            return (model,)
        if model is None and not fallbacks:
            raise InvalidRequest(
                "you must provide a model parameter, such as openai/gpt-5.4.",
                code="missing_required_parameter",
                param="model",
            )
        names = fallbacks if model is None else (model, *fallbacks)
        return tuple(dict.fromkeys(names))

    def _read_fallbacks(self) -> tuple[str, ...]:
        raw = self.fields.get("models")
        if raw is None:
            return ()
        if (route := _read_text(self.fields, "route")) not in (None, "fallback"):
            raise InvalidRequest(f"route is 'fallback', not {route!r}.", code="invalid_value", param="route")
        try:
            names = tuple(_decode_names(raw) or ())
        except _MALFORMED as exc:
            raise _wrong_type("models", "an array of strings") from exc
        if len(names) > MOST_FALLBACKS:
            raise InvalidRequest(f"models takes at most {MOST_FALLBACKS} names.", code="invalid_value", param="models")
        return names

    def _read_include_usage(self) -> bool:
        raw = self.fields.get("stream_options")
        if raw is None:
            return True
        try:
            options = _decode_options(raw) or {}
        except _MALFORMED as exc:
            raise _wrong_type("stream_options", "an object") from exc
        return _read_flag(options, "include_usage", "stream_options.") is not False

    def _check_messages(self) -> None:
        raw = self.fields.get("messages")
        if raw is None:
            raise InvalidRequest(
                "Missing required parameter: 'messages'.", code="missing_required_parameter", param="messages"
            )
        if memoryview(raw)[0] != _BRACKET:
            raise _wrong_type("messages", "an array")


def _read_object(body: bytes) -> Fields:
    try:
        return _decode_fields(body)
    except UnicodeDecodeError as exc:
        raise InvalidRequest("The body is not UTF-8.", code="invalid_json") from exc
    except msgspec.ValidationError as exc:
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json") from exc
    except msgspec.DecodeError as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}.", code="invalid_json") from exc
    except RecursionError as exc:
        raise InvalidRequest("The body is nested too deeply.", code="invalid_json") from exc


def _read_text(fields: Fields, name: str) -> str | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _text_decoder.decode(raw)
    except _MALFORMED as exc:
        raise _wrong_type(name, "a string") from exc


def _read_flag(fields: Fields, name: str, path: str = "") -> bool | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _flag_decoder.decode(raw)
    except _MALFORMED as exc:
        raise _wrong_type(path + name, "a boolean") from exc


def _wrong_type(param: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid type for '{param}': expected {wanted}.", code="invalid_type", param=param)
