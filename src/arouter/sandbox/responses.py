"""OpenAI's Responses, as OpenAI's published API description has them.

Nothing is remembered: a `previous_response_id` is ignored. Of the request's settings an answer repeats its format, by
which SDKs know that it is to be parsed, and has the defaults in place of all others. Usage is told at the end of a
stream and nowhere else.
"""

from typing import Final

import msgspec

from arouter.domain.chat import Json
from arouter.domain.errors import InvalidRequest
from arouter.sandbox import openai
from arouter.sandbox.answers import Ask, Counts, Offer, Reply
from arouter.sandbox.behaviour import UsageMode
from arouter.sandbox.dialect import Moments, Stamp, decode, group
from arouter.wire import sse

REQUEST_ID: Final = openai.REQUEST_ID

error = openai.error

_LEAST_OUTPUT_TOKENS = 1
"""OpenAI wants 16; a test of limits wants less."""
_ENCRYPTED = "c2FuZGJveA=="
"""What proves a thought of the sandbox: the base64 of its name."""

_encode = msgspec.json.encode

# ---------------------------------------------------------------- the request


class _Part(msgspec.Struct):
    text: str | None = None


_Content = str | list[_Part]


class _Item(msgspec.Struct):
    type: str = "message"
    role: str | None = None
    content: _Content | None = None
    output: _Content | None = None
    """Of a tool's result."""

    @property
    def text(self) -> str:
        return _text(self.content) + _text(self.output)


class _Tool(msgspec.Struct):
    type: str
    name: str | None = None
    parameters: Json | None = None


class _ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None


class _Format(msgspec.Struct):
    type: str
    schema: Json | None = None


class _TextSettings(msgspec.Struct):
    format: _Format | None = None


class _Request(msgspec.Struct):
    model: str
    input: str | list[_Item]
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
    text: _TextSettings | None = None


def read(body: bytes) -> Ask:
    """The request. InvalidRequest, naming the param, if it is none."""
    request = decode(body, _Request)
    _check(request)
    items = request.input if isinstance(request.input, list) else [_Item(role="user", content=request.input)]
    form = request.text.format if request.text is not None else None
    choice = request.tool_choice
    return Ask(
        model=request.model,
        stream=request.stream is True,
        characters=len(request.instructions or "") + sum([len(item.text) for item in items]),
        last_user_text=next((item.text for item in reversed(items) if item.role == "user"), ""),
        answers_tool=items[-1].type == "function_call_output",
        offers=_offers(request),
        must_call=choice == "required" or isinstance(choice, _ToolChoice),
        wants_json=form is not None and form.type in ("json_object", "json_schema"),
        schema=form.schema if form is not None else None,
        limit=request.max_output_tokens,
    )


def _check(request: _Request) -> None:
    if not request.input:
        raise InvalidRequest("Invalid 'input': it must not be empty.", param="input")
    limit = request.max_output_tokens
    if limit is not None and limit < _LEAST_OUTPUT_TOKENS:
        raise InvalidRequest(
            f"Invalid 'max_output_tokens': expected a value of at least {_LEAST_OUTPUT_TOKENS}, but got {limit}.",
            param="max_output_tokens",
        )


def _text(content: _Content | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join([part.text for part in content if part.text is not None])


def _offers(request: _Request) -> tuple[Offer, ...]:
    choice = request.tool_choice
    if request.tools is None or choice == "none":
        return ()
    offers = [
        Offer(name=tool.name, parameters=tool.parameters)
        for tool in request.tools
        if tool.type == "function" and tool.name is not None
    ]
    if isinstance(choice, _ToolChoice) and choice.name is not None:
        offers = [offer for offer in offers if offer.name == choice.name]
        if not offers:
            raise InvalidRequest(f"Tool choice '{choice.name}' not found in 'tools' parameter.", param="tool_choice")
    return tuple(offers)


# ---------------------------------------------------------------- the answer


def whole(ask: Ask, reply: Reply, stamp: Stamp) -> bytes:
    """A `response` object."""
    return _encode(_ended(ask, reply, stamp))


def stream(ask: Ask, reply: Reply, stamp: Stamp, usage: UsageMode) -> Moments:
    """`response.created`, `response.in_progress`, the items, and the event that has the whole response."""
    events = _Events()
    begun = _response(ask, stamp, "in_progress")
    opening = [events.write(kind, response=begun) for kind in ("response.created", "response.in_progress")]
    tokens: list[list[bytes]] = []
    for position, item in enumerate(_output(reply, stamp)):
        tokens += _told(events, position, _growth(item, reply))
    ended = _ended(ask, reply, stamp)
    return group(opening, tokens, [events.write(f"response.{ended['status']}", response=ended)])


def stream_error(message: str) -> bytes:
    """OpenAI documents an error's fields at the top of the event, and sends them within `error`: here is both."""
    told = {"code": "server_error", "message": message, "param": None}
    event = {"type": "error", **told, "error": {"type": "server_error", **told}, "sequence_number": 0}
    return sse.encode(_encode(event), b"error")


def _ended(ask: Ask, reply: Reply, stamp: Stamp) -> Json:
    finish = reply.finish_reason
    response = _response(ask, stamp, "completed" if finish in ("stop", "tool_calls") else "incomplete")
    if response["status"] == "incomplete":
        response["incomplete_details"] = {"reason": "max_output_tokens" if finish == "length" else finish}
    response["output"] = _output(reply, stamp)
    response["usage"] = None if reply.counts is None else _usage(reply.counts)
    return response


def _response(ask: Ask, stamp: Stamp, status: str) -> Json:
    return {
        "id": f"resp_sandbox{stamp.serial:08d}",
        "object": "response",
        "created_at": stamp.created_s,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "text": {"format": _format(ask)},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _format(ask: Ask) -> Json:
    if not ask.wants_json:
        return {"type": "text"}
    if ask.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "name": "sandbox", "schema": ask.schema, "strict": True}


def _output(reply: Reply, stamp: Stamp) -> list[Json]:
    """The items of the answer: a thought, if there is one, and what is said or called."""
    items: list[Json] = []
    if reply.thoughts:
        summary = [{"type": "summary_text", "text": reply.thought}]
        items.append({**_reasoning(stamp), "summary": summary, "encrypted_content": _ENCRYPTED})
    status = "completed" if reply.complete else "incomplete"
    if reply.kind == "tool_call":
        items.append({**_call(reply, stamp), "status": status, "arguments": reply.text})
    else:
        items.append({**_message(stamp), "status": status, "content": [_part(reply, reply.text)]})
    return items


def _reasoning(stamp: Stamp) -> Json:
    return {"id": f"rs_sandbox{stamp.serial:08d}", "type": "reasoning"}


def _call(reply: Reply, stamp: Stamp) -> Json:
    number = f"{stamp.serial:08d}"
    return {
        "id": f"fc_sandbox{number}",
        "type": "function_call",
        "call_id": f"call_sandbox{number}",
        "name": reply.tool,
    }


def _message(stamp: Stamp) -> Json:
    return {"id": f"msg_sandbox{stamp.serial:08d}", "type": "message", "role": "assistant"}


def _part(reply: Reply, text: str) -> Json:
    if reply.kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(counts: Counts) -> Json:
    return {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.cache_written},
        "output_tokens": counts.completion,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.completion,
    }


