"""Requests that are held and settled, apart from everything else of their path."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from arouter.domain.guardrails import Guardrail, Target
from arouter.domain.limits import Budget, LimitReset, Limits
from arouter.domain.money import Picodollars
from arouter.domain.price import Rate, RateCard
from arouter.domain.record import Record, Status
from arouter.domain.usage import Usage
from arouter.engine.call import Call, RateTold
from arouter.engine.estimates import Estimates
from arouter.engine.guardian import Guardian
from arouter.engine.hold import Hold
from arouter.engine.leasing import Leasing
from arouter.engine.routing import Route
from arouter.engine.tasks import Tasks
from arouter.store.base import Counters, Directory
from arouter.store.memory import MemoryStore
from arouter.web.inference.rate_headers import rate_lines

ORGANIZATION = "org_1"
MUCH = 10**15

_CARD = RateCard(source="operator", version="1", rates={"input_tokens": Rate(base=1), "output_tokens": Rate(base=2)})


class Client:
    """The part of a reply that a hold talks to."""

    def __init__(self) -> None:
        self.lines = b""

    def tell_rates(self, rates: Callable[[], tuple[RateTold, ...]]) -> None:
        self.lines = rate_lines(rates())


class Limited:
    """Requests that are held and settled."""

    def __init__(self, directory: Directory, counters: Counters, *, now_us: Callable[[], int]) -> None:
        self._tasks = Tasks(_failed)
        self.leasing = Leasing(counters, now_us=now_us, tasks=self._tasks)
        self.guardian = Guardian(directory, self.leasing, Estimates(_card))
        self._client = Client()

    async def one(self, call: Call, routes: Sequence[Route]) -> None:
        """One request, from its guard to its end."""
        guardian = self.guardian
        user = call.opening.user
        guard = guardian.recall(call.key, user)
        if guard is None:
            guard = await guardian.find(call.key, user)
        if guard.slots:
            held: Hold = await guardian.hold(guard, call.fields, call.opening, routes, self._client)  # type: ignore[arg-type]
            held.settle(_ended(call))

    async def end(self) -> None:
        """Nothing runs beside requests any more."""
        await self._tasks.stop()

    def again(self, call: Call, routes: Sequence[Route]) -> None:
        """The same, of one that waits for nothing, outside a loop."""
        work = self.one(call, routes)
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits")


def limited_part(call: Call, route: Route, limits: Limits | None) -> Callable[[], object]:
    """A part for `bench.path_cost`: a request with these limits on its organization, workspace, key and user."""
    store = MemoryStore(clock=lambda: call.opening.created_at_us)
    limited = Limited(store.directory, store.counters, now_us=lambda: call.opening.created_at_us)
    organization_id = call.opening.organization_id

    async def warm() -> None:
        if limits is not None:
            for target, target_id in (
                (Target.ORGANIZATION, None),
                (Target.WORKSPACE, call.key.workspace_id),
                (Target.KEY, call.key.hash),
                (Target.EVERY_USER, None),
            ):
                await store.directory.add_guardrail(make_guardrail(target, target_id, limits, organization_id))
        await limited.guardian.refresh()
        await limited.one(call, [route])

    asyncio.run(warm())
    return lambda: limited.again(call, [route])


def make_guardrail(
    target: Target, target_id: str | None, limits: Limits, organization_id: str = ORGANIZATION
) -> Guardrail:
    return Guardrail(
        id=f"grl_{target}_{target_id}",
        organization_id=organization_id,
        name="bench",
        target=target,
        target_id=target_id,
        limits=limits,
        created_at_us=0,
    )


def budget(reset: LimitReset | None = LimitReset.MONTHLY) -> Limits:
    return Limits(budget=Budget(limit=Picodollars(MUCH), reset=reset))


def _ended(call: Call) -> Record:
    return Record(
        opening=call.opening,
        completed_at_us=0,
        status=Status.SUCCESS,
        http_status=200,
        usage=Usage(input_tokens=10, output_tokens=20),
        cost=Picodollars(40),
    )


def _card(
    provider: str,
    model: str,
    at: datetime,
    service_tier: str | None = None,
    batch: bool = False,
    speed: str | None = None,
) -> RateCard:
    return _CARD


def _failed(name: str, failure: BaseException) -> None:
    raise failure
