"""Who asks what of which models: the one description that every form of the history is made from.

The numbers are invented, and of the order that real gateways see: a few users and models make most of the requests,
tokens are log-normal, office users sleep at night, the gateway grows.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from arouter.domain.windows import DAY_US

Dialect = Literal["openai", "anthropic", "google"]
"""How a provider tells usage."""


class Rhythm(IntEnum):
    """When somebody asks, by the local time."""

    OFFICE = 0
    LEISURE = 1
    MACHINE = 2


HOURS = {
    Rhythm.OFFICE: (1, 1, 1, 1, 1, 2, 5, 14, 34, 52, 58, 54, 38, 48, 58, 56, 48, 32, 16, 10, 8, 6, 3, 2),
    Rhythm.LEISURE: (14, 8, 4, 3, 2, 2, 5, 12, 16, 16, 16, 18, 24, 20, 18, 20, 24, 30, 38, 48, 56, 54, 42, 26),
    Rhythm.MACHINE: (20, 20, 60, 50, 20, 18, 18, 18, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 18, 18, 18, 20, 20),
}
"""The weight of each local hour."""

WEEKDAYS = {
    Rhythm.OFFICE: (1.0, 1.08, 1.1, 1.05, 0.85, 0.14, 0.1),
    Rhythm.LEISURE: (0.9, 0.9, 0.92, 0.95, 1.05, 1.2, 1.15),
    Rhythm.MACHINE: (1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.9),
}
"""The weight of each day from Monday on."""

OFFSETS_MINUTES = (-480, -420, -300, -300, -180, 0, 0, 60, 60, 60, 120, 180, 330, 330, 480, 480, 540, 570, 720)
"""From UTC to local time; the likelier ones several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, and how it is used. The middles and spreads are those of log-normal distributions."""

    provider: str
    name: str
    dialect: Dialect = "openai"
    input_middle: int
    input_spread: float = 1.1
    output_middle: int = 0
    """0: an embedding, which has no output."""
    output_spread: float = 0.9
    first_token_ms: int = 500
    token_us: int = 12_000
    """For each further token."""
    reasons: bool = False
    caches: bool = True
    """The provider tells cached tokens."""
    released: float = 0.0
    """The part of the period after which it is there; before that, `instead` is asked."""
    instead: str = ""

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.name}"


MODELS = (
    Model(provider="openai", name="gpt-5.4-mini", input_middle=900, output_middle=260, first_token_ms=420),
    Model(provider="openai", name="gpt-5.4-nano", input_middle=520, output_middle=90, first_token_ms=300),
    Model(provider="openai", name="gpt-4o-mini", input_middle=800, output_middle=230, first_token_ms=450),
    Model(provider="openai", name="gpt-4.1", input_middle=2_200, output_middle=420, first_token_ms=650),
    Model(
        provider="openai", name="o4-mini", input_middle=1_500, output_middle=1_600, reasons=True,
        first_token_ms=2_600,
    ),
    Model(
        provider="openai", name="gpt-6-sol", input_middle=5_200, input_spread=1.4, output_middle=900, reasons=True,
        first_token_ms=1_400, token_us=16_000,
    ),
    Model(
        provider="openai", name="gpt-6-luna", input_middle=1_100, output_middle=240, first_token_ms=350,
        released=0.35, instead="openai/gpt-4o-mini",
    ),
    Model(
        provider="openai", name="text-embedding-3-small", input_middle=330, input_spread=0.8, first_token_ms=90,
        caches=False,
    ),
    Model(
        provider="openai", name="text-embedding-3-large", input_middle=410, input_spread=0.8, first_token_ms=130,
        caches=False,
    ),
    Model(
        provider="anthropic", name="claude-sonnet-5-5", dialect="anthropic", input_middle=6_800, input_spread=1.3,
        output_middle=620, first_token_ms=900, token_us=14_000, released=0.2, instead="anthropic/claude-sonnet-4-5",
    ),
    Model(
        provider="anthropic", name="claude-sonnet-4-5", dialect="anthropic", input_middle=6_100, input_spread=1.3,
        output_middle=560, first_token_ms=950, token_us=15_000,
    ),
    Model(
        provider="anthropic", name="claude-haiku-4-5", dialect="anthropic", input_middle=1_600, output_middle=300,
        first_token_ms=480, token_us=8_000,
    ),
    Model(
        provider="anthropic", name="claude-opus-5-5", dialect="anthropic", input_middle=9_500, input_spread=1.3,
        output_middle=900, first_token_ms=1_500, token_us=22_000,
    ),
    Model(
        provider="google", name="gemini-3.8-flash", dialect="google", input_middle=1_300, output_middle=340,
        reasons=True, first_token_ms=420, token_us=6_000,
    ),
    Model(
        provider="google", name="gemini-3.5-flash-lite", dialect="google", input_middle=700, output_middle=150,
        first_token_ms=310, token_us=5_000,
    ),
    Model(
        provider="google", name="gemini-3.1-pro-preview", dialect="google", input_middle=4_200, input_spread=1.3,
        output_middle=1_100, reasons=True, first_token_ms=1_800, token_us=13_000,
    ),
    Model(provider="mistral", name="mistral-medium-3-5", input_middle=1_200, output_middle=380, first_token_ms=400),
    Model(provider="mistral", name="mistral-small-latest", input_middle=700, output_middle=200, first_token_ms=280),
    Model(
        provider="groq", name="openai/gpt-oss-120b", input_middle=1_000, output_middle=450, reasons=True,
        first_token_ms=180, token_us=2_200,
    ),
    # Nobody's list has a price for it.
    Model(
        provider="vllm", name="in-house-summarizer", input_middle=3_000, output_middle=210, first_token_ms=350,
        caches=False,
    ),
)  # fmt: skip
"""Real names, so that the prices of real lists hold for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What one key is for."""

    name: str
    workspace: int
    """The number of its workspace."""
    users: float
    """The part of all users that are its own."""
    weight: float
    """How often one of its users asks, compared with others of the same rank."""
    rhythm: Rhythm
    endpoint: str
    models: tuple[tuple[str, float], ...]
    """With their weights."""
    names: str
    """What its users are called: `{n}` is a number, `{x}` a number that looks like a random one."""
    prompts: float = 1.0
    """How long its prompts are, compared with the model's middle."""
    streamed: float = 0.0
    """The part of its requests that ask for a stream."""
    sessions: bool = False
    request_ids: bool = False
    """It sends an X-Request-Id."""
    tags: tuple[tuple[str, ...], ...] = ()
    """One of these is on some of its requests."""
    short_names: bool = False
    """It asks for models without the provider's name, where the path allows that."""
    own_keys_for: str = ""
    """The provider that is asked with a key of its own."""
    app_url: str | None = None
    app_title: str | None = None
    begins: float = 0.0
    """The part of the period after which it is there: a customer who came later."""


CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
EMBEDDINGS = "/v1/embeddings"
ENDPOINTS = (CHAT, RESPONSES, MESSAGES, EMBEDDINGS)

APPLICATIONS = (
    Application(
        name="assistant", workspace=0, users=0.42, weight=1.0, rhythm=Rhythm.OFFICE, endpoint=CHAT,
        models=(("openai/gpt-5.4-mini", 40), ("openai/gpt-6-luna", 25), ("anthropic/claude-haiku-4-5", 12),
                ("google/gemini-3.8-flash", 15), ("openai/gpt-4.1", 8)),
        names="user_{n}", streamed=0.9, sessions=True, app_url="https://assistant.example", app_title="Assistant",
    ),
    Application(
        name="mobile app", workspace=0, users=0.34, weight=0.7, rhythm=Rhythm.LEISURE, endpoint=RESPONSES,
        models=(("openai/gpt-5.4-nano", 45), ("openai/gpt-4o-mini", 35), ("google/gemini-3.5-flash-lite", 20)),
        names="{x}", prompts=0.6, streamed=0.95, sessions=True, request_ids=True,
        app_url="https://mobile.example", app_title="Mobile",
    ),
    Application(
        name="coding agents", workspace=1, users=0.06, weight=7.0, rhythm=Rhythm.OFFICE, endpoint=MESSAGES,
        models=(("anthropic/claude-sonnet-5-5", 55), ("anthropic/claude-opus-5-5", 15),
                ("anthropic/claude-haiku-4-5", 15), ("openai/gpt-6-sol", 15)),
        names="dev{n}@example.com", prompts=2.6, streamed=0.8, sessions=True,
        tags=(("agent",), ("agent", "review"), ("agent", "ci")),
    ),
    Application(
        name="search", workspace=1, users=0.02, weight=16.0, rhythm=Rhythm.LEISURE, endpoint=EMBEDDINGS,
        models=(("openai/text-embedding-3-small", 80), ("openai/text-embedding-3-large", 20)),
        names="tenant-{n}/search", request_ids=True, short_names=True,
    ),
    Application(
        name="support desk", workspace=2, users=0.07, weight=2.0, rhythm=Rhythm.OFFICE, endpoint=CHAT,
        models=(("google/gemini-3.8-flash", 40), ("mistral/mistral-medium-3-5", 35),
                ("mistral/mistral-small-latest", 25)),
        names="客服{n}", streamed=0.5, sessions=True, tags=(("tier-1",), ("tier-2",)),
    ),
    Application(
        name="nightly reports", workspace=2, users=0.01, weight=12.0, rhythm=Rhythm.MACHINE, endpoint=CHAT,
        models=(("vllm/in-house-summarizer", 45), ("groq/openai/gpt-oss-120b", 35), ("openai/gpt-4.1", 20)),
        names="team-{n}/cron", prompts=3.0, tags=(("batch",), ("batch", "monthly")), short_names=True,
    ),
    Application(
        name="research", workspace=3, users=0.03, weight=2.5, rhythm=Rhythm.LEISURE, endpoint=CHAT,
        models=(("google/gemini-3.1-pro-preview", 35), ("openai/o4-mini", 35), ("openai/gpt-6-sol", 30)),
        names="lab-{n}", prompts=1.8, streamed=0.3, tags=(("experiment-a",), ("experiment-b",)),
    ),
    Application(
        name="globex (customer)", workspace=3, users=0.05, weight=6.0, rhythm=Rhythm.OFFICE, endpoint=CHAT,
        models=(("anthropic/claude-sonnet-5-5", 30), ("openai/gpt-5.4-mini", 50), ("openai/gpt-6-sol", 20)),
        names="globex:{x}", streamed=0.7, sessions=True, request_ids=True, own_keys_for="anthropic",
        app_url="https://globex.example", app_title="Globex", begins=0.55,
    ),
)  # fmt: skip

