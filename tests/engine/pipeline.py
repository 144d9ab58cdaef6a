"""The pipeline with everything around it written by a test: providers, ledger, client, clock."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest

from arouter.domain.errors import ARouterError, StorageUnavailable, UpstreamFailed
from arouter.domain.pseudonym import Pseudonyms
from arouter.domain.record import Record
from arouter.engine.adapters import Adapters
from arouter.engine.admission import Admission
from arouter.engine.attempts import Attempts
from arouter.engine.billing import Billing
from arouter.engine.breaker import BreakerRules, Breakers
from arouter.engine.completions import Completions, Limits
from arouter.engine.departure import DrainLimits, Drains
from arouter.engine.estimates import Estimates
from arouter.engine.guardian import Guardian
from arouter.engine.leasing import Leasing
from arouter.engine.own_keys import OwnKeys, OwnProviders
from arouter.engine.recorder import Durability, Recorder
from arouter.engine.retrying import RetryRules
from arouter.engine.routing import Routing
from arouter.engine.selection import Selection
from arouter.engine.speeds import Speeds
from arouter.engine.standing import Standing
from arouter.engine.tasks import Tasks
from arouter.engine.upstream import Upstream
from arouter.store.memory import MemoryStore
from arouter.store.memory_counters import CounterData
from arouter.store.memory_directory import MemoryDirectory
from arouter.web.errors import status_of, type_of
from tests.engine.samples import SECRET, Cards, card, routing
from tests.engine.samples import call as sample_call
from tests.engine.scripted_client import Says, ScriptedClient
from tests.engine.scripted_clock import ScriptedClock
from tests.engine.scripted_counters import ScriptedCounters
from tests.engine.scripted_ledger import ScriptedLedger
from tests.engine.scripted_reply import ScriptedReply

CARDS = {
    "openai/gpt-5.4": card(),
    "groq/llama": card(input=1, output=1),
    "anthropic/claude-sonnet-4-5": card(input=3, output=15),
}
"""The models that have a price, in the tests of the pipeline."""


NewSelection = Callable[[Routing], Selection]


class Pipeline:
    """`Completions`, and what it used and told."""

    def __init__(
        self,
        *answers: Says | UpstreamFailed | Exception,
        drain: DrainLimits | None = None,
        durability: Durability = "strict",
        keep_alive_s: float = 0.0,
        routes: Routing | None = None,
        cards: Cards | None = None,
        own_keys: Callable[[Routing, NewSelection], OwnKeys] | None = None,
        retries: RetryRules | None = None,
        breaker: BreakerRules | None = None,
        provider_order: tuple[str, ...] = (),
        beside: "Pipeline | None" = None,
        upstream: Upstream | None = None,
        tick_us: int = 1000,
        ledger: ScriptedLedger | None = None,
    ) -> None:
        """`own_keys` is given the operator's routing, and what makes selections. `beside`: another process on the same
        data. `upstream` asks real providers, and nothing is scripted. The clock goes on by `tick_us` at each look."""
        self.client = ScriptedClient(*answers)
        own = ScriptedLedger() if ledger is None else ledger
        self.ledger: ScriptedLedger = own if beside is None else beside.ledger
        self.clock = ScriptedClock(tick_us=tick_us)
        self.drains = Drains(DrainLimits() if drain is None else drain)
        self.failed_tasks: list[tuple[str, BaseException]] = []
        self.lost: list[tuple[Record, StorageUnavailable]] = []
        self.told: list[tuple[Record, ARouterError | None]] = []
        """What `on_record` got."""
        self.tasks = Tasks(lambda name, failure: self.failed_tasks.append((name, failure)))
        self.random = Random(7)
        self.slept: list[float] = []
        """The pauses before repetitions, in seconds."""
        self.on_sleep: Callable[[], None] = lambda: None
        self.pausing, self.pause_over = asyncio.Event(), asyncio.Event()
        self.pause_over.set()
        self.breakers = Breakers(BreakerRules() if breaker is None else breaker)
        self.speeds = Speeds()
        known = Cards(CARDS) if cards is None else cards
        operator = routing("openai", "groq", "mistral", "anthropic", "google") if routes is None else routes
        standing = Standing(
            breakers=self.breakers, speeds=self.speeds, card=known, clock=self.clock, random=self.random.random
        )

        def selection(chosen: Routing) -> Selection:
            return Selection(chosen, standing, provider_order=provider_order)

        self.directory: MemoryDirectory = (
            MemoryStore(clock=self.clock.now_us, data=self.ledger._data).directory
            if beside is None
            else beside.directory
        )
        self.counter_data: CounterData = CounterData() if beside is None else beside.counter_data
        self.counters = ScriptedCounters(self.counter_data, self.ledger.every_record, lambda _: None)
        self.behind = False
        """The ledger lacks records."""
        self.leasing = Leasing(self.counters, now_us=self.clock.now_us, tasks=self.tasks, behind=lambda: self.behind)
        self.overages: list[tuple[str, int]] = []
        """The meters of the limits that a request passed, and by how much."""
        self.guardian = Guardian(
            self.directory,
            self.leasing,
            Estimates(known),
            on_overage=lambda _, share, units: self.overages.append((share.counter.meter, units)),
        )
        self.selection = selection(operator)
        self.own_keys = (no_own_keys if own_keys is None else own_keys)(operator, selection)
        self.adapters = Adapters()
        self.attempts = Attempts(
            upstream=self.client if upstream is None else upstream,
            adapters=self.adapters,
            breakers=self.breakers,
            rules=RetryRules() if retries is None else retries,
            clock=self.clock,
            random=self.random.random,
            sleep=self._sleep,
        )
        self.pseudonyms = Pseudonyms(SECRET)
        self.billing = Billing(known)
        self.recorder = Recorder(
            self.ledger,
            durability=durability,
            tasks=self.tasks,
            on_lost=lambda record, failure: self.lost.append((record, failure)),
        )
        self.completions = Completions(
            admission=Admission(),
            guardian=self.guardian,
            routing=operator,
            selection=self.selection,
            own_keys=self.own_keys,
            attempts=self.attempts,
            adapters=self.adapters,
            billing=self.billing,
            recorder=self.recorder,
            clock=self.clock,
            tasks=self.tasks,
            pseudonyms=self.pseudonyms,
            limits=Limits(keep_alive_s=keep_alive_s),
            drains=self.drains,
            status_of=status_of,
            type_of=type_of,
            on_record=lambda record, error: self.told.append((record, error)),
        )

    async def _sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)
        self.clock.advance(int(pause_s * 1_000_000))
        self.on_sleep()
        self.pausing.set()
        await self.pause_over.wait()

    async def settled(self) -> None:
        """What runs beside requests has come to its end."""
        async with asyncio.timeout(5):
            await until(lambda: len(self.tasks) == 0)

    async def only_record(self) -> Record:
        """The one record, which everybody agrees on."""
        await self.settled()
        records = await self.ledger.records()
        assert len(records) == 1
        assert self.ledger.closed == [records[0].opening.id]
        assert [_as_kept(record) for record, _ in self.told] == records
        assert self.failed_tasks == []
        assert self.drains.running == 0
        assert self.client.all_let_go
        return records[0]


def no_own_keys(operator: Routing, selection: NewSelection) -> OwnKeys:
    """Nobody has any."""
    directory = MemoryStore(clock=lambda: 0).directory
    nobody = OwnProviders(makers={}, off={})
    return OwnKeys(directory, operator=operator, selection=selection, providers=nobody, vault=None)


def _as_kept(record: Record) -> Record:
    """Without what is noted for the case that the process dies."""
    return replace(record, opening=replace(record.opening, asked_bytes=None, routed_model=None, on_own_key=False))


def play(dialogue: Callable[[], Awaitable[Any]]) -> None:
    """Run a dialogue; it fails too if the loop had anything to complain about."""
    complaints: list[Mapping[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(20):
            await dialogue()

    asyncio.run(watched())
    assert complaints == []


def playing(dialogue: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes a test of an async function, which may take parameters."""

    def test(**parameters: Any) -> None:
        play(lambda: dialogue(**parameters))

    test.__name__ = dialogue.__name__
    test.__doc__ = dialogue.__doc__
    test.__signature__ = inspect.signature(dialogue)  # type: ignore[attr-defined]
    return test


