"""How requests end: mostly well, and otherwise as those of real gateways do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arouter.domain.record import Status
from arouter.domain.usage import UsageSource
from arouter.domain.windows import DAY_US
from arouter.sandbox.history.asking import Asked
from arouter.sandbox.history.people import MODEL_NUMBERS
from arouter.sandbox.history.population import (
    APPLICATIONS,
    DISCONNECTED,
    FAILED,
    FAILURES,
    FINISHES,
    INTERRUPTED,
    MODELS,
    REJECTED,
    REJECTIONS,
    RETRIED,
    Plan,
)
from arouter.sandbox.history.prices import UNKNOWN

_STATUSES = tuple(Status)
SUCCESS, UPSTREAM_ERROR, DISCONNECT, REJECT, INTERRUPT = (
    _STATUSES.index(status)
    for status in (
        Status.SUCCESS,
        Status.UPSTREAM_ERROR,
        Status.CLIENT_DISCONNECT,
        Status.REJECTED,
        Status.INTERRUPTED,
    )
)
NO_USAGE = tuple(UsageSource).index(UsageSource.NONE)
ERRORS = (*(code for _, code in REJECTIONS), *(code for _, code, _ in FAILURES))
FINISH_REASONS = tuple(reason for reason, _ in FINISHES)

OWN_KEYS = np.array([[model.provider == one.own_keys_for for model in MODELS] for one in APPLICATIONS])
"""Whether an application asks a model with a key of its own."""

_OUTAGE_EVERY_DAYS = 20
_OUTAGE_FAILS = 0.45
_FALLBACK = MODEL_NUMBERS["openai/gpt-5.4-mini"]
"""Asked instead, where a chat model's provider is away."""
_AWAY = 0.4
"""Of the requests that are asked again, those that go to the fallback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Columns, beside those of `Asked`."""

    status: NDArray[np.int8]
    """The place in `Status`."""
    http_status: NDArray[np.int16]
    model: NDArray[np.int16]
    """The one that was asked last; `UNKNOWN` if none was."""
    error: NDArray[np.int8]
    """The place in `ERRORS`."""
    finish: NDArray[np.int8]
    """The place in `FINISH_REASONS`."""
    attempts: NDArray[np.int8]
    first_model: NDArray[np.int16]
    """Where there were two attempts, the one that was asked first."""
    first_failure: NDArray[np.int8]
    """Why that failed: the place in `FAILURES`."""
    byok: NDArray[np.bool_]


def of(asked: Asked, plan: Plan, day: int, rng: np.random.Generator) -> Ended:
    """The ends of a day's requests."""
    number = len(asked.model)
    chance = rng.random((4, number), dtype=np.float32)
    status = _statuses(asked, chance[0])
    away = _away(asked, plan, day) & (chance[1] < _OUTAGE_FAILS)
    status = np.where(away & (status == SUCCESS) & (chance[2] < 0.5), UPSTREAM_ERROR, status).astype(np.int8)
    routed = (status != REJECT) & (status != INTERRUPT)
    again = routed & (away | (status == UPSTREAM_ERROR) | (chance[3] < RETRIED))
    rejection = rng.integers(0, len(REJECTIONS), number, dtype=np.int8)
    failure = rng.integers(0, len(FAILURES), number, dtype=np.int8)
    chats = np.array([model.output_middle > 0 for model in MODELS])[asked.model]
    elsewhere = again & (status != UPSTREAM_ERROR) & chats & (chance[1] < _AWAY)
    model = np.where(elsewhere, _FALLBACK, asked.model)
    rejected_with = np.array([code for code, _ in REJECTIONS], dtype=np.int16)[rejection]
    failed_with = np.array([code for code, _, _ in FAILURES], dtype=np.int16)[failure]
    return Ended(
        status=status,
        http_status=np.select(
            [status == REJECT, status == UPSTREAM_ERROR, status == INTERRUPT],
            [rejected_with, failed_with, np.full(number, UNKNOWN)],
            default=200,
        ).astype(np.int16),
        model=np.where(status == REJECT, UNKNOWN, model).astype(np.int16),
        error=np.select(
            [status == REJECT, status == UPSTREAM_ERROR], [rejection, failure + len(REJECTIONS)], default=UNKNOWN
        ).astype(np.int8),
        finish=_finishes(status, chats, rng),
        attempts=np.where(status == REJECT, 0, 1 + again).astype(np.int8),
        first_model=np.where(again, asked.model, UNKNOWN).astype(np.int16),
        first_failure=np.where(again, failure, UNKNOWN).astype(np.int8),
        byok=_on_own_keys(asked, model, status),
    )


def _statuses(asked: Asked, chance: NDArray[np.float32]) -> NDArray[np.int8]:
    """Without outages."""
    failed = REJECTED + FAILED
    disconnected = failed + DISCONNECTED
    return np.select(
        [
            chance < REJECTED,
            chance < failed,
            (chance < disconnected) & asked.streamed,
            chance >= 1 - INTERRUPTED,
        ],
        [REJECT, UPSTREAM_ERROR, DISCONNECT, INTERRUPT],
        default=SUCCESS,
    ).astype(np.int8)


def _away(asked: Asked, plan: Plan, day: int) -> NDArray[np.bool_]:
    """Which requests fall into an hour in which their provider answers badly; most days have none."""
    rng = np.random.default_rng([plan.seed, 3, day])
    providers = sorted({model.provider for model in MODELS})
    away = str(rng.choice(providers))
    length_us = int(rng.integers(30, 180)) * 60_000_000
    start_us = int(rng.integers(0, DAY_US - length_us)) + plan.start_us + day * DAY_US
    if rng.random() * _OUTAGE_EVERY_DAYS >= 1:
        return np.zeros(len(asked.model), dtype=np.bool_)
    of_provider = np.array([model.provider == away for model in MODELS])[asked.model]
    within = (asked.created_at_us >= start_us) & (asked.created_at_us < start_us + length_us)
    made: NDArray[np.bool_] = of_provider & within
    return made


def _finishes(status: NDArray[np.int8], chats: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int8]:
    table = np.repeat(np.arange(len(FINISHES), dtype=np.int8), [weight for _, weight in FINISHES])
    drawn = table[rng.integers(0, len(table), len(status), dtype=np.int8)]
    return np.where((status == SUCCESS) & chats, drawn, UNKNOWN).astype(np.int8)


def _on_own_keys(asked: Asked, model: NDArray[np.int64], status: NDArray[np.int8]) -> NDArray[np.bool_]:
    made: NDArray[np.bool_] = OWN_KEYS[asked.application, model] & (status != REJECT)
    return made
