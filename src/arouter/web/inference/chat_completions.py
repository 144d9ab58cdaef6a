"""`POST /v1/chat/completions`: OpenAI's dialect in, a call for the pipeline out. Raw ASGI: this is the hot path."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from arouter.domain import ids
from arouter.domain.errors import ARouterError, ShuttingDown, forget_frames
from arouter.domain.keys import Key
from arouter.domain.record import Opening
from arouter.engine.call import Call
from arouter.engine.clock import Clock
from arouter.engine.completions import Completions
from arouter.engine.tasks import Tasks
from arouter.web.asgi import Receive, Scope, Send
from arouter.web.auth import Authenticator
from arouter.web.inference.body import read_body
from arouter.web.inference.chat_request import ChatReader
from arouter.web.inference.headers import app_of, header_user, request_id_of, session_of, tags_of, user_header
from arouter.web.inference.reply import HttpReply

ENDPOINT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletions:
    """The endpoint."""

    authenticator: Authenticator
    completions: Completions
    clock: Clock
    entropy: Callable[[int], bytes]
    tasks: Tasks
    body_most_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now_us = self.clock.now_us()
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        record_id = ids.generation_id(now_us, self.entropy(ids.RANDOM_BYTES))
        request_id = request_id_of(headers, record_id)
        reply = HttpReply(receive, send, record_id, request_id, self.tasks)
        try:
            key = await self.authenticator.authenticate(headers, scope["query_string"])
        except ARouterError as error:
            await reply.fail(error)
            return
        reader = ChatReader(key, session_of(headers))
        tags: tuple[str, ...] = ()
        refusal: ARouterError | None = None
        try:
            body = await read_body(headers, receive, most_bytes=self.body_most_bytes)
            tags = tags_of(headers)
            reader.read(body, header_user(headers))
        except ARouterError as error:
            refusal = error
            forget_frames(refusal)
        except asyncio.CancelledError:
            refusal = ShuttingDown("The gateway is stopping, and the request was not whole yet. Ask again.")
        opening = _opening(record_id, request_id, now_us, key, reader, headers, tags)
        if reader.overruled:
            reply.add_header(user_header(reader.user))
        if refusal is not None:
            await self.completions.reject(opening, refusal, reply)
            return
        call = Call(
            opening=opening,
            key=key,
            models=reader.models,
            fields=reader.fields,
            stream=reader.stream,
            include_usage=reader.include_usage,
        )
        await self.completions.run(call, reply)


def _opening(
    record_id: str,
    request_id: str,
    now_us: int,
    key: Key,
    reader: ChatReader,
    headers: Mapping[bytes, bytes],
    tags: tuple[str, ...],
) -> Opening:
    app_url, app_title = app_of(headers)
    return Opening(
        id=record_id,
        request_id=request_id,
        created_at_us=now_us,
        organization_id=key.organization_id,
        workspace_id=key.workspace_id,
        key_hash=key.hash,
        user=reader.user,
        endpoint=ENDPOINT,
        requested_model=reader.requested_model,
        streamed=reader.stream,
        session_id=reader.session_id,
        tags=tags,
        app_url=app_url,
        app_title=app_title,
    )
