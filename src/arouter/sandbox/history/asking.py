"""Who asks when, for which model, and how: what is known of a request before anybody answers it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arouter.domain.windows import DAY_US
from arouter.sandbox.history.people import MODEL_NUMBERS, People, model_mix
from arouter.sandbox.history.population import (
    APPLICATIONS,
    EMBEDDINGS,
    ENDPOINTS,
    HOURS,
    LOYAL,
    MODELS,
    OTHER_APPLICATION,
    SESSION_US,
    TAGGED,
    UNATTRIBUTED,
    Plan,
)
from arouter.sandbox.history.prices import UNKNOWN
from arouter.sandbox.history.texts import Words, mixed

TAG_SETS = ((), *(tags for application in APPLICATIONS for tags in application.tags))
REQUESTED = (*(model.id for model in MODELS), *(model.name for model in MODELS))
"""What clients ask for: a model by its whole name, or by its short one."""

_PLACES = 1024
_GROWTH = 0.9
"""How much more the last day has than the first."""
_LOOP_EVERY_DAYS = 9
_LOOP_SHARE = (0.01, 0.05)
_LOOP_MINUTES = (25, 160)
_EMBEDDING = ENDPOINTS.index(EMBEDDINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Columns, in the order of time."""

    created_at_us: NDArray[np.int64]
    user: NDArray[np.int32]
    """The number of one of the people; `UNKNOWN` for no user."""
    application: NDArray[np.int16]
    model: NDArray[np.int16]
    """The one that was meant."""
    requested: NDArray[np.int16]
    """The place in `REQUESTED`."""
    endpoint: NDArray[np.int16]
    streamed: NDArray[np.bool_]
    session: Words
    """0 for none."""
    request: Words
    """What the client called it; 0 if it did not."""
    tags: NDArray[np.int16]
    """The place in `TAG_SETS`."""
    looping: NDArray[np.float32]
    """How far a loop that ran away has come, from 0 to 1; `UNKNOWN` for all other requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """An agent that asks over and over, each time with a longer prompt, until somebody stops it."""

    day: int
    user: int
    start_us: int
    length_us: int
    share: float


class Asking:
    """Draws the requests of any day of a plan."""

    def __init__(self, plan: Plan, people: People) -> None:
        self._plan = plan
        self._people = people
        rng = np.random.default_rng([plan.seed, 2])
        self._ends = _ends_of_days(plan, rng)
        self._loops = _loops(plan, people, rng)
        self._clock = _quantiles()
        self._mix = model_mix()
        self._of_application = _ByApplication()

    def requests_on(self, day: int) -> int:
        """How many requests a day has."""
        return int(self._ends[day + 1] - self._ends[day])

    def on(self, day: int, rng: np.random.Generator) -> Asked:
        """The requests of a day."""
        number = self.requests_on(day)
        start_us = self._plan.start_us + day * DAY_US
        loops = [loop for loop in self._loops if loop.day == day]
        sizes = [int(loop.share * number) for loop in loops]
        asking = rng.multinomial(number - sum(sizes), self._people.weights_of(day, rng))
        users = np.repeat(np.arange(len(asking), dtype=np.int32), asking)
        at_us = self._times(users, rng)
        looping = np.full(number, UNKNOWN, dtype=np.float32)
        for loop, size in zip(loops, sizes, strict=True):
            steps = np.sort(rng.random(size))
            looping[len(users) : len(users) + size] = steps
            at_us = np.concatenate([at_us, loop.start_us + (steps * loop.length_us).astype(np.int64)])
            users = np.concatenate([users, np.full(size, loop.user, dtype=np.int32)])
        order = np.argsort(at_us, kind="stable")
        return self._asked(day, start_us + at_us[order], users[order], looping[order], rng)

    def _times(self, users: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int64]:
        """Microseconds of the day, by the rhythm of each user's place on the earth."""
        drawn = rng.random(len(users)) * _PLACES
        places = drawn.astype(np.int64)
        rhythm = self._people.rhythm[users]
        begin = self._clock[rhythm, places]
        local = begin + (drawn - places) * (self._clock[rhythm, places + 1] - begin)
        made: NDArray[np.int64] = (local.astype(np.int64) - self._people.offset_us[users]) % DAY_US
        return made

    def _asked(
        self,
        day: int,
        created_at_us: NDArray[np.int64],
        users: NDArray[np.int32],
        looping: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> Asked:
        number = len(users)
        of = self._of_application
        chance = rng.random((5, number), dtype=np.float32)
        in_loop = looping >= 0
        application = self._people.application[users]
        astray = (chance[0] < OTHER_APPLICATION) & ~in_loop
        application = np.where(astray, rng.integers(0, of.first_late, number), application).astype(np.int16)
        loyal = ((chance[1] < LOYAL) & ~astray) | in_loop
        picked = self._mix[application, rng.integers(0, _PLACES, number, dtype=np.int16)]
        model = self._released(day)[np.where(loyal, self._people.favourite[users], picked)]
        nobody = (chance[2] < UNATTRIBUTED) & ~in_loop
        endpoint = of.endpoint[application]
        session = mixed((users.astype(np.uint64) << np.uint64(32)) | (created_at_us // SESSION_US).astype(np.uint64))
        tagged = (chance[3] < TAGGED) & (of.tag_sets[application] > 0)
        tags = of.first_tag_set[application] + users % np.maximum(of.tag_sets[application], 1)
        return Asked(
            created_at_us=created_at_us,
            user=np.where(nobody, UNKNOWN, users).astype(np.int32),
            application=application,
            model=model,
            requested=np.where(of.short[application], model + len(MODELS), model).astype(np.int16),
            endpoint=endpoint,
            streamed=(chance[4] < of.streamed[application]) & (endpoint != _EMBEDDING),
            session=np.where(of.sessions[application] & ~nobody, session, np.uint64(0)),
            request=np.where(
                of.request_ids[application], rng.integers(1, 2**64, number, dtype=np.uint64), np.uint64(0)
            ),
            tags=np.where(tagged, tags, 0).astype(np.int16),
            looping=looping,
        )

    def _released(self, day: int) -> NDArray[np.int16]:
        """For each model the one that is asked on that day: itself once it is there."""
        part = day / self._plan.days
        return np.array(
            [number if model.released <= part else MODEL_NUMBERS[model.instead] for number, model in enumerate(MODELS)],
            dtype=np.int16,
        )


class _ByApplication:
    """What `Asking` looks up by an application's number."""

    def __init__(self) -> None:
        self.endpoint = np.array([ENDPOINTS.index(one.endpoint) for one in APPLICATIONS], dtype=np.int16)
        self.streamed = np.array([one.streamed for one in APPLICATIONS], dtype=np.float32)
        self.sessions = np.array([one.sessions for one in APPLICATIONS])
        self.request_ids = np.array([one.request_ids for one in APPLICATIONS])
        self.short = np.array([one.short_names for one in APPLICATIONS])
        self.tag_sets = np.array([len(one.tags) for one in APPLICATIONS])
        self.first_tag_set = 1 + np.cumsum(self.tag_sets) - self.tag_sets
        # Those that are there from the start come first.
        self.first_late = sum(one.begins == 0 for one in APPLICATIONS)


def _ends_of_days(plan: Plan, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many requests there were before each day, and altogether: growth, the week, and chance."""
    days = np.arange(plan.days)
    monday = (plan.start_us // DAY_US + 3 + days) % 7
    busy = np.where(monday < 5, 1.0, 0.48) * (1 + _GROWTH * days / plan.days) * rng.lognormal(0, 0.05, plan.days)
    ends = np.floor(np.cumsum(busy) / busy.sum() * plan.records + 0.5).astype(np.int64)
    ends[-1] = plan.records
    return np.concatenate([[0], ends])


def _loops(plan: Plan, people: People, rng: np.random.Generator) -> list[_Loop]:
    """One now and then, of users whose application has agents; none where there are no such users."""
    agents = np.flatnonzero(people.application == [one.name for one in APPLICATIONS].index("coding agents"))
    if not len(agents):
        return []
    made = []
    for day in range(plan.days):
        if rng.random() * _LOOP_EVERY_DAYS < 1:
            there = agents[(people.first_day[agents] <= day) & (people.last_day[agents] >= day)]
            length_us = int(rng.integers(*_LOOP_MINUTES)) * 60_000_000
            start_us, share = int(rng.integers(0, DAY_US - length_us)), float(rng.uniform(*_LOOP_SHARE))
            if len(there):
                made.append(
                    _Loop(day=day, user=int(rng.choice(there)), start_us=start_us, length_us=length_us, share=share)
                )
    return made


def _quantiles() -> NDArray[np.float64]:
    """For each rhythm, the local times by which so many parts of `_PLACES` of a day's requests have come."""
    edges = np.arange(25) * 3_600_000_000.0
    rows = []
    for rhythm in sorted(HOURS):
        ends = np.concatenate([[0.0], np.cumsum(HOURS[rhythm], dtype=np.float64)])
        rows.append(np.interp(np.arange(_PLACES + 1) / _PLACES, ends / ends[-1], edges))
    return np.stack(rows)
