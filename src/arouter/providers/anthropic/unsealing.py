"""What other providers proved, taken out of a conversation that goes to Anthropic, which refuses what it did not sign.

A client that began a conversation with another provider holds its thoughts and citations as seals
(`arouter.wire.anthropic_messages.thoughts`). Here they are left out of `messages`, with the blocks that they are in
and, where nothing else is said, with the message; every other block keeps the bytes that the client wrote.
"""

import msgspec

from arouter.providers.anthropic.errors import MALFORMED
from arouter.wire.seals import PREFIX, is_sealed

_NOTHING = msgspec.Raw(b"")
_SEALED = b'"' + PREFIX.encode()
_encode = msgspec.json.encode


class _Citation(msgspec.Struct):
    encrypted_index: object = None


class _Block(msgspec.Struct):
    """So much of a block as says whether a seal is in it."""

    type: str = ""
    signature: object = None
    data: object = None
    citations: list[msgspec.Raw] | None = None


_MESSAGES = msgspec.json.Decoder(list[msgspec.Raw])
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_BLOCK = msgspec.json.Decoder(_Block)
_CITATION = msgspec.json.Decoder(_Citation)


def without_seals(messages: msgspec.Raw) -> msgspec.Raw:
    """The messages without what is sealed. What is no message stays as it is."""
    if bytes(messages).find(_SEALED) < 0:
        return messages
    try:
        kept = [unsealed for raw in _MESSAGES.decode(messages) if (unsealed := _unsealed_message(raw)) is not None]
    except MALFORMED:
        return messages
    return msgspec.Raw(_encode(kept))


def _unsealed_message(raw: msgspec.Raw) -> msgspec.Raw | None:
    """None if all that the message held was sealed."""
    if bytes(raw).find(_SEALED) < 0:
        return raw
    fields = _FIELDS.decode(raw)
    content = fields.get("content", _NOTHING)
    if bytes(content)[:1] != b"[":
        return raw
    kept = [unsealed for block in _BLOCKS.decode(content) if (unsealed := _unsealed_block(block)) is not None]
    fields["content"] = msgspec.Raw(_encode(kept))
    return msgspec.Raw(_encode(fields)) if kept else None


def _unsealed_block(raw: msgspec.Raw) -> msgspec.Raw | None:
    try:
        block = _BLOCK.decode(raw)
    except msgspec.ValidationError:
        return raw
    if (block.type == "thinking" and is_sealed(block.signature)) or (
        block.type == "redacted_thinking" and is_sealed(block.data)
    ):
        return None
    if block.type != "text" or not block.citations:
        return raw
    fields = _FIELDS.decode(raw)
    cited = [citation for citation in block.citations if not _is_ours(citation)]
    if cited:
        fields["citations"] = msgspec.Raw(_encode(cited))
    else:
        del fields["citations"]
    return msgspec.Raw(_encode(fields))


def _is_ours(citation: msgspec.Raw) -> bool:
    try:
        return is_sealed(_CITATION.decode(citation).encrypted_index)
    except msgspec.ValidationError:
        return False
