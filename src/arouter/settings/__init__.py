"""The settings: one table of names, types, defaults and help; TOML and environment; read once, then frozen.

The table is the fields of the section classes below. From it come the reading, the checks, the reference page
(`docs/settings.md`) and `arouter config show`. Precedence: environment > file > default.

`[server] port` is `AROUTER_SERVER__PORT` in the environment. A value `env:NAME` or `file:PATH` is read from there.
Only this module reads the environment.
"""

import dataclasses
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from arouter.providers.vendors import ALIASES, BY_NAME, VENDORS, Vendor
from arouter.settings.clickhouse import ClickHouse
from arouter.settings.oidc import Oidc, SignIn, check_oidc
from arouter.settings.storage import Storage
from arouter.settings.values import Dollars, Secret, SettingsError, Values, describe, nearest, setting, tables_in

__all__ = [
    "BELOW",
    "DEFAULT_FILE",
    "FILE_VARIABLE",
    "NAMED",
    "PREFIX",
    "SECTIONS",
    "TABLES",
    "Activity",
    "ClickHouse",
    "Deployment",
    "Dollars",
    "Guardrails",
    "Log",
    "Model",
    "Oidc",
    "Price",
    "Provider",
    "Routing",
    "Row",
    "Secret",
    "Security",
    "Server",
    "Settings",
    "SettingsError",
    "Storage",
    "Upstream",
    "load",
    "rows",
    "setting",
    "variable",
]

