"""A client's end of a connection that takes what it gets, is never slow, and never needs a task."""

import asyncio

from arouter.engine.express import Work


class ClientLine:
    """What an answer is written to."""

    write_paused = False
    stays = True

    def __init__(self) -> None:
        self.overs = 0
        """How many requests were over."""

    def write(self, data: bytes) -> None:
        pass

    def go_on(self, work: Work) -> None:
        raise AssertionError("a usual request is handed over")

    def over(self) -> None:
        self.overs += 1

    def until_drained(self) -> asyncio.Future[None]:
        raise NotImplementedError
