"""The pipeline that answers calls, and the short way through it, made of the same parts."""

from collections.abc import Callable

from arouter.domain.errors import ARouterError
from arouter.domain.pseudonym import Pseudonyms
from arouter.domain.record import Record
from arouter.engine.adapters import Adapters
from arouter.engine.admission import Admission
from arouter.engine.billing import Billing, CardFinder
from arouter.engine.clock import Clock
from arouter.engine.completions import Completions, Limits
from arouter.engine.departure import Drains
from arouter.engine.express import Express
from arouter.engine.guardian import Guardian
from arouter.engine.own_keys import OwnKeys
from arouter.engine.recorder import Recorder
from arouter.engine.routing import Routing
from arouter.engine.tasks import Tasks
from arouter.engine.upstream import Upstream
from arouter.engine.way import Ways
from arouter.web import errors
from arouter.wiring.asking import Asking


def pipeline(
    *,
    asking: Asking,
    routing: Routing,
    prices: CardFinder,
    guardian: Guardian,
    own_keys: OwnKeys,
    upstream: Upstream,
    recorder: Recorder,
    clock: Clock,
    tasks: Tasks,
    drains: Drains,
    secret: bytes,
    limits: Limits,
    new_id: Callable[[int], str],
    on_record: Callable[[Record, ARouterError | None], None],
) -> tuple[Completions, Express]:
    """Both. `secret` is the server's own, for pseudonyms; `new_id` makes the id of a record that begins at a time, in
    microseconds since the epoch; `on_record` sees every record and what went wrong."""
    adapters = Adapters()
    selection = asking.selection(routing, prices)
    attempts = asking.attempts(upstream, adapters)
    pseudonyms = Pseudonyms(secret)
    billing = Billing(prices)
    completions = Completions(
        admission=Admission(),
        guardian=guardian,
        routing=routing,
        selection=selection,
        own_keys=own_keys,
        attempts=attempts,
        adapters=adapters,
        billing=billing,
        recorder=recorder,
        clock=clock,
        tasks=tasks,
        pseudonyms=pseudonyms,
        limits=limits,
        drains=drains,
        status_of=errors.status_of,
        type_of=errors.type_of,
        on_record=on_record,
    )
    ways = Ways(
        selection=selection,
        guardian=guardian,
        own_keys=own_keys,
        attempts=attempts,
        adapters=adapters,
        upstream=upstream,
        pseudonyms=pseudonyms,
    )
    express = Express(
        ways=ways,
        guardian=guardian,
        attempts=attempts,
        breakers=asking.breakers,
        billing=billing,
        recorder=recorder,
        clock=clock,
        new_id=new_id,
        on_record=on_record,
    )
    return completions, express
