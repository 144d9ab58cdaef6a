"""Function declarations and the choice among them.

Only functions have a canonical form. Google's own tools (`googleSearch`, `codeExecution`, …), and what `toolConfig`
says beyond the choice, stay in the request's `rest`, where an adapter finds or drops them by name.
"""

from arouter.domain.chat import Json, Tool, ToolChoice
from arouter.wire.fields import wrong_value
from arouter.wire.gemini_generate.fields import ProtoFields, camel
from arouter.wire.gemini_generate.json_schema import json_schema

_DECLARATIONS = "functionDeclarations"
_CALLING = "functionCallingConfig"


def read_tools(request: ProtoFields) -> tuple[tuple[Tool, ...], tuple[object, ...]]:
    """The functions to choose from, and the tools of other kinds as they came."""
    functions: list[Tool] = []
    others: list[object] = []
    for tool in request.objects("tools"):
        functions += [_function(declaration) for declaration in tool.objects(_DECLARATIONS)]
        if other := {name: value for name, value in tool.values.items() if name != _DECLARATIONS and value is not None}:
            others.append(other)
    return tuple(functions), tuple(others)


def _function(declaration: ProtoFields) -> Tool:
    parameters = declaration.child("parameters")
    schema = declaration.json("parametersJsonSchema")
    if schema is None and parameters is not None:
        schema = json_schema(parameters)
    return Tool(name=declaration.required_text("name"), description=declaration.text("description"), parameters=schema)


def read_tool_config(request: ProtoFields) -> tuple[ToolChoice | None, Json | None]:
    """The choice, and what else `toolConfig` says, as it came."""
    config = request.child("toolConfig")
    if config is None:
        return None, None
    rest = {name: value for name, value in config.values.items() if name != _CALLING and value is not None}
    calling = config.child(_CALLING)
    choice = None if calling is None else _choice(calling)
    if calling is not None and _mode(calling) == "VALIDATED":
        # A guarantee that nobody else gives in this form: it must be in the list of what was dropped.
        rest[_CALLING] = {camel(name): value for name, value in calling.values.items()}
    return choice, rest or None


def _mode(calling: ProtoFields) -> str:
    return (calling.text("mode") or "MODE_UNSPECIFIED").upper()


def _choice(calling: ProtoFields) -> ToolChoice | None:
    allowed = calling.texts("allowedFunctionNames")
    match _mode(calling):
        case "MODE_UNSPECIFIED" if not allowed:
            return None
        case "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED":
            return ToolChoice(mode="auto", allowed=allowed or None)
        case "NONE":
            return ToolChoice(mode="none")
        case "ANY" if len(allowed) == 1:
            return ToolChoice(mode="named", name=allowed[0])
        case "ANY":
            return ToolChoice(mode="required", allowed=allowed or None)
        case _:
            raise wrong_value(calling.param("mode"), "one of AUTO, ANY, NONE, VALIDATED")
