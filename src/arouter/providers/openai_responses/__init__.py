"""OpenAI's Responses API as an upstream: translated for clients of other dialects, relayed for its own.

request  the body and what has no counterpart
items    the conversation as input items
answer   whole answers and streams, read into events; `output` their items, `schema` the shapes that are read
relay    bytes through, where the client speaks this dialect too
"""

from arouter.domain.chat import ChatRequest, Event
from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Prepared
from arouter.providers.openai_error import read_error
from arouter.providers.openai_responses.answer import ResponsesStream, read_response
from arouter.providers.openai_responses.relay import ResponsesRelay, relay_responses_request
from arouter.providers.openai_responses.request import write_request
from arouter.providers.vendors import Vendor

__all__ = ["ResponsesAdapter", "ResponsesRelay", "relay_responses_request"]


class ResponsesAdapter:
    """The dialect as one vendor speaks it. It has no state: one instance serves every request."""

    __slots__ = ("_vendor",)

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def prepare(self, request: ChatRequest) -> Prepared:
        """The request for `/responses`. InvalidRequest if it cannot be said at all."""
        return write_request(request, self._vendor)

    def read_answer(self, body: bytes) -> list[Event]:
        """The events of a whole answer. UpstreamFailed if it is an error or no response."""
        return read_response(self._vendor.name, body)

    def stream_reader(self) -> ResponsesStream:
        """A fresh reader for one streamed answer."""
        return ResponsesStream(self._vendor.name)

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        """An answer with a status that is not 2xx, as our error; it is returned, not raised."""
        return read_error(self._vendor.name, status, body)
