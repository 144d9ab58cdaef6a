"""The Anthropic Messages API as an upstream dialect (https://platform.claude.com/docs/en/api/messages)."""

from arouter.domain.chat import ChatRequest, Event
from arouter.domain.errors import UpstreamFailed
from arouter.providers.anthropic.answer import AnthropicStream, read_message
from arouter.providers.anthropic.errors import read_error
from arouter.providers.anthropic.request import write_request
from arouter.providers.base import Prepared

__all__ = ["AnthropicAdapter"]


class AnthropicAdapter:
    """The dialect's four verbs, in one place. It holds no state: one instance serves every request."""

    def prepare(self, request: ChatRequest) -> Prepared:
        """The request as a Messages body for `/v1/messages`. InvalidRequest if it cannot be said at all."""
        return write_request(request)

    def read_answer(self, body: bytes) -> list[Event]:
        """The events of a whole answer. UpstreamFailed if it is an error or no message."""
        return read_message(body)

    def stream_reader(self) -> AnthropicStream:
        """A fresh reader for one streamed answer."""
        return AnthropicStream()

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        """An answer with a status that is not 2xx, as our error; it is returned, not raised."""
        return read_error(status, body)
