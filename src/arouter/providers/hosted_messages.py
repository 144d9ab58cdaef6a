"""Anthropic's Messages as other clouds host them: the model is in the path and the version in the body."""

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.providers.base import Prepared

PATH = "/v1/messages"

BETA_HEADER = "anthropic-beta"
_NOT_SENT = ("model", "metadata")
"""Named elsewhere, and the pseudonym of the end user, which is meant for Anthropic itself."""

_FIELDS: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def hosted_fields(prepared: Prepared, version: str) -> dict[str, msgspec.Raw]:
    """The fields of the body with `version` as `anthropic_version`, each value as it was written.

    InvalidRequest for what only Anthropic itself can be asked, such as to count tokens.
    """
    if prepared.path != PATH:
        raise InvalidRequest(
            f"Only Anthropic itself can be asked for {prepared.path}. Use anthropic/… as the model.",
            code="invalid_value",
            param="model",
        )
    fields = _FIELDS.decode(prepared.body)
    for name in _NOT_SENT:
        fields.pop(name, None)
    fields["anthropic_version"] = msgspec.Raw(msgspec.json.encode(version))
    return fields


def is_streamed(fields: dict[str, msgspec.Raw]) -> bool:
    """Whether the answer is asked for as a stream."""
    return bytes(fields.get("stream", b"")) == b"true"


def betas(prepared: Prepared) -> list[str]:
    """The beta versions that the request names in its header."""
    return [
        beta.strip()
        for name, text in prepared.headers
        if name.lower() == BETA_HEADER
        for beta in text.split(",")
        if beta.strip()
    ]
