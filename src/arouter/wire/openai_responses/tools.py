"""Tools and the choice among them.

Only functions have a canonical form. Other tools (OpenAI's own, `custom`, `mcp`, …) and a choice that names one stay in
the request's `rest`, where an adapter finds or drops them by name.
"""

from collections.abc import Iterable

from arouter.domain.chat import Tool, ToolChoice
from arouter.wire.fields import Fields, missing, wrong_type, wrong_value


def read_tools(declared: Iterable[Fields]) -> tuple[tuple[Tool, ...], tuple[object, ...]]:
    """The functions to choose from, each once, and the tools of other kinds as they came."""
    functions: dict[str, Tool] = {}
    others: list[object] = []
    for tool in declared:
        if tool.text("type") in (None, "function"):
            function = _function(tool)
            functions.setdefault(function.name, function)
        else:
            others.append(tool.values)
    return tuple(functions.values()), tuple(others)


def _function(tool: Fields) -> Tool:
    return Tool(
        name=tool.required_text("name"),
        description=tool.text("description"),
        parameters=tool.json("parameters"),
        strict=tool.flag("strict"),
        cache_control=tool.json("cache_control"),
    )


def read_tool_choice(request: Fields) -> tuple[ToolChoice | None, object]:
    """The choice, and the value as it came where it names a tool that is not a function."""
    value = request.get("tool_choice")
    param = request.param("tool_choice")
    match value:
        case None:
            return None, None
        case "auto" | "none" | "required":
            return ToolChoice(mode=value), None
        case str():
            raise wrong_value(param, "auto, none, required, or an object that names a function")
        case dict():
            return _named(Fields(value, param))
        case _:
            raise wrong_type(param, "a string or an object", value)


def _named(choice: Fields) -> tuple[ToolChoice | None, object]:
    match choice.text("type"):
        case "function" | None:
            return ToolChoice(mode="named", name=choice.required_text("name")), None
        case "allowed_tools":
            return _allowed(choice), None
        case _:
            return None, choice.values


def _allowed(choice: Fields) -> ToolChoice:
    if choice.get("tools") is None:
        raise missing(choice.param("tools"))
    names = tuple(
        tool.required_text("name") for tool in choice.children("tools") if tool.text("type") in (None, "function")
    )
    match choice.required_text("mode"):
        case "auto" | "required" as mode:
            return ToolChoice(mode=mode, allowed=names)
        case _:
            raise wrong_value(choice.param("mode"), "auto or required")
