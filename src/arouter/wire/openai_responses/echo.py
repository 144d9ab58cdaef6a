"""What an answer repeats of its request, as OpenAI does: every event that carries the response has it.

A field that the client did not send has OpenAI's default where that is a fact of the gateway too, and else null: what
another provider does by default is not known. Nothing is stored, so that `store` is false whatever was asked for, and
the tier that served the answer is not known before its end.
"""

from collections.abc import Iterable, Mapping

import msgspec

from arouter.domain.chat import Json
from arouter.wire.fields import decoded

_DEFAULTS: Mapping[str, object] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}


def echoed(fields: Mapping[str, msgspec.Raw]) -> Json:
    """The fields, decoded and in the answer's order. InvalidRequest if one is not JSON."""
    echo: Json = {"background": False, "store": False, "service_tier": None}
    for name, default in _DEFAULTS.items():
        told = decoded(name, fields[name]) if name in fields else None
        echo[name] = default if told is None else told
    tools = echo["tools"]
    if isinstance(tools, list):
        echo["tools"] = list(_completed(tools))
    return echo


def _completed(tools: Iterable[object]) -> Iterable[object]:
    """A function in an answer has all of its fields."""
    for tool in tools:
        if isinstance(tool, dict) and tool.get("type") == "function":
            yield {"description": None, "parameters": None, "strict": None, **tool}
        else:
            yield tool
