"""Gemini's generateContent as an upstream: a canonical request out, canonical events in.

    request    the body, the path and what has no counterpart
    contents   the conversation: system instruction and turns
    media      images, sound and documents as parts
    thinking   reasoning effort in the terms of each generation of models
    answer     whole answers and streams, read into events
    citations  grounding as OpenAI's `url_citation`
    error      error answers

Field names are those of the REST reference (https://ai.google.dev/api/generate-content), in camel case.
"""

from arouter.domain.chat import ChatRequest, Event
from arouter.domain.errors import UpstreamFailed
from arouter.providers.base import Prepared, StreamReader
from arouter.providers.gemini.answer import GeminiStreamReader, read_answer
from arouter.providers.gemini.error import read_error
from arouter.providers.gemini.request import prepare

__all__ = ["GeminiAdapter"]


class GeminiAdapter:
    """The `gemini` dialect. It has no state."""

    __slots__ = ()

    def prepare(self, request: ChatRequest) -> Prepared:
        """The request for `:generateContent`, or for `:streamGenerateContent` as server-sent events."""
        return prepare(request)

    def read_answer(self, body: bytes) -> list[Event]:
        """The events of a whole answer; at least one of them is a `Finished`."""
        return read_answer(body)

    def stream_reader(self) -> StreamReader:
        """A fresh reader of a stream of server-sent events (`alt=sse`)."""
        return GeminiStreamReader()

    def read_error(self, status: int, body: bytes) -> UpstreamFailed:
        """The error of an answer whose status is not 2xx."""
        return read_error(status, body)
