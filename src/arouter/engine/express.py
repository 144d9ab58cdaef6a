"""The usual request, straight through: a chat completion that leaves nothing to choose, in three turns of the loop.

    asked       one model that one provider answers, in the client's own dialect, on a connection that is idle
    answered    200, whole, with its usage: the bill, the record
    recorded    the answer goes to the client

Each turn is a plain call from whoever has news, and nothing is made that only other requests need: no task, no list of
whom to ask next. What is decided once for a key and a model is a `_Way`, and is kept.

Everything else is the pipeline's (`arouter.engine.completions`). A request that is not usual is left to it before
anything was done. One that stops being usual on its way is handed over as it stands, with the provider asked: when the
answer is another one than hoped for, when the client leaves, when the server stops. So what becomes of a request that
goes wrong is written in one place, and what is written here is what it would have come to there: tests answer the same
requests both ways, and compare bytes and records.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from arouter.domain.errors import ARouterError, NotPermitted, StorageUnavailable, forget_frames
from arouter.domain.keys import Key, UserPolicy
from arouter.domain.pseudonym import Pseudonyms
from arouter.domain.record import Opening, Record
from arouter.domain.value import unfilled, value
from arouter.engine.account import Account
from arouter.engine.admission import MOST_USER_BYTES, check_allowed, check_kind
from arouter.engine.answer import Answer
from arouter.engine.attempts import Attempts, Begun
from arouter.engine.billing import Bill, Billing
from arouter.engine.breaker import Breakers
from arouter.engine.call import Reply
from arouter.engine.clock import Clock
from arouter.engine.guardian import NO_GUARD, Guardian, Hold
from arouter.engine.identity import identity_for
from arouter.engine.own_keys import OwnKeys
from arouter.engine.recorder import Recorder
from arouter.engine.routing import Plan, Route
from arouter.engine.selection import Selection
from arouter.engine.upstream import Upstream
from arouter.providers.base import Prepared
from arouter.providers.openai import CHAT_PATH, Fields, read_completion, relay_request, write_completion
from arouter.providers.openai_error import MALFORMED
from arouter.providers.routing_fields import FALL_BACK_FIELDS, ROUTING_FIELDS
from arouter.providers.told import Told

ENDPOINT: Final = "/v1/chat/completions"
MOST_WAYS: Final = 4096

_UNUSUAL = frozenset({"stream", "stream_options", "safety_identifier", *FALL_BACK_FIELDS, *ROUTING_FIELDS})
"""Fields that ask for more than an answer, or tell the user in another place."""
_BRACKET = ord("[")
_OK = 200

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


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


@value(frozen=True, slots=True, kw_only=True)
class _Way:
    """What is decided once for a key and a model."""

    key: Key
    requested_model: str
    plan: Plan
    route: Route
    head: bytes
    """Of the request to the provider."""


class Pipeline(Protocol):
    """Answers what is not usual."""

    async def go_on(self, key: Key, head: Any, body: bytes, opening: Opening, begun: Begun, reply: Any) -> None:
        """Answer a request whose provider was asked. `head` and `reply` are those that `Express.begin` was given."""


class Express:
    """One for the process; nothing in it belongs to one request."""

    def __init__(
        self,
        *,
        selection: Selection,
        guardian: Guardian,
        own_keys: OwnKeys,
        attempts: Attempts,
        breakers: Breakers,
        upstream: Upstream,
        pseudonyms: Pseudonyms,
        billing: Billing,
        recorder: Recorder,
        clock: Clock,
        new_id: Callable[[int], str],
        on_record: Callable[[Record, ARouterError | None], None],
    ) -> None:
        """The parts of the pipeline that a usual request passes; `new_id` makes the id of a record that begins at a
        time, in microseconds since the epoch."""
        self._selection = selection
        self._guardian = guardian
        self._own_keys = own_keys
        self._attempts = attempts
        self._budget = attempts.budget
        self._upstream = upstream
        self._pseudonyms = pseudonyms
        self._new_id = new_id
        self._ways: dict[tuple[str, bytes], _Way] = {}
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
            fields = _decode_fields(body)
            model, messages = bytes(fields["model"]), memoryview(fields["messages"])
            user = _decode_text(fields["user"]) if "user" in fields else None
        except (KeyError, *MALFORMED):
            return False
        if not _UNUSUAL.isdisjoint(fields) or messages[0] != _BRACKET:
            return False
        if user is not None and not (user.isascii() and len(user) <= MOST_USER_BYTES):
            return False
        way = self._ways.get((key.hash, model))
        if way is None or way.key is not key:
            way = self._find(key, model)
            if way is None:
                return False
        guard = self._guardian.recall(key, user)
        if guard is not NO_GUARD and (guard is None or guard.blocked is not None or guard.lists):
            return False
        if self.breakers.some_failed or key.organization_id in self._own_keys.holders:
            return False
        route = way.route
        deployment = route.deployment
        identity = identity_for(deployment, self._pseudonyms, key.organization_id, user)
        prepared = relay_request(fields, vendor=deployment.vendor, model=route.model, stream=False, identity=identity)
        connection = self._upstream.take_idle(deployment.origin)
        if connection is None:
            return False
        opening = _opened(self._new_id(now_us), now_us, way, user, _size(fields, messages))
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
        self._budget.earn()
        started_us = self.clock.monotonic_us()
        answer = self._upstream.start(connection, way.head, prepared.body, deployment.timeouts)
        Trip(self, way, opening, answer, started_us, hold, reply, head, body, pipeline)
        return True

    def _find(self, key: Key, model: bytes) -> _Way | None:
        """None if there is something to choose, to refuse, or to translate."""
        try:
            requested = _decode_text(model)
        except MALFORMED:
            return None
        plan = self._selection.plain(requested)
        if plan is None or key.user_policy is not UserPolicy.OPTIONAL:
            return None
        route = plan.routes[0]
        deployment = route.deployment
        if route.dialect != "openai" or deployment.platform is not None or deployment.credentials is not None:
            return None
        try:
            check_kind(key, route)
            check_allowed(key, route, requested)
        except NotPermitted:
            return None
        head = self._attempts.head(deployment, Prepared(path=CHAT_PATH, body=b""))
        if len(self._ways) >= MOST_WAYS:
            self._ways.clear()
        way = _Way(key=key, requested_model=requested, plan=plan, route=route, head=head)
        self._ways[key.hash, model] = way
        return way


class Trip:
    """One request on its way."""

    __slots__ = (
        "_answer",
        "_body",
        "_express",
        "_head",
        "_hold",
        "_last",
        "_opening",
        "_pipeline",
        "_reply",
        "_started_us",
        "_way",
    )

    def __init__(
        self,
        express: Express,
        way: _Way,
        opening: Opening,
        answer: Answer,
        started_us: int,
        hold: Hold | None,
        reply: ExpressReply,
        head: Any,
        body: bytes,
        pipeline: Pipeline,
    ) -> None:
        self._express = express
        self._way = way
        self._opening = opening
        self._head = head
        self._body = body
        self._answer = answer
        self._started_us = started_us
        self._hold = hold
        self._reply = reply
        self._pipeline = pipeline
        self._last = b""
        answer.then(self._answered)
        reply.identify(opening.id, opening.id)
        reply.until_task(self._hand_over)

    def _answered(self) -> None:
        """The answer is at its end, or is larger than usual ones."""
        body = self._answer.whole
        if body is None or self._answer.status != _OK:
            self._hand_over()
            return
        express, way, opening = self._express, self._way, self._opening
        vendor, told = way.route.deployment.vendor.name, Told()
        try:
            read_completion(body, vendor, told)
            if told.usage is None:
                raise LookupError("no usage")
            bill = express.billing.bill(way.route, told, asked_bytes=opening.asked_bytes, at_us=opening.created_at_us)
            self._last = write_completion(body, vendor, told, bill)
        except Exception:  # noqa: BLE001 – it will be raised once more, where it is handled
            self._hand_over()
            return
        self._reply.until_task(None)
        try:
            self._settle(told, bill)
        except Exception as defect:  # noqa: BLE001 – raised where defects are told
            self._reply.go_on(partial(_raise, defect))

    def _settle(self, told: Told, bill: Bill) -> None:
        express, way = self._express, self._way
        express.breakers.answered(way.route.deployment)
        account = Account(self._opening, started_us=self._started_us)
        account.answers(way.route, told, self._started_us)
        clock = express.clock
        record = account.record(bill, now_us=clock.now_us(), monotonic_us=clock.monotonic_us())
        if self._hold is not None:
            self._hold.settle(record)
        express.on_record(record, None)
        express.recorder.close_then(record, self._recorded)

    def _recorded(self, failure: StorageUnavailable | None) -> None:
        """Last: the answer, or why there is none."""
        reply = self._reply
        try:
            if failure is None:
                reply.whole(self._last)
            else:
                forget_frames(failure)
                reply.fail(failure)
        except Exception as defect:  # noqa: BLE001 – others wait behind this one
            reply.go_on(partial(_raise, defect))
            return
        if reply.paused:
            reply.go_on(reply.drained)
        else:
            reply.over()

    def _hand_over(self) -> None:
        self._answer.then(None)
        self._reply.until_task(None)
        self._reply.go_on(self._go_on)

    async def _go_on(self) -> None:
        begun = Begun(answer=self._answer, plan=self._way.plan, asked_us=self._started_us, hold=self._hold)
        key, opening = self._way.key, self._opening
        await self._pipeline.go_on(key, self._head, self._body, opening, begun, self._reply)


def _opened(record_id: str, now_us: int, way: _Way, user: str | None, asked_bytes: int) -> Opening:
    key, route = way.key, way.route
    made = unfilled(Opening)
    made.id = made.request_id = record_id
    made.created_at_us = now_us
    made.organization_id = key.organization_id
    made.workspace_id = key.workspace_id
    made.key_hash = key.hash
    made.user = user
    made.endpoint = ENDPOINT
    made.requested_model = way.requested_model
    made.streamed = made.on_own_key = False
    made.session_id = made.app_url = made.app_title = None
    made.tags = ()
    made.asked_bytes = asked_bytes
    made.routed_model = route.name
    opening: Opening = made
    return opening


async def _raise(defect: Exception) -> None:
    raise defect


def _size(fields: Fields, messages: memoryview) -> int:
    """Of what the model reads, in bytes."""
    return len(messages) + (len(memoryview(fields["tools"])) if "tools" in fields else 0)
