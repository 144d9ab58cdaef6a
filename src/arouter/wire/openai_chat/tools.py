"""Tools and the choice among them, in today's form and in the one before it (`functions`, `function_call`).

Only functions have a canonical form. Other tools (`custom`, a vendor's own server tools) and a choice that names
one stay in the request's `rest`, where an adapter finds or drops them by name.
"""

from arouter.domain.chat import Tool, ToolChoice
from arouter.wire.fields import Fields, missing, wrong_type, wrong_value


def read_tools(request: Fields) -> tuple[tuple[Tool, ...], tuple[object, ...]]:
    """The functions to choose from, and the tools of other kinds as they came."""
    functions: list[Tool] = []
    others: list[object] = []
    for tool in request.children("tools"):
        declared = tool.text("type")
        if declared not in (None, "function"):
            others.append(tool.values)
            continue
        functions.append(_function(tool.required_child("function"), tool))
    functions += [_function(function, function) for function in request.children("functions")]
    return tuple(functions), tuple(others)


def _function(function: Fields, tool: Fields) -> Tool:
    return Tool(
        name=function.required_text("name"),
        description=function.text("description"),
        parameters=function.json("parameters"),
        strict=function.flag("strict"),
        cache_control=tool.json("cache_control"),
    )


def read_tool_choice(request: Fields) -> tuple[ToolChoice | None, object]:
    """The choice, and the value as it came where it names a tool that is not a function."""
    value = request.get("tool_choice")
    if value is None:
        return _legacy_choice(request), None
    param = request.param("tool_choice")
    if isinstance(value, str):
        return _mode(value, param), None
    choice = request.child("tool_choice") if isinstance(value, dict) else None
    if choice is None:
        raise wrong_type(param, "a string or an object", value)
    match choice.text("type"):
        case "function" | None:
            return ToolChoice(mode="named", name=choice.required_child("function").required_text("name")), None
        case "allowed_tools":
            return _allowed(choice.required_child("allowed_tools")), None
        case _:
            return None, value


def _mode(value: str, param: str) -> ToolChoice:
    match value:
        case "auto" | "none" | "required":
            return ToolChoice(mode=value)
        case "any":  # Mistral's word for it.
            return ToolChoice(mode="required")
        case _:
            raise wrong_value(param, "auto, none, required, or an object that names a function")


def _allowed(allowed: Fields) -> ToolChoice:
    if allowed.get("tools") is None:
        raise missing(allowed.param("tools"))
    names = tuple(
        tool.required_child("function").required_text("name")
        for tool in allowed.children("tools")
        if tool.text("type") in (None, "function")
    )
    match allowed.required_text("mode"):
        case "auto" | "required" as mode:
            return ToolChoice(mode=mode, allowed=names)
        case _:
            raise wrong_value(allowed.param("mode"), "auto or required")


def _legacy_choice(request: Fields) -> ToolChoice | None:
    value = request.get("function_call")
    param = request.param("function_call")
    match value:
        case None:
            return None
        case "auto" | "none":
            return ToolChoice(mode=value)
        case str():
            raise wrong_value(param, "auto, none, or an object that names a function")
        case dict():
            return ToolChoice(mode="named", name=Fields(value, param).required_text("name"))
        case _:
            raise wrong_type(param, "a string or an object", value)
