"""A day of a history as an Arrow table: the fields of its records under their own names.

What repeats is a dictionary column, a user's name too. `tests/structure/test_bench_activity.py` holds that the table
says what the records say.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.usage import METERS
from arouter.sandbox.history.asking import REQUESTED, TAG_SETS
from arouter.sandbox.history.columns import STATUSES, USAGE_SOURCES, Day, History
from arouter.sandbox.history.endings import ERRORS, FINISH_REASONS
from arouter.sandbox.history.population import APPLICATIONS, ENDPOINTS, MODELS, Owner
from arouter.sandbox.history.prices import UNKNOWN
from arouter.sandbox.history.raw_usage import MOST_NUMBERS, shape_of
from arouter.sandbox.history.records import REQUEST_PREFIX, SESSION_PREFIX, UPSTREAM_PREFIXES, attempts
from arouter.sandbox.history.texts import generation_letters, hexadecimal
from arouter.store.attempts import write_attempts

Integers = np.ndarray[Any, np.dtype[np.integer[Any]]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_SHAPES = [shape_of(model) for model in MODELS]


class Tables:
    """Makes tables of the days of one history."""

    def __init__(self, history: History, owner: Owner) -> None:
        self._users = pa.array(history.names, pa.string())
        self._owner = owner
        self._tags = pa.array([list(tags) or None for tags in TAG_SETS], pa.list_(pa.string()))

    def of(self, day: Day) -> pa.Table:
        """Every field of the day's records but for those that none of them has."""
        asked, ended, spent = day.asked, day.ended, day.spent
        routed = ended.model >= 0
        model = np.maximum(ended.model, 0)
        told = ended.http_status == 200
        priced = day.cost != UNKNOWN
        card = np.where(priced, ended.model, UNKNOWN)
        answered = np.where(told & routed, ended.model, UNKNOWN)
        ids = fixed_texts(generation_letters(day.id_high, day.id_low))
        columns = {
            "id": ids,
            "request_id": pc.if_else(
                pa.array(asked.request != 0), prefixed(REQUEST_PREFIX, hexadecimal(asked.request)), ids
            ),
            "created_at_us": pa.array(asked.created_at_us),
            "completed_at_us": pa.array(spent.completed_at_us),
            "session_id": where(asked.session != 0, prefixed(SESSION_PREFIX, hexadecimal(asked.session))),
            "upstream_id": where(told & routed, upstream_ids(model, day.upstream_tail)),
            "http_status": known(ended.http_status),
            "streamed": pa.array(asked.streamed),
            "is_byok": pa.array(ended.byok),
            "attempts": known(ended.attempts),
            "latency_us": known(spent.latency_us),
            "time_to_first_token_us": known(spent.first_token_us),
            **{meter: known(spent.meters[meter]) for meter in (*METERS, "reasoning_tokens") if meter in spent.meters},
            "raw_usage": where(told & routed, raw_usages(model, spent.meters)),
            "cost": known(day.cost),
            "tried": tried(day),
            "user": dictionary(asked.user, self._users),
            "tags": self._tags.take(pa.array(asked.tags)),
            "organization_id": dictionary(np.zeros(len(day), np.int8), [self._owner.organization_id]),
            "workspace_id": self._of_application(
                asked.application, [self._owner.workspace_ids[one.workspace] for one in APPLICATIONS]
            ),
            "key_hash": self._of_application(asked.application, self._owner.key_hashes),
            "endpoint": dictionary(asked.endpoint, ENDPOINTS),
            "status": dictionary(ended.status, [status.value for status in STATUSES]),
            "usage_source": dictionary(spent.source, [source.value for source in USAGE_SOURCES]),
            "requested_model": dictionary(asked.requested, REQUESTED),
            "model": dictionary(ended.model, [model.id for model in MODELS]),
            "provider": dictionary(ended.model, [model.provider for model in MODELS]),
            "upstream_model": dictionary(answered, [model.name for model in MODELS]),
            "finish_reason": dictionary(ended.finish, FINISH_REASONS),
            "error_code": dictionary(ended.error, ERRORS),
            "price_source": dictionary(card, [None if one is None else one.source for one in day.cards]),
            "price_version": dictionary(card, [None if one is None else one.version for one in day.cards]),
            "app_url": self._of_application(asked.application, [one.app_url for one in APPLICATIONS]),
            "app_title": self._of_application(asked.application, [one.app_title for one in APPLICATIONS]),
        }
        columns["rated_cost"] = columns["cost"]
        return pa.table(columns)

    def _of_application(self, application: Integers, texts: Sequence[str | None]) -> pa.DictionaryArray:
        there = np.array([text is not None for text in texts])
        return dictionary(np.where(there[application], application, UNKNOWN), texts)


