"""How much a request is likely to use at most: what is held of budgets and rates until it has ended.

The input is counted at three bytes for a token, fewer than most text has, and what is encoded by value (pictures,
sound, documents) as the largest picture. The output is what the request allows, else a default. Both are priced at the
highest rate that they may have: that of the price tier which so much input falls into, written to a cache, on any of
the routes that may answer. What a request uses beyond all that is told as overage.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec

from arouter.domain.price import REASONING, REQUESTS, Rate, RateCard, round_to_picodollars
from arouter.domain.record import Opening
from arouter.engine.billing import CardFinder
from arouter.engine.routing import Route
from arouter.providers.openai import Fields

DEFAULT_OUTPUT_TOKENS: Final = 4096
"""Where a request does not say how much may be generated."""
BYTES_PER_TOKEN: Final = 3
TOKENS_OF_AN_ATTACHMENT: Final = 1_600
TOKENS_OF_A_PICTURE: Final = 6_240
"""What the largest picture of OpenAI's image models has."""
MOST_TOKENS: Final = 10**8
_LONG_BYTES: Final = 16 * 1024
"""Something is encoded by value in longer requests only."""
_MOST_FOUND: Final = 4096
_HOUR_S: Final = 3600

_ENCODED = re.compile(rb"[A-Za-z0-9+/_=-]{1024,}")
_decode_count = msgspec.json.Decoder(int | None).decode
_decode_tier = msgspec.json.Decoder(str | None).decode

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_NESTED = (("generationConfig", "maxOutputTokens", "candidateCount"), ("generation_config", "max_output_tokens", "n"))
_SAID = frozenset({*_LIMITS, "n", *(section for section, _, _ in _NESTED)})
"""The fields that say anything of it."""
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode

_OUTPUT_OF: Mapping[str, int] = MappingProxyType(
    {
        "/v1/embeddings": 0,
        "/v1/rerank": 0,
        "/v1/moderations": 0,
        "/v1/audio/speech": 0,
        "/v1/audio/transcriptions": 0,
        "/v1/audio/translations": 0,
        "/v1/messages/count_tokens": 0,
        "/v1beta/models/{model}:countTokens": 0,
        "/v1beta/models/{model}:embedContent": 0,
        "/v1beta/models/{model}:batchEmbedContents": 0,
        "/v1/images/generations": TOKENS_OF_A_PICTURE,
        "/v1/images/edits": TOKENS_OF_A_PICTURE,
    }
)
"""What endpoints generate that do not generate text."""

_Rates = tuple[tuple[Rate, ...], tuple[Rate, ...], Rate | None]
"""Those that the input may have, those that the output may have, that of the request."""
_Flat = tuple[int, int, int]
"""The highest of each, where none depends on how much is read."""


class Estimates:
    """Tells it. One for the process."""

    def __init__(self, card: CardFinder, *, default_output_tokens: int = DEFAULT_OUTPUT_TOKENS) -> None:
        self._card = card
        self._default = default_output_tokens
        self._found: dict[tuple[str, str, int, str | None], _Rates | _Flat | None] = {}

    def tokens(self, fields: Fields, opening: Opening) -> tuple[int, int]:
        """The most that is likely to be read, and to be generated."""
        return input_tokens(fields, opening.asked_bytes), output_tokens(fields, opening.endpoint, self._default)

    def cost(self, fields: Fields, opening: Opening, routes: Sequence[Route], tokens: tuple[int, int]) -> int:
        """The highest cost on any of the routes, in picodollars; 0 where no price is known."""
        at_s = opening.created_at_us // 1_000_000
        tier = _tier(fields) if "service_tier" in fields else None
        highest = 0
        for route in routes:
            rates = self._rates(route.deployment.vendor.name, route.model, at_s, tier)
            if rates is not None:
                highest = max(highest, _price(rates, *tokens))
        return round_to_picodollars(highest)

    def _rates(self, vendor: str, model: str, at_s: int, tier: str | None) -> _Rates | _Flat | None:
        known = (vendor, model, at_s // _HOUR_S, tier)
        try:
            return self._found[known]
        except KeyError:
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            card = self._card(vendor, model, datetime.fromtimestamp(at_s, UTC), service_tier=tier)
            rates = self._found[known] = None if card is None else _rates_of(card)
            return rates


def input_tokens(fields: Fields, size: int | None) -> int:
    """The most that a model is likely to read; `size` in bytes, if it is known."""
    if not size:
        return 0
    if size <= _LONG_BYTES:
        return -(-size // BYTES_PER_TOKEN)
    attachments = encoded = 0
    for raw in fields.values():
        for found in _ENCODED.finditer(raw):
            attachments += 1
            encoded += found.end() - found.start()
    return -(-max(0, size - encoded) // BYTES_PER_TOKEN) + attachments * TOKENS_OF_AN_ATTACHMENT


def output_tokens(fields: Fields, endpoint: str, default: int) -> int:
    """The most that may be generated: what the request allows for each choice, else a default."""
    usual = _OUTPUT_OF.get(endpoint, default)
    if not usual:
        return 0
    if _SAID.isdisjoint(fields):
        return min(MOST_TOKENS, usual)
    limit: int | None = None
    choices = 1
    for name in _LIMITS:
        if name in fields and (limit := _count(fields[name])) is not None:
            break
    if "n" in fields and (told := _count(fields["n"])) is not None:
        choices = told
    if limit is None:
        for section, name, count in _NESTED:
            if section in fields:
                told_fields = _object(fields[section])
                limit = _count(told_fields[name]) if name in told_fields else limit
                choices = (_count(told_fields[count]) if count in told_fields else None) or choices
    return min(MOST_TOKENS, (usual if limit is None else limit) * choices)


def _count(raw: msgspec.Raw) -> int | None:
    """A number from 0; None for anything else, which is for the provider to refuse."""
    try:
        told = _decode_count(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if told is None else min(MOST_TOKENS, max(0, told))


def _object(raw: msgspec.Raw) -> Fields:
    try:
        told = _decode_object(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {} if told is None else told


def _tier(fields: Fields) -> str | None:
    try:
        tier: str | None = _decode_tier(fields["service_tier"])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return tier


def _rates_of(card: RateCard) -> _Rates | _Flat:
    inputs = _those(card, "input_tokens", "cache_write_tokens")
    outputs = _those(card, "output_tokens", REASONING, "output_image_tokens")
    request = card.rates.get(REQUESTS)
    if any(rate.tiers for rate in (*inputs, *outputs)) or (request is not None and request.tiers):
        return inputs, outputs, request
    return (
        max([rate.base for rate in inputs], default=0),
        max([rate.base for rate in outputs], default=0),
        0 if request is None else request.base,
    )


def _those(card: RateCard, *meters: str) -> tuple[Rate, ...]:
    return tuple(rate for meter in meters if (rate := card.rates.get(meter)) is not None)


def _price(rates: _Rates | _Flat, read: int, generated: int) -> int:
    """In quectodollars."""
    inputs, outputs, request = rates
    if isinstance(inputs, int) and isinstance(outputs, int) and isinstance(request, int):
        return read * inputs + generated * outputs + request
    return _price_in_tiers(rates, read, generated)  # type: ignore[arg-type]


def _price_in_tiers(rates: _Rates, read: int, generated: int) -> int:
    inputs, outputs, request = rates
    whole = 0 if request is None else request.at(read)
    if inputs:
        whole += read * max([rate.at(read) for rate in inputs])
    if outputs:
        whole += generated * max([rate.at(read) for rate in outputs])
    return whole
