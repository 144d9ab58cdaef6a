"""A generateContent request, read into the canonical form."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from arouter.domain.chat import ChatRequest
from arouter.domain.errors import InvalidRequest
from arouter.wire.fields import decoded, wrong_type
from arouter.wire.gemini_generate.config import read_reasoning, read_response_format, read_rest
from arouter.wire.gemini_generate.contents import read_contents, read_system
from arouter.wire.gemini_generate.fields import ProtoFields, camel
from arouter.wire.gemini_generate.tools import read_tool_config, read_tools

GATEWAY_FIELDS = frozenset(
    {
        "model",
        "models",
        "route",
        "provider",
        "stream",
        "usage",
        "user",
        "safety_identifier",
        "session_id",
        "trace",
        "transforms",
        "plugins",
    }
)
"""Instructions to the gateway, and for whom the request is: never sent to a provider, and never in
`ChatRequest.rest`. The model is in the path."""

CONTENTS = "contents"
LABELS = "labels"
USER_LABEL = "user"
"""The label that names the end user."""

CANONICAL_FIELDS = frozenset(
    {CONTENTS, "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", LABELS}
)
"""Read into fields of `ChatRequest`."""

_SERVICE_TIERS: Mapping[str, str | None] = MappingProxyType({"standard": "default", "unspecified": None})
"""Google's words that differ from OpenAI's."""

_PASSED = frozenset({"safetySettings", "cachedContent"})
"""Names that adapters know, in the spelling in which they know them."""

_HOUSE_FIELDS = frozenset({"store"})
"""They address a service of Google's. Without it the answer is the same, so that nobody has dropped anything."""

_labels = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


def read_generate(fields: Mapping[str, msgspec.Raw], *, model: str, identity: str | None, stream: bool) -> ChatRequest:
    """The canonical form of a request.

    `fields` is the top-level object with its values undecoded; `model` is the upstream's own name of the model and
    `identity` the pseudonym of the end user. InvalidRequest, naming the field, if something is missing or malformed.
    """
    sent = {name: raw for name, raw in fields.items() if name not in GATEWAY_FIELDS}
    words = {camel(name): (name, raw) for name, raw in sent.items()}
    request = ProtoFields({name: decoded(name, raw) for name, raw in sent.items() if name != CONTENTS})
    config = request.child("generationConfig") or ProtoFields({}, "generationConfig")
    tools, other_tools = read_tools(request)
    tool_choice, tool_config = read_tool_config(request)
    rest = {
        name if known not in _PASSED else known: value
        for known, (name, _) in words.items()
        if known not in CANONICAL_FIELDS | _HOUSE_FIELDS and (value := request.get(known)) is not None
    }
    rest |= read_rest(config)
    if other_tools:
        rest["tools"] = list(other_tools)
    if tool_config is not None:
        rest["toolConfig"] = tool_config
    if labels := without_user(fields.get(LABELS)):
        rest[LABELS] = decoded(LABELS, labels)
    return ChatRequest(
        model=model,
        messages=(*read_system(request.child("systemInstruction")), *read_contents(CONTENTS, fields.get(CONTENTS))),
        stream=stream,
        tools=tools,
        tool_choice=tool_choice,
        max_tokens=config.integer("maxOutputTokens"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.integer("topK"),
        stop=config.texts("stopSequences"),
        n=config.integer("candidateCount"),
        seed=config.integer("seed"),
        presence_penalty=config.number("presencePenalty"),
        frequency_penalty=config.number("frequencyPenalty"),
        logprobs=config.flag("responseLogprobs"),
        top_logprobs=config.integer("logprobs"),
        response_format=read_response_format(config),
        reasoning=read_reasoning(config),
        service_tier=_service_tier(request),
        identity=identity,
        rest=rest,
    )


def labelled_user(fields: Mapping[str, msgspec.Raw]) -> str | None:
    """Whom `labels.user` names; None if nobody. InvalidRequest if it is not a string."""
    user = _read_labels(fields.get(LABELS)).get(USER_LABEL)
    if user is None:
        return None
    value = decoded(f"{LABELS}.{USER_LABEL}", user)
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(f"{LABELS}.{USER_LABEL}", "a string", value)


def without_user(labels: msgspec.Raw | None) -> msgspec.Raw | None:
    """`labels` without the end user; None if nothing is left of them."""
    told = _read_labels(labels)
    told.pop(USER_LABEL, None)
    return msgspec.Raw(msgspec.json.encode(told)) if told else None


def _read_labels(labels: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    if labels is None:
        return {}
    try:
        return _labels.decode(labels) or {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest("`labels` must be an object.", code="invalid_type", param=LABELS) from exc


def _service_tier(request: ProtoFields) -> str | None:
    tier = request.text("serviceTier")
    return None if tier is None else _SERVICE_TIERS.get(tier.lower(), tier.lower())
