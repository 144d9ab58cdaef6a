"""The issuers of the settings."""

from collections.abc import Mapping

from arouter.engine.oidc import Issuer
from arouter.engine.upstream import Client
from arouter.settings import Settings


def issuers(settings: Settings, client: Client) -> Mapping[str, Issuer]:
    """By name; `client` is what they are asked with."""
    return {
        name: Issuer(issuer=one.issuer, client_id=one.client_id, client_secret=one.client_secret, client=client)
        for name, one in settings.sign_in.oidc.items()
    }
