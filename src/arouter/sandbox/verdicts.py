"""Moderations, which find nothing wrong, and rankings by the words that a document shares with the query."""

import msgspec

from arouter.domain.chat import Json
from arouter.sandbox.answers import count_prompt_tokens
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.dialect import Stamp, decode
from arouter.sandbox.plan import Plan, Received, whole_body

_CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")


class _Moderation(msgspec.Struct):
    model: str
    input: str | list[str | Json]


class _Ranking(msgspec.Struct):
    model: str
    query: str
    documents: list[str | Json]
    top_n: int | None = None


def moderated_model(received: Received) -> str:
    return decode(received.body, _Moderation).model


def moderated(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """One verdict for each input."""
    request = decode(received.body, _Moderation)
    verdict = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    count = 1 if isinstance(request.input, str) else len(request.input)
    return whole_body(
        msgspec.json.encode(
            {"id": f"modr-sandbox{stamp.serial:08d}", "model": request.model, "results": [verdict] * count}
        )
    )


def ranked_model(received: Received) -> str:
    return decode(received.body, _Ranking).model


def ranked(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """The documents, those that share most words with the query first."""
    request = decode(received.body, _Ranking)
    wanted = set(request.query.lower().split())
    texts = [one if isinstance(one, str) else str(one.get("text", "")) for one in request.documents]
    results = [{"index": index, "relevance_score": _score(wanted, text)} for index, text in enumerate(texts)]
    results.sort(key=lambda one: -one["relevance_score"])
    tokens = sum([count_prompt_tokens(len(request.query) + len(text)) for text in texts])
    usage = {} if behaviour.usage == "none" else {"usage": {"total_tokens": tokens}}
    told = {"id": f"rerank-sandbox{stamp.serial:08d}", "object": "rerank", "model": request.model}
    return whole_body(msgspec.json.encode({**told, "results": results[: request.top_n], **usage}))


def _score(wanted: set[str], text: str) -> float:
    return len(wanted & set(text.lower().split())) / max(1, len(wanted))
