"""Amazon Bedrock's Converse as an upstream: one dialect for the models of many makers.

    request    the body, the path and what has no counterpart
    contents   the conversation: system, turns and the blocks in them
    answer     whole answers and streams, read into events

Field names are those of https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
"""

from arouter.domain.chat import ChatRequest, Event
from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Prepared, StreamReader
from arouter.providers.bedrock.errors import read_error
from arouter.providers.converse.answer import ConverseStreamReader, read_answer
from arouter.providers.converse.request import write_request

__all__ = ["ConverseAdapter"]


class ConverseAdapter:
    """The `converse` dialect. It has no state."""

    __slots__ = ()

    def prepare(self, request: ChatRequest) -> Prepared:
        """The request for `/converse`, or for `/converse-stream`."""
        return write_request(request)

    def read_answer(self, body: bytes) -> list[Event]:
        """The events of a whole answer. UpstreamFailed if it is none."""
        return read_answer(body)

    def stream_reader(self) -> StreamReader:
        """A fresh reader of a stream in AWS's framing."""
        return ConverseStreamReader()

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        """The error of an answer whose status is not 2xx."""
        told = read_error(status, body)
        return (
            UpstreamFailed(f"Bedrock answered with status {status}.", upstream_status=status) if told is None else told
        )
