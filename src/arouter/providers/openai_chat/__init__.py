"""OpenAI's chat completions as an upstream of other dialects: a canonical request out, canonical events in.

    request    the body and what has no counterpart
    messages   the conversation; `content` its parts, `thoughts` what the model thought earlier
    abilities  what a vendor takes beyond OpenAI's own API, or refuses of it
    answer     whole answers and streams, read into events; `choice` and `calls` what one choice says
    schema     the shapes that are read

Where the client speaks this dialect too, `arouter.providers.openai` passes the bytes through.
"""

from arouter.domain.chat import ChatRequest, Event
from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Prepared
from arouter.providers.openai_chat.answer import ChatStream, read_completion
from arouter.providers.openai_chat.request import write_request
from arouter.providers.openai_error import read_error
from arouter.providers.vendors import Vendor

__all__ = ["ChatAdapter"]


class ChatAdapter:
    """The dialect as one vendor speaks it. It has no state: one instance serves every request."""

    __slots__ = ("_vendor",)

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def prepare(self, request: ChatRequest) -> Prepared:
        """The request for `/chat/completions`. InvalidRequest if it cannot be said at all."""
        return write_request(request, self._vendor)

    def read_answer(self, body: bytes) -> list[Event]:
        """The events of a whole answer. UpstreamFailed if it is an error or no completion."""
        return read_completion(self._vendor.name, body)

    def stream_reader(self) -> ChatStream:
        """A fresh reader for one streamed answer."""
        return ChatStream(self._vendor.name)

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        """An answer with a status that is not 2xx, as our error; it is returned, not raised."""
        return read_error(self._vendor.name, status, body)
