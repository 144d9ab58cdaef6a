"""Which providers take keys of an organization's own, by the settings."""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any, Final

from arouter.engine.admission import SANDBOX
from arouter.engine.own_keys import OwnProviders
from arouter.engine.routing import Deployment
from arouter.providers.vendors import VENDORS
from arouter.settings import Provider, Secret, Settings
from arouter.wiring.providers import deployments

_WITH_A_SECRET: Final = frozenset({"access_key_id"})
"""No secrets themselves, and of no use without theirs."""
_PROBE: Final = "a-key-that-nobody-has"


def own_providers(settings: Settings) -> OwnProviders:
    """Every provider whose address and dialect are known, and whose requests carry a key."""
    makers = {}
    off = {}
    for name in (*settings.providers, *(vendor.name for vendor in VENDORS if vendor.name not in settings.providers)):
        reason = _reason_against(settings, name)
        if reason is None:
            makers[name] = partial(_deployment, settings, name)
        else:
            off[name] = reason
    return OwnProviders(makers=makers, off=off)


def _reason_against(settings: Settings, name: str) -> str | None:
    """Why a provider takes no keys; None if it does."""
    on, off = deployments(_alone(settings, name, _PROBE), None)
    if name == SANDBOX or (on and not any(_PROBE in value for _, value in on[0].headers)):
        return "takes no key."
    return None if on else f"cannot be asked. {dict(off)[name]}"


def _deployment(settings: Settings, name: str, secret: str) -> Deployment:
    (made,), _ = deployments(_alone(settings, name, secret), None)
    return made


def _alone(settings: Settings, name: str, secret: str) -> Settings:
    """The settings with this provider alone, all of the operator's secrets taken out, and `secret` as its key."""
    provider = settings.providers.get(name, Provider())
    kept = replace(provider, **_no_secrets(), api_key=Secret(secret), deployments={})
    return replace(settings, providers={name: kept})


def _no_secrets() -> Mapping[str, Any]:
    """The operator's credentials but for the key, all unset."""
    secrets = [one for one in fields(Provider) if isinstance(one.default, Secret) or one.name in _WITH_A_SECRET]
    return {one.name: one.default for one in secrets if one.name != "api_key"}
