"""Work for a client that may leave before it is done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from arouter.domain.errors import ARouterError

Result = TypeVar("Result")


class ClientGone(Exception):
    """Nobody is there to get the answer."""


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns. It is cancelled when the client leaves, and ClientGone raised."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(_outcome(work))
        leaving = group.create_task(_left(request))
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        for one in (working, leaving):
            one.cancel()
    if working.cancelled():
        raise ClientGone
    result, error = working.result()
    if error is not None:
        raise error
    assert result is not None
    return result


async def _outcome(work: Coroutine[Any, Any, Result]) -> tuple[Result | None, ARouterError | None]:
    """An error that the client is told, as a value: a group of tasks would wrap it."""
    try:
        return await work, None
    except ARouterError as error:
        return None, error


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
