"""Amazon Bedrock, which hosts models of several makers, most of them in a dialect of its own.

    Claude     /model/{id}/invoke, /invoke-with-response-stream    Anthropic's Messages, streamed in AWS's framing
    openai.…   /openai/v1/chat/completions                         OpenAI's dialect, as at OpenAI
    others     /model/{id}/converse, /converse-stream              Converse, see `arouter.providers.converse`

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html,
https://platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock,
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html.
"""

from dataclasses import replace
from urllib.parse import quote

import msgspec

from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Prepared, Unwrapper
from arouter.providers.bedrock.errors import read_error
from arouter.providers.bedrock.messages_stream import MessagesUnwrapper
from arouter.providers.hosted_messages import betas, hosted_fields, is_streamed
from arouter.providers.vendors import Dialect

__all__ = ["ANTHROPIC_VERSION", "SERVICE", "Bedrock"]

ANTHROPIC_VERSION = "bedrock-2023-05-31"
SERVICE = "bedrock"
"""What signatures are made for."""

_NOT_TAKEN = ("service_tier",)
"""Fields of Messages that Bedrock refuses."""


class Bedrock:
    """The platform. It has no state."""

    __slots__ = ()

    def place(self, prepared: Prepared, model: str, dialect: Dialect) -> Prepared:
        match dialect:
            case "anthropic":
                return _claude(prepared, model)
            case "openai":
                path = f"/openai/v1{prepared.path}"
            case _:
                path = prepared.path
        return replace(prepared, path=path)

    def unwrapper(self, dialect: Dialect) -> Unwrapper | None:
        return MessagesUnwrapper() if dialect == "anthropic" else None

    def read_error(self, status: int, body: bytes) -> UpstreamFailed | None:
        """AWS's own errors, which an answer in any of the dialects may be."""
        return read_error(status, body)


def _claude(prepared: Prepared, model: str) -> Prepared:
    fields = hosted_fields(prepared, ANTHROPIC_VERSION)
    operation = "invoke-with-response-stream" if is_streamed(fields) else "invoke"
    fields.pop("stream", None)
    dropped = [name for name in _NOT_TAKEN if fields.pop(name, None) is not None]
    if names := betas(prepared):
        fields["anthropic_beta"] = msgspec.Raw(msgspec.json.encode(names))
    return Prepared(
        path=f"/model/{quote(model, safe='', errors='replace')}/{operation}",
        body=msgspec.json.encode(fields),
        dropped=(*prepared.dropped, *dropped),
    )
