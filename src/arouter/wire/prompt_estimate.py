"""How many tokens a request has for a model whose provider does not count them beforehand: an estimate.

Text counts by its bytes (`arouter.domain.estimate`). A picture, a document by value that is not text, and whatever
is behind an address count as much as the largest picture does at Anthropic, since their bytes say little of it: who
asks wants to know whether the request still fits, and is served best by a figure that is not too small.
"""

import msgspec

from arouter.domain.chat import Audio, ChatRequest, File, Image, Part, Reasoning, Refusal, Text
from arouter.domain.estimate import tokens_of

TOKENS_OF_AN_ATTACHMENT = 1_600
"""The most that a picture has at Anthropic in the resolution of most models
(https://platform.claude.com/docs/en/build-with-claude/vision)."""


def estimated_prompt_tokens(request: ChatRequest) -> int:
    """The estimate for all that the model reads: messages, calls and tools."""
    text_bytes = 0
    attachments = 0
    for message in request.messages:
        for part in message.parts:
            if _is_attachment(part):
                attachments += 1
            else:
                text_bytes += _bytes_of(part)
        text_bytes += sum(_size(call.name) + _size(call.arguments) for call in message.tool_calls)
    text_bytes += sum(
        _size(tool.name) + _size(tool.description) + len(msgspec.json.encode(tool.parameters)) for tool in request.tools
    )
    text_bytes += len(msgspec.json.encode(request.rest["tools"])) if "tools" in request.rest else 0
    return tokens_of(text_bytes) + attachments * TOKENS_OF_AN_ATTACHMENT


def _is_attachment(part: Part) -> bool:
    return isinstance(part, Image | Audio) or (isinstance(part, File) and not _is_text(part))


def _is_text(file: File) -> bool:
    return file.data is not None and file.media_type is not None and file.media_type.startswith("text/")


def _bytes_of(part: Part) -> int:
    match part:
        case Text(text=text) | Refusal(text=text) | Reasoning(text=text):
            return _size(text)
        case File(data=data):
            return _size(data) * 3 // 4  # Base64
        case _:
            return 0


def _size(text: str | None) -> int:
    return 0 if text is None else len(text.encode(errors="replace"))
