"""The pretend provider without the network: a request in, the plan of its answer out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType, ModuleType
from typing import Final, Literal, cast
from urllib.parse import unquote

from msgspec.structs import replace

from arouter.domain.errors import InvalidRequest
from arouter.sandbox import (
    anthropic,
    audio,
    completions,
    embeddings,
    faults,
    gemini,
    gemini_embeddings,
    images,
    openai,
    responses,
    uploads,
    verdicts,
)
from arouter.sandbox.answers import Ask, reply_to
from arouter.sandbox.behaviour import NAMED, Behaviour, for_request
from arouter.sandbox.dialect import Dialect, Stamp
from arouter.sandbox.plan import Plan, Received, whole_body

_EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"
_MOST_TURNED: Final = 256
_FAILED = "The sandbox was asked to fail with status {status}."

# Greedy, and over the query too: a client may have written the question mark of `sandbox?tokens=3` as it is.
_GENERATE = re.compile(r"/v1(?:beta|alpha)?/models/(.+):(generateContent|streamGenerateContent)(?:\?(.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """Where a request goes."""

    dialect: Dialect
    work: Literal["chat", "whole", "models", "model", "health", "nothing"]
    method: str = "POST"
    model: str = ""
    """From the path; empty where it stands in the body."""
    stream: bool = False
    """From the path."""
    as_array: bool = False
    """The stream is one JSON array and not server-sent events."""
    endpoint: "_Endpoint | None" = None
    """Of the work `whole`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    """A path that is no conversation."""

    model_of: Callable[[Received], str]
    """The model of a request. InvalidRequest, naming the param, if it is none."""
    answer: Callable[[Received, Stamp, Behaviour], Plan]
    """The right answer, without delay. InvalidRequest as above."""


def _dialect(module: ModuleType) -> Dialect:
    return cast(Dialect, module)


_CHAT = _Route(dialect=_dialect(openai), work="chat")
_RESPONSES = _Route(dialect=_dialect(responses), work="chat")
_MESSAGES = _Route(dialect=_dialect(anthropic), work="chat")
_COMPLETIONS = _Route(dialect=_dialect(completions), work="chat")
_MODELS = _Route(dialect=_dialect(openai), work="models", method="GET")
_HEALTH = _Route(dialect=_dialect(openai), work="health", method="GET")

_ENDPOINTS: Mapping[str, _Endpoint] = MappingProxyType(
    {
        "/v1/embeddings": _Endpoint(model_of=embeddings.model_of, answer=embeddings.embedded),
        "/v1/images/generations": _Endpoint(model_of=images.model_of, answer=images.generated),
        "/v1/images/edits": _Endpoint(model_of=uploads.model_in_form, answer=images.edited),
        "/v1/audio/speech": _Endpoint(model_of=audio.model_of, answer=audio.spoken),
        "/v1/audio/transcriptions": _Endpoint(model_of=uploads.model_in_form, answer=audio.heard),
        "/v1/audio/translations": _Endpoint(model_of=uploads.model_in_form, answer=audio.heard),
        "/v1/moderations": _Endpoint(model_of=verdicts.moderated_model, answer=verdicts.moderated),
        "/v1/rerank": _Endpoint(model_of=verdicts.ranked_model, answer=verdicts.ranked),
    }
)

_GEMINI_EMBEDDINGS = _Endpoint(model_of=gemini_embeddings.model_of, answer=gemini_embeddings.embedded)


