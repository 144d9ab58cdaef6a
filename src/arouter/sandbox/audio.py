"""Speech and transcriptions in OpenAI's form. The sound is no sound: bytes that depend on the text alone."""

import base64
import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import Ask, count_prompt_tokens, reply_to, words
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.dialect import Stamp, decode
from arouter.sandbox.plan import Plan, Received, whole_body
from arouter.sandbox.uploads import file_in, form_of
from arouter.wire import sse

BYTES_PER_WORD: Final = 32
BYTES_PER_SECOND: Final = 1000
"""Of a file: how its length is told, and how its tokens are counted, ten for each second."""
TOKENS_PER_SECOND: Final = 10

_SOUNDS: Mapping[str, bytes] = MappingProxyType(
    {
        "mp3": b"audio/mpeg",
        "opus": b"audio/opus",
        "aac": b"audio/aac",
        "flac": b"audio/flac",
        "wav": b"audio/wav",
        "pcm": b"audio/pcm",
    }
)
_EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"
_PLAIN_TEXT: Final = b"text/plain; charset=utf-8"
_encode = msgspec.json.encode


class _Speech(msgspec.Struct):
    model: str
    input: str
    voice: str | Json
    response_format: str = "mp3"
    stream_format: str = "audio"


def model_of(received: Received) -> str:
    return decode(received.body, _Speech).model


def sound_of(word: str) -> bytes:
    """What a word sounds like."""
    return hashlib.shake_256(word.encode()).digest(BYTES_PER_WORD)


def spoken(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """The sound of a text, a moment for each word; or events with it."""
    request = decode(received.body, _Speech)
    content_type = _SOUNDS.get(request.response_format)
    if content_type is None:
        raise InvalidRequest(f"response_format must be one of {', '.join(_SOUNDS)}", param="response_format")
    sounds = [sound_of(word) for word in words(request.input)]
    gap_s = behaviour.token_ms / 1000
    if request.stream_format != "sse":
        return Plan(content_type=content_type, moments=[[sound] for sound in sounds], gap_s=gap_s)
    events = [_event("speech.audio.delta", {"audio": base64.b64encode(sound).decode()}) for sound in sounds]
    counts = _tokens(count_prompt_tokens(len(request.input)), TOKENS_PER_SECOND * len(sounds))
    events.append(_event("speech.audio.done", {} if behaviour.usage == "none" else {"usage": counts}))
    return Plan(content_type=_EVENT_STREAM, moments=[[event] for event in events], gap_s=gap_s)


def heard(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """The transcription of a file: what the sandbox always says."""
    form = form_of(received)
    seconds = -(-file_in(form, "file") // BYTES_PER_SECOND)
    model = form.text("model") or ""
    reply = reply_to(Ask(model=model, stream=False, characters=0), behaviour)
    usage = {} if behaviour.usage == "none" else {"usage": _heard_usage(model, seconds, len(reply.pieces))}
    if form.text("stream") == "true":
        events = [_event("transcript.text.delta", {"delta": piece}) for piece in reply.pieces]
        events.append(_event("transcript.text.done", {"text": reply.text, **usage}))
        return Plan(content_type=_EVENT_STREAM, moments=[[event] for event in events], gap_s=behaviour.token_ms / 1000)
    match form.text("response_format"):
        case None | "json":
            return whole_body(_encode({"text": reply.text, **usage}))
        case "verbose_json":
            told = {"task": "transcribe", "language": "english", "duration": seconds, "text": reply.text}
            return whole_body(_encode({**told, "segments": [], **usage}))
        case "text":
            return whole_body(f"{reply.text}\n".encode(), content_type=_PLAIN_TEXT)
        case "srt":
            lines = f"1\n00:00:00,000 --> 00:00:{seconds % 60:02d},000\n{reply.text}\n\n"
            return whole_body(lines.encode(), content_type=_PLAIN_TEXT)
        case "vtt":
            lines = f"WEBVTT\n\n00:00:00.000 --> 00:00:{seconds % 60:02d}.000\n{reply.text}\n\n"
            return whole_body(lines.encode(), content_type=b"text/vtt; charset=utf-8")
        case _:
            raise InvalidRequest("response_format is none that is known", param="response_format")


def _heard_usage(model: str, seconds: int, words_: int) -> dict[str, object]:
    """Whisper is measured in seconds, every other model in tokens."""
    if "whisper" in model:
        return {"type": "duration", "seconds": seconds}
    audio = TOKENS_PER_SECOND * seconds
    details = {"audio_tokens": audio, "text_tokens": 0}
    return {"type": "tokens", "input_token_details": details, **_tokens(audio, words_)}


def _tokens(read: int, made: int) -> dict[str, int]:
    return {"input_tokens": read, "output_tokens": made, "total_tokens": read + made}


def _event(name: str, body: Mapping[str, object]) -> bytes:
    return sse.encode(_encode({"type": name, **body}), name.encode())
