"""The demo's users: a few people who ask the sandbox's models, some far more than others."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final

import msgspec

from arouter.cli.demo_client import DemoClient
from arouter.domain.errors import UpstreamFailed
from arouter.engine.tasks import Tasks
from arouter.settings import Dollars, Price

PRICES: Final = MappingProxyType(
    {
        "sandbox/sandbox-echo": Price(input=Dollars("2.5"), output=Dollars("10")),
        "sandbox/sandbox-reason": Price(input=Dollars("5"), output=Dollars("25")),
        "sandbox/sandbox-json": Price(input=Dollars("0.15"), output=Dollars("0.6")),
        "sandbox/sandbox-tools": Price(input=Dollars("1.25"), output=Dollars("5")),
    }
)
"""Pretend prices, so that there are costs to look at."""

_TEXT = "Please tell me what this contract says about notice periods and who has to be told when one of them ends early"
_MOST_AT_ONCE = 8
_SHARE_OF_ERRORS = 0.03


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody, how often they ask compared with the others, and how long their questions are at most."""

    user: str | None
    weight: int
    most_words: int


_PEOPLE = (
    _Person("user_12345", 12, 120),
    _Person("ada@example.com", 8, 300),
    _Person("grace@example.com", 6, 80),
    _Person("李雷", 5, 160),
    _Person("team-billing/cron", 3, 900),
    _Person("user_67890", 2, 60),
    _Person(None, 1, 40),
)


class Traffic:
    """Asks at a steady rate, never more than a few at once, and no more than `most` times."""

    def __init__(self, client: DemoClient, key: str, tasks: Tasks, *, per_second: float, most: int) -> None:
        self._client = client
        self._key = key
        self._tasks = tasks
        self._pause_s = 1 / per_second
        self._most = most
        self._running = 0
        self._random = Random(7)  # noqa: S311 - no secret: the same demo every time
        self._words = _TEXT.split()
        self.sent = 0

    async def run(self) -> None:
        while self.sent < self._most:
            if self._running < _MOST_AT_ONCE:
                self.sent += 1
                self._running += 1
                self._tasks.start("a demo request", self._ask(self._body()))
            await asyncio.sleep(self._pause_s)

    async def _ask(self, body: bytes) -> None:
        try:
            with suppress(UpstreamFailed):  # the gateway has been told to stop
                await self._client.chat(self._key, body)
        finally:
            self._running -= 1

    def _body(self) -> bytes:
        random = self._random
        (person,) = random.choices(_PEOPLE, [one.weight for one in _PEOPLE])
        model = random.choice(list(PRICES))
        if random.random() < _SHARE_OF_ERRORS:
            model = "sandbox/sandbox-error-503"
        words = " ".join(random.choices(self._words, k=random.randint(5, person.most_words)))
        body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": words}]}
        if person.user is not None:
            body["user"] = person.user
        if random.random() < 0.5:
            body["stream"] = True
        return msgspec.json.encode(body)