def dictionary(places: Integers, texts: Sequence[str | None] | pa.Array) -> pa.DictionaryArray:
    """The texts at those places; `UNKNOWN` is null. No place may have a text that is None."""
    made = texts if isinstance(texts, pa.Array) else pa.array(["" if text is None else text for text in texts])
    places = places.astype(np.int32, copy=False)
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=places == UNKNOWN), made)


def known(column: Integers) -> pa.Array:
    """64-bit numbers, null for `UNKNOWN`."""
    column = column.astype(np.int64, copy=False)
    return pa.array(column, mask=column == UNKNOWN)


def where(mask: Mask, texts: pa.Array) -> pa.Array:
    """The texts where the mask holds, null elsewhere."""
    return pc.if_else(pa.array(mask), texts, pa.scalar(None, texts.type))


def fixed_texts(letters: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    """Texts of equal length, from a row of characters for each."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    data = pa.py_buffer(np.ascontiguousarray(letters))
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), data])


def prefixed(prefix: str, letters: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    """The same with a text before each."""
    start = np.broadcast_to(np.frombuffer(prefix.encode(), dtype=np.uint8), (len(letters), len(prefix)))
    return fixed_texts(np.concatenate([start, letters], axis=1))


def upstream_ids(model: Integers, tails: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    prefixes = dictionary(model, [UPSTREAM_PREFIXES[one.dialect] for one in MODELS]).dictionary_decode()
    return pc.binary_join_element_wise(prefixes, fixed_texts(tails), "")


def raw_usages(model: Integers, meters: Mapping[str, Integers]) -> pa.Array:
    """The usage objects, as bytes."""
    numbers = _numbers(meters)
    parts: list[pa.Array] = []
    for slot in range(MOST_NUMBERS + 1):
        texts = [shape.texts[slot] if slot < len(shape.texts) else "" for shape in _SHAPES]
        parts.append(dictionary(model, texts).dictionary_decode())
        names = [shape.numbers[slot] if slot < len(shape.numbers) else None for shape in _SHAPES]
        if slot < MOST_NUMBERS:
            parts.append(_texts_of(model, names, numbers))
    return pc.binary_join_element_wise(*parts, "").cast(pa.binary())


def _numbers(meters: Mapping[str, Integers]) -> Mapping[str, Integers]:
    """As `numbers_of` of a single usage."""
    counts = {meter: np.maximum(column, 0) for meter, column in meters.items()}
    read, written = counts["cache_read_tokens"], counts["cache_write_tokens"]
    prompt = counts["input_tokens"] + read + written
    completion, reasoning = counts["output_tokens"], counts["reasoning_tokens"]
    return {
        "input": counts["input_tokens"],
        "read": read,
        "written": written,
        "prompt": prompt,
        "completion": completion,
        "said": completion - reasoning,
        "reasoning": reasoning,
        "total": prompt + completion,
    }


def _texts_of(model: Integers, names: Sequence[str | None], numbers: Mapping[str, Integers]) -> pa.Array:
    """For each record the number that its model's shape has in this place, or nothing."""
    chosen = np.full(len(model), UNKNOWN, dtype=np.int64)
    for name in {name for name in names if name is not None}:
        of_name = np.array([each == name for each in names])[model]
        chosen = np.where(of_name, numbers[name], chosen)
    return known(chosen).cast(pa.string()).fill_null("")


def tried(day: Day) -> pa.Array:
    """The attempts of the few records that have several, as the ledger keeps them."""
    ended, spent = day.ended, day.spent
    places = np.flatnonzero(ended.first_failure >= 0)
    columns = (
        *(day.asked.application, ended.first_model, ended.model, ended.first_failure, ended.error),
        *(spent.first_latency_us, spent.latency_us),
    )
    texts = [
        write_attempts(
            attempts(application, (first, last), failure, None if error == UNKNOWN else error, (first_us, whole_us))
        )
        for application, first, last, failure, error, first_us, whole_us in zip(
            *(column[places].tolist() for column in columns), strict=True
        )
    ]
    numbered = np.full(len(day), UNKNOWN, dtype=np.int32)
    numbered[places] = np.arange(len(places), dtype=np.int32)
    return pa.array(texts, pa.string()).take(pa.array(numbered, mask=numbered == UNKNOWN))
