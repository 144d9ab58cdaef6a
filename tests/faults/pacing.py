"""How far a provider must have got in a recorded stream for its client to have heard so many events.

The readers and writers of the product say so, without a gateway around them: a guess by the clock would be wrong on a
busy machine. What the client really hears is compared elsewhere.
"""

from typing import Protocol

from arouter.domain.chat import Event
from arouter.providers import openai
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.gemini import GeminiAdapter
from arouter.providers.vendors import BY_NAME
from arouter.wire.openai_chat.chunks import ChunkEncoder
from tests.recordings import Recording


class _Reader(Protocol):
    def feed(self, data: bytes) -> list[Event]: ...


def events_after(recording: Recording, told: tuple[bytes, ...]) -> list[int]:
    """How many events a client has when the provider has said the first 1, 2, 3 … events, without those that come at
    the very end: the usage and the end mark. The list ends with the event that makes the answer whole, if one does.
    """
    if recording.api == "anthropic.messages":
        return _translated(AnthropicAdapter().stream_reader(), told)
    if recording.api == "google.generate":
        return _translated(GeminiAdapter().stream_reader(), told)
    return _relayed(told)


def _relayed(told: tuple[bytes, ...]) -> list[int]:
    relay = openai.Relay(BY_NAME["openai"])
    counts = [0]
    for event in told:
        counts.append(counts[-1] + relay.feed(event).count(b"\n\n"))
        if relay.told.complete:
            break
    return counts[1:]


def _translated(reader: _Reader, told: tuple[bytes, ...]) -> list[int]:
    encoder = ChunkEncoder(id="any", created_s=0, model="any")
    counts = [0]
    for event in told:
        counts.append(counts[-1] + encoder.encode(reader.feed(event)).count(b"\n\n"))
    return counts[1:]
