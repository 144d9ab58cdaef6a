"""How many tokens a model reads of a request, for a provider that does not count them beforehand: an estimate.

Text counts by its bytes, see `arouter.domain.estimate`. Whatever else is attached counts as one large picture each,
since its bytes say little: who asks wants to know whether a request fits, and a figure that is too small is no use.
"""

import msgspec

from arouter.domain.chat import Audio, ChatRequest, File, Image, Message
from arouter.domain.estimate import tokens_of

ATTACHMENT_TOKENS = 1_600
"""What a large picture has at most at Anthropic
(https://platform.claude.com/docs/en/build-with-claude/vision); Gemini counts less, OpenAI about as much."""


def estimated_prompt_tokens(request: ChatRequest) -> int:
    """The estimate for everything that is read: messages, calls and tools."""
    tools = [*request.tools, *_other_tools(request)]
    text_bytes = sum(_text_bytes(message) for message in request.messages)
    text_bytes += len(msgspec.json.encode(tools)) if tools else 0
    attached = sum(isinstance(part, Image | Audio | File) for message in request.messages for part in message.parts)
    return tokens_of(text_bytes) + attached * ATTACHMENT_TOKENS


def _other_tools(request: ChatRequest) -> list[object]:
    others = request.rest.get("tools")
    return others if isinstance(others, list) else []


def _text_bytes(message: Message) -> int:
    said = [part.text for part in message.parts if not isinstance(part, Image | Audio | File)]
    called = [text for call in message.tool_calls for text in (call.name, call.arguments)]
    return sum(len(text.encode(errors="replace")) for text in (*said, *called))
