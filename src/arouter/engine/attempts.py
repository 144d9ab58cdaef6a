"""Asking: the routes of a plan, one after the other, until a provider begins to answer.

Everything here happens before the first byte reached the client. From a provider's good status on there is no other
provider: it charges for what it answers. Each time that somebody was asked is told to the account, which makes the
record's attempts of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from arouter.domain.errors import ARouterError, InvalidRequest, RateLimited, UpstreamFailed, forget_frames
from arouter.domain.value import value
from arouter.engine.account import Account
from arouter.engine.adapters import Adapters
from arouter.engine.answer import Answer
from arouter.engine.breaker import Breakers
from arouter.engine.call import Call, Reply
from arouter.engine.clock import Clock
from arouter.engine.credentials import Credentials, credential_lines
from arouter.engine.departure import Departure
from arouter.engine.exchange import Exchange
from arouter.engine.hold import Hold
from arouter.engine.manner import FIRST_FAILURE, head_in_manner, passes_on
from arouter.engine.own_keys import blamed_rightly
from arouter.engine.retrying import RetryBudget, RetryRules, Turns
from arouter.engine.routing import Deployment, Plan, Route
from arouter.engine.upstream import Client, Timeouts, request_head
from arouter.providers.base import Prepared
from arouter.providers.openai import Fields

UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429

_MOST_HEADS = 4096
_MOST_SECONDS_DIGITS = 9
_MOST_ERROR_BYTES = 256 * 1024
_LEAST_S = 0.001
_CONDITIONS = frozenset(
    {"data_collection", "zdr", "enforce_distillable_text", "require_parameters", "quantizations", "max_price"}
)
"""The preferences that name no provider of ours: a gateway behind us is held to them too."""

_decode_fields: Callable[[msgspec.Raw], Fields | None] = msgspec.json.Decoder(Fields | None).decode
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@value(frozen=True, slots=True, kw_only=True)
class Begun:
    """A provider that was asked before there was anybody to wait for it: the first of a plan."""

    answer: Answer
    plan: Plan
    asked_us: int
    """When, by the monotonic clock: then the request began."""
    hold: Hold | None
    """What is held of budgets and rates."""


class Attempts:
    """Asks providers. One for the process; nothing in it belongs to one request."""

    def __init__(
        self,
        *,
        upstream: Client,
        adapters: Adapters,
        breakers: Breakers,
        rules: RetryRules,
        clock: Clock,
        random: Callable[[], float],
        timeouts: Timeouts | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`random` draws from [0, 1); `timeouts` are those of a deployment that has none of its own."""
        self._upstream = upstream
        self._adapters = adapters
        self._breakers = breakers
        self._rules = rules
        self._clock = clock
        self._random = random
        self._timeouts = Timeouts() if timeouts is None else timeouts
        self._sleep = sleep
        self.budget = RetryBudget()
        """Whoever asks by itself has earned for it, too."""
        self._heads: dict[tuple[object, ...], bytes] = {}

    async def begin(
        self,
        call: Call,
        plan: Plan,
        account: Account,
        reply: Reply,
        departure: Departure,
        exchange: Callable[[Call, Route], Exchange],
        begun: Begun | None = None,
    ) -> Answer:
        """The first answer with a good status. `exchange` makes the request to a provider; `begun` says that the first
        one was asked.

        UpstreamFailed of the last provider that was asked, if nobody answers; InvalidRequest if the request cannot be
        said to anybody.
        """
        if begun is None:
            self.budget.earn()
        turns: Turns | None = None
        route: Route | None = plan.routes[0]
        failure: ARouterError | None = None
        while route is not None:
            try:
                asked = _prepared(call, plan, route, exchange)
                answer = await self._ask(route, asked, account, turns, begun)
            except (InvalidRequest, UpstreamFailed) as failed:
                if turns is None:
                    began_us = account.asked_us if account.attempts else self._clock.monotonic_us()
                    turns = Turns(plan.routes, self._rules, began_us=began_us)
                if isinstance(failed, InvalidRequest):
                    failure = failed if failure is None else failure
                else:
                    forget_frames(failed)  # They hold this request's body, and the next attempt may take long.
                    failure = failed
                    turns.failed(route, failed)
                    if not failed.retryable:
                        break
            else:
                if asked.prepared.dropped:
                    reply.tell_dropped(asked.prepared.dropped)
                if reply.wants_attempts:
                    self._tell(reply, account)
                return answer
            begun = None
            route = await self._next(turns, departure)
        assert failure is not None
        if reply.wants_attempts:
            self._tell(reply, account)
        raise failure

    async def _next(self, turns: Turns, departure: Departure) -> Route | None:
        """Who is asked next, once it is time; None: nobody, or for nobody."""
        turn = turns.next(self._clock.monotonic_us(), self._random())
        if turn is None:
            return None
        if turn.repeats and not departure.gone:
            if not self.budget.spend():
                return None
            await self._sleep(turn.wait_s)
        return None if departure.gone else turn.route

    async def _ask(
        self, route: Route, asked: Exchange, account: Account, turns: Turns | None, begun: Begun | None
    ) -> Answer:
        """One request. UpstreamFailed, in our contract's words, for a status that is not a good one."""
        deployment, prepared = route.deployment, asked.prepared
        now_us = self._clock.monotonic_us() if begun is None else begun.asked_us
        account.asks(route, asked, now_us)
        self._breakers.asked(deployment, now_us)
        timeouts = deployment.timeouts
        if turns is not None and account.attempts > 1:
            timeouts = self._within(timeouts, turns.left_s(now_us))
        try:
            if begun is not None:
                answer = await begun.answer.begun()
            else:
                head = self.head(deployment, prepared)
                if (credentials := deployment.credentials) is not None:
                    head += await self._credentials(credentials, deployment, prepared)
                answer = await self._upstream.send(deployment.origin, head, prepared.body, timeouts=timeouts)
            account.upstream_status = status = answer.status
            if not (200 <= status < 300 or passes_on(prepared, status)):
                raise await self._refusal(route, answer)
        except UpstreamFailed as failed:
            failed_us = self._clock.monotonic_us()
            account.fails(failed, failed_us)
            self._breakers.failed(deployment, failed, failed_us)
            raise
        self._breakers.answered(deployment)
        account.answered = status < FIRST_FAILURE
        return answer

    async def _credentials(self, credentials: Credentials, deployment: Deployment, prepared: Prepared) -> bytes:
        now_us = self._clock.now_us()
        return await credential_lines(credentials, deployment.origin, prepared, self._upstream, now_us)

    async def _refusal(self, route: Route, answer: Answer) -> UpstreamFailed:
        failure = self._read_error(route, answer.status, await answer.read(_MOST_ERROR_BYTES))
        failure.retry_after_s = _seconds(answer.headers.get("retry-after"))
        return blamed_rightly(in_contract(failure, answer.status), route)

    def _read_error(self, route: Route, status: int, body: bytes) -> UpstreamFailed:
        platform = route.deployment.platform
        if platform is not None and (failure := platform.read_error(status, body)) is not None:
            return failure
        return self._adapters.of(route).read_error(status, body)

    def _within(self, timeouts: Timeouts | None, left_s: float) -> Timeouts | None:
        """The timeouts of a later attempt, which waits no longer than is left."""
        own = self._timeouts if timeouts is None else timeouts
        return timeouts if own.first_byte_s <= left_s else replace(own, first_byte_s=max(left_s, _LEAST_S))

    def _tell(self, reply: Reply, account: Account) -> None:
        if account.attempts:
            reply.tell_attempts(account.attempts_until(self._clock.monotonic_us()))

    def head(self, deployment: Deployment, prepared: Prepared) -> bytes:
        """The head of a request to a deployment, as `arouter.engine.upstream.Upstream.send` takes it."""
        if deployment.own_key is not None or prepared.manner is not None:
            return _new_head(deployment, prepared)  # Not kept: it holds somebody's key, or will not come again.
        key = (deployment.provider, deployment.name, prepared.path, prepared.query, prepared.headers)
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            head = self._heads[key] = _new_head(deployment, prepared)
        return head


