"""The section on signing in: issuers of OpenID Connect."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from arouter.settings.values import Secret, SettingsError, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """An issuer of OpenID Connect that members sign in at."""

    issuer: str = setting("", "Its address, as it calls itself: https://accounts.example.com.")
    client_id: str = setting("", "What it calls this gateway.")
    client_secret: Secret = setting(Secret(""), "The secret that goes with client_id; empty: a public client.")  # noqa: RUF009 - a field


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How members sign in, besides with a password."""

    oidc: Mapping[str, Oidc] = field(default_factory=dict)
    """By a name of your own."""


def check_oidc(issuers: Mapping[str, Oidc]) -> None:
    """SettingsError for one that members cannot sign in at."""
    for name, one in issuers.items():
        for wanted in ("issuer", "client_id"):
            if not getattr(one, wanted):
                raise SettingsError(f"sign_in.oidc.{name} needs {wanted}")
        if not one.issuer.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise SettingsError(f"sign_in.oidc.{name}.issuer must begin with https://")