PREFIX = "AROUTER_"
DEFAULT_FILE = "arouter.toml"
FILE_VARIABLE = "AROUTER_CONFIG"
HIGHEST_PORT = 65_535


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
    pass_through: Literal["known", "all"] = setting(
        "known",
        "What of /{provider}/… is passed on. known: the paths whose usage can be read, and lists of models. all: every "
        "path; files, batches and the like are then shared by all keys, as the account at the provider is.",
    )
    metrics_port: int = setting(0, "Another port for /metrics, which is then not served on the first; 0: the same.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What questions about the activity may cost."""

    most_scanned_records: int = setting(
        2_000_000, "A summary that would read more records one by one is refused with 400 query_too_heavy."
    )
    query_timeout_s: float = setting(15.0, "A summary that takes longer is given up, and refused in the same way.")


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
class Routing:
    """Who is asked first, and what happens when that fails."""

    provider_order: tuple[str, ...] = setting((), "Providers to ask first, where a model has several of them.")
    retries: int = setting(1, "How often a request is repeated when everybody failed who could answer it.")
    first_wait_s: float = setting(0.5, "The pause before the first repetition; it doubles.")
    longest_wait_s: float = setting(10.0, "The longest pause; a provider that asks for a longer one is given up.")
    total_timeout_s: float = setting(900.0, "No provider is asked later than this after the first one.")
    breaker_failures: int = setting(5, "So many failures in a row, and others are asked first; 0: never.")
    breaker_rest_s: float = setting(30.0, "How long they are; twice as long after each failed try.")
    breaker_longest_rest_s: float = setting(300.0, "How long at most.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    """How budgets and rate limits are kept."""

    default_output_tokens: int = setting(
        4096, "How many generated tokens are held of budgets for a request that does not say how many it wants at most."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One of several of a provider: another key, region or machine. What is empty is the provider's."""

    api_key: Secret = setting(Secret(""), "Its key.")
    base_url: str = setting("", "Its base.")
    weight: int = setting(1, "Its share of the requests; 0: only when the others fail.")
    models: tuple[str, ...] = setting((), "What it has, in the provider's own names; empty: every model.")


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
    data_collection: Literal["allow", "deny"] = setting(
        "allow", "deny: it keeps nothing of a request but for a while; only the operator can know."
    )
    zdr: bool = setting(False, "It keeps nothing at all: zero data retention.")
    first_byte_timeout_s: float = setting(0.0, "As upstream.first_byte_timeout_s, for it alone; 0: the same.")
    deployments: Mapping[str, Deployment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A name of your own for models of several providers that are the same."""

    providers: tuple[str, ...] = setting((), "What it stands for, as provider/model, those to be preferred first.")
    sort: Literal["price", "latency", "throughput"] | None = setting(None, "Who is first; unset: as written.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The operator's own price of one model, in dollars for a million tokens, as text so that it stays exact."""

    input: Dollars = setting(Dollars(""), "Input that is not cached.")
    output: Dollars = setting(Dollars(""), "Output, reasoning included.")
    cache_read: Dollars = setting(Dollars(""), "Input read from a cache; empty: as input.")
    cache_write: Dollars = setting(Dollars(""), "Input written to a cache; empty: as input.")
    effective_from: str = setting("", "Since when it holds, as a date or an RFC 3339 time; empty: always.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Reports as PDFs."""

    fonts: tuple[str, ...] = setting(
        (), "Font files with letters that DejaVu Sans lacks, such as Chinese ones: TrueType, OpenType or collections."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set."""

    server: Server = field(default_factory=Server)
    storage: Storage = field(default_factory=Storage)
    activity: Activity = field(default_factory=Activity)
    clickhouse: ClickHouse = field(default_factory=ClickHouse)
    upstream: Upstream = field(default_factory=Upstream)
    routing: Routing = field(default_factory=Routing)
    log: Log = field(default_factory=Log)
    security: Security = field(default_factory=Security)
    report: Report = field(default_factory=Report)
    guardrails: Guardrails = field(default_factory=Guardrails)
    sign_in: SignIn = field(default_factory=SignIn)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    """By the name that their models begin with."""
    models: Mapping[str, Model] = field(default_factory=dict)
    """By the name that clients ask for."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By `provider/model`."""
    file: Path | None = None
    """The file that was read, if there was one."""
    directory: Path = field(default_factory=Path)
    """What relative paths are relative to."""


SECTIONS: Mapping[str, type] = {
    "server": Server,
    "storage": Storage,
    "activity": Activity,
    "clickhouse": ClickHouse,
    "upstream": Upstream,
    "routing": Routing,
    "log": Log,
    "security": Security,
    "report": Report,
    "guardrails": Guardrails,
    "sign_in": SignIn,
}
TABLES: Mapping[str, type] = {"providers": Provider, "models": Model, "prices": Price}
"""Sections with one sub-table for each name."""
NAMED: Mapping[str, type] = {"sign_in.oidc": Oidc}
"""Tables of sections, with one sub-table for each name."""
BELOW: Mapping[str, type] = {"providers.<name>.deployments": Deployment}
"""And those with one for each name in each of these."""


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
    tables = ((f"{name}.<name>", kind) for name, kind in (*TABLES.items(), *NAMED.items()))
    below = ((f"{name}.<deployment>", kind) for name, kind in BELOW.items())
    for section, kind in (*SECTIONS.items(), *tables, *below):
        hints = typing.get_type_hints(kind)
        for item in dataclasses.fields(kind):
            if not item.metadata:
                continue  # tables of their own
            yield Row(
                section=section,
                name=item.name,
                type=describe(hints[item.name]),
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
    values = Values(variables, directory)
    for name in told:
        if name not in SECTIONS and name not in TABLES:
            raise SettingsError(f"there is no section [{name}]{nearest(name, (*SECTIONS, *TABLES))}")
    sections = {name: values.section(kind, told.get(name, {}), name) for name, kind in SECTIONS.items()}
    tables = {
        section: {
            name: values.section(kind, table, f"{section}.{name}")
            for name, table in tables_in(told.get(section, {}), section).items()
        }
        for section, kind in TABLES.items()
    }
    tables["providers"] = {
        name: _with_credentials(values, name, provider)
        for name, provider in _with_vendor_keys(tables["providers"], variables)
    }
    _check_providers(tables["providers"])
    _check_models(tables["models"], tables["providers"])
    _check_prices(tables["prices"])
    check_oidc(sections["sign_in"].oidc)
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


def _with_credentials(values: Values, name: str, provider: Provider) -> Provider:
    """The provider with what the file of its credentials holds, if they are a file."""
    stated = provider.credentials
    if not stated or stated.startswith("{"):
        return provider
    path = f"providers.{name}.credentials"
    try:
        return dataclasses.replace(provider, credentials=Secret(values.read(stated, path)))
    except SettingsError as exc:
        # What cannot be read may be no file but the secret itself.
        raise SettingsError(f"{path} is neither JSON nor a file that can be read") from exc


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
            known = nearest(name, BY_NAME)
            raise SettingsError(f"providers.{name} is not a known vendor{known}: it needs a dialect and a base_url")
        if "/" in name or any("/" in deployment for deployment in provider.deployments):
            raise SettingsError(f"providers.{name}: the name of a provider has no slash, nor has a deployment's")


def _check_models(models: Mapping[str, Model], providers: Mapping[str, Provider]) -> None:
    known = {*BY_NAME, *ALIASES, *providers}
    for name, model in models.items():
        if not model.providers:
            raise SettingsError(f'models."{name}" needs providers, as in providers = ["openai/gpt-5.4"]')
        for one in model.providers:
            prefix, slash, rest = one.partition("/")
            if not slash or not rest or prefix not in known:
                raise SettingsError(f'models."{name}".providers: {one!r} is not provider/model{nearest(prefix, known)}')


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
