"""The inference paths, one row each."""

from functools import partial

from arouter.engine.dialects.chat import Chat
from arouter.engine.dialects.messages import Messages
from arouter.engine.dialects.responses import Responses
from arouter.web.inference.chat_request import ChatReader
from arouter.web.inference.endpoint import Dialect
from arouter.web.inference.messages_request import MessagesReader
from arouter.web.inference.responses_request import ResponsesReader
from arouter.wire.anthropic_messages.errors import anthropic_error_body
from arouter.wire.anthropic_messages.identity import Extraction

CHAT = Dialect(path="/v1/chat/completions", reader=ChatReader, ingress=Chat())


def dialects(*, metadata_user: Extraction = "claude-code") -> tuple[Dialect, ...]:
    """All of them. `metadata_user` says how the user is found in the `metadata.user_id` of Anthropic's dialect."""
    return (
        CHAT,
        Dialect(path="/v1/responses", reader=ResponsesReader, ingress=Responses()),
        Dialect(
            path="/v1/messages",
            reader=partial(MessagesReader, extraction=metadata_user),
            ingress=Messages(),
            write_error=anthropic_error_body,
        ),
    )
