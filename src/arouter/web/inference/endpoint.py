"""An inference path: a dialect's request in, a call for the pipeline out. This is the hot path."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from arouter.domain.errors import ARouterError, ShuttingDown, forget_frames
from arouter.domain.keys import Key
from arouter.domain.record import Opening
from arouter.domain.value import constructor
from arouter.engine.attempts import Begun
from arouter.engine.call import AnswerHere, Call, Ingress, Reply
from arouter.engine.clock import Clock
from arouter.engine.completions import Completions
from arouter.engine.express import Express, ExpressReply
from arouter.engine.tasks import Tasks
from arouter.web.asgi import Receive, Scope, Send
from arouter.web.auth import Authenticator, no_credentials
from arouter.web.inference.asgi_reply import AsgiReply
from arouter.web.inference.body import AsgiBody, Body, too_large
from arouter.web.inference.head import Head, read_head
from arouter.web.inference.headers import user_header
from arouter.web.inference.reply import ErrorWriter, HttpReply, openai_error
from arouter.web.inference.request import RequestReader
from arouter.web.user_tokens import HEADER as USER_TOKEN
from arouter.web.user_tokens import UserTokens

_new_opening = constructor(Opening)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What is particular about one kind of inference request."""

    path: str
    """Where it is served, as records tell it."""
    reader: Callable[[Key, Head], RequestReader]
    ingress: Ingress
    write_error: ErrorWriter = openai_error
    here: AnswerHere | None = None
    """Answers without a provider, where that can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """The endpoint of one dialect."""

    dialect: Dialect
    authenticator: Authenticator
    completions: Completions
    clock: Clock
    new_id: Callable[[int], str]
    """The id of a record that begins at a time, in microseconds since the epoch."""
    tasks: Tasks
    user_tokens: UserTokens
    body_most_bytes: int
    express: Express | None = None
    """Answers usual requests of this dialect."""
    methods: frozenset[str] = frozenset({"POST"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application."""
        headers = dict(scope["headers"])
        reply = AsgiReply(receive, send, self.tasks)
        head = read_head(headers, scope["query_string"], scope["path"])
        await self.answer(head, AsgiBody(headers, receive), reply)

    def begin(self, head: Head, body: bytes, reply: ExpressReply) -> bool:
        """As `arouter.web.http.protocol.Endpoint.begin`."""
        express, credentials = self.express, head.credentials
        if express is None or credentials is None or head.headers or len(body) > self.body_most_bytes:
            return False
        now_us = self.clock.now_us()
        key = self.authenticator.recall(credentials, now_us)
        return key is not None and express.begin(key, head, body, reply, now_us, self)

    async def go_on(self, key: Key, head: Head, body: bytes, opening: Opening, begun: Begun, reply: Reply) -> None:
        """A request that `begin` took for a usual one is none."""
        reader = self.dialect.reader(key, head)
        reader.read(body)
        await self.completions.run(self._call(reader, opening), reply, begun)

    async def answer(self, head: Head, body: bytes | Body, reply: HttpReply) -> None:
        """Answer one request. Everything that goes wrong is told in the reply."""
        dialect = self.dialect
        now_us = self.clock.now_us()
        record_id = self.new_id(now_us)
        request_id = record_id if head.request_id is None else head.request_id
        reply.identify(record_id, request_id)
        reply.wants_attempts = head.wants_attempts
        reply.write_error = dialect.write_error
        credentials = head.credentials
        key = None if credentials is None else self.authenticator.recall(credentials, now_us)
        if key is None:
            try:
                if credentials is None:
                    raise no_credentials()
                key = await self.authenticator.check(credentials)
            except ARouterError as error:
                reply.fail(error)
                await reply.drained()
                return
        reader = dialect.reader(key, head)
        tags: tuple[str, ...] = ()
        refusal: ARouterError | None = None
        try:
            if not isinstance(body, bytes):
                body = await body.read(self.body_most_bytes)
            elif len(body) > self.body_most_bytes:
                raise too_large(self.body_most_bytes)
            if head.headers:
                tags = head.tags()
                if USER_TOKEN in head.headers:
                    key = await self.user_tokens.fixed(key, head.headers[USER_TOKEN])
                    reader = dialect.reader(key, head)
            reader.read(body)
        except ARouterError as error:
            refusal = error
            forget_frames(refusal)
        except asyncio.CancelledError:
            refusal = ShuttingDown("The gateway is stopping, and the request was not whole yet. Ask again.")
        requested, models = reader.requested_model, reader.models
        opening = _new_opening(
            id=record_id,
            request_id=request_id,
            created_at_us=now_us,
            organization_id=key.organization_id,
            workspace_id=key.workspace_id,
            key_hash=key.hash,
            user=reader.user,
            endpoint=dialect.path,
            requested_model=requested,
            streamed=reader.stream,
            session_id=reader.session_id,
            tags=tags,
            app_url=head.app_url,
            app_title=head.app_title,
            asked_bytes=reader.asked_bytes,
            routed_model=None if requested is None or not models else self.completions.routed_name(models[0]),
        )
        if reader.overruled:
            reply.add_header(user_header(reader.user))
        if refusal is not None:
            await self.completions.reject(opening, refusal, reply)
            return
        await self.completions.run(self._call(reader, opening), reply)

    def _call(self, reader: RequestReader, opening: Opening) -> Call:
        """What was read, with what else a call needs."""
        reader.opening = opening
        reader.ingress = self.dialect.ingress
        reader.here = self.dialect.here
        reader.stream = reader.stream or reader.in_pieces
        return reader
