"""The query string of a URL, read without loss.

The rules of `application/x-www-form-urlencoded` (https://url.spec.whatwg.org/#urlencoded-parsing), with one
difference: bytes that are not UTF-8 are an error instead of U+FFFD, because a user's name that was mended is
another user's name. Nothing is trimmed; a name without `=` has the empty value; `%` without two hexadecimal digits
stands for itself.
"""

from urllib.parse import unquote_to_bytes

from arouter.domain.errors import InvalidRequest


def read_query_string(query_string: bytes) -> list[tuple[str, str]]:
    """Names and values in their order. InvalidRequest for what is not UTF-8."""
    pairs = []
    for piece in query_string.split(b"&"):
        if not piece:
            continue
        name, _, value = piece.partition(b"=")
        decoded_name = _decode(name, None)
        pairs.append((decoded_name, _decode(value, decoded_name)))
    return pairs


def _decode(raw: bytes, name: str | None) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as exc:
        what = "The name of a query parameter" if name is None else f"The query parameter `{name[:64]}`"
        raise InvalidRequest(f"{what} is not UTF-8.", code="invalid_parameter", param=name) from exc
