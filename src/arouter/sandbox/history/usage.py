"""What requests used, and how long they took."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arouter.domain.usage import UsageSource
from arouter.sandbox.history.asking import Asked
from arouter.sandbox.history.endings import DISCONNECT, INTERRUPT, NO_USAGE, SUCCESS, Ended
from arouter.sandbox.history.population import APPLICATIONS, CACHED, MODELS
from arouter.sandbox.history.prices import UNKNOWN, Integers

_SOURCES = tuple(UsageSource)
_PROVIDER, _PARTIAL, _ESTIMATED = (
    _SOURCES.index(source) for source in (UsageSource.PROVIDER, UsageSource.PARTIAL, UsageSource.ESTIMATED)
)

_MOST_INPUT = 380_000
_MOST_OUTPUT = 32_000
_LOOP_GROWTH = 11.0
"""How much longer the last prompt of a loop is than its first."""
_CACHED_FROM = 1_024
"""Tokens that a prompt needs before any of it is cached."""
_CACHE_STEP = 128
_RECOVERED_AFTER_US = 45_000_000
"""When an interrupted request was found out, after it began."""
_REJECTED_US = (300, 1_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Columns, beside those of `Asked` and `Ended`."""

    meters: Mapping[str, Integers]
    """By the names of `Usage`: input, cache_read, cache_write, output and reasoning tokens."""
    source: NDArray[np.int8]
    """The place in `UsageSource`."""
    billable: NDArray[np.bool_]
    """Enough is known for a price, if there is one."""
    completed_at_us: Integers
    latency_us: Integers
    first_token_us: Integers
    """Of streams."""
    first_latency_us: Integers
    """Of the attempt that failed and was followed by another one."""


class Spending:
    """Draws what requests used from the distributions of the models."""

    def __init__(self) -> None:
        def of_models(name: str) -> NDArray[np.float32]:
            return np.array([getattr(model, name) for model in MODELS], dtype=np.float32)

        self._input_middle = np.log(of_models("input_middle"))
        self._input_spread = of_models("input_spread")
        self._output_middle = np.log(np.maximum(of_models("output_middle"), 1))
        self._output_spread = of_models("output_spread")
        self._first_token_us = of_models("first_token_ms") * 1_000
        self._token_us = of_models("token_us")
        self._prompts = np.log(np.array([one.prompts for one in APPLICATIONS], dtype=np.float32))
        self._embeds = np.array([model.output_middle == 0 for model in MODELS])
        self._reasons = np.array([model.reasons for model in MODELS])
        self._caches = np.array([model.caches for model in MODELS])
        self._writes = np.array([model.dialect == "anthropic" for model in MODELS])

    def of(self, asked: Asked, ended: Ended, rng: np.random.Generator) -> Spent:
        """What a day's requests used. What nobody was asked for used nothing."""
        number = len(asked.model)
        model = np.maximum(ended.model, 0)
        normal = rng.standard_normal((3, number), dtype=np.float32)
        chance = rng.random((4, number), dtype=np.float32)
        told = (ended.status == SUCCESS) | (ended.status == DISCONNECT)
        whole = told | (ended.status == INTERRUPT)
        prompt = self._prompt(asked, model, normal[0])
        output = self._output(ended, model, normal[1], chance[0])
        read, written = self._cache(asked, model, prompt, chance)
        estimated = ended.status == INTERRUPT
        read[estimated] = written[estimated] = 0
        reasoning = (output * (0.3 + 0.6 * chance[1])).astype(np.int64)
        generates, told_output = ~self._embeds[model], told & ~self._embeds[model]
        latency, first_token, first_latency = self._times(asked, ended, model, output, normal[2], generates)
        return Spent(
            meters={
                "input_tokens": np.where(whole, prompt - read - written, UNKNOWN),
                "cache_read_tokens": np.where(told & self._caches[model], read, UNKNOWN),
                "cache_write_tokens": np.where(told & self._writes[model], written, UNKNOWN),
                "output_tokens": np.where(told_output, output, UNKNOWN),
                "reasoning_tokens": np.where(told_output & self._reasons[model], reasoning, UNKNOWN),
            },
            source=np.select(
                [ended.status == SUCCESS, ended.status == DISCONNECT, estimated],
                [_PROVIDER, _PARTIAL, _ESTIMATED],
                default=NO_USAGE,
            ).astype(np.int8),
            billable=told,
            completed_at_us=asked.created_at_us + np.where(latency >= 0, latency, _RECOVERED_AFTER_US),
            latency_us=latency,
            first_token_us=first_token,
            first_latency_us=first_latency,
        )

    def _prompt(self, asked: Asked, model: NDArray[np.int16], normal: NDArray[np.float32]) -> Integers:
        """All input tokens."""
        size = np.exp(self._input_middle[model] + self._prompts[asked.application] + self._input_spread[model] * normal)
        size *= 1 + _LOOP_GROWTH * np.maximum(asked.looping, 0)
        made: Integers = np.clip(size, 1, _MOST_INPUT).astype(np.int64)
        return made

    def _output(
        self, ended: Ended, model: NDArray[np.int16], normal: NDArray[np.float32], chance: NDArray[np.float32]
    ) -> Integers:
        size = np.exp(self._output_middle[model] + self._output_spread[model] * normal)
        size = np.where(ended.status == DISCONNECT, size * chance, size)
        made: Integers = np.clip(size, 1, _MOST_OUTPUT).astype(np.int64)
        return made

    def _cache(
        self, asked: Asked, model: NDArray[np.int16], prompt: Integers, chance: NDArray[np.float32]
    ) -> tuple[Integers, Integers]:
        """Input tokens read from a cache, and written to one: parts of the prompt that have nothing in common."""
        long = self._caches[model] & (prompt >= _CACHED_FROM)
        hit = long & ((chance[2] < CACHED) | (asked.looping > 0))
        read = (prompt * (0.3 + 0.65 * chance[3])).astype(np.int64) // _CACHE_STEP * _CACHE_STEP
        read = np.where(hit, read, 0)
        written = np.where(long & self._writes[model], ((prompt - read) * 0.7).astype(np.int64), 0)
        return read, written

    def _times(
        self,
        asked: Asked,
        ended: Ended,
        model: NDArray[np.int16],
        output: Integers,
        normal: NDArray[np.float32],
        generates: NDArray[np.bool_],
    ) -> tuple[Integers, Integers, Integers]:
        """The latency, the time to the first token, and what a first attempt took that failed."""
        jitter = np.exp(0.35 * normal)
        first_latency = (self._first_token_us[model] * 0.8 * jitter).astype(np.int64) + 1
        retried = ended.first_failure >= 0
        waited = np.where(retried, first_latency, 0)
        first_token = (self._first_token_us[model] * jitter).astype(np.int64) + waited
        latency = first_token + np.where(generates, self._token_us[model] * output * jitter, 0).astype(np.int64)
        failed = (self._first_token_us[model] * (1.2 + jitter)).astype(np.int64) + waited
        refused = (_REJECTED_US[0] + _REJECTED_US[1] * np.minimum(jitter, 2)).astype(np.int64)
        answered = (ended.status == SUCCESS) | (ended.status == DISCONNECT)
        latency = np.select(
            [answered, ended.model < 0, ended.status == INTERRUPT],
            [latency, refused, np.full(len(latency), UNKNOWN)],
            default=failed,
        )
        return (
            latency,
            np.where(answered & asked.streamed, first_token, UNKNOWN),
            np.where(retried, first_latency, UNKNOWN),
        )
