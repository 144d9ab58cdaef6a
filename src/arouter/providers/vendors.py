"""The vendors, as data. A vendor of a known dialect is one row here, one line in the docs and one row in a test."""

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["openai", "anthropic", "gemini"]
Authentication = Literal["bearer", "x-api-key", "x-goog-api-key", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What is particular about a vendor."""

    name: str
    """The prefix of its models: `openai/gpt-5.4`."""
    dialect: Dialect
    base_url: str | None
    """What the vendor's own SDK takes as its base; None where it depends on the account."""
    authentication: Authentication = "bearer"
    key_variables: tuple[str, ...] = ()
    """The environment variables that the vendor's own tools read the API key from, the first that is set counts."""
    aliases: tuple[str, ...] = ()
    """Other prefixes in use for it."""
    identity_field: Literal["safety_identifier", "user", "metadata.user_id"] | None = None
    """Where the end user's pseudonym goes; None: it is not sent."""
    reports_cost: bool = False
    """Its usage object says what it charges."""
    takes_stream_options: bool = True
    """It knows `stream_options`; one that does not refuses the request, and tells usage in a stream by itself."""
    takes_routing_fields: bool = False
    """It is a gateway too, and takes `models`, `provider`, `usage` … for itself."""


VENDORS = (
    Vendor(
        name="openai",
        dialect="openai",
        base_url="https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY",),
        identity_field="safety_identifier",
    ),
    Vendor(
        name="anthropic",
        dialect="anthropic",
        base_url="https://api.anthropic.com",
        authentication="x-api-key",
        key_variables=("ANTHROPIC_API_KEY",),
        identity_field="metadata.user_id",
    ),
    Vendor(
        name="google",
        dialect="gemini",
        base_url="https://generativelanguage.googleapis.com",
        authentication="x-goog-api-key",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        aliases=("gemini",),
    ),
    Vendor(name="azure", dialect="openai", base_url=None, key_variables=("AZURE_OPENAI_API_KEY",)),
    Vendor(name="groq", dialect="openai", base_url="https://api.groq.com/openai/v1", key_variables=("GROQ_API_KEY",)),
    Vendor(
        name="mistral",
        dialect="openai",
        base_url="https://api.mistral.ai/v1",
        key_variables=("MISTRAL_API_KEY",),
        aliases=("mistralai",),
        takes_stream_options=False,
    ),
    Vendor(
        name="deepseek",
        dialect="openai",
        base_url="https://api.deepseek.com/v1",
        key_variables=("DEEPSEEK_API_KEY",),
    ),
    Vendor(
        name="xai",
        dialect="openai",
        base_url="https://api.x.ai/v1",
        key_variables=("XAI_API_KEY",),
        aliases=("x-ai",),
    ),
    Vendor(
        name="together",
        dialect="openai",
        base_url="https://api.together.xyz/v1",
        key_variables=("TOGETHER_API_KEY",),
    ),
    Vendor(
        name="fireworks",
        dialect="openai",
        base_url="https://api.fireworks.ai/inference/v1",
        key_variables=("FIREWORKS_API_KEY",),
    ),
    Vendor(
        name="cerebras",
        dialect="openai",
        base_url="https://api.cerebras.ai/v1",
        key_variables=("CEREBRAS_API_KEY",),
    ),
    Vendor(
        name="openrouter",
        dialect="openai",
        base_url="https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
        reports_cost=True,
        takes_routing_fields=True,
    ),
    Vendor(
        name="perplexity",
        dialect="openai",
        base_url="https://api.perplexity.ai",
        key_variables=("PERPLEXITY_API_KEY",),
    ),
    Vendor(name="ollama", dialect="openai", base_url="http://127.0.0.1:11434/v1", authentication="none"),
    Vendor(name="vllm", dialect="openai", base_url="http://127.0.0.1:8000/v1", authentication="none"),
    Vendor(name="lmstudio", dialect="openai", base_url="http://127.0.0.1:1234/v1", authentication="none"),
    Vendor(name="sandbox", dialect="openai", base_url=None, authentication="none", identity_field="safety_identifier"),
)

BY_NAME = {vendor.name: vendor for vendor in VENDORS}

ALIASES = {alias: vendor.name for vendor in VENDORS for alias in vendor.aliases}
