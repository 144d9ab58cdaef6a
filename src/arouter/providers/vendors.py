"""The vendors, as data. A vendor of a known dialect is one row here, one line in the docs and one row in a test."""

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["openai", "responses", "anthropic", "gemini", "converse"]
"""`openai` is chat completions, the dialect that most vendors speak; `responses` is OpenAI's other one."""
Authentication = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "google-account", "aws", "none"]
"""How a request says who pays: a header with the key, an access token for a service account, or a signature."""
Platform = Literal["azure", "vertex", "bedrock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What is particular about a vendor."""

    name: str
    """The prefix of its models: `openai/gpt-5.4`."""
    dialect: Dialect
    base_url: str | None
    """What the vendor's own SDK takes as its base, with the names of settings in braces; None where it depends on the
    account."""
    prices: str | None = None
    """What `genai-prices` calls it; None: there are no published prices for it."""
    authentication: Authentication = "bearer"
    key_variables: tuple[str, ...] = ()
    """The environment variables that the vendor's own tools read the API key from, the first that is set counts."""
    setting_variables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Its settings besides the key, and the environment variables that its own tools read each from. They count for a
    vendor that has a key or a section: other programs than those for models use them too."""
    aliases: tuple[str, ...] = ()
    """Other prefixes in use for it."""
    identity_field: Literal["safety_identifier", "user", "metadata.user_id"] | None = None
    """Where the end user's pseudonym goes; None: it is not sent."""
    reports_cost: bool = False
    """Its usage object says what it charges."""
    has_responses: bool = False
    """It answers `/responses` too, for the models that speak the dialect `openai`."""
    has_end_mark_in_responses: bool = False
    """A stream of its `/responses` ends with `[DONE]`, as those of chat completions do, behind its last event."""
    takes_stream_options: bool = True
    """It knows `stream_options`; one that does not refuses the request, and tells usage in a stream by itself."""
    takes_routing_fields: bool = False
    """It is a gateway too, and takes `models`, `provider`, `usage` … for itself."""
    platform: Platform | None = None
    """Where the dialects that it speaks travel otherwise than at their own vendors: other paths, another framing."""
    dialects: tuple[tuple[str, Dialect], ...] = ()
    """Its models that speak another dialect than its own: what is in their names, and what they speak."""
    priced_as_asked: bool = False
    """The name in its answers says less than the one that was asked for: the price is that of the latter."""

    def dialect_of(self, model: str) -> Dialect:
        """The dialect in which one of its models is asked."""
        for part, dialect in self.dialects:
            if part in model:
                return dialect
        return self.dialect


_ONLY_IN_RESPONSES = ("-pro", "codex", "deep-research", "computer-use")
"""OpenAI's models with one of these in their names are not served by `/chat/completions`
(https://platform.openai.com/docs/models)."""

VENDORS = (
    Vendor(
        name="openai",
        dialect="openai",
        base_url="https://api.openai.com/v1",
        prices="openai",
        key_variables=("OPENAI_API_KEY",),
        identity_field="safety_identifier",
        has_responses=True,
        dialects=tuple((part, "responses") for part in _ONLY_IN_RESPONSES),
    ),
    Vendor(
        name="anthropic",
        dialect="anthropic",
        base_url="https://api.anthropic.com",
        prices="anthropic",
        authentication="x-api-key",
        key_variables=("ANTHROPIC_API_KEY",),
        identity_field="metadata.user_id",
    ),
    Vendor(
        name="google",
        dialect="gemini",
        base_url="https://generativelanguage.googleapis.com",
        prices="google",
        authentication="x-goog-api-key",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        aliases=("gemini",),
    ),
    Vendor(
        name="azure",
        dialect="openai",
        base_url=None,
        prices="azure",
        authentication="api-key",
        key_variables=("AZURE_OPENAI_API_KEY",),
        setting_variables=(("base_url", ("AZURE_OPENAI_ENDPOINT",)),),
        platform="azure",
        has_responses=True,
    ),
    Vendor(
        name="vertex",
        dialect="gemini",
        base_url="https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}",
        prices="google",
        authentication="google-account",
        aliases=("vertex_ai",),
        setting_variables=(
            ("credentials", ("GOOGLE_APPLICATION_CREDENTIALS",)),
            ("project", ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID")),
            ("location", ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION")),
        ),
        platform="vertex",
        dialects=(("claude", "anthropic"), ("/", "openai")),
    ),
    Vendor(
        name="bedrock",
        dialect="converse",
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        prices="aws",
        authentication="aws",
        key_variables=("AWS_BEARER_TOKEN_BEDROCK",),
        aliases=("aws",),
        setting_variables=(
            ("region", ("AWS_REGION", "AWS_DEFAULT_REGION")),
            ("access_key_id", ("AWS_ACCESS_KEY_ID",)),
            ("secret_access_key", ("AWS_SECRET_ACCESS_KEY",)),
            ("session_token", ("AWS_SESSION_TOKEN",)),
        ),
        platform="bedrock",
        dialects=(("anthropic.", "anthropic"), ("openai.", "openai")),
        priced_as_asked=True,
    ),
    Vendor(
        name="groq",
        dialect="openai",
        base_url="https://api.groq.com/openai/v1",
        prices="groq",
        key_variables=("GROQ_API_KEY",),
    ),
    Vendor(
        name="mistral",
        dialect="openai",
        base_url="https://api.mistral.ai/v1",
        prices="mistral",
        key_variables=("MISTRAL_API_KEY",),
        aliases=("mistralai",),
        takes_stream_options=False,
    ),
    Vendor(
        name="deepseek",
        dialect="openai",
        base_url="https://api.deepseek.com/v1",
        prices="deepseek",
        key_variables=("DEEPSEEK_API_KEY",),
    ),
    Vendor(
        name="xai",
        dialect="openai",
        base_url="https://api.x.ai/v1",
        prices="x-ai",
        key_variables=("XAI_API_KEY",),
        aliases=("x-ai",),
        has_responses=True,
    ),
    Vendor(
        name="together",
        dialect="openai",
        base_url="https://api.together.xyz/v1",
        prices="together",
        key_variables=("TOGETHER_API_KEY",),
    ),
    Vendor(
        name="fireworks",
        dialect="openai",
        base_url="https://api.fireworks.ai/inference/v1",
        prices="fireworks",
        key_variables=("FIREWORKS_API_KEY",),
    ),
    Vendor(
        name="cerebras",
        dialect="openai",
        base_url="https://api.cerebras.ai/v1",
        prices="cerebras",
        key_variables=("CEREBRAS_API_KEY",),
    ),
    Vendor(
        name="openrouter",
        dialect="openai",
        base_url="https://openrouter.ai/api/v1",
        prices="openrouter",
        key_variables=("OPENROUTER_API_KEY",),
        reports_cost=True,
        takes_routing_fields=True,
        has_responses=True,
        has_end_mark_in_responses=True,
    ),
    Vendor(
        name="perplexity",
        dialect="openai",
        base_url="https://api.perplexity.ai",
        prices="perplexity",
        key_variables=("PERPLEXITY_API_KEY",),
    ),
    Vendor(
        name="cohere",
        dialect="openai",
        base_url="https://api.cohere.ai/compatibility/v1",
        prices="cohere",
        key_variables=(
            "COHERE_API_KEY",
            "CO_API_KEY",
        ),
        takes_stream_options=False,
    ),
    Vendor(
        name="nvidia",
        dialect="openai",
        base_url="https://integrate.api.nvidia.com/v1",
        key_variables=("NVIDIA_API_KEY",),
    ),
    Vendor(
        name="moonshot",
        dialect="openai",
        base_url="https://api.moonshot.ai/v1",
        prices="moonshotai",
        key_variables=("MOONSHOT_API_KEY",),
        aliases=("moonshotai",),
    ),
    Vendor(
        name="zai",
        dialect="openai",
        base_url="https://api.z.ai/api/paas/v4",
        prices="zai",
        key_variables=("ZAI_API_KEY",),
        aliases=("z-ai",),
    ),
    Vendor(
        name="minimax",
        dialect="openai",
        base_url="https://api.minimax.io/v1",
        prices="minimax",
        key_variables=("MINIMAX_API_KEY",),
    ),
    Vendor(
        name="huggingface",
        dialect="openai",
        base_url="https://router.huggingface.co/v1",
        key_variables=("HF_TOKEN",),
    ),
    Vendor(
        name="deepinfra",
        dialect="openai",
        base_url="https://api.deepinfra.com/v1/openai",
        key_variables=(
            "DEEPINFRA_API_KEY",
            "DEEPINFRA_TOKEN",
        ),
    ),
    Vendor(
        name="novita",
        dialect="openai",
        base_url="https://api.novita.ai/openai/v1",
        prices="novita",
        key_variables=("NOVITA_API_KEY",),
    ),
    Vendor(
        name="sambanova",
        dialect="openai",
        base_url="https://api.sambanova.ai/v1",
        key_variables=("SAMBANOVA_API_KEY",),
    ),
    Vendor(
        name="nebius",
        dialect="openai",
        base_url="https://api.tokenfactory.nebius.com/v1",
        key_variables=("NEBIUS_API_KEY",),
    ),
    Vendor(
        name="hyperbolic",
        dialect="openai",
        base_url="https://api.hyperbolic.xyz/v1",
        key_variables=("HYPERBOLIC_API_KEY",),
    ),
    Vendor(
        name="baseten",
        dialect="openai",
        base_url="https://inference.baseten.co/v1",
        prices="baseten",
        key_variables=("BASETEN_API_KEY",),
    ),
    Vendor(
        name="ovhcloud",
        dialect="openai",
        base_url="https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        prices="ovhcloud",
        key_variables=("OVHCLOUD_API_KEY",),
    ),
    Vendor(
        name="avian",
        dialect="openai",
        base_url="https://api.avian.io/v1",
        prices="avian",
        key_variables=("AVIAN_API_KEY",),
    ),
    Vendor(name="ollama", dialect="openai", base_url="http://127.0.0.1:11434/v1", authentication="none"),
    Vendor(name="vllm", dialect="openai", base_url="http://127.0.0.1:8000/v1", authentication="none"),
    Vendor(name="lmstudio", dialect="openai", base_url="http://127.0.0.1:1234/v1", authentication="none"),
    Vendor(name="sandbox", dialect="openai", base_url=None, authentication="none", identity_field="safety_identifier"),
)

BY_NAME = {vendor.name: vendor for vendor in VENDORS}

ALIASES = {alias: vendor.name for vendor in VENDORS for alias in vendor.aliases}
