"""`data:` URLs (RFC 2397), in which clients send images and files by value."""

import base64
from urllib.parse import unquote_to_bytes

from arouter.wire.fields import wrong_value

_DATA = "data:"


def is_data_url(url: str) -> bool:
    return url[: len(_DATA)].lower() == _DATA


def read_data_url(url: str, param: str) -> tuple[str | None, str]:
    """The media type and the base64 of a `data:` URL. InvalidRequest, naming `param`, if it is none."""
    head, comma, data = url[len(_DATA) :].partition(",")
    if not comma:
        raise wrong_value(param, "a data: URL of the form data:<media type>;base64,<data>")
    media_type, *parameters = head.split(";")
    if not any(parameter.strip().lower() == "base64" for parameter in parameters):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    elif "%" in data:
        data = unquote_to_bytes(data).decode("utf-8", "replace")
    return media_type.strip().lower() or None, data