# ---------------------------------------------------------------- the events of an item


class _Events:
    """Writes the events of one stream, and numbers them."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = 0

    def write(self, kind: str, **fields: object) -> bytes:
        """An event with its name in both places."""
        event = {"type": kind, **fields, "sequence_number": self._number}
        self._number += 1
        return sse.encode(_encode(event), kind.encode())


class _Growth(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream tells an item."""

    item: Json
    begun: Json
    """The item at its beginning."""
    kind: str
    """Of the events with its pieces."""
    pieces: tuple[str, ...]
    beside_pieces: Json = {}
    done: Json
    """What stands in the event after the last piece."""
    place: Json = {}
    """Of the pieces, within the item."""
    part: str = ""
    """What the part is called that the pieces are in; empty where they are the item's own."""
    empty: Json = {}
    full: Json = {}


def _growth(item: Json, reply: Reply) -> _Growth:
    match item["type"]:
        case "reasoning":
            return _Growth(
                item=item,
                begun={**item, "summary": [], "encrypted_content": None},
                kind="reasoning_summary_text",
                pieces=reply.thoughts,
                done={"text": reply.thought},
                place={"summary_index": 0},
                part="reasoning_summary_part",
                empty={"type": "summary_text", "text": ""},
                full={"type": "summary_text", "text": reply.thought},
            )
        case "function_call":
            return _Growth(
                item=item,
                begun={**item, "status": "in_progress", "arguments": ""},
                kind="function_call_arguments",
                pieces=reply.pieces,
                done={"name": reply.tool, "arguments": reply.text},
            )
        case _:
            return _growth_of_message(item, reply)


def _growth_of_message(item: Json, reply: Reply) -> _Growth:
    refuses = reply.kind == "refusal"
    logprobs: Json = {} if refuses else {"logprobs": []}
    return _Growth(
        item=item,
        begun={**item, "status": "in_progress", "content": []},
        kind="refusal" if refuses else "output_text",
        pieces=reply.pieces,
        beside_pieces=logprobs,
        done={"refusal" if refuses else "text": reply.text, **logprobs},
        place={"content_index": 0},
        part="content_part",
        empty=_part(reply, ""),
        full=_part(reply, reply.text),
    )


def _told(events: _Events, position: int, growth: _Growth) -> list[list[bytes]]:
    """The events of each token of an item, with those that open and close it beside its first and last one."""
    kind, part = growth.kind, growth.part
    at = {"output_index": position}
    within = {"item_id": growth.item["id"], **at, **growth.place}
    opening = [events.write("response.output_item.added", **at, item=growth.begun)]
    if part:
        opening.append(events.write(f"response.{part}.added", **within, part=growth.empty))
    tokens = [
        [events.write(f"response.{kind}.delta", **within, delta=piece, **growth.beside_pieces)]
        for piece in growth.pieces
    ] or [[]]
    closing = [events.write(f"response.{kind}.done", **within, **growth.done)]
    if part:
        closing.append(events.write(f"response.{part}.done", **within, part=growth.full))
    closing.append(events.write("response.output_item.done", **at, item=growth.item))
    tokens[0][:0] = opening
    tokens[-1] += closing
    return tokens
