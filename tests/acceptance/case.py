"""A recorded answer on its way through a gateway: which provider gives it, and which dialect its client speaks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from arouter.providers.vendors import BY_NAME
from tests.acceptance import spoken
from tests.acceptance.recorded import dialect_of
from tests.recordings import Recording

PROVIDERS = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.openai.com": "openai",
    "generativelanguage.googleapis.com": "google",
    "openrouter.ai": "openrouter",
}
"""The vendors that have a row. Every other host is a provider that the operator named."""

NAMED = {"api.z.ai": "zai"}
"""By the price data's own name for the vendor, so that its prices are found; the others by their host."""

NAMES_OTHER_MODELS = {"c9d05e87baf3"}
"""The request has `models` with names of OpenRouter's. They are instructions to a gateway, so we read them as names of
ours, and route to a provider `x-ai` that is not configured here. The request is sent without them. The model that
answered then is not the one that was asked for, and the data does not know it: our own rate is unknown, and not that
of the other model."""

NEED_NO_PREFIX = {("responses", "openai"), ("messages", "anthropic")}
"""A dialect, and whose models those without a provider's name are in it: such a request needs no change at all."""

PATHS = {"chat": "/chat/completions", "responses": "/responses"}
"""Below the base URL, in OpenAI's dialects."""
OPERATORS_DIALECTS = {"chat": "openai", "responses": "responses"}
"""What the settings call them."""

PRICE = {"input": "1.25", "output": "10", "cache_read": "0.125", "cache_write": "1.5"}
"""The operator's, in dollars for a million tokens, of every model of a provider that the operator named."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recording, in which pieces it arrives, and the client's dialect."""

    recording: Recording
    piece_bytes: int
    client: str = "chat"

    @property
    def dialect(self) -> str:
        """The provider's."""
        return dialect_of(self.recording)

    @property
    def relayed(self) -> bool:
        """The provider speaks the client's dialect."""
        return self.dialect == self.client

    @property
    def vendor(self) -> str:
        """Who answered."""
        host = self.recording.host
        return PROVIDERS.get(host) or NAMED.get(host) or host

    @property
    def is_renamed(self) -> bool:
        """The vendor speaks the client's dialect too, and has to be asked in this one: it gets a name of its own."""
        if self.relayed:
            return False
        known = BY_NAME.get(self.vendor)
        return self.dialect == "responses" or (self.client == "responses" and known is not None and known.has_responses)

    @property
    def provider(self) -> str:
        """What the gateway calls it."""
        return f"{self.vendor}-{self.dialect}" if self.is_renamed else self.vendor

    @property
    def is_operators(self) -> bool:
        """The provider is not one that has a row of its own."""
        return self.is_renamed or self.recording.host not in PROVIDERS

    @property
    def settings(self) -> dict[str, str]:
        """The provider's section, but for where it listens: `base_url` is the path only."""
        base = self.recording.path.removesuffix(PATHS[self.dialect]) if self.dialect in PATHS else ""
        section = {"api_key": f"key-of-{self.provider}", "base_url": base}
        if self.is_operators:
            section["dialect"] = OPERATORS_DIALECTS[self.dialect]
        return section

    @property
    def user(self) -> str:
        return f"who asked for {self.recording.id} in {self.client} in pieces of {self.piece_bytes}"

    @property
    def model(self) -> str:
        """The provider's own name of the model that was asked for.

        OpenRouter's `:free` is a part of its names. Of a provider that has no row it would ask for what costs nothing.
        """
        if self.dialect == "generate":
            return self.recording.path.rpartition("/")[2].partition(":")[0]
        model = str(self.recording.request["model"])
        return model.removesuffix(":free") if self.is_renamed else model

    @property
    def name(self) -> str:
        """The model, as the gateway's clients call it."""
        return f"{self.provider}/{self.model}"

    @property
    def path(self) -> str:
        """Where the client asks: Gemini's and Anthropic's own clients have more in it than the others."""
        if self.relayed and self.client in ("messages", "generate"):
            return self.recording.path
        return spoken.path(self.client, self.name, stream=self.recording.stream)

    @property
    def request(self) -> dict[str, Any]:
        """What the client sends: what was recorded, if that is its dialect, else a simple request."""
        if not self.relayed:
            return spoken.hello(self.client, self.name, self.user, stream=self.recording.stream)
        left_out = {"models"} if self.recording.id in NAMES_OTHER_MODELS else set()
        sent = {name: value for name, value in self.recording.request.items() if name not in left_out}
        name = self.model if (self.client, self.vendor) in NEED_NO_PREFIX else self.name
        return sent | spoken.asked(self.client, name, self.user)

    def __str__(self) -> str:
        parts = [self.recording.id, *([] if self.relayed else [self.client])]
        return "-".join([*parts, str(self.piece_bytes)] if self.recording.stream and self.relayed else parts)


def provider_sections(cases: Iterable[Case], url: str) -> dict[str, dict[str, str]]:
    """The settings of every provider of `cases`, all of which are played by the server at `url`."""
    return {case.provider: case.settings | {"base_url": url + case.settings["base_url"]} for case in cases}


def price_sections(cases: Iterable[Case]) -> dict[str, dict[str, str]]:
    """The operator's prices of the models of vendors that have to be asked by another name."""
    return {case.name: PRICE for case in cases if case.is_renamed}
