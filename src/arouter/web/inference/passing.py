"""The providers' own paths: `/openai/v1/chat/completions`, `/anthropic/v1/messages`, `/google/v1beta/models/…`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from arouter.engine.dialects.passing import Passing
from arouter.providers.passing.paths import Known, below_base, known_path
from arouter.providers.vendors import Dialect as UpstreamDialect
from arouter.web.asgi import Receive, Scope, Send
from arouter.web.inference.asgi_reply import AsgiReply
from arouter.web.inference.body import AsgiBody, Body
from arouter.web.inference.endpoint import Dialect, Inference
from arouter.web.inference.head import Head, read_head
from arouter.web.inference.passing_request import ClosedReader, PassingReader, split_path
from arouter.web.inference.reply import HttpReply

RESERVED = frozenset(
    {
        *("v1", "v1beta", "v1alpha", "api", "activity", "audio", "auth", "chat", "completions", "dashboard"),
        *("docs", "embeddings", "generation", "healthz", "images", "key", "keys", "messages", "metrics", "models"),
        *("moderations", "openapi.json", "readyz", "rerank", "responses"),
        *("audit", "balance", "billing", "credits", "guardrails", "invitations", "members", "organization"),
        *("organizations", "provider-keys", "transactions", "usage", "user_tokens", "users", "workspaces"),
    }
)
"""What paths of the gateway's own begin with, with and without their version; those of the contract, built or not."""

PassThroughScope = Literal["known", "all"]
"""`known`: the paths whose usage can be read, and lists of models. Everything else that a provider keeps (files,
batches, conversations) belongs to the operator's account there, and so to all keys alike."""

_lists_models = re.compile(r"(?:/v[0-9]+[a-z]*)?/models(?:/[^/]+)*").fullmatch
_VERSION = re.compile(r"v[0-9]+(?:beta|alpha)?[0-9]*")
_PASSING = Passing()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassThrough:
    """The endpoint of all of them."""

    inference: Inference
    """Whichever: its parts are used, and not its dialect."""
    providers: Mapping[str, UpstreamDialect]
    """The names of all providers that are known, on or off, with their aliases; and what they speak."""
    scope: PassThroughScope = "known"
    methods: frozenset[str] = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

    def matches(self, path: str) -> bool:
        """Whether a path is a provider's: it begins with the name of one, or with a name and a version, which nothing
        of the gateway's own does."""
        provider, rest = split_path(path)
        if provider in RESERVED or not rest:
            return False
        return provider in self.providers or _VERSION.fullmatch(rest[1:].partition("/")[0]) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application."""
        headers = dict(scope["headers"])
        path = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        head = read_head(headers, scope["query_string"], path, scope["method"])
        await self.answer(head, AsgiBody(headers, receive), AsgiReply(receive, send, self.inference.tasks))

    def begin(self, head: Head, body: bytes, reply: HttpReply) -> bool:
        """Never: what passes through is not known well enough."""
        return False

    async def answer(self, head: Head, body: bytes | Body, reply: HttpReply) -> None:
        """As `Inference.answer`."""
        provider, path = split_path(head.path)
        passes = self.passes(head.method, provider, path)
        reader = PassingReader if passes else ClosedReader
        dialect = Dialect(path=self.name(provider, path), reader=reader, ingress=_PASSING)
        await replace(self.inference, dialect=dialect).answer(head, body, reply)

    def _known(self, provider: str, path: str) -> Known | None:
        dialect = self.providers.get(provider)
        if dialect is None:
            return None
        return known_path(dialect, below_base(path, "/v1") if dialect == "openai" else path)

    def passes(self, method: str, provider: str, path: str) -> bool:
        """Whether it is among what the operator lets through."""
        if self.scope == "all" or (method == "POST" and self._known(provider, path) is not None):
            return True
        return method == "GET" and _lists_models(path) is not None

    def name(self, provider: str, path: str) -> str:
        """As records have it: one of few."""
        if provider not in self.providers:
            return "/{provider}/*"
        known = self._known(provider, path)
        return f"/{provider}{'/*' if known is None else known.name}"
