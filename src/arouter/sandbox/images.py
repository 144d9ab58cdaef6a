"""Images in OpenAI's form: always the same small one, with the token counts of the models that tell them."""

import base64
from typing import Final

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import count_prompt_tokens
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.dialect import Stamp, decode
from arouter.sandbox.plan import Plan, Received, whole_body
from arouter.sandbox.uploads import file_in, form_of
from arouter.wire import sse

TOKENS_PER_IMAGE: Final = 272
TOKENS_PER_INPUT_IMAGE: Final = 100
_MOST_IMAGES: Final = 10
_MOST_PARTIAL: Final = 3
_LOOKS: Final = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}

_PNG: Final = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
        "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
    )
).decode()
"""One red pixel."""

_encode = msgspec.json.encode


class _Request(msgspec.Struct):
    model: str
    prompt: str
    n: int | None = None
    stream: bool | None = None
    partial_images: int | None = None


def model_of(received: Received) -> str:
    return decode(received.body, _Request).model


def generated(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """The answer to a prompt."""
    return _made(decode(received.body, _Request), 0, "image_generation", stamp, behaviour)


def edited(received: Received, stamp: Stamp, behaviour: Behaviour) -> Plan:
    """The answer to a form with an image and a prompt."""
    form = form_of(received)
    file_in(form, "image", "image[]")
    request = _Request(
        model=form.text("model") or "",
        prompt=form.text("prompt") or "",
        n=_whole(form.text("n"), "n"),
        stream=form.text("stream") == "true",
        partial_images=_whole(form.text("partial_images"), "partial_images"),
    )
    return _made(request, TOKENS_PER_INPUT_IMAGE, "image_edit", stamp, behaviour)


def _whole(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        raise InvalidRequest(f"{name}: expected an integer", param=name)
    return int(text)


def _made(request: _Request, read_image: int, kind: str, stamp: Stamp, behaviour: Behaviour) -> Plan:
    count = 1 if request.n is None else request.n
    partial = 0 if request.partial_images is None else request.partial_images
    if not 1 <= count <= _MOST_IMAGES:
        raise InvalidRequest(f"n must be from 1 to {_MOST_IMAGES}", param="n")
    if not 0 <= partial <= _MOST_PARTIAL:
        raise InvalidRequest(f"partial_images must be from 0 to {_MOST_PARTIAL}", param="partial_images")
    text = count_prompt_tokens(len(request.prompt))
    if request.stream is True:
        return _stream(_usage(text, read_image, 1, behaviour), partial, kind, stamp)
    answer: dict[str, object] = {"created": stamp.created_s, **_LOOKS, "data": [{"b64_json": _PNG}] * count}
    return whole_body(_encode(answer | _usage(text, read_image, count, behaviour)))


def _usage(text: int, read_image: int, images: int, behaviour: Behaviour) -> dict[str, object]:
    if behaviour.usage == "none":
        return {}
    made = TOKENS_PER_IMAGE * images
    if behaviour.usage == "zero":
        text = read_image = made = 0
    return {
        "usage": {
            "input_tokens": text + read_image,
            "input_tokens_details": {"text_tokens": text, "image_tokens": read_image},
            "output_tokens": made,
            "total_tokens": text + read_image + made,
        }
    }


def _stream(usage: dict[str, object], partial: int, kind: str, stamp: Stamp) -> Plan:
    common = {"b64_json": _PNG, "created_at": stamp.created_s, **_LOOKS}
    bodies = [(f"{kind}.partial_image", {**common, "partial_image_index": index}) for index in range(partial)]
    bodies.append((f"{kind}.completed", {**common, **usage}))
    moments = [[sse.encode(_encode({"type": name, **body}), name.encode())] for name, body in bodies]
    return Plan(content_type=b"text/event-stream; charset=utf-8", moments=moments)
