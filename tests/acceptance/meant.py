"""What a request means, taken from its JSON by plain lookups in any of the four dialects, and in the same words.

Calls are known by their number in the conversation: their ids may change on the way, and what belongs together must
not. What only some dialects have is left out: proofs of thoughts, marks for caches, how strictly a tool is meant.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Item = tuple[str, str, object]
"""Who (`user`, `assistant`, `tool`), what kind of thing (`text`, `image`, `file`, `call`, `result`), and the thing.

What a tool gave beside a result in text, such as a picture, comes from the user and after all the results of the turn:
not every dialect has a place for it in the result."""


@dataclass(frozen=True, kw_only=True)
class Meant:
    system: list[str]
    """Wherever it stands: some dialects have one place for it."""
    said: list[Item]
    tools: Mapping[str, tuple[str, Json]]
    """Those that may be called: description and schema by name."""
    must_call: bool | None = None
    """None where nothing may be called."""
    limit: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: list[str] = field(default_factory=list)
    schema: Json | None = None
    """That the answer must have; an empty one is any JSON."""


class _Calls:
    """Numbers for the ids of calls."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def made(self, call_id: str, name: str, arguments: object) -> Item:
        self._ids.append(call_id)
        return "assistant", "call", (len(self._ids), name, arguments)

    def answered(self, call_id: str, result: object, failed: bool | None = None) -> Item:
        """`failed` is None where the dialect has no word for it but the result itself."""
        return "tool", "result", (len(self._ids) - self._ids[::-1].index(call_id), result, failed)


def _meant(
    *, system: Iterable[str], said: Iterable[Item], tools: Iterable[tuple[str, Json]], choice: object, **settings: Any
) -> Meant:
    """`choice` is the mode, or the mode and the names of the tools that it is narrowed to."""
    mode, allowed = choice if isinstance(choice, tuple) else (choice, None)
    offered = {name: tool for name, tool in tools if allowed is None or name in allowed}
    return Meant(
        system=[text for text in system if text],
        said=[item for item in _results_first(said) if item[2] != ""],
        tools={name: (tool.get("description") or "", _schema(tool["schema"])) for name, tool in offered.items()},
        must_call={"none": None, "required": True}.get(mode, False) if offered else None,
        **settings,
    )


def _results_first(said: Iterable[Item]) -> Iterator[Item]:
    given: list[Item] = []
    for item in said:
        if item[0] == "tool" and item[1] != "result":
            given.append(("user", item[1], item[2]))
            continue
        if item[0] != "tool":
            yield from given
            given.clear()
        yield item
    yield from given


def _schema(schema: Json | None) -> Json:
    """That a tool takes an object, of no fields where none are named, need not be said."""
    whole = {"type": "object", **(schema or {})}
    return whole if whole.get("properties") else {name: one for name, one in whole.items() if name != "properties"}


