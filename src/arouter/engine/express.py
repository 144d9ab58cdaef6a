"""The usual request, straight through: a chat completion that leaves nothing to choose, in three turns of the loop.

    asked       one model that one provider answers, in whichever dialect, on a connection that is idle
    answered    200, whole, with its usage: the bill, the record
    recorded    the answer goes to the client

Each turn is a plain call from whoever has news, and nothing is made that only other requests need: no task, no list of
whom to ask next. What is decided once for a key and a model is a `Way`, and is kept.

Everything else is the pipeline's (`arouter.engine.completions`). A request that is not usual is left to it before
anything was done. One that stops being usual on its way is handed over as it stands, with the provider asked: when the
answer is another one than hoped for, when the client leaves, when the server stops. So what becomes of a request that
goes wrong is written in one place, and what is written here is what it would have come to there: tests answer the same
requests both ways, and compare bytes and records.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Final, Protocol

import msgspec

from arouter.domain.errors import ARouterError, StorageUnavailable, forget_frames
from arouter.domain.keys import Key
from arouter.domain.record import Opening, Record, Status
from arouter.domain.value import unfilled
from arouter.engine.account import record_of
from arouter.engine.admission import MOST_USER_BYTES
from arouter.engine.answer import Answer
from arouter.engine.attempts import Attempts, Begun
from arouter.engine.billing import Bill, Billing
from arouter.engine.breaker import Breakers
from arouter.engine.call import Reply
from arouter.engine.clock import Clock
from arouter.engine.exchange import TranslatedExchange
from arouter.engine.guardian import Guardian
from arouter.engine.hold import Hold
from arouter.engine.recorder import Recorder
from arouter.engine.way import Way, Ways
from arouter.providers.openai import read_completion, write_completion
from arouter.providers.openai_error import MALFORMED
from arouter.providers.routing_fields import FALL_BACK_FIELDS, ROUTING_FIELDS
from arouter.providers.told import Told

ENDPOINT: Final = "/v1/chat/completions"

_UNUSUAL = frozenset({"stream", "stream_options", "safety_identifier", *FALL_BACK_FIELDS, *ROUTING_FIELDS})
"""Fields that ask for more than an answer, or tell the user in another place."""
_BRACKET = ord("[")
_OK = 200
_SUCCESS = Status.SUCCESS

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_user = msgspec.json.Decoder(Annotated[str, msgspec.Meta(max_length=MOST_USER_BYTES)]).decode
_encode = msgspec.json.encode


class Work(Protocol):
    """What is left to do of a request."""

    def __call__(self) -> Coroutine[Any, Any, None]:
        """Do it."""


class ExpressReply(Reply, Protocol):
    """The client's end, where a request can be answered without a task."""

    def identify(self, record_id: str, request_id: str) -> None:
        """The two ids go into the headers of the answer."""

    def until_task(self, hand_over: Callable[[], None] | None) -> None:
        """Call back, once, when the client leaves or the server stops: somebody has to wait for what comes of it.
        None: do not."""

    def go_on(self, work: Work) -> None:
        """Let a task do the rest. When it has, the request is over."""

    def over(self) -> None:
        """The request is over."""


class Pipeline(Protocol):
    """Answers what is not usual."""

    async def go_on(self, key: Key, head: Any, body: bytes, opening: Opening, begun: Begun, reply: Any) -> None:
        """Answer a request whose provider was asked. `head` and `reply` are those that `Express.begin` was given."""


class Express:
    """One for the process; nothing in it belongs to one request."""

    def __init__(
        self,
        *,
        ways: Ways,
        guardian: Guardian,
        attempts: Attempts,
        breakers: Breakers,
        billing: Billing,
        recorder: Recorder,
        clock: Clock,
        new_id: Callable[[int], str],
        on_record: Callable[[Record, ARouterError | None], None],
    ) -> None:
        """The parts of the pipeline that a usual request passes; `new_id` makes the id of a record that begins at a
        time, in microseconds since the epoch."""
        self._guardian = guardian
        self._attempts = attempts
        self._budget = attempts.budget
        self._new_id = new_id
        self._ways = ways
        self.breakers = breakers
        self.billing = billing
        self.recorder = recorder
        self.clock = clock
        self.on_record = on_record

    def begin(self, key: Key, head: Any, body: bytes, reply: ExpressReply, now_us: int, pipeline: Pipeline) -> bool:
        """Answer a request of a valid key, if it is a usual one. Whether it is under way; else nothing was done.

        Only its body says something: neither its path nor its header fields do. `head` is for the `pipeline`.
        """
        try:
            fields: dict[str, Any] = _decode_fields(body)
            requested, messages = _decode_text(fields["model"]), memoryview(fields["messages"])
            user: str | None = None
            if "user" in fields and not (user := _decode_user(fields["user"])).isascii():
                return False
        except (KeyError, *MALFORMED):
            return False
        if not _UNUSUAL.isdisjoint(fields) or messages[0] != _BRACKET:
            return False
        way = self._ways.known.get((key.hash, requested))
        if way is None or way.key is not key:
            way = self._ways.find(key, requested)
            if way is None:
                return False
        guard = way.guard
        if guard is None:
            guard = self._guardian.recall(key, user)
            if guard is None or guard.blocked is not None or guard.lists:
                return False
        if self.breakers.some_failed:
            return False
        connection = way.pool.take_idle()
        if connection is None:
            return False
        opening: Any = unfilled(Opening)
        opening.id = opening.request_id = record_id = self._new_id(now_us)
        opening.created_at_us = now_us
        opening.organization_id = key.organization_id
        opening.workspace_id = key.workspace_id
        opening.key_hash = key.hash
        opening.user = user
        opening.endpoint = ENDPOINT
        opening.requested_model = way.requested_model
        opening.streamed = opening.on_own_key = False
        opening.session_id = opening.app_url = opening.app_title = None
        opening.tags = ()
        opening.asked_bytes = len(messages) + (len(memoryview(fields["tools"])) if "tools" in fields else 0)
        opening.routed_model = way.route.name
        exchange: TranslatedExchange | None = None
        if way.adapter is not None:
            try:
                exchange = way.translated(fields, opening)
            except Exception:  # noqa: BLE001 – the pipeline comes to it as well, and tells
                connection.give_back()
                return False
        hold: Hold | None = None
        if guard.slots:
            hold = self._guardian.hold_at_once(guard, fields, opening, way.plan.routes, reply)
            if hold is None:
                connection.give_back()
                return False
        try:
            self.recorder.open(opening)
        except StorageUnavailable:
            connection.abort()
            if hold is not None:
                hold.release()
            return False
        if self._budget.lacks:
            self._budget.earn()
        if exchange is None:
            # As `relay_request` writes it, of a request with nothing else that is ours to change.
            fields["model"] = way.model
            if user is not None:
                del fields["user"]
                if way.naming is not None:
                    fields[way.naming_field] = way.naming(key.organization_id, user)
            sent_head, sent = way.head, _encode(fields)
        else:
            prepared = exchange.prepared
            sent_head, sent = self._attempts.head(way.route.deployment, prepared), prepared.body
        # Filled here, for a call of the class would cost as much again.
        trip: Any = unfilled(Trip)
        trip._express = self
        trip._way = way
        trip._opening = opening
        trip._head = head
        trip._body = body
        trip._started_us = self.clock.monotonic_us()
        trip._hold = hold
        trip._reply = reply
        trip._pipeline = pipeline
        trip._exchange = exchange
        trip._answer = answer = connection.start(sent_head, sent, way.timeouts)
        answer.then = trip._answered
        reply.identify(record_id, record_id)
        reply.until_task(trip._hand_over)
        return True