def _new_head(deployment: Deployment, prepared: Prepared) -> bytes:
    path = f"{prepared.path}?{prepared.query}" if prepared.query else prepared.path
    if prepared.manner is not None:
        return head_in_manner(deployment, prepared, path)
    return request_head(deployment.origin, "POST", path, (*deployment.headers, *prepared.headers))


def _prepared(call: Call, plan: Plan, route: Route, exchange: Callable[[Call, Route], Exchange]) -> Exchange:
    """The request for a route. InvalidRequest if it cannot be said there, or not all of it and it must."""
    if route.listed and route.deployment.vendor.takes_routing_fields and "provider" in call.fields:
        call = call.with_fields(_for_gateway(call.fields))
    asked = exchange(call, route)
    if plan.require_parameters and (dropped := asked.prepared.dropped):
        raise InvalidRequest(
            f"{route.name} has no counterpart for {', '.join(dropped)}, and the request requires its parameters.",
            code="unsupported_parameter",
            param=dropped[0],
            metadata={"parameters": list(dropped)},
        )
    return asked


def _for_gateway(fields: Fields) -> Fields:
    """The fields for a gateway that we chose ourselves: what the client says of providers was about ours, and its
    conditions hold there too."""
    try:
        said = _decode_fields(fields["provider"]) or {}
    except _MALFORMED:
        said = {}  # `read_preferences` has refused it where it counts.
    kept = {name: member for name, member in said.items() if name in _CONDITIONS}
    others = {name: member for name, member in fields.items() if name != "provider"}
    return {**others, "provider": msgspec.Raw(msgspec.json.encode(kept))} if kept else others


def in_contract(failure: UpstreamFailed, status: int) -> UpstreamFailed:
    """An error answer in the words of our contract.

    A code of the provider's is the error's own only where the client is to blame; else it is told in the metadata,
    and the code says what that means for the client. What a provider says of our credentials may quote them: it
    stays here.
    """
    if status == UNAUTHORIZED:
        failure.message = "The provider refused the gateway's credentials. Only its operator can mend that."
    if not failure.client_fault:
        if failure.code != UpstreamFailed.default_code:
            failure.metadata = {"upstream_code": failure.code, **failure.metadata}
        failure.code = RateLimited.default_code if status == TOO_MANY_REQUESTS else UpstreamFailed.default_code
    failure.metadata = {"upstream_status": status, **failure.metadata}
    return failure


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds; a date is not worth parsing for a hint."""
    if retry_after is None or not retry_after.isdecimal() or len(retry_after) > _MOST_SECONDS_DIGITS:
        return None
    return float(retry_after)
