"""Spoils a right answer: wrong bytes, errors in the middle, cut and stalled connections."""

from itertools import chain

from msgspec.structs import replace

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.dialect import Dialect, Moments
from arouter.sandbox.plan import Ending, Plan
from arouter.wire import sse

_NOT_JSON = b"The sandbox was asked for something that is not JSON: {"
_HTML = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"
_NOT_HTTP = b"\x16\x03\x01 the sandbox does not speak HTTP today\r\n\r\n"
_STREAM_ERROR = "The sandbox was asked to fail in the middle of the stream."


def silent(behaviour: Behaviour) -> Plan | None:
    """The plan for a request that gets no answer at all; None if it gets one."""
    if behaviour.never_answer:
        return Plan(framed=False, ending=Ending.STALL)
    if behaviour.drop:
        return Plan(framed=False, ending=_cut(behaviour))
    return None


def spoil(plan: Plan, behaviour: Behaviour, dialect: Dialect) -> Plan:
    """`plan`, which is right, made as wrong as `behaviour` wants it."""
    if behaviour.wrong_output:
        plan = _with_wrong_output(plan, behaviour.wrong_output)
    if behaviour.error_after is not None and plan.length is None:
        before = _first_events(plan.moments, behaviour.error_after)
        plan = replace(plan, moments=[*before, [dialect.stream_error(_STREAM_ERROR)]])
    if behaviour.cut_after is not None:
        plan = _ended(plan, behaviour.cut_after, _cut(behaviour))
    if behaviour.stall_after is not None:
        plan = _ended(plan, behaviour.stall_after, Ending.STALL)
    return plan


def _cut(behaviour: Behaviour) -> Ending:
    return Ending.RESET if behaviour.reset else Ending.CUT


def _ended(plan: Plan, after: int, ending: Ending) -> Plan:
    """The plan with so many events of a stream, or bytes of a body; unchanged if it does not have that many."""
    if plan.length is None:
        if sum(map(len, plan.moments)) <= after:
            return plan
        return replace(plan, moments=_first_events(plan.moments, after), ending=ending)
    body = b"".join(chain.from_iterable(plan.moments))
    if len(body) <= after:
        return plan
    return replace(plan, moments=((body[:after],),), ending=ending)


def _first_events(moments: Moments, count: int) -> Moments:
    """The moments of the first `count` events."""
    kept: list[list[bytes]] = []
    for events in moments:
        if count <= 0:
            break
        kept.append(list(events[:count]))
        count -= len(events)
    return kept


def _with_wrong_output(plan: Plan, wrong: str) -> Plan:
    streamed = plan.length is None
    match wrong:
        case "wrong_content_type":
            return replace(plan, content_type=b"text/plain; charset=utf-8")
        case "html":
            return replace(_with_body(plan, _HTML), content_type=b"text/html")
        case "not_http":
            return Plan(framed=False, moments=((_NOT_HTTP,),), ending=Ending.CUT, first_s=plan.first_s)
        case "empty":
            return replace(plan, moments=()) if streamed else _with_body(plan, b"")
        case "truncated_json":
            return _truncated_stream(plan) if streamed else _with_body(plan, _half(plan.moments[0][0]))
        case "bad_sse" if streamed:
            return replace(plan, moments=[[_without_fields(event) for event in m] for m in plan.moments])
        case _ if streamed:
            return replace(plan, moments=[[sse.encode(_NOT_JSON)]])
        case _:
            return _with_body(plan, _NOT_JSON)


def _with_body(plan: Plan, body: bytes) -> Plan:
    return replace(plan, moments=((body,),), length=len(body))


def _truncated_stream(plan: Plan) -> Plan:
    """The first half of the events, the last of them broken off in its JSON, and then a proper end of the body."""
    count = max(1, sum(map(len, plan.moments)) // 2)
    moments = [list(events) for events in _first_events(plan.moments, count)]
    moments[-1][-1] = _half(moments[-1][-1]) + b"\n\n"
    return replace(plan, moments=moments)


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _without_fields(event: bytes) -> bytes:
    """An event whose lines have lost their field names, so that no reader of server-sent events sees it."""
    return event.replace(b"event: ", b"").replace(b"data: ", b"")
