"""The SDKs, and the ways in which each of them can ask a gateway."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.acceptance.node_packages import installed_modules
from tests.acceptance.seeds import require
from tests.sdks.environments import NODE, python_with

Dialect = Literal["chat", "responses", "messages", "gemini"]

ENDPOINTS: Mapping[Dialect, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models",
}
"""Where requests of a dialect go, as records tell it."""

DEFAULT_PROVIDERS: Mapping[Dialect, str] = {
    "chat": "openai",
    "responses": "openai",
    "messages": "anthropic",
    "gemini": "google",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An SDK that speaks a dialect."""

    script: str
    dialect: Dialect
    speaks: str = ""
    """What the script calls it, where that is more than the dialect."""
    lacks: frozenset[str] = frozenset()
    """Verbs that the SDK has no words for."""

    def __str__(self) -> str:
        return f"{self.script}-{self.speaks or self.dialect}"


def _client(script: str, dialect: Dialect, *lacks: str, speaks: str = "") -> Client:
    return Client(script=script, dialect=dialect, speaks=speaks, lacks=frozenset(lacks))


CLIENTS = (
    _client("openai_python", "chat"),
    _client("openai_python", "responses", "embed"),
    _client("openai_node", "chat"),
    _client("openai_node", "responses", "embed"),
    _client("anthropic_python", "messages", "embed"),
    _client("anthropic_node", "messages", "embed"),
    _client("google_python", "gemini"),
    # Its class for OpenAI reads no thoughts in chat completions, and neither does Vercel's.
    _client("langchain", "chat", "thought"),
    _client("langchain", "responses", "embed"),
    _client("langchain", "messages", "embed"),
    _client("langchain", "gemini"),
    # Where a chunk has choices it does not see the error beside them: its stream ends for the reason "error".
    _client("vercel", "chat", "thought", "broken streams"),
    _client("vercel", "chat", speaks="compatible"),
    _client("vercel", "responses", "embed"),
    _client("vercel", "messages", "embed"),
    _client("vercel", "gemini"),
    _client("litellm", "chat"),
    # Its function for Responses has neither a loop nor structures of its own, and cuts whole answers into streams.
    _client("litellm", "responses", "embed", "tools", "structured", "broken streams"),
    _client("litellm", "messages", "embed"),
    # To models that it does not know to be Google's it describes the structure in words.
    _client("litellm", "gemini", "structured"),
    _client("pydantic_ai", "chat"),
    _client("pydantic_ai", "responses", "embed"),
    _client("pydantic_ai", "messages", "embed"),
    _client("pydantic_ai", "gemini"),
)


def _python(environment: str, module: str) -> Callable[[], Sequence[str]]:
    return lambda: [python_with(environment), "-m", f"tests.sdks.scripts.{module}"]


def _own_python(module: str) -> Callable[[], Sequence[str]]:
    return lambda: [sys.executable, "-m", f"tests.sdks.scripts.{module}"]


def _node(module: str) -> Callable[[], Sequence[str]]:
    def command() -> Sequence[str]:
        installed_modules(NODE)
        node = shutil.which("node")
        require(node, "no Node on this machine")
        assert node is not None
        return [node, str(NODE / f"{module}.mjs")]

    return command


COMMANDS: Mapping[str, Callable[[], Sequence[str]]] = {
    "openai_python": _own_python("openai_sdk"),
    "openai_node": _node("openai_sdk"),
    "anthropic_python": _own_python("anthropic_sdk"),
    "anthropic_node": _node("anthropic_sdk"),
    "google_python": _own_python("google_sdk"),
    "langchain": _python("langchain", "langchain_models"),
    "vercel": _node("vercel"),
    "litellm": _python("litellm", "litellm_sdk"),
    "pydantic_ai": _python("pydantic-ai", "pydantic_ai_agents"),
}
"""The process of each script. What it needs is installed when it is first asked for."""