# ---------------------------------------------------------------- what providers say

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
"""At the prices of `card()`: 100 × 2 + 20 × 10 = 400 millionths of a dollar."""
COST_JSON = b'"cost":0.0004'


def completion(**changes: Any) -> bytes:
    """A whole answer of OpenAI's."""
    return msgspec.json.encode(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-5.4",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
            "usage": USAGE,
            **changes,
        }
    )


def message(**changes: Any) -> bytes:
    """A whole answer of Anthropic's."""
    return msgspec.json.encode(
        {
            "id": "msg_1",
            "type": "message",
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 100, "output_tokens": 20},
            **changes,
        }
    )


def chunk(**changes: Any) -> bytes:
    """One event of a stream of OpenAI's."""
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.4", **changes}
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def text(content: str, finish: str | None = None) -> bytes:
    return chunk(choices=[{"index": 0, "delta": {"content": content}, "finish_reason": finish}])


DONE = b"data: [DONE]\n\n"
STREAM = (text("Hel"), text("lo"), text("", "stop"), chunk(choices=[], usage=USAGE), DONE)
"""A good stream."""


def events(stream: bytes) -> list[Any]:
    """The decoded events of a stream that a client got; the end mark is a text, and comments are left out."""
    told = [block.removeprefix(b"data: ") for block in stream.split(b"\n\n") if block and not block.startswith(b":")]
    return ["[DONE]" if data == b"[DONE]" else msgspec.json.decode(data) for data in told]


async def until(condition: Callable[[], bool]) -> None:
    """Turns of the loop, without time."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("waited in vain")


async def turns(count: int = 50) -> None:
    """Time for whatever could happen without anybody's doing."""
    for _ in range(count):
        await asyncio.sleep(0)


async def ask(pipeline: Pipeline, *models: str, reply: ScriptedReply | None = None, **changes: Any) -> ScriptedReply:
    """One call through the pipeline; its reply."""
    answered = ScriptedReply() if reply is None else reply
    await pipeline.completions.run(sample_call(*models, **changes), answered)
    return answered
