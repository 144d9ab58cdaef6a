"""What the settings of a provider mean where a key and an address are not enough: Azure, Vertex AI, Bedrock."""

import importlib
import re
from collections.abc import Mapping
from typing import Protocol, cast

from arouter.engine.access_tokens import AccessTokens, TokenIssuer
from arouter.engine.credentials import AwsSignature, Credentials
from arouter.providers import azure, bedrock, vertex
from arouter.providers.azure import Azure
from arouter.providers.base import Platform as HostingPlatform
from arouter.providers.bedrock import Bedrock
from arouter.providers.bedrock.signature import AwsKey
from arouter.providers.vendors import Platform, Vendor
from arouter.providers.vertex import Vertex
from arouter.settings import Provider, SettingsError

_SETTINGS: Mapping[str, tuple[Platform, re.Pattern[str]]] = {
    "api_version": ("azure", re.compile(r"[0-9A-Za-z.-]+")),
    "project": ("vertex", re.compile(r"[a-z0-9.:-]+")),
    "location": ("vertex", re.compile(r"[a-z0-9-]+")),
    "credentials": ("vertex", re.compile(r"\{.*", re.DOTALL)),
    "region": ("bedrock", re.compile(r"[a-z0-9-]+")),
    "access_key_id": ("bedrock", re.compile(r"[!-~]+")),
    "secret_access_key": ("bedrock", re.compile(r"[!-~]+")),
    "session_token": ("bedrock", re.compile(r"[!-~]+")),
}
"""Whose settings these are, and what they look like."""


class Account(TokenIssuer, Protocol):
    """What `arouter.providers.service_account.ServiceAccount` is, known without importing it."""

    def __init__(self, text: str) -> None: ...

    @property
    def project_id(self) -> str | None:
        """The project that it belongs to."""


def check_platform_settings(vendor: Vendor, provider: Provider) -> None:
    """SettingsError for a setting of another vendor's, or one that cannot be."""
    for name, (platform, form) in _SETTINGS.items():
        stated = getattr(provider, name)
        if not stated:
            continue
        if vendor.platform != platform:
            raise SettingsError(f"providers.{vendor.name} has no {name}; that is a setting of {platform}'s")
        if not form.fullmatch(stated):
            raise SettingsError(f"providers.{vendor.name}.{name} is not what {platform} would take")
    pair = bool(provider.access_key_id), bool(provider.secret_access_key)
    if any(pair) != all(pair):
        raise SettingsError(f"providers.{vendor.name} needs access_key_id and secret_access_key together")
    if provider.session_token and not all(pair):
        raise SettingsError(f"providers.{vendor.name}.session_token goes with access_key_id and secret_access_key")
    if provider.credentials:
        _account(vendor, provider)


def has_other_credentials(vendor: Vendor, provider: Provider) -> bool:
    """Whether there is something else than a key to pay with."""
    return bool(provider.credentials) or bool(provider.access_key_id)


def missing_setting(vendor: Vendor, provider: Provider) -> str | None:
    """The setting without which nobody knows where to ask."""
    match vendor.platform:
        case "vertex":
            return None if provider.base_url or _project(vendor, provider) else "project"
        case "bedrock":
            # A signature is made for a region, wherever it is sent.
            return None if provider.region or (provider.base_url and provider.api_key) else "region"
    return None if provider.base_url or vendor.base_url else "base_url"


def base_url_of(vendor: Vendor, provider: Provider) -> str:
    """Where it is asked, once nothing is missing."""
    stated = provider.base_url
    match vendor.platform:
        case "azure" if not stated.partition("://")[2].partition("/")[2].strip("/"):
            # What Azure's portal shows is the resource alone.
            return stated.rstrip("/") + (azure.DATED_PATH if _is_dated(provider) else azure.V1_PATH)
        case "vertex" if not stated:
            return vertex.base_url(_project(vendor, provider), provider.location or vertex.EVERYWHERE)
        case "bedrock" if not stated:
            return str(vendor.base_url).format(region=provider.region)
    return stated or vendor.base_url or ""


def platform_of(vendor: Vendor, provider: Provider) -> HostingPlatform | None:
    """None for a vendor that is asked as its dialect says."""
    match vendor.platform:
        case "azure":
            return Azure(
                api_version=provider.api_version,
                by_deployment=_is_dated(provider) and not provider.base_url.rstrip("/").endswith(azure.V1_PATH),
            )
        case "vertex":
            return Vertex()
        case "bedrock":
            return Bedrock()
    return None


def credentials_of(vendor: Vendor, provider: Provider) -> Credentials | None:
    """Those that change; None where a key pays."""
    if provider.api_key:
        return None
    if provider.credentials:
        try:
            return AccessTokens(_account(vendor, provider))
        except ValueError as exc:
            raise SettingsError(f"providers.{vendor.name}.credentials: the token_uri is none: {exc}") from exc
    if provider.access_key_id:
        key = AwsKey(
            access_key_id=provider.access_key_id,
            secret_access_key=provider.secret_access_key,
            session_token=provider.session_token or None,
            region=provider.region,
            service=bedrock.SERVICE,
        )
        return AwsSignature(key)
    return None


def _is_dated(provider: Provider) -> bool:
    """Whether the version of the API is a date: the v1 API takes `preview`, and mostly none."""
    return provider.api_version[:1].isdigit()


def _project(vendor: Vendor, provider: Provider) -> str:
    if provider.project or not provider.credentials:
        return provider.project
    return _account(vendor, provider).project_id or ""


def _account(vendor: Vendor, provider: Provider) -> Account:
    # Imported where one is configured: `cryptography` takes a while.
    module = importlib.import_module("arouter.providers.service_account")
    try:
        return cast(type[Account], module.ServiceAccount)(provider.credentials)
    except ValueError as exc:
        raise SettingsError(f"providers.{vendor.name}.credentials: {exc}") from exc
