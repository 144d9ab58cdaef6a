"""A usual request, from its body to its answer, on the short way: asked, answered, recorded at once."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from arouter.domain.keys import Key
from arouter.domain.pseudonym import Pseudonyms
from arouter.engine.adapters import Adapters
from arouter.engine.billing import Billing
from arouter.engine.breaker import BreakerRules, Breakers
from arouter.engine.call import Call
from arouter.engine.clock import SystemClock
from arouter.engine.connection import Connection
from arouter.engine.express import Express
from arouter.engine.guardian import NO_GUARD, Ruled
from arouter.engine.pool import Pool, PoolLimits
from arouter.engine.retrying import RetryBudget
from arouter.engine.selection import Selection
from arouter.engine.timeouts import Timeouts
from arouter.engine.way import Ways
from arouter.web.http.reply import LineReply
from bench.answers import Dialect, whole_answer
from bench.client_line import ClientLine
from bench.provider_socket import ProviderSocket

_NOW_US = 1_790_000_000_000_000
_TIMEOUTS = Timeouts()


class _Upstream:
    """One connection, that is idle whenever somebody asks."""

    timeouts = _TIMEOUTS

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.last: Connection | None = None

    def pool_of(self, _: object) -> "_Upstream":
        return self

    def take_idle(self) -> Connection | None:
        self.last = self._pool.take_idle()
        return self.last


class Expressed:
    """One request after the other."""

    def __init__(
        self, call: Call, key: Key, selection: Selection, billing: Billing, body: bytes, dialect: Dialect
    ) -> None:
        """`selection` has the plan for the call's model, which is answered in `dialect`."""
        self._key = key
        self._body = body
        self._said = whole_answer(dialect)
        self._line = ClientLine()
        self._upstream = asyncio.run(_kept(self._said))
        # What stands beside the path and does nothing for a usual request.
        guardian: Any = SimpleNamespace(recall_key=lambda key: Ruled(key, NO_GUARD, per_user=False), on_forget=[])
        attempts: Any = SimpleNamespace(budget=RetryBudget(), head=lambda deployment, prepared: b"POST / HTTP/1.1\r\n")
        recorder: Any = SimpleNamespace(open=lambda opening: None, close_then=lambda record, done: done(None))
        selection.plan(call, lambda *_: None)
        ways = Ways(
            selection=selection,
            guardian=guardian,
            own_keys=cast(Any, SimpleNamespace(holders=frozenset(), on_change=[])),
            attempts=attempts,
            adapters=Adapters(),
            upstream=cast(Any, self._upstream),
            pseudonyms=Pseudonyms(bytes(32)),
        )
        self._express = Express(
            ways=ways,
            guardian=guardian,
            attempts=attempts,
            breakers=Breakers(BreakerRules()),
            billing=billing,
            recorder=recorder,
            clock=SystemClock(),
            new_id=lambda now_us: "gen-1",
            on_record=lambda record, error: None,
        )

    def again(self) -> None:
        """The next request, and its answer."""
        answered = self._line.overs
        begun = self._express.begin(self._key, None, self._body, LineReply(self._line), _NOW_US, cast(Any, None))
        assert begun
        assert self._upstream.last is not None
        self._upstream.last.data_received(self._said)
        assert self._line.overs == answered + 1


async def _kept(said: bytes) -> _Upstream:
    """A pool with one connection, which is idle since something was said on it."""
    pool = Pool("provider", PoolLimits(), asyncio.get_running_loop())
    connection = await pool.acquire()
    connection.connection_made(ProviderSocket())
    connection.start(b"", b"", _TIMEOUTS)
    connection.data_received(said)
    return _Upstream(pool)
