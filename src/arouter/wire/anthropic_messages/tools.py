"""Tools and the choice among them.

A client's own tools have a canonical form. The others (Anthropic's, which run at Anthropic or have a schema that
only its models know) stay in the request's `rest` as they came, where an adapter finds or drops them by name.
"""

from arouter.domain.chat import Tool, ToolChoice
from arouter.wire.anthropic_messages.parts import Lost
from arouter.wire.fields import Fields, wrong_value


def read_tools(request: Fields, lost: Lost) -> tuple[tuple[Tool, ...], list[object]]:
    """The client's own tools, and the others as they came."""
    own: list[Tool] = []
    others: list[object] = []
    for tool in request.children("tools"):
        if tool.text("type") in (None, "custom"):
            own.append(_tool(tool, lost))
        else:
            others.append(tool.values)
    return tuple(own), others


def _tool(tool: Fields, lost: Lost) -> Tool:
    for name in ("defer_loading", "eager_input_streaming", "input_examples", "allowed_callers"):
        if tool.get(name):
            lost.add(f"tools.{name}")
    return Tool(
        name=tool.required_text("name"),
        description=tool.text("description"),
        parameters=tool.json("input_schema"),
        strict=tool.flag("strict"),
        cache_control=tool.json("cache_control"),
    )


def read_tool_choice(request: Fields) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several tools may be called at once; None where the client did not say."""
    choice = request.child("tool_choice")
    if choice is None:
        return None, None
    one_at_a_time = choice.flag("disable_parallel_tool_use")
    parallel = None if one_at_a_time is None else not one_at_a_time
    match choice.required_text("type"):
        case "auto" | "none" as mode:
            return ToolChoice(mode=mode), parallel
        case "any":
            return ToolChoice(mode="required"), parallel
        case "tool":
            return ToolChoice(mode="named", name=choice.required_text("name")), parallel
        case _:
            raise wrong_value(choice.param("type"), "auto, any, tool or none")
