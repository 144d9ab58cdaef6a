"""The one pipeline: choose → admit → ask → forward → settle.

    choose    routes, in order: the models asked for, whose keys there are, the client's wishes, the providers' health
    admit     the key's rules and the guardrails, and what the request is likely to use is held of budgets and rates;
              a refusal is a record too
    open      the ledger learns that the request runs
    ask       one after the other; fall back and repeat only before the first byte reached the client
    forward   whole, or piece by piece at the client's pace
    settle    usage → price → one record, in the one `finally`, whatever the way out; what was held is settled to it
    end       the last byte leaves only after the record is durable

When the client leaves, the answer is still read to its end, within bounds, so that its usage is known (`drain`), or
given up at once (`cancel`). Both end in a record that says so.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from arouter.domain.errors import (
    ARouterError,
    InternalError,
    ShuttingDown,
    StorageUnavailable,
    UpstreamFailed,
    forget_frames,
)
from arouter.domain.pseudonym import Pseudonyms
from arouter.domain.record import Opening, Record
from arouter.engine.account import Account
from arouter.engine.adapters import Adapters
from arouter.engine.admission import Admission
from arouter.engine.attempts import Attempts, Begun
from arouter.engine.billing import NOTHING_USED, Bill, Billing
from arouter.engine.call import Call, Reply
from arouter.engine.clock import Clock
from arouter.engine.departure import Departure, Drains
from arouter.engine.exchange import Exchange, RelayExchange, TranslatedExchange
from arouter.engine.forwarding import Forwarding
from arouter.engine.guardian import NO_GUARD, Guardian, check_blocked
from arouter.engine.identity import identity_for
from arouter.engine.manner import JSON_STREAM, PassedOn, begin_as_told, failure_passed_on, is_passed_on
from arouter.engine.own_keys import OwnKeys, noted
from arouter.engine.placed import PlacedExchange
from arouter.engine.recorder import Recorder
from arouter.engine.routing import Plan, Route, Routing
from arouter.engine.selection import Selection
from arouter.engine.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the pipeline; each is a setting."""

    keep_alive_s: float = 15.0
    answer_most_bytes: int = 256 * 1024 * 1024


