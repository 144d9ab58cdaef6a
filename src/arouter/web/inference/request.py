"""An inference request, read as far as the gateway needs it: who asks for which model, and how.

The rest stays the bytes that the client wrote. Each field is read into the reader as soon as it is valid, so that the
record of a refused request holds what could be understood of it.

`RequestReader` reads what the dialects of OpenAI have in common; a subclass says what is particular about its own.
"""

from collections.abc import Callable
from typing import ClassVar

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.domain.keys import Key
from arouter.engine.admission import resolve_user
from arouter.engine.call import Call
from arouter.providers.openai import Fields
from arouter.web.inference.head import Head

MOST_FALLBACKS = 8
MOST_SESSION_BYTES = 256

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text: Callable[[msgspec.Raw], str | None] = msgspec.json.Decoder(str | None).decode
_decode_flag: Callable[[msgspec.Raw], bool | None] = msgspec.json.Decoder(bool | None).decode
_decode_names = msgspec.json.Decoder(list[str] | None).decode
_decode_options = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_BRACKET = ord("[")
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding may raise: of JSON that is none, of text that is none, of arrays in arrays without end."""


class RequestReader(Call):
    """Reads one request, and is the call that it becomes: what it has read is not copied from one to the other."""

    __slots__ = ("asked_bytes", "head", "overruled", "requested_model", "session_id", "user")

    asks: ClassVar[tuple[str, ...]] = ()
    """The fields that the model is to read."""
    in_pieces: ClassVar[bool] = False
    """The answer goes on as it comes, also where the client did not ask for a stream."""
    default_provider: ClassVar[str | None] = None
    """Whose a model is that is named without a provider; None leaves it to the routing."""

    def __init__(self, key: Key, head: Head) -> None:
        self.key = key
        self.head = head
        self.query = head.query
        self.headers = head.headers
        self.fields = {}
        self.user: str | None = None
        self.overruled = False
        """The key attributes the request to somebody else than it says."""
        self.session_id = head.session_id
        self.requested_model: str | None = None
        """As the client wrote it."""
        self.asked_bytes: int | None = None
        """The size of what the model is to read, once that is known: an estimate of the input is made from it."""
        self.models = ()
        self.stream = False
        self.include_usage = True
        self.in_events = True
        self.preferences = None
        self.sent = None

    def read(self, body: bytes) -> None:
        """InvalidRequest at the first thing that is not as it must be."""
        try:
            fields = self.fields = _decode_fields(body)
        except MALFORMED as exc:
            raise _no_object(exc) from exc
        said = self._read_user(self.head.user() if self.headers else None)
        self.user = user = resolve_user(self.key, said)
        self.overruled = user != said
        model = self.requested_model = self._read_model()
        self.models = self._read_models(model) if model is None or "models" in fields else (model,)
        if self.default_provider is not None:
            self.models = tuple(name if "/" in name else f"{self.default_provider}/{name}" for name in self.models)
        self.stream = self._read_stream()
        if "stream_options" in fields:
            self.include_usage = self._read_include_usage()
        if "provider" in fields:
            self.preferences = fields["provider"]
        if "session_id" in fields:
            self._note_session(read_text(fields, "session_id"))
        self.asked_bytes = self._check()

    def _check(self) -> int | None:
        """Whether there is what must be there besides. The size in bytes of what the model is to read; None if that
        tells nothing of its tokens."""
        fields, size_bytes = self.fields, 0
        for name in self.asks:
            if name in fields:
                size_bytes += len(memoryview(fields[name]))
        return size_bytes

    def _note_session(self, session_id: str | None) -> None:
        if session_id is not None:
            self.session_id = session_id.encode(errors="replace")[:MOST_SESSION_BYTES].decode(errors="ignore")

    def _read_stream(self) -> bool:
        return "stream" in self.fields and _read_flag(self.fields, "stream") is True

    def _read_user(self, header_user: str | None) -> str | None:
        """Who the request says that it is for: body `user`, else `safety_identifier`, else the header."""
        fields = self.fields
        user = read_text(fields, "user") if "user" in fields else None
        if user is None and "safety_identifier" in fields:
            user = read_text(fields, "safety_identifier")
        return header_user if user is None else user

    def _read_models(self, model: str | None) -> tuple[str, ...]:
        """Those to fall back to, behind `model` if that is named."""
        fallbacks = self._read_fallbacks()
        if model is None and not fallbacks:
            raise InvalidRequest(
                "you must provide a model parameter, such as openai/gpt-5.4.",
                code="missing_required_parameter",
                param="model",
            )
        if model is None:
            self.requested_model = fallbacks[0]
            return tuple(dict.fromkeys(fallbacks))
        return tuple(dict.fromkeys((model, *fallbacks)))

    def _read_model(self) -> str | None:
        return read_text(self.fields, "model")

    def _read_fallbacks(self) -> tuple[str, ...]:
        raw = self.fields.get("models")
        if raw is None:
            return ()
        if (route := read_text(self.fields, "route")) not in (None, "fallback"):
            raise InvalidRequest(f"route is 'fallback', not {route!r}.", code="invalid_value", param="route")
        try:
            names = tuple(_decode_names(raw) or ())
        except MALFORMED as exc:
            raise wrong_type("models", "an array of strings") from exc
        if len(names) > MOST_FALLBACKS:
            raise InvalidRequest(f"models takes at most {MOST_FALLBACKS} names.", code="invalid_value", param="models")
        return names

    def _read_include_usage(self) -> bool:
        raw = self.fields.get("stream_options")
        if raw is None:
            return True
        try:
            options = _decode_options(raw) or {}
        except MALFORMED as exc:
            raise wrong_type("stream_options", "an object") from exc
        return _read_flag(options, "include_usage", "stream_options.") is not False


def check_array(fields: Fields, name: str) -> int:
    """The size in bytes of an array. InvalidRequest unless there is one of this name."""
    raw = fields.get(name)
    if raw is None:
        raise InvalidRequest(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    array = memoryview(raw)
    if array[0] != _BRACKET:
        raise wrong_type(name, "an array")
    return len(array)


def _no_object(exc: Exception) -> InvalidRequest:
    """What a body is told that is no JSON object."""
    match exc:
        case UnicodeDecodeError():
            told = "The body is not UTF-8."
        case msgspec.ValidationError():
            told = "The body must be a JSON object."
        case RecursionError():
            told = "The body is nested too deeply."
        case _:
            told = f"The body is not valid JSON: {exc}."
    return InvalidRequest(told, code="invalid_json")


def read_text(fields: Fields, name: str) -> str | None:
    """A text, or None where there is none. InvalidRequest for anything else."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _decode_text(raw)
    except MALFORMED as exc:
        raise wrong_type(name, "a string") from exc


def _read_flag(fields: Fields, name: str, path: str = "") -> bool | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return _decode_flag(raw)
    except MALFORMED as exc:
        raise wrong_type(path + name, "a boolean") from exc


def wrong_type(param: str, wanted: str) -> InvalidRequest:
    """What a field of another type than it must be is told."""
    return InvalidRequest(f"Invalid type for '{param}': expected {wanted}.", code="invalid_type", param=param)
