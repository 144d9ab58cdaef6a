"""Requests and answers that are not JSON: their heads.

What goes back to the client of a provider's header fields is a short list. Everything else is either about the one
connection to the provider, about the operator's account there, or about the provider's servers.
"""

from arouter.domain.errors import UpstreamFailed
from arouter.engine.account import Account
from arouter.engine.answer import Answer
from arouter.engine.call import AnswerHead, Reply
from arouter.engine.head import request_head
from arouter.engine.routing import Deployment
from arouter.providers.base import Prepared

FIRST_FAILURE = 400
NOT_AUTHENTICATED = 401

EVENT_STREAM = "text/event-stream"
JSON_STREAM = AnswerHead(headers=((b"content-type", b"application/json"),), tells_failures=True)
"""How a stream begins that is a JSON text in pieces."""

_BACK = (
    *("content-type", "content-disposition", "content-encoding", "content-language", "content-range"),
    *("accept-ranges", "cache-control", "etag", "expires", "last-modified", "retry-after"),
)
_CONTENT_TYPE = "content-type"
_BINARY = b"application/octet-stream"
_UNBUFFERED = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class PassedOn(UpstreamFailed):
    """A failure that the client has read as the provider told it: for the record, and nothing to tell any more."""


def failure_passed_on(account: Account) -> PassedOn | None:
    """What went wrong according to an answer that was passed on to its end."""
    failure = None if account.exchange is None else account.exchange.told.failure
    status = account.passed_on
    if failure is None and (status is None or status < FIRST_FAILURE):
        return None
    return PassedOn(
        "The provider's answer was an error, and was passed on." if failure is None else failure,
        upstream_status=status,
        retryable=False,
    )


def is_passed_on(prepared: Prepared) -> bool:
    """Whether a request goes on as it came, and its answer too."""
    return prepared.manner is not None and prepared.manner.any_status


def passes_on(prepared: Prepared, status: int) -> bool:
    """Whether an answer that is not a success goes on to the client as it is.

    What a provider says of our credentials never does: it may quote them.
    """
    return is_passed_on(prepared) and status != NOT_AUTHENTICATED


def head_in_manner(deployment: Deployment, prepared: Prepared, path: str) -> bytes:
    """The head of a request that is no plain `POST` of JSON. ValueError as `request_head`."""
    manner = prepared.manner
    assert manner is not None
    own = [(name, value) for name, value in deployment.headers if name.lower() != _CONTENT_TYPE]
    if manner.content_type is not None:
        own.append(("Content-Type", manner.content_type))
    return request_head(deployment.origin, manner.method, path, (*own, *prepared.headers))


def begin_as_told(answer: Answer, account: Account, reply: Reply, keep_alive_s: float) -> float:
    """Let the client's answer begin as the provider's did. Returns the silence that is filled with comments, which
    only a stream of events can have."""
    exchange = account.exchange
    assert exchange is not None
    manner = exchange.prepared.manner
    assert manner is not None
    is_events = answer.content_type == EVENT_STREAM
    account.passed_on = answer.status
    reply.begin_with(
        AnswerHead(
            status=answer.status,
            headers=_headers(answer, is_events),
            tells_failures=is_events and not manner.any_status,
        )
    )
    return keep_alive_s if is_events and not manner.any_status else 0.0


def _headers(answer: Answer, is_events: bool) -> tuple[tuple[bytes, bytes], ...]:
    headers = answer.headers
    told = {name: headers[name].encode("latin-1") for name in _BACK if name in headers}
    told.setdefault(_CONTENT_TYPE, _BINARY)
    if not is_events:
        return tuple((name.encode(), value) for name, value in told.items())
    return (*((name.encode(), value) for name, value in told.items() if name != "cache-control"), *_UNBUFFERED)
