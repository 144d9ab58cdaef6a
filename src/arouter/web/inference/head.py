"""What the header fields of an inference request say, read once for all requests that bring the same ones.

A client sends the same fields with every request, but for a few that nobody here reads and the length of its body:
the gateway's own protocol remembers what it read of them.
"""

from collections.abc import Mapping

from arouter.domain.errors import NotAuthenticated
from arouter.domain.value import value
from arouter.web.auth import Credentials, find_credentials
from arouter.web.inference.headers import Headers, app_of, request_id_of, session_of, tags_of, user_of, wants_attempts
from arouter.web.user_tokens import HEADER as USER_TOKEN

READ = frozenset(
    {
        *(b"x-request-id", b"x-arouter-user", b"x-arouter-tags", b"x-arouter-metadata", b"x-session-id"),
        USER_TOKEN,
        *(b"http-referer", b"referer", b"x-title", b"sec-websocket-key"),
        *(b"anthropic-version", b"anthropic-beta", b"x-claude-code-session-id"),
    }
)
"""The fields that are read here, besides those of `arouter.web.auth`."""

FORWARDED = frozenset(
    {
        *(b"accept", b"accept-language", b"content-type", b"content-encoding", b"content-language", b"content-range"),
        *(b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"),
        *(b"idempotency-key", b"prefer", b"openai-beta", b"x-sandbox"),
        *(b"anthropic-version", b"anthropic-beta", b"anthropic-dangerous-direct-browser-access"),
        *(b"x-goog-api-client", b"x-goog-upload-protocol", b"x-goog-upload-command", b"x-goog-upload-offset"),
        *(b"x-goog-upload-header-content-length", b"x-goog-upload-header-content-type", b"x-goog-upload-file-name"),
    }
)
"""The fields that may go on to a provider. Everything else is about the connection, the client's machine, the person
in front of it, or the gateway."""


@value(frozen=True, slots=True, kw_only=True)
class Head:
    """One request's fields."""

    credentials: Credentials | None
    """None if there are none."""
    headers: Headers
    """The fields in `READ` that are there: mostly none."""
    forwarded: Headers
    """Those in `FORWARDED`: what a request says of its body, and to the provider itself."""
    method: str = "POST"
    path: str = ""
    """As it was asked for."""
    query: bytes = b""
    """Still encoded."""
    request_id: str | None = None
    """The client's own, if it has told one."""
    session_id: str | None = None
    app_url: str | None = None
    app_title: str | None = None
    wants_attempts: bool = False
    """Whether the answer is to tell who was asked."""

    @property
    def content_type(self) -> str:
        return self.forwarded.get(b"content-type", b"").decode("latin-1")

    def user(self) -> str | None:
        """Whom the fields name. InvalidRequest if that is no text."""
        return user_of(self.headers)

    def tags(self) -> tuple[str, ...]:
        """InvalidRequest for too many or too long ones."""
        return tags_of(self.headers)


def read_head(headers: Mapping[bytes, bytes], query: bytes, path: str = "", method: str = "POST") -> Head:
    """`headers` by lower-case name; `query` is the raw query string."""
    try:
        credentials = find_credentials(headers, query)
    except NotAuthenticated:
        credentials = None
    said = {name: headers[name] for name in READ & headers.keys()}
    app_url, app_title = app_of(said)
    return Head(
        credentials=credentials,
        headers=said,
        forwarded={name: headers[name] for name in FORWARDED & headers.keys()},
        method=method,
        path=path,
        query=query,
        request_id=request_id_of(said),
        session_id=session_of(said),
        app_url=app_url,
        app_title=app_title,
        wants_attempts=wants_attempts(said),
    )