class Provider:
    """Answers requests. It counts them, so that each answer has an id of its own."""

    __slots__ = ("_behaviour", "_random", "_serial", "_turned")

    def __init__(self, behaviour: Behaviour, random: Random) -> None:
        self._behaviour = behaviour
        self._random = random
        self._serial = 0
        self._turned: dict[tuple[str, str], Behaviour] = {}
        """The behaviours of the last models and headers: a load test sends the same ones over and over."""

    def answer(self, received: Received, header: str, created_s: int) -> Plan:
        """The plan for `received`, whose `X-Sandbox` header is `header`, at `created_s` in Unix time."""
        self._serial += 1
        stamp = Stamp(serial=self._serial, created_s=created_s)
        route = _find(received.target)
        try:
            return self._answer(received, header, route, stamp)
        except InvalidRequest as error:
            return _failure(route.dialect, 400, error.message, stamp, param=error.param)

    def _answer(self, received: Received, header: str, route: _Route, stamp: Stamp) -> Plan:
        if route.work == "nothing":
            message = f"Unknown request URL: {received.method} {received.path}."
            return _failure(route.dialect, 404, message, stamp)
        if received.method != route.method and not (received.method == "HEAD" and route.method == "GET"):
            return _failure(route.dialect, 405, f"Not allowed: {received.method} {received.path}.", stamp)
        match route.work:
            case "chat":
                return self._chat(received.body, header, route, stamp)
            case "whole" if route.endpoint is not None:
                return self._whole(received, header, route.endpoint, route, stamp)
            case "models":
                return whole_body(openai.models([*NAMED, "sandbox-error-429", "sandbox-error-500"]))
            case "model":
                return whole_body(openai.model(route.model))
            case _:
                return whole_body(b'{"status":"ok"}')

    def _chat(self, body: bytes, header: str, route: _Route, stamp: Stamp) -> Plan:
        dialect = route.dialect
        ask = dialect.read(body)
        if route.model:
            ask = replace(ask, model=route.model, stream=route.stream)
        behaviour = self._behaviour_for(ask.model, header)
        early = faults.silent(behaviour) or self._fails(behaviour, dialect, stamp)
        if early is not None:
            return early
        plan = _told(ask, behaviour, route, stamp)
        return faults.spoil(plan, behaviour, dialect)

    def _whole(self, received: Received, header: str, endpoint: _Endpoint, route: _Route, stamp: Stamp) -> Plan:
        behaviour = self._behaviour_for(endpoint.model_of(received), header)
        early = faults.silent(behaviour) or self._fails(behaviour, route.dialect, stamp)
        if early is not None:
            return early
        plan = endpoint.answer(received, stamp, behaviour)
        plan = replace(plan, headers=_headers(route.dialect, stamp), first_s=behaviour.ttft_ms / 1000)
        return faults.spoil(plan, behaviour, route.dialect)

    def _behaviour_for(self, model: str, header: str) -> Behaviour:
        known = self._turned.get((model, header))
        if known is not None:
            return known
        if len(self._turned) >= _MOST_TURNED:
            self._turned.clear()
        behaviour = self._turned[model, header] = for_request(self._behaviour, model, header)
        return behaviour

    def _fails(self, behaviour: Behaviour, dialect: Dialect, stamp: Stamp) -> Plan | None:
        """The plan of a failure, if this request is one of those that fail."""
        rate = behaviour.failure_rate
        if rate == 0 or self._random.random() >= rate:
            return None
        message = _FAILED.format(status=behaviour.failure_status)
        plan = _failure(dialect, behaviour.failure_status, message, stamp, retry_after_s=behaviour.retry_after_s)
        return replace(plan, first_s=behaviour.ttft_ms / 1000)


def _find(target: str) -> _Route:
    path, _, query = target.partition("?")
    match path:
        case "/v1/chat/completions":
            return _CHAT
        case "/v1/responses":
            return _RESPONSES
        case "/v1/messages":
            return _MESSAGES
        case "/v1/completions":
            return _COMPLETIONS
        case "/v1/models":
            return _MODELS
        case "/healthz":
            return _HEALTH
    if (endpoint := _ENDPOINTS.get(path)) is not None:
        return _Route(dialect=_dialect(openai), work="whole", endpoint=endpoint)
    found = gemini_embeddings.TARGET.fullmatch(target)
    if found is not None:
        return _Route(dialect=_dialect(gemini), work="whole", endpoint=_GEMINI_EMBEDDINGS)
    found = _GENERATE.fullmatch(target)
    if found is not None:
        model, verb, query = found.groups()
        stream = verb == "streamGenerateContent"
        as_array = stream and "alt=sse" not in (query or "").split("&")
        dialect = _dialect(gemini)
        return _Route(dialect=dialect, work="chat", model=unquote(model), stream=stream, as_array=as_array)
    if path.startswith("/v1/models/"):
        return _Route(dialect=_dialect(openai), work="model", method="GET", model=unquote(path[len("/v1/models/") :]))
    return _Route(dialect=_dialect(_module_of(path)), work="nothing")


def _module_of(path: str) -> ModuleType:
    """Whose error a request for an unknown path gets."""
    if path.startswith("/v1/messages"):
        return anthropic
    return gemini if path.startswith(("/v1beta/", "/v1alpha/")) else openai


def _told(ask: Ask, behaviour: Behaviour, route: _Route, stamp: Stamp) -> Plan:
    """The plan of a right answer."""
    reply = reply_to(ask, behaviour)
    first_s = behaviour.ttft_ms / 1000
    gap_s = behaviour.token_ms / 1000
    headers = _headers(route.dialect, stamp)
    if not ask.stream:
        gaps = max(0, len(reply.pieces) + len(reply.thoughts) - 1)
        return whole_body(route.dialect.whole(ask, reply, stamp), headers=headers, first_s=first_s + gap_s * gaps)
    moments = route.dialect.stream(ask, reply, stamp, behaviour.usage)
    content_type = _EVENT_STREAM
    if route.as_array:
        moments, content_type = gemini.as_array(moments), b"application/json"
    return Plan(content_type=content_type, headers=headers, moments=moments, first_s=first_s, gap_s=gap_s)


def _failure(
    dialect: Dialect,
    status: int,
    message: str,
    stamp: Stamp,
    *,
    param: str | None = None,
    retry_after_s: int | None = None,
) -> Plan:
    headers = _headers(dialect, stamp)
    if retry_after_s is not None:
        headers = (*headers, (b"retry-after", b"%d" % retry_after_s))
    return whole_body(dialect.error(status, message, param, retry_after_s), status=status, headers=headers)


def _headers(dialect: Dialect, stamp: Stamp) -> tuple[tuple[bytes, bytes], ...]:
    return ((dialect.REQUEST_ID, b"req_sandbox%08d" % stamp.serial),)
