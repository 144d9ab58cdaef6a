"""The inference paths, one row each."""

from arouter.engine.dialects.chat import Chat
from arouter.web.inference.chat_request import ChatReader
from arouter.web.inference.endpoint import Dialect

CHAT = Dialect(path="/v1/chat/completions", reader=ChatReader, ingress=Chat())

DIALECTS = (CHAT,)
