"""What a recorded request says and a provider of another dialect cannot be told: the names that its client gets.

`X-ARouter-Dropped` holds them, by the client's name where it is the client's own field, and by that of chat completions
where it is a parameter that most dialects have.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

EVERYBODY = frozenset({"chat", "responses", "messages", "generate"})
OPENAI = frozenset({"chat", "responses"})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`name` is told where `asks` holds of a request in `client`'s dialect, and the provider's is one of `without`."""

    client: str
    name: str
    without: frozenset[str] = EVERYBODY
    asks: Callable[[Json], bool]


def _has(name: str) -> Callable[[Json], bool]:
    return lambda request: request.get(name) is not None


def _holds(name: str, *inner: str) -> Callable[[Json], bool]:
    return lambda request: bool(set(inner) & (request.get(name) or {}).keys())


def _is(name: str, value: object) -> Callable[[Json], bool]:
    return lambda request: bool(request.get(name) == value)


def _marks_parts(request: Json) -> bool:
    """For a cache, on a part of a message or on a tool."""
    inner = {name: request.get(name) for name in ("messages", "system", "tools", "input")}
    written = json.dumps(inner)
    return '"cache_control"' in written or '"prompt_cache_breakpoint"' in written


def _tells_a_failure(request: Json) -> bool:
    """Of a tool."""
    said = json.dumps([request.get("messages"), request.get("contents")])
    return '"is_error": true' in said or '"response": {"error": ' in said


def addresses(request: Json, kind: str) -> list[str]:
    """Where the sound or the video is that a request of Gemini's API tells by address."""
    parts = [part for turn in request.get("contents", []) for part in turn["parts"]]
    files = [file for part in parts if (file := part.get("fileData")) is not None]
    return [file["fileUri"] for file in files if file.get("mimeType", "").startswith(f"{kind}/")]


def _has_tools_beside(*known: str | None) -> Callable[[Json], bool]:
    """Tools that the API itself runs, or that only its models know."""
    return lambda request: any(tool.get("type") not in known for tool in request.get("tools") or [])


def _own(tool: Json) -> bool:
    return tool.keys() != {"functionDeclarations"}


def _hides_thoughts(request: Json) -> bool:
    """Of a model that is to think."""
    thinking = request["generationConfig"]["thinkingConfig"]
    shown = thinking.get("includeThoughts", thinking.get("include_thoughts"))
    return thinking.get("thinking_budget") != 0 and not shown


def _wants_json(request: Json) -> bool:
    config = request.get("generationConfig") or {}
    if "responseMimeType" in config:
        return "responseJsonSchema" not in config
    form = request.get("response_format") or (request.get("text") or {}).get("format") or {}
    return bool(form.get("type") == "json_object")