class Completions:
    """Answers calls. One for the process; nothing in it belongs to one request."""

    def __init__(
        self,
        *,
        admission: Admission,
        guardian: Guardian,
        routing: Routing,
        selection: Selection,
        own_keys: OwnKeys,
        attempts: Attempts,
        adapters: Adapters,
        billing: Billing,
        recorder: Recorder,
        clock: Clock,
        tasks: Tasks,
        pseudonyms: Pseudonyms,
        limits: Limits,
        drains: Drains,
        status_of: Callable[[ARouterError], int],
        type_of: Callable[[ARouterError], str],
        on_record: Callable[[Record, ARouterError | None], None],
    ) -> None:
        """`status_of` and `type_of` are the rim's words for an error;
        `on_record` sees every record and what went wrong, for metrics and the log."""
        self._admission = admission
        self._guardian = guardian
        self._selection = selection
        self._own_keys = own_keys
        self._attempts = attempts
        self._adapters = adapters
        self._billing = billing
        self._recorder = recorder
        self._clock = clock
        self._tasks = tasks
        self._pseudonyms = pseudonyms
        self._limits = limits
        self._status_of = status_of
        self._type_of = type_of
        self._on_record = on_record
        self._drains = drains
        self.routed_name = routing.name_of
        """`provider/model` for a model's name; None for one that has no route."""

    # ---------------------------------------------------------------- the way in

    async def run(self, call: Call, reply: Reply, begun: Begun | None = None) -> None:
        """Answer `call` through `reply`. Leaves exactly one record. A call whose provider was asked has `begun`.

        To cancel it is to interrupt it: it settles, tells the client, and returns. CancelledError only if it is
        cancelled a second time, or at its very end.
        """
        started_us = self._clock.monotonic_us() if begun is None else begun.asked_us
        account = Account(call.opening, started_us=started_us)
        bill = NOTHING_USED
        last = b""
        departure = Departure(self._drains)
        try:
            bill, last = await self._answer(call, account, reply, departure, begun)
        except ARouterError as error:
            if isinstance(error, UpstreamFailed):
                error.metadata = {**account.provider_metadata, **error.metadata}
            account.error = error
        except asyncio.CancelledError:
            if not departure.took_back():
                # A shutdown, which waits for what is left to do: to write the record and to tell the client.
                account.interrupted = True
                account.error = ShuttingDown("The gateway is stopping. Ask again, it may be back soon.")
        except Exception as defect:  # noqa: BLE001 – the request edge
            account.error = InternalError(
                "The gateway failed to process this request. It is not your fault; the operator's log has the details.",
                detail=f"{type(defect).__name__}: {defect}",
            )
            account.error.__cause__ = defect
        finally:
            departure.over()
            account.gone = departure.gone or reply.gone
            if bill is NOTHING_USED:
                bill = self._bill(call, account)
            record = self._settle(account, bill, reply)
            if account.error is not None:
                forget_frames(account.error)
        await self._finish(call, account, record, last, reply)

    async def _answer(
        self, call: Call, account: Account, reply: Reply, departure: Departure, begun: Begun | None
    ) -> tuple[Bill, bytes]:
        """The bill, and what goes out once the record is durable; nothing of both if the client has left."""
        if begun is None:
            plan = await self._admit(call, account, reply, departure)
        else:
            plan = begun.plan
            account.hold = begun.hold
            reply.watch(departure.begin)
        if call.here is not None and (told := call.here(call, plan.routes[0])) is not None:
            return NOTHING_USED, told
        answer = await self._attempts.begin(call, plan, account, reply, departure, self._exchange, begun)
        exchange = account.exchange
        assert exchange is not None
        keep_alive_s = self._limits.keep_alive_s
        if exchange.prepared.manner is not None:
            keep_alive_s = begin_as_told(answer, account, reply, keep_alive_s)
        elif not call.in_events:
            keep_alive_s = 0.0
            reply.begin_with(JSON_STREAM)
        if call.stream:
            forwarding = Forwarding(answer, exchange, account, reply, departure, self._clock)
            await forwarding.run(self._tasks, keep_alive_s)
            if account.passed_on is not None:
                account.error = failure_passed_on(account)
        else:
            exchange.read_answer(await answer.read(self._limits.answer_most_bytes))
        if departure.gone:
            return NOTHING_USED, b""
        bill = self._bill(call, account)
        if call.stream:
            return bill, exchange.last(bill if call.include_usage else None)
        return bill, exchange.answer(bill)

    async def reject(self, opening: Opening, error: ARouterError, reply: Reply) -> None:
        """A request that passed authentication and cannot become a call: a record, and the error."""
        account = Account(opening, started_us=self._clock.monotonic_us())
        account.error = error
        account.gone = reply.gone
        record = self._settle(account, NOTHING_USED, reply)
        try:
            await self._recorder.close(record)
        except StorageUnavailable as failure:
            error = failure
            forget_frames(error)
        reply.fail(error)
        if reply.paused:
            await reply.drained()

    # ---------------------------------------------------------------- asking

    async def _admit(self, call: Call, account: Account, reply: Reply, departure: Departure) -> Plan:
        """Who may be asked. From here on the ledger knows that the request runs."""
        key, opening = call.key, call.opening
        selection = self._selection
        if key.organization_id in self._own_keys.holders:
            selection = await self._own_keys.selection(key)
        guard = self._guardian.recall(key, opening.user)
        if guard is None:
            guard = await self._guardian.find(key, opening.user)
        try:
            if guard is NO_GUARD:
                plan = selection.plan(call, self._admission.check)
            else:
                check_blocked(guard)
                plan = selection.plan(call, self._guardian.permit(guard, self._admission.check))
        except ARouterError:
            account.route = selection.find(call.models[0])
            raise
        account.route = route = plan.routes[0]
        if guard.slots:
            account.hold = await self._guardian.hold(guard, call.fields, opening, plan.routes, reply)
        self._recorder.open(noted(opening, route))
        reply.watch(departure.begin)
        return plan

    def _exchange(self, call: Call, route: Route) -> Exchange:
        opening = call.opening
        identity = identity_for(route.deployment, self._pseudonyms, opening.organization_id, opening.user)
        relayed = call.ingress.relay(call, route, identity)
        if relayed is not None:
            prepared, relay = relayed
            exchange: Exchange = RelayExchange(call, route, prepared, relay)
        else:
            exchange = TranslatedExchange(call, route, self._adapters.of(route), identity)
        platform = route.deployment.platform
        if platform is None or is_passed_on(exchange.prepared):
            return exchange
        return PlacedExchange(exchange, platform, route)

    # ---------------------------------------------------------------- settling

    def _bill(self, call: Call, account: Account) -> Bill:
        route, exchange, opening = account.route, account.exchange, call.opening
        if not account.answered or route is None or exchange is None:
            return NOTHING_USED
        return self._billing.bill(route, exchange.told, asked_bytes=opening.asked_bytes, at_us=opening.created_at_us)

    def _settle(self, account: Account, bill: Bill, reply: Reply) -> Record:
        """The record, told to whoever counts."""
        error = account.error
        if isinstance(error, PassedOn):
            account.http_status = account.passed_on
        elif error is not None and not reply.started and not account.gone:
            account.http_status = self._status_of(error)
        elif reply.started or not (account.gone or account.interrupted):
            account.http_status = 200 if account.passed_on is None else account.passed_on
        clock = self._clock
        record = account.record(bill, now_us=clock.now_us(), monotonic_us=clock.monotonic_us())
        if record.model is not None and record.opening.requested_model is None:
            record = replace(record, model=None)  # The provider was asked for something that is no model's.
        if account.hold is not None:
            account.hold.settle(record)
        self._on_record(record, error)
        return record

    async def _finish(self, call: Call, account: Account, record: Record, last: bytes, reply: Reply) -> None:
        """Make the record durable, then let the last bytes go: those of a stream, or the whole answer."""
        error = None if isinstance(account.error, PassedOn) else account.error
        try:
            await self._recorder.close(record)
        except StorageUnavailable as failure:
            error = failure
            forget_frames(error)
        if account.gone:
            return
        exchange = account.exchange
        if error is not None:
            if reply.started and exchange is not None:
                reply.break_off(exchange.failure(error, self._type_of(error)))
            else:
                reply.fail(error)
        elif call.stream:
            reply.end(last)
        else:
            reply.whole(last)
        if reply.paused:
            await reply.drained()
