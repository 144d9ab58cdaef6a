"""A client of providers that answers what a test wrote down: pieces, pauses, failures."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arouter.domain.errors import UpstreamFailed
from arouter.engine.answer import Answer
from arouter.engine.upstream import Origin, Timeouts

Step = bytes | float | asyncio.Event | UpstreamFailed
"""A piece of the body, a pause in seconds, something to wait for, or how the body breaks off."""


@dataclass(frozen=True, kw_only=True)
class Says:
    """One answer. Each piece reaches the reader by itself, the next one only after it was taken."""

    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    steps: Sequence[Step] = ()
    before: Sequence[float | asyncio.Event] = ()
    """What happens before the header fields come."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it was sent."""

    origin: Origin
    head: bytes
    body: bytes
    timeouts: Timeouts | None


class _Player:
    """Plays the steps of one answer; the connection behind it."""

    def __init__(self, says: Says) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.answer = Answer("scripted", self, [], self.loop.time())
        self.answer.status = says.status
        self.answer.said = b"HTTP/1.1 %d \r\n" % says.status
        self.answer.said += b"".join(b"%b: %b\r\n" % field for field in says.headers) + b"\r\n"
        self.hung_up = False
        self._taken = asyncio.Event()
        self._task = asyncio.ensure_future(self._play(says.steps))

    async def _play(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, UpstreamFailed):
                self.answer.end(step)
                return
            if isinstance(step, bytes):
                self.answer.quiet_since_s = self.loop.time()
                if self.answer.listener is not None:
                    self.answer.listener(step)
                else:
                    await self._wait_until_taken(step)
            else:
                await _pause(step)
        self.answer.end(None)

    async def _wait_until_taken(self, piece: bytes) -> None:
        self._taken.clear()
        self.answer.pieces.append(piece)
        self.answer.wake()
        await self._taken.wait()

    def consumed(self) -> None:
        self._taken.set()

    def abort(self) -> None:
        self.hung_up = True
        self._task.cancel()
        self.answer.end(None)


class ScriptedClient:
    """An `arouter.engine.upstream.Client`: gives the answers in their order, whoever asks."""

    def __init__(self, *answers: Says | UpstreamFailed | Exception) -> None:
        self._answers = list(answers)
        self._players: list[_Player] = []
        self.asked: list[Asked] = []

    @property
    def hung_up(self) -> list[bool]:
        """Of each answer that began: whether its reader hung up before its end."""
        return [player.hung_up for player in self._players]

    @property
    def all_let_go(self) -> bool:
        """Whether no connection is held by anybody."""
        return all(player.answer.source is None for player in self._players)

    async def send(self, origin: Origin, head: bytes, body: bytes, *, timeouts: Timeouts | None = None) -> Answer:
        self.asked.append(Asked(origin=origin, head=head, body=body, timeouts=timeouts))
        says = self._answers.pop(0)
        if isinstance(says, Exception):
            raise says
        for pause in says.before:
            await _pause(pause)
        player = _Player(says)
        self._players.append(player)
        return player.answer


async def _pause(pause: float | asyncio.Event) -> None:
    if isinstance(pause, asyncio.Event):
        await pause.wait()
    else:
        await asyncio.sleep(pause)
