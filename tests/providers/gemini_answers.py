"""Words for Gemini answers, as its JSON and as what is read from it."""

import json
from typing import Any

from arouter.domain.chat import Event
from arouter.providers.gemini import GeminiAdapter

Body = dict[str, Any]

GEMINI = "google-gemini-v1"
CHUNKS = [
    {"web": {"uri": "https://a.example", "title": "A"}},
    {"web": {"uri": "https://b.example"}},
    {"retrievedContext": {"text": "a file", "fileSearchStore": "s/1"}},
]
ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


def read(answer: Body) -> list[Event]:
    return GeminiAdapter().read_answer(json.dumps(answer).encode())


def candidate(*parts: Body, reason: str | None = "STOP", **rest: Any) -> Body:
    told = {} if reason is None else {"finishReason": reason}
    return {"content": {"parts": list(parts), "role": "model"}, **told, **rest}


def answer(*parts: Body, reason: str | None = "STOP", **rest: Any) -> Body:
    return {"candidates": [candidate(*parts, reason=reason, **rest)], "responseId": "r1"}


def server_event(data: Body) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"