WORKSPACES = 4

# ---------------------------------------------------------------- what goes wrong, and how often

UNATTRIBUTED = 0.012
"""Requests without a user."""
REJECTED = 0.011
FAILED = 0.007
"""By the provider, outside of its outages."""
RETRIED = 0.006
"""Answered at the second attempt."""
DISCONNECTED = 0.016
"""Of the streams."""
INTERRUPTED = 0.0001
TAGGED = 0.25
"""Of an application's requests that has tags."""
CACHED = 0.5
"""Of the longer prompts, of models with a cache."""
LOYAL = 0.6
"""Of a user's requests, those for one and the same model."""
OTHER_APPLICATION = 0.06
"""Of a user's requests, those through another application than its own."""

REJECTIONS = (
    (402, "credit_limit_exceeded"),
    (403, "model_not_allowed"),
    (400, "invalid_value"),
    (404, "model_not_found"),
)
FAILURES = ((502, "upstream_error", 500), (504, "upstream_timeout", None), (429, "rate_limit_exceeded", 429))
"""What the client was answered, why, and what the provider had answered."""
FINISHES = (("stop", 80), ("tool_calls", 14), ("length", 6))

SESSION_US = 7_200_000_000
"""The requests of a user within so long are one session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One history: equal plans with equal prices make equal records."""

    seed: int
    start_us: int
    """The start of its first day in UTC."""
    days: int
    users: int
    records: int

    def __post_init__(self) -> None:
        if self.start_us % DAY_US:
            raise ValueError("a history begins at the start of a day")
        if min(self.days, self.users, self.records) < 1 or self.seed < 0:
            raise ValueError("a history has at least one day, one user and one record, and no negative seed")

    @property
    def end_us(self) -> int:
        """Where its last day ends."""
        return self.start_us + self.days * DAY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose history it is."""

    organization_id: str
    workspace_ids: tuple[str, ...]
    """`WORKSPACES` of them."""
    key_hashes: tuple[str, ...]
    """One for each of `APPLICATIONS`, in their order."""