RULES = (
    # Fields of one vendor of chat completions, for its own models.
    Rule(client="chat", name="moderation", without=frozenset({"messages", "generate"}), asks=_has("moderation")),
    Rule(client="chat", name="reasoning_format", asks=_has("reasoning_format")),
    Rule(client="chat", name="search_settings", asks=_has("search_settings")),
    Rule(client="chat", name="thinking", without=frozenset({"responses", "generate"}), asks=_has("thinking")),
    Rule(client="chat", name="web_search_options", asks=_has("web_search_options")),
    Rule(client="chat", name="tools", asks=_has_tools_beside("function", None)),
    # Responses have no stop sequences; Anthropic has JSON only with a schema; Groq's tier is nobody else's.
    Rule(client="chat", name="stop", without=frozenset({"responses"}), asks=_has("stop")),
    Rule(client="chat", name="response_format", without=frozenset({"messages"}), asks=_wants_json),
    Rule(
        client="chat",
        name="service_tier",
        without=frozenset({"messages", "generate"}),
        asks=_is("service_tier", "on_demand"),
    ),
    # Only Anthropic takes marks: Gemini caches by a name, OpenAI by itself.
    Rule(client="chat", name="cache_control", without=OPENAI | {"generate"}, asks=_marks_parts),
    Rule(client="responses", name="cache_control", without=OPENAI | {"generate"}, asks=_marks_parts),
    Rule(client="messages", name="cache_control", without=OPENAI | {"generate"}, asks=_marks_parts),
    # OpenAI has no word for the failure of a tool.
    Rule(client="messages", name="messages.is_error", without=OPENAI, asks=_tells_a_failure),
    Rule(client="generate", name="messages.is_error", without=OPENAI, asks=_tells_a_failure),
    # What only OpenAI's Responses do: tools of their own, looking back, shortening.
    Rule(client="responses", name="tools", asks=_has_tools_beside("function")),
    Rule(client="responses", name="context_management.compaction", asks=_has("context_management")),
    Rule(client="responses", name="reasoning.context", asks=_holds("reasoning", "context")),
    Rule(client="responses", name="reasoning.mode", asks=_holds("reasoning", "mode")),
    Rule(client="responses", name="truncation", asks=_has("truncation")),
    Rule(client="responses", name="include", asks=lambda request: "web_search_call.action.sources" in str(request)),
    Rule(client="responses", name="response_format", without=frozenset({"messages"}), asks=_wants_json),
    Rule(
        client="responses",
        name="logprobs",
        without=frozenset({"messages"}),
        asks=lambda request: "message.output_text.logprobs" in request.get("include", []),
    ),
    Rule(
        client="responses",
        name="service_tier",
        without=frozenset({"chat", "messages"}),
        asks=_is("service_tier", "flex"),
    ),
    # What only Anthropic does: tools and containers of its own, tools that are found later, context that is edited.
    Rule(client="messages", name="tools", asks=_has_tools_beside("custom", None)),
    Rule(
        client="messages",
        name="tools.defer_loading",
        asks=lambda request: any(
            tool.get("defer_loading") and tool.get("type") in ("custom", None) for tool in request.get("tools", [])
        ),
    ),
    Rule(client="messages", name="container", asks=_has("container")),
    Rule(client="messages", name="mcp_servers", asks=_has("mcp_servers")),
    Rule(client="messages", name="context_management", asks=_has("context_management")),
    Rule(client="messages", name="cache_control", asks=_has("cache_control")),
    Rule(client="messages", name="output_config", asks=_holds("output_config", "task_budget")),
    Rule(client="messages", name="top_k", without=frozenset({"responses"}), asks=_has("top_k")),
    # What only Google does: tools of its own, the promise that arguments are valid, what it has cached by name.
    Rule(client="generate", name="tools", asks=lambda request: any(_own(tool) for tool in request.get("tools") or [])),
    Rule(client="generate", name="toolConfig", asks=_holds("toolConfig", "includeServerSideToolInvocations")),
    Rule(
        client="generate",
        name="toolConfig",
        asks=lambda request: "VALIDATED" in str(request.get("toolConfig")),
    ),
    Rule(
        client="generate",
        name="messages.input_audio",
        without=frozenset({"messages"}),
        asks=lambda request: bool(addresses(request, "audio")),
    ),
    Rule(client="generate", name="cachedContent", asks=_has("cachedContent")),
    Rule(
        client="generate",
        name="stop",
        without=frozenset({"responses"}),
        asks=_holds("generationConfig", "stopSequences"),
    ),
    Rule(client="generate", name="response_format", without=frozenset({"messages"}), asks=_wants_json),
    Rule(
        client="generate",
        name="reasoning.exclude",
        without=frozenset({"chat"}),
        asks=lambda request: _holds("generationConfig", "thinkingConfig")(request) and _hides_thoughts(request),
    ),
)

TOLD_BLOCKS = frozenset(
    {"text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "compaction"}
)
TOLD_ITEMS = frozenset({"message", "function_call", "function_call_output", "reasoning", "additional_tools"})


def unsaid(client: str, provider: str, request: Json) -> set[str]:
    """The names."""
    names = {rule.name for rule in RULES if rule.client == client and provider in rule.without and rule.asks(request)}
    return names | set(_kinds(client, request))


def _kinds(client: str, request: Json) -> Iterator[str]:
    """Blocks and items of the conversation that have no counterpart: what the API's own tools did."""
    if client == "messages":
        contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
        kinds = {block["type"] for content in contents for block in content}
        yield from (f"messages.{kind}" for kind in kinds - TOLD_BLOCKS)
    if client == "responses" and isinstance(request["input"], list):
        kinds = {item.get("type", "message") for item in request["input"]}
        yield from (f"input.{kind}" for kind in kinds - TOLD_ITEMS)
