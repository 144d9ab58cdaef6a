"""The settings: one table of names, types, defaults and help; TOML and environment; read once, then frozen.

The table is the fields of the section classes below. From it come the reading, the checks, the reference page
(`docs/settings.md`) and `arouter config show`. Precedence: environment > file > default.

`[server] port` is `AROUTER_SERVER__PORT` in the environment. A value `env:NAME` or `file:PATH` is read from there.
Only this module reads the environment.
"""

import dataclasses
import difflib
import math
import os
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from arouter.providers.vendors import BY_NAME, VENDORS, Vendor

PREFIX = "AROUTER_"
DEFAULT_FILE = "arouter.toml"
FILE_VARIABLE = "AROUTER_CONFIG"
HIGHEST_PORT = 65_535


class SettingsError(Exception):
    """A setting that cannot be. The message names it and says what to do."""


class Secret(str):
    """Text that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')" if self else "Secret('')"


class Dollars(str):
    """An amount as text; a number in the file is kept exactly as it is written."""

    __slots__ = ()


def setting(default: Any, text: str) -> Any:
    """A row of the table: its default and its help."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the gateway listens."""

    host: str = setting("127.0.0.1", "The address to listen on; 0.0.0.0 for every network the machine is in.")
    port: int = setting(8080, "The port to listen on; 0 for any free one.")
    workers: int = setting(1, "Processes that share the port and the database; about one for each core.")
    body_most_bytes: int = setting(20_000_000, "A longer request body is refused with 413.")
    shutdown_timeout_s: float = setting(30.0, "How long running requests may go on after the first signal to stop.")
    keep_alive_s: float = setting(15.0, "A silent stream gets a comment line after so many seconds; 0 for none.")
    idle_timeout_s: int = setting(75, "An idle client connection is closed after so many seconds.")
    metadata_user_id: Literal["claude-code", "raw"] = setting(
        "claude-code",
        "How a request to /v1/messages names its user in metadata.user_id. claude-code: of the text that Claude Code "
        "sends for each session the account or device is the user; anything else is the user as it is, as with raw.",
    )
    metrics_port: int = setting(0, "Another port for /metrics, which is then not served on the first; 0: the same.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where keys and records live."""

    url: str = setting("sqlite:///arouter.db", "The database. A relative path is relative to the configuration file.")
    ledger_url: str = setting("", "Another database for the records alone; empty: the same. Not supported yet.")
    durability: Literal["strict", "relaxed"] = setting(
        "strict", "strict: a record is on disk before its answer ends. relaxed: shortly after."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How providers are called."""

    connect_timeout_s: float = setting(10.0, "Name look-up, connection and TLS together.")
    first_byte_timeout_s: float = setting(600.0, "From the request to the first byte of the answer.")
    idle_timeout_s: float = setting(300.0, "Between two pieces of an answer.")
    total_timeout_s: float = setting(3600.0, "For one attempt altogether.")
    most_connections: int = setting(1000, "Connections to one provider, at most.")
    most_waiting: int = setting(
        10_000, "Requests that wait for a connection to one provider, at most; further ones are refused with 503."
    )
    waiting_timeout_s: float = setting(30.0, "How long a request waits for a connection before it is refused with 503.")
    http_proxy: str = setting("", "A proxy for http:// providers; empty: HTTP_PROXY from the environment.")
    https_proxy: str = setting("", "A proxy for https:// providers; empty: HTTPS_PROXY from the environment.")
    no_proxy: str = setting("", "Hosts reached without a proxy, with commas; empty: NO_PROXY from the environment.")
    on_disconnect: Literal["drain", "cancel"] = setting(
        "drain",
        "When the client leaves: drain reads the answer to its end, so that its usage is known; cancel gives it up.",
    )
    drain_timeout_s: float = setting(120.0, "How long an answer is drained, at most.")
    drain_most_bytes: int = setting(33_554_432, "How much of an answer is drained, at most.")
    drain_most_requests: int = setting(1000, "How many answers are drained at once; those above are cancelled.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the process writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "The least important level that is written.")
    format: Literal["text", "json"] = setting("text", "text for people, json for machines.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What secrets in the database are kept with."""

    key_encryption_key: Secret = setting(
        Secret(""),
        "What organizations' own keys for providers are encrypted with: 32 random bytes in base64 or hexadecimal; "
        "several with commas: the first encrypts, all decrypt. Empty: such keys cannot be stored.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider. For a known vendor everything has a default but the key."""

    enabled: bool | None = setting(None, "Whether to use it. Unset: if it has a key or needs none and is configured.")
    api_key: Secret = setting(Secret(""), "The key for the provider; empty: the vendor's own variable.")
    base_url: str = setting("", "What the vendor's own SDK takes as its base; empty: the vendor's.")
    dialect: Literal["openai", "responses", "anthropic", "gemini"] | None = setting(
        None, "What it speaks; for names that are not a known vendor's."
    )
    identity: Literal["pseudonym", "none", "raw"] = setting(
        "pseudonym", "What it learns of the end user: a pseudonym, nothing, or the raw value."
    )
    api_version: str = setting("", "azure: ask deployments by this dated version of the API; empty: the v1 API.")
    project: str = setting("", "vertex: the Google Cloud project; empty: the one that the service account belongs to.")
    location: str = setting("", "vertex: where the models run, such as europe-west4; empty: global.")
    credentials: Secret = setting(
        Secret(""),
        "vertex: a service account's key, as JSON or the file that holds it; empty: api_key is an access token.",
    )
    region: str = setting("", "bedrock: the AWS region, such as us-east-1.")
    access_key_id: str = setting("", "bedrock: whose signature requests carry, if there is no api_key.")
    secret_access_key: Secret = setting(Secret(""), "bedrock: the secret that goes with access_key_id.")
    session_token: Secret = setting(Secret(""), "bedrock: of temporary credentials.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The operator's own price of one model, in dollars for a million tokens, as text so that it stays exact."""

    input: Dollars = setting(Dollars(""), "Input that is not cached.")
    output: Dollars = setting(Dollars(""), "Output, reasoning included.")
    cache_read: Dollars = setting(Dollars(""), "Input read from a cache; empty: as input.")
    cache_write: Dollars = setting(Dollars(""), "Input written to a cache; empty: as input.")
    effective_from: str = setting("", "Since when it holds, as a date or an RFC 3339 time; empty: always.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set."""

    server: Server = field(default_factory=Server)
    storage: Storage = field(default_factory=Storage)
    upstream: Upstream = field(default_factory=Upstream)
    log: Log = field(default_factory=Log)
    security: Security = field(default_factory=Security)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    """By the name that their models begin with."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By `provider/model`."""
    file: Path | None = None
    """The file that was read, if there was one."""
    directory: Path = field(default_factory=Path)
    """What relative paths are relative to."""


SECTIONS: Mapping[str, type] = {
    "server": Server,
    "storage": Storage,
    "upstream": Upstream,
    "log": Log,
    "security": Security,
}
TABLES: Mapping[str, type] = {"providers": Provider, "prices": Price}
"""Sections with one sub-table for each name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting, as the reference page shows it."""

    section: str
    name: str
    type: str
    default: Any
    help: str

    @property
    def variable(self) -> str:
        return f"{PREFIX}{self.section.upper().replace('.', '__')}__{self.name.upper()}"


def rows() -> Iterator[Row]:
    """The whole table, in order."""
    for section, kind in (*SECTIONS.items(), *((f"{name}.<name>", kind) for name, kind in TABLES.items())):
        hints = typing.get_type_hints(kind)
        for item in dataclasses.fields(kind):
            yield Row(
                section=section,
                name=item.name,
                type=_describe(hints[item.name]),
                default=item.default,
                help=item.metadata["help"],
            )


# ---------------------------------------------------------------- reading


def variable(name: str, *, environment: Mapping[str, str] | None = None) -> Secret:
    """A secret from the environment, for a command that is given its name. SettingsError if it is not set."""
    found = (os.environ if environment is None else environment).get(name, "")
    if not found:
        raise SettingsError(f"the environment variable {name} is not set")
    return Secret(found)


def load(
    file: Path | None = None, *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Settings:
    """The settings from `file` (else `$AROUTER_CONFIG`, else `./arouter.toml` if it is there) and the environment.

    SettingsError names what is wrong and where.
    """
    variables = os.environ if environment is None else environment
    directory = Path.cwd() if cwd is None else cwd
    path = _find_file(file, variables, directory)
    told = _read_file(path) if path is not None else {}
    _overlay(told, variables)
    if path is not None:
        directory = path.parent
    values = _Values(variables, directory)
    for name in told:
        if name not in SECTIONS and name not in TABLES:
            raise SettingsError(f"there is no section [{name}]{_nearest(name, (*SECTIONS, *TABLES))}")
    sections = {name: values.section(kind, told.get(name, {}), name) for name, kind in SECTIONS.items()}
    tables = {
        section: {
            name: values.section(kind, table, f"{section}.{name}")
            for name, table in _tables(told.get(section, {}), section).items()
        }
        for section, kind in TABLES.items()
    }
    tables["providers"] = {
        name: values.with_credentials(name, provider)
        for name, provider in _with_vendor_keys(tables["providers"], variables)
    }
    _check_providers(tables["providers"])
    _check_prices(tables["prices"])
    for name in ("port", "metrics_port"):
        if (port := getattr(sections["server"], name)) > HIGHEST_PORT:
            raise SettingsError(f"server.{name} must be at most {HIGHEST_PORT}, not {port}")
    sections["upstream"] = _with_proxies(sections["upstream"], variables)
    everything: dict[str, Any] = {**sections, **tables}
    return Settings(**everything, file=path, directory=directory)


def _find_file(file: Path | None, variables: Mapping[str, str], directory: Path) -> Path | None:
    named = file if file is not None else Path(variables[FILE_VARIABLE]) if variables.get(FILE_VARIABLE) else None
    if named is not None:
        path = (directory / named).resolve()
        if not path.is_file():
            raise SettingsError(f"there is no file {named}")
        return path
    path = (directory / DEFAULT_FILE).resolve()
    return path if path.is_file() else None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path} is not valid TOML: {exc}") from exc
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror}") from exc


def _overlay(told: dict[str, Any], variables: Mapping[str, str]) -> None:
    """Lay `AROUTER_SECTION__NAME` over the file."""
    for variable, value in variables.items():
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE or "__" not in variable:
            continue
        *path, name = variable.removeprefix(PREFIX).lower().split("__")
        table = told
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise SettingsError(f"{variable}: {part} is not a table in the file")
        table[name] = value


def _tables(told: Any, name: str) -> dict[str, Any]:
    if not isinstance(told, dict) or not all(isinstance(table, dict) for table in told.values()):
        raise SettingsError(f"[{name}] takes one table for each name, as in [{name}.something]")
    return told


class _Values:
    """Turns what was written into typed values."""

    def __init__(self, variables: Mapping[str, str], directory: Path) -> None:
        self._variables = variables
        self._directory = directory

    def section(self, kind: type, told: Any, path: str) -> Any:
        if not isinstance(told, dict):
            raise SettingsError(f"[{path}] must be a table")
        hints = typing.get_type_hints(kind)
        for name in told:
            if name not in hints:
                raise SettingsError(f"there is no setting {path}.{name}{_nearest(name, hints)}")
        return kind(**{name: self._value(value, hints[name], f"{path}.{name}") for name, value in told.items()})

    def _value(self, value: Any, hint: Any, path: str) -> Any:
        if isinstance(value, str):
            value = self._resolve(value, path)
        (kind,) = _kinds(hint)
        return _convert(value, kind, path)

    def _resolve(self, value: str, path: str) -> str:
        source, colon, name = value.partition(":")
        if colon and source == "env":
            # A variable that is not set is an empty value: a provider without a key is off, and says so.
            return self._variables.get(name, "")
        if colon and source == "file":
            return self._read(name, path)
        return value

    def _read(self, name: str, path: str) -> str:
        try:
            return (self._directory / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError, ValueError) as exc:
            raise SettingsError(f"{path}: the file {name} cannot be read") from exc

    def with_credentials(self, name: str, provider: Provider) -> Provider:
        """The provider with what the file of its credentials holds, if they are a file."""
        stated = provider.credentials
        if not stated or stated.startswith("{"):
            return provider
        path = f"providers.{name}.credentials"
        try:
            return dataclasses.replace(provider, credentials=Secret(self._read(stated, path)))
        except SettingsError as exc:
            # What cannot be read may be no file but the secret itself.
            raise SettingsError(f"{path} is neither JSON nor a file that can be read") from exc


def _kinds(hint: Any) -> tuple[Any, ...]:
    """What a value may be, besides unset."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    return (hint,)


def _convert(value: Any, hint: Any, path: str) -> Any:
    if typing.get_origin(hint) is Literal:
        if value in typing.get_args(hint):
            return value
        raise SettingsError(f"{path} must be one of {', '.join(typing.get_args(hint))}, not {value!r}")
    if hint is bool:
        return _flag(value, path)
    if hint in (int, float):
        return _number(value, hint, path)
    if hint is Dollars and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Dollars(value)
    if not isinstance(value, str):
        raise SettingsError(f"{path} must be text, not {value!r}")
    return hint(value)


def _flag(value: Any, path: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise SettingsError(f"{path} must be true or false, not {value!r}")


def _number(value: Any, hint: type, path: str) -> Any:
    if not isinstance(value, bool):
        try:
            number = hint(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is not None and 0 <= number < math.inf and (hint is float or str(number) == str(value)):
            return number
    wanted = "a whole number" if hint is int else "a number"
    raise SettingsError(f"{path} must be {wanted} of at least 0, not {value!r}")


def _with_vendor_keys(
    providers: Mapping[str, Provider], variables: Mapping[str, str]
) -> Iterator[tuple[str, Provider]]:
    """Give each known vendor the key that its own tools would find."""
    for vendor in VENDORS:
        provider = providers.get(vendor.name, Provider())
        key = next((variables[name] for name in vendor.key_variables if variables.get(name)), "")
        if not provider.api_key and key:
            provider = dataclasses.replace(provider, api_key=Secret(key))
        if vendor.name in providers or provider.api_key:
            yield vendor.name, _with_vendor_settings(provider, vendor, variables)
    yield from ((name, provider) for name, provider in providers.items() if name not in BY_NAME)


def _with_vendor_settings(provider: Provider, vendor: Vendor, variables: Mapping[str, str]) -> Provider:
    """Give it the other settings that the vendor's own tools would find."""
    found = {}
    for name, named in vendor.setting_variables:
        if not getattr(provider, name):
            found[name] = next((variables[variable] for variable in named if variables.get(variable)), "")
    if provider.api_key or provider.access_key_id or provider.secret_access_key:
        # Whose request it is was said already: the keys of the environment may be somebody else's.
        for name in ("credentials", "access_key_id", "secret_access_key", "session_token"):
            found.pop(name, None)
    types_of = typing.get_type_hints(Provider)
    return dataclasses.replace(provider, **{name: types_of[name](value) for name, value in found.items()})


def _check_providers(providers: Mapping[str, Provider]) -> None:
    for name, provider in providers.items():
        if name in BY_NAME:
            if provider.dialect is not None and provider.dialect != BY_NAME[name].dialect:
                raise SettingsError(
                    f"providers.{name} speaks {BY_NAME[name].dialect}; give another dialect another name"
                )
        elif provider.dialect is None or not provider.base_url:
            known = _nearest(name, BY_NAME)
            raise SettingsError(f"providers.{name} is not a known vendor{known}: it needs a dialect and a base_url")
        if "/" in name:
            raise SettingsError(f"providers.{name}: the name of a provider has no slash")


def _check_prices(prices: Mapping[str, Price]) -> None:
    for model in prices:
        if "/" not in model:
            raise SettingsError(f'prices.{model} names no provider; write [prices."openai/{model}"] or whose it is')


def _with_proxies(upstream: Any, variables: Mapping[str, str]) -> Any:
    found = {}
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        value = getattr(upstream, name) or variables.get(name) or variables.get(name.upper()) or ""
        found[name] = value
    return dataclasses.replace(upstream, **found)


def _nearest(name: str, known: typing.Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def _describe(hint: Any) -> str:
    (kind,) = _kinds(hint)
    if kind is not hint:
        return _describe(kind)
    if typing.get_origin(hint) is Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(hint))
    return {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Secret: "secret text",
        Dollars: "dollars",
    }[hint]