class Trip:
    """One request on its way."""

    __slots__ = (
        "_answer",
        "_body",
        "_exchange",
        "_express",
        "_head",
        "_hold",
        "_last",
        "_opening",
        "_pipeline",
        "_record",
        "_reply",
        "_started_us",
        "_way",
    )

    _express: Express
    _way: Way
    _opening: Opening
    _head: Any
    _body: bytes
    _answer: Answer
    _exchange: TranslatedExchange | None
    """None: the provider speaks the client's dialect."""
    _started_us: int
    _hold: Hold | None
    _reply: ExpressReply
    _pipeline: Pipeline
    _record: Record
    """There as soon as the answer is."""
    _last: bytes
    """The answer to the client, once there is one."""

    def _answered(self) -> None:
        """The answer is at its end, or is larger than usual ones."""
        answer, opening, route = self._answer, self._opening, self._way.route
        body = answer.whole
        if body is None or answer.status != _OK:
            self._hand_over()
            return
        vendor, exchange = route.deployment.vendor.name, self._exchange
        try:
            if exchange is None:
                told = Told()
                read_completion(body, vendor, told)
            else:
                exchange.read_answer(body)
                told = exchange.told
                if told.failure is not None:
                    raise LookupError("no answer")
            if told.usage is None:
                raise LookupError("no usage")
            bill = self._express.billing.bill(route, told, asked_bytes=opening.asked_bytes, at_us=opening.created_at_us)
            self._last = write_completion(body, vendor, told, bill) if exchange is None else exchange.answer(bill)
        except Exception:  # noqa: BLE001 – it will be raised once more, where it is handled
            self._hand_over()
            return
        reply = self._reply
        reply.until_task(None)
        if exchange is not None and exchange.prepared.dropped:
            reply.tell_dropped(exchange.prepared.dropped)
        try:
            self._settle(told, bill)
        except Exception as defect:  # noqa: BLE001 – raised where defects are told
            reply.go_on(partial(_raise, defect))

    def _settle(self, told: Told, bill: Bill) -> None:
        """The record, as `Account.record` makes it of a request that went so."""
        express, route = self._express, self._way.route
        deployment, clock = route.deployment, express.clock
        if express.breakers.some_failed:
            express.breakers.answered(deployment)
        self._record = made = record_of(told, bill)
        made.opening = self._opening
        made.completed_at_us = clock.now_us()
        made.status = _SUCCESS
        made.http_status = _OK
        made.model = route.name
        made.provider = deployment.provider
        made.latency_us = clock.monotonic_us() - self._started_us
        made.attempts = 1
        made.is_byok = False
        made.error_code = made.time_to_first_token_us = None
        made.tried = ()
        if self._hold is not None:
            self._hold.settle(made)
        express.on_record(made, None)
        express.recorder.close_then(made, self._recorded)

    def _recorded(self, failure: Exception | None) -> None:
        """Last: the answer, or why there is none."""
        reply = self._reply
        try:
            if failure is None:
                reply.whole(self._last)
            else:
                refused = self._express.recorder.lost(self._record, failure)
                forget_frames(refused)
                reply.fail(refused)
        except Exception as defect:  # noqa: BLE001 – others wait behind this one
            reply.go_on(partial(_raise, defect))
            return
        if reply.paused:
            reply.go_on(reply.drained)
        else:
            reply.over()

    def _hand_over(self) -> None:
        self._answer.then = None
        self._reply.until_task(None)
        self._reply.go_on(self._go_on)

    async def _go_on(self) -> None:
        begun = Begun(answer=self._answer, plan=self._way.plan, asked_us=self._started_us, hold=self._hold)
        key, opening = self._way.key, self._opening
        await self._pipeline.go_on(key, self._head, self._body, opening, begun, self._reply)


async def _raise(defect: Exception) -> None:
    raise defect
