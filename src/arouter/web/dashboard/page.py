"""A page that shows who used what, from the public API alone and with a key that the reader gives it.

It is one file without anything from elsewhere. The key is typed in or comes in the fragment of the address
(`/dashboard#key=lr_mgmt_…`), which a browser never sends; it is kept in the page's memory only.
"""

import base64
import hashlib
import re
from importlib.resources import files

from arouter.web.asgi import Application, Receive, Scope, Send

PATH = "/dashboard"

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class WithDashboard:
    """The page in front of another application."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._page = files("arouter.web.dashboard").joinpath("page.html").read_bytes()
        self._headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(self._page)),
            (b"content-security-policy", _policy(self._page).encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-cache"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] not in ("GET", "HEAD"):
            await self._application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._page if scope["method"] == "GET" else b""})


def _policy(page: bytes) -> str:
    """Only this very script runs, and it talks to this server alone."""
    scripts = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in _SCRIPT.findall(page)
    )
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
