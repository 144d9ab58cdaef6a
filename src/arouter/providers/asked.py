"""What a request asks for, wherever in it that stands."""

from arouter.domain.chat import ChatRequest


def marks_a_cache(request: ChatRequest) -> bool:
    """Whether a part or a tool is marked as the end of what is to be cached."""
    for message in request.messages:
        for part in message.parts:
            if getattr(part, "cache_control", None) is not None:
                return True
    return any(tool.cache_control is not None for tool in request.tools)


def demands_a_call(request: ChatRequest) -> bool:
    """Whether the answer must be a call, of any tool or of one, or of a tool that is no function."""
    choice = request.tool_choice
    if choice is None:
        return request.rest.get("tool_choice") is not None
    return choice.mode in ("required", "named")


def names_effort_and_budget(request: ChatRequest) -> bool:
    """Whether it says twice how much to think: a dialect that has no budgets goes by the effort."""
    asked = request.reasoning
    return asked is not None and asked.effort not in (None, "none") and asked.max_tokens is not None
