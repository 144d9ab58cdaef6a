"""`:countTokens`: the request that is to be counted, and the answer."""

from collections.abc import Mapping

import msgspec

from arouter.domain.chat import ChatRequest
from arouter.domain.errors import InvalidRequest
from arouter.wire.gemini_generate.fields import camel
from arouter.wire.gemini_generate.request import read_generate

_WHOLE = "generateContentRequest"

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode


def read_count_tokens(fields: Mapping[str, msgspec.Raw], *, model: str) -> ChatRequest:
    """The request whose tokens are asked for: the `contents` alone, or all of a `generateContentRequest`.

    `fields` is the top-level object with its values undecoded. InvalidRequest as of `read_generate`.
    """
    whole = next((raw for name, raw in fields.items() if camel(name) == _WHOLE), None)
    counted: Mapping[str, msgspec.Raw] | None = None
    if whole is not None:
        try:
            counted = _decode(whole)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise InvalidRequest(f"`{_WHOLE}` must be an object.", code="invalid_type", param=_WHOLE) from exc
    return read_generate(fields if counted is None else counted, model=model, identity=None, stream=False)


def token_count_body(tokens: int) -> bytes:
    """The answer, where we and not Google say how many tokens there are."""
    return msgspec.json.encode({"totalTokens": tokens})