def _decoded(text: str) -> object:
    """JSON that a tool gave, or its text."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, dict) else text


def _media(who: str, kind: str, data: str, media_type: str = "") -> Item:
    """An image or a file, by value, by address or by id; a document that is text is text.

    An id means nothing to anybody but who gave it, and does not tell what it is of.
    """
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0]
    if media_type.startswith("text/") and not data.startswith("https://"):
        return who, "text", b64decode(data).decode()
    if media_type.startswith("image/"):
        kind = "image"
    if data.startswith(("file-", "file_")):
        kind = "file"
    return who, kind, data if data.startswith("https://") else data.replace("-", "+").replace("_", "/")


# ---------------------------------------------------------------- chat completions


def chat(body: Json) -> Meant:
    messages = body["messages"]
    form = body.get("response_format") or {}
    functions = [tool["function"] for tool in body.get("tools") or [] if tool.get("type", "function") == "function"]
    return _meant(
        system=[
            text for one in messages if one["role"] in ("system", "developer") for text in _chat_texts(one["content"])
        ],
        said=_chat_said(messages),
        tools=[(one["name"], {**one, "schema": one.get("parameters")}) for one in functions],
        choice=_chat_choice(body.get("tool_choice")),
        limit=body.get("max_completion_tokens", body.get("max_tokens")),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop=body.get("stop") or [],
        schema={} if form.get("type") == "json_object" else form.get("json_schema", {}).get("schema"),
    )


def _chat_texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    else:
        yield from (part["text"] for part in content or [] if part["type"] == "text")


def _chat_said(messages: list[Json]) -> Iterator[Item]:
    calls = _Calls()
    for message in messages:
        match message["role"]:
            case "user":
                content = message["content"]
                parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
                yield from (_chat_part(part) for part in parts)
            case "assistant":
                yield from (("assistant", "text", text) for text in _chat_texts(message.get("content")))
                for call in message.get("tool_calls") or []:
                    function = call["function"]
                    yield calls.made(call["id"], function["name"], json.loads(function["arguments"]))
            case "tool":
                yield calls.answered(message["tool_call_id"], _decoded("".join(_chat_texts(message["content"]))))


def _chat_part(part: Json) -> Item:
    match part:
        case {"type": "text", "text": text}:
            return "user", "text", text
        case {"type": "file", "file": {"file_id": known}}:
            return _media("user", "file", known)
        case {"type": "file", "file": {"file_data": data}}:
            return _media("user", "file", data)
        case _:
            named = part[part["type"]]
            kind = "image" if part["type"] == "image_url" else "file"
            return _media("user", kind, named if isinstance(named, str) else named["url"])


def _chat_choice(choice: Any) -> object:
    match choice:
        case {"allowed_tools": {"mode": mode, "tools": tools}}:
            return mode, [tool["function"]["name"] for tool in tools]
        case {"function": {"name": name}}:
            return "required", [name]
        case "any":
            return "required"
        case _:
            return choice


# ---------------------------------------------------------------- responses


def responses(body: Json) -> Meant:
    told = body["input"]
    items = [{"role": "user", "content": told}] if isinstance(told, str) else told
    form = (body.get("text") or {}).get("format") or {}
    found = [tool for item in items for tool in item.get("tools") or []]
    functions = [tool for tool in [*body.get("tools", []), *found] if tool["type"] == "function"]
    spoken = [item for item in items if item.get("role") in ("system", "developer") and "content" in item]
    return _meant(
        system=[body.get("instructions") or "", *(text for item in spoken for text in _responses_texts(item))],
        said=_responses_said(items),
        tools=[(one["name"], {**one, "schema": one.get("parameters")}) for one in functions],
        choice=_responses_choice(body.get("tool_choice")),
        limit=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        schema={} if form.get("type") == "json_object" else form.get("schema"),
    )


def _responses_texts(item: Json) -> Iterator[str]:
    content = item["content"]
    if isinstance(content, str):
        yield content
    else:
        yield from (part["text"] for part in content)


def _responses_said(items: list[Json]) -> Iterator[Item]:
    calls = _Calls()
    for item in items:
        match item.get("type", "message"):
            case "message" if item["role"] == "user":
                content = item["content"]
                parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
                yield from (_responses_part(part) for part in parts)
            case "message" if item["role"] == "assistant":
                yield from (("assistant", "text", text) for text in _responses_texts(item))
            case "function_call":
                yield calls.made(item["call_id"], item["name"], json.loads(item["arguments"]))
            case "function_call_output":
                output = item["output"]
                parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
                texts = [part["text"] for part in parts if part["type"] == "input_text"]
                yield calls.answered(item["call_id"], _decoded("".join(texts)))
                yield from (_responses_part(part, "tool") for part in parts if part["type"] != "input_text")


def _responses_part(part: Json, who: str = "user") -> Item:
    if part["type"] == "input_text":
        return who, "text", part["text"]
    names = ("image_url", "file_url", "file_data", "file_id")
    return _media(who, part["type"].removeprefix("input_"), next(part[name] for name in names if part.get(name)))


def _responses_choice(choice: Any) -> object:
    match choice:
        case {"type": "allowed_tools", "mode": mode, "tools": tools}:
            return mode, [tool["name"] for tool in tools]
        case {"type": "function", "name": name}:
            return "required", [name]
        case _:
            return choice


# ---------------------------------------------------------------- messages


def messages(body: Json) -> Meant:
    spoken = [one for one in body["messages"] if one["role"] == "system"]
    functions = [tool for tool in body.get("tools", []) if tool.get("type", "custom") == "custom"]
    choice = body.get("tool_choice") or {}
    kind = choice.get("type", "auto")
    mode = {"any": "required", "tool": ("required", [choice.get("name")])}.get(kind, kind)
    return _meant(
        system=[
            block["text"]
            for content in [body.get("system") or [], *(one["content"] for one in spoken)]
            for block in _blocks(content)
            if block["type"] == "text"
        ],
        said=_messages_said(body["messages"]),
        tools=[(one["name"], {**one, "schema": one["input_schema"]}) for one in functions],
        choice=mode,
        limit=body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop=body.get("stop_sequences") or [],
        schema=(body.get("output_config") or {}).get("format", {}).get("schema"),
    )


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _messages_said(messages: list[Json]) -> Iterator[Item]:
    calls = _Calls()
    for message in messages:
        if message["role"] == "system":
            continue
        for block in _blocks(message["content"]):
            match block:
                case {"type": "text", "text": text} | {"type": "compaction", "content": text}:
                    yield message["role"], "text", text
                case {"type": "image" | "document"}:
                    yield _messages_media(block, "user")
                case {"type": "tool_use"}:
                    yield calls.made(block["id"], block["name"], block["input"])
                case {"type": "tool_result"}:
                    blocks = _blocks(block["content"])
                    texts = [one.get("text") or one["tool_name"] for one in blocks if "source" not in one]
                    failed = block.get("is_error", False)
                    yield calls.answered(block["tool_use_id"], _decoded("".join(texts)), failed)
                    yield from (_messages_media(one, "tool") for one in blocks if "source" in one)


def _messages_media(block: Json, who: str) -> Item:
    source = block["source"]
    if source["type"] == "text":
        return who, "text", source["data"]
    data = next(source[name] for name in ("data", "url", "file_id") if name in source)
    kind = "image" if block["type"] == "image" else "file"
    return _media(who, kind, data, source.get("media_type", ""))


# ---------------------------------------------------------------- Gemini's generateContent


def generate(body: Json) -> Meant:
    config = body.get("generationConfig") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    functions = [one for tool in body.get("tools") or [] for one in tool.get("functionDeclarations", [])]
    mode = {"ANY": "required", "NONE": "none"}.get(calling.get("mode", ""), "auto")
    allowed = calling.get("allowedFunctionNames")
    names = ("parametersJsonSchema", "parameters_json_schema")
    return _meant(
        system=[part["text"] for part in (body.get("systemInstruction") or {"parts": []})["parts"]],
        said=_generate_said(body["contents"]),
        tools=[
            (one["name"], {**one, "schema": next((one[name] for name in names if name in one), None)})
            for one in functions
        ],
        choice=mode if allowed is None else (mode, allowed),
        limit=config.get("maxOutputTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stop=config.get("stopSequences") or [],
        schema=config.get("responseJsonSchema", {}) if "responseMimeType" in config else None,
    )


def _generate_said(contents: list[Json]) -> Iterator[Item]:
    calls = _Calls()
    for turn in contents:
        # What stands beside the results of functions may be theirs.
        asked = "tool" if any("functionResponse" in part for part in turn["parts"]) else "user"
        who = "assistant" if turn["role"] == "model" else asked
        for part in turn["parts"]:
            match part:
                case {"thought": True}:
                    continue
                case {"functionCall": call}:
                    yield calls.made(call.get("id", call["name"]), call["name"], call["args"])
                case {"functionResponse": given}:
                    yield calls.answered(given.get("id", given["name"]), *_given(given["response"]))
                    yield from (_generate_part(one, "tool") for one in given.get("parts", []))
                case {"toolCall": _} | {"toolResponse": _}:
                    continue
                case _:
                    yield _generate_part(part, who)


def _generate_part(part: Json, who: str) -> Item:
    match part:
        case {"text": text}:
            return who, "text", text
        case {"inlineData": blob} | {"inline_data": blob}:
            return _media(who, "file", blob["data"], blob.get("mimeType") or blob["mime_type"])
        case {"fileData": file} | {"file_data": file}:
            address, media_type = (file.get("fileUri") or file["file_uri"]), file.get("mimeType", file.get("mime_type"))
            return _media(who, "file", address, media_type or "")
        case {"executableCode": {"language": language, "code": code}}:
            # What Google ran is told in words.
            return who, "text", f"```{language.lower()}\n{code}\n```"
        case {"codeExecutionResult": {"output": output}}:
            return who, "text", f"```\n{output}\n```"
        case _:
            raise AssertionError(part)


def _given(response: Json) -> tuple[object, bool]:
    """A text that is no JSON object is the only field of one; whether it tells of a failure is in the field's name."""
    if list(response) in (["result"], ["error"]):
        [(name, told)] = response.items()
        return told, name == "error"
    return response, False


IN: Mapping[str, Callable[[Json], Meant]] = {
    "chat": chat,
    "responses": responses,
    "messages": messages,
    "generate": generate,
}
"""By dialect."""
