"""The providers that the settings name, as deployments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from arouter import __version__
from arouter.engine.admission import SANDBOX
from arouter.engine.routing import Deployment
from arouter.engine.upstream import Origin
from arouter.providers.vendors import BY_NAME, VENDORS, Authentication, Dialect, Vendor
from arouter.settings import Provider, Settings, SettingsError, Upstream
from arouter.wiring.asking import timeouts_of
from arouter.wiring.platforms import (
    base_url_of,
    check_platform_settings,
    credentials_of,
    has_other_credentials,
    missing_setting,
    platform_of,
)

_AUTHENTICATION: Mapping[Dialect, Authentication] = {
    "openai": "bearer",
    "responses": "bearer",
    "anthropic": "x-api-key",
    "gemini": "x-goog-api-key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """One deployment, before it is known whether it can be asked."""

    name: str
    vendor: Vendor
    provider: Provider
    """The provider's settings, with the deployment's own laid over them."""
    deployment: str | None = None
    weight: int = 1
    models: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.name if self.deployment is None else f"{self.name}/{self.deployment}"

    @property
    def below(self) -> str:
        return "" if self.deployment is None else f".deployments.{self.deployment}"


def _each(name: str, provider: Provider) -> Iterator[_One]:
    """The deployments of a provider; itself if it has none by name."""
    if not provider.deployments:
        yield _One(name=name, vendor=BY_NAME.get(name) or _own_vendor(name, provider), provider=provider)
    for deployment, stated in provider.deployments.items():
        own = replace(
            provider,
            api_key=stated.api_key or provider.api_key,
            base_url=stated.base_url or provider.base_url,
        )
        vendor = BY_NAME.get(name) or _own_vendor(name, own)
        yield _One(
            name=name,
            vendor=vendor,
            provider=own,
            deployment=deployment,
            weight=stated.weight,
            models=stated.models,
        )


def deployments(settings: Settings, sandbox_url: str | None) -> tuple[list[Deployment], list[tuple[str, str]]]:
    """The providers that can be asked, and those that cannot, each with what would turn it on."""
    on = []
    off = []
    for name, provider in settings.providers.items():
        if name == SANDBOX:
            continue
        for one in _each(name, provider):
            check_platform_settings(one.vendor, one.provider)
            if (missing := _missing(one.vendor, one.provider)) is not None:
                off.append((one.label, missing))
            else:
                on.append(_deployment(one, base_url_of(one.vendor, one.provider), settings.upstream))
    if sandbox_url is not None:
        # It is in this process: nothing leaves the machine.
        sandbox = Provider(data_collection="deny", zdr=True)
        one = _One(name=SANDBOX, vendor=BY_NAME[SANDBOX], provider=sandbox)
        on.append(_deployment(one, sandbox_url, settings.upstream))
    known = {name for name, _ in off} | {deployment.provider for deployment in on}
    off.extend((vendor.name, _remedy(vendor)) for vendor in VENDORS if vendor.name not in known)
    return on, off


def wants_sandbox(settings: Settings) -> bool:
    """The sandbox is there unless it is turned off."""
    return settings.providers[SANDBOX].enabled is not False if SANDBOX in settings.providers else True


def vendor_of(settings: Settings, name: str) -> Vendor:
    """The row of a provider's name, as records have it.

    A provider that is neither known nor configured any more is taken for one that speaks the dialect of OpenAI.
    """
    if (vendor := BY_NAME.get(name)) is not None:
        return vendor
    provider = settings.providers.get(name)
    if provider is None or provider.dialect is None:
        return Vendor(name=name, dialect="openai", base_url=None, authentication="none")
    return _own_vendor(name, provider)


def _own_vendor(name: str, provider: Provider) -> Vendor:
    assert provider.dialect is not None  # settings checked it
    return Vendor(
        name=name,
        dialect=provider.dialect,
        base_url=provider.base_url,
        authentication=_AUTHENTICATION[provider.dialect] if provider.api_key else "none",
    )


def _missing(vendor: Vendor, provider: Provider) -> str | None:
    if provider.enabled is False:
        return f"Set enabled = true in [providers.{vendor.name}]."
    if vendor.authentication != "none" and not (provider.api_key or has_other_credentials(vendor, provider)):
        return _remedy(vendor)
    if (name := missing_setting(vendor, provider)) is not None:
        return f"Set {name} in [providers.{vendor.name}]."
    return None


def _remedy(vendor: Vendor) -> str:
    if vendor.name == SANDBOX:
        return "Set enabled = true in [providers.sandbox]."
    if vendor.authentication == "google-account":
        return f"Set credentials, or an access token as api_key, in [providers.{vendor.name}]."
    if vendor.authentication == "aws":
        variable = vendor.key_variables[0]
        return f"Set {variable}, or api_key or access_key_id and secret_access_key in [providers.{vendor.name}]."
    if vendor.key_variables:
        return f"Set {vendor.key_variables[0]}, or api_key in [providers.{vendor.name}]."
    return f"Add [providers.{vendor.name}] to the configuration."


def _deployment(one: _One, base_url: str, upstream: Upstream) -> Deployment:
    provider = one.provider
    try:
        origin = Origin.from_url(base_url)
    except ValueError as exc:
        raise SettingsError(f"providers.{one.name}{one.below}.base_url: {exc}") from exc
    bearer = (("Authorization", f"Bearer {provider.api_key}"),)
    credentials: Mapping[str, tuple[tuple[str, str], ...]] = {
        "bearer": bearer,
        "google-account": bearer if provider.api_key else (),
        "aws": bearer if provider.api_key else (),
        "api-key": (("api-key", str(provider.api_key)),),
        "x-api-key": (("x-api-key", str(provider.api_key)),),
        "x-goog-api-key": (("x-goog-api-key", str(provider.api_key)),),
        "none": (),
    }
    headers = (
        *credentials[one.vendor.authentication],
        ("Content-Type", "application/json"),
        ("User-Agent", f"arouter/{__version__}"),
    )
    first_byte_s = provider.first_byte_timeout_s
    return Deployment(
        provider=one.name,
        vendor=one.vendor,
        origin=origin,
        headers=headers,
        identity=provider.identity,
        timeouts=replace(timeouts_of(upstream), first_byte_s=first_byte_s) if first_byte_s else None,
        name=one.deployment,
        weight=one.weight,
        models=frozenset(one.models) if one.models else None,
        collects_data=provider.data_collection == "allow",
        zdr=provider.zdr,
        credentials=credentials_of(one.vendor, provider),
        platform=platform_of(one.vendor, provider),
    )
