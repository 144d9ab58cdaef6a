"""Where a provider is: scheme, host, port and the path that all its addresses begin with."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

_VISIBLE = re.compile(r"[!-~]+")
_LABEL = r"[A-Za-z0-9_-]{1,63}"
HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")
"""A name that can be looked up, or an address; IPv6 without brackets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Made once for each provider from its base URL."""

    scheme: str
    """`http` or `https`."""
    host: str
    """A name or an address; an IPv6 address without brackets."""
    port: int
    path: str = ""
    """What every path begins with, without the slash at its end: `/v1`."""
    authority: str = field(init=False, repr=False, compare=False)
    """The value of the `Host` header: the port is left out where it is the scheme's own."""
    endpoint: str = field(init=False, repr=False, compare=False)
    """Scheme, host and port: origins that agree in it share their connections."""

    def __post_init__(self) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        own_port = self.port == DEFAULT_PORTS.get(self.scheme)
        object.__setattr__(self, "authority", host if own_port else f"{host}:{self.port}")
        object.__setattr__(self, "endpoint", f"{self.scheme}://{host}:{self.port}")

    @classmethod
    def from_url(cls, url: str) -> "Origin":
        """The origin that a base URL names. ValueError, safe to show, if it is not an http or https URL.

        A URL with credentials, a query or a fragment is refused, and never repeated in the text.
        """
        if not _VISIBLE.fullmatch(url):
            raise ValueError("a base URL is made of visible ASCII characters, such as https://api.example.com/v1")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as exc:
            raise ValueError("a base URL needs a valid host, and a port between 1 and 65535 if it names one") from exc
        if parts.username is not None or parts.password is not None:
            raise ValueError("a base URL may not hold credentials; set the provider's api_key instead")
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("a base URL begins with http:// or https://")
        if parts.query or parts.fragment:
            raise ValueError("a base URL has neither a query nor a fragment")
        if not HOST.fullmatch(host) or port == 0:
            raise ValueError("a base URL needs a valid host, and a port between 1 and 65535 if it names one")
        return cls(
            scheme=parts.scheme,
            host=host,
            port=DEFAULT_PORTS[parts.scheme] if port is None else port,
            path=parts.path.rstrip("/"),
        )
