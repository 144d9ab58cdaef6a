"""The bytes of a case's requests: the same but for the key and the user."""

import json
from collections.abc import Mapping, Sequence

from bench.cases import Case

_USER = "user_0000000"
_KEY = "the_key_of_the_request"
_STEP = 7_919
"""A prime: keys and users in an order that is not their own."""


class Requests:
    """One request after the other."""

    def __init__(
        self, case: Case, *, host: str, path: str, model: str, keys: Sequence[str], headers: Mapping[str, str]
    ) -> None:
        """The request is made once, with marks where the key and the user go. All keys have one length."""
        body = json.dumps(body_of(case, model), separators=(",", ":")).encode()
        own = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {_KEY}\r\n"
            f"Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: bench\r\n{own}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        before, _, rest = (head + body).partition(_KEY.encode())
        self._middle, _, self._after = rest.partition(_USER.encode())
        self._starts = [before + key.encode() for key in keys]
        self._users = case.users
        self._number = 0

    def next(self) -> tuple[bytes, bytes, bytes, bytes]:
        """The next request, in pieces."""
        self._number = number = self._number + 1
        user = number * _STEP % self._users
        return self._starts[number % len(self._starts)], self._middle, b"user_%07d" % user, self._after


def body_of(case: Case, model: str) -> dict[str, object]:
    """What is asked, as a client would write it."""
    words = "The quick brown fox looks at the lazy dog and thinks about it. "
    prompt = (case.plan + words * (case.prompt_bytes // len(words) + 1))[: case.prompt_bytes]
    body: dict[str, object] = {
        "model": model,
        "user": _USER,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}],
        "temperature": 0.7,
    }
    if case.upstream == "anthropic":
        body["max_tokens"] = 1_000
    if case.chunks:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body
