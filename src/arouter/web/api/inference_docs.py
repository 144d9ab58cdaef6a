"""What the OpenAPI document says of the inference paths, which are served outside the API framework."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from arouter.domain.chat import Json

CHAT_PATH = "/v1/chat/completions"
PASSING_PATH = "/{provider}/{path}"

_IN_PATH = ("provider", "path")
_USER_HEADER: Mapping[str, object] = MappingProxyType(
    {
        "name": "X-ARouter-User",
        "in": "header",
        "description": "The user, where the body names none.",
        "schema": {"type": "string"},
    }
)
_TOKEN_HEADER: Mapping[str, object] = MappingProxyType(
    {
        "name": "X-ARouter-User-Token",
        "in": "header",
        "description": "A signed user token: its user goes before every other.",
        "schema": {"type": "string"},
    }
)
_OTHERS = (
    (
        "/v1/responses",
        "createResponse",
        "A response, attributed to a user",
        "OpenAI's Responses. Relayed byte for byte to providers that have them, translated for every other one.",
    ),
    (
        "/v1/messages",
        "createMessage",
        "A message, attributed to a user",
        "Anthropic's Messages. Relayed byte for byte to providers that speak them, translated for every other one. The "
        "user is `user`, else `metadata.user_id`; a model without a provider is Anthropic's.",
    ),
    (
        "/v1/messages/count_tokens",
        "countMessageTokens",
        "How many tokens a message has",
        "Counted by Anthropic for its models, estimated for every other one. It costs nothing and leaves a record.",
    ),
    (
        "/v1beta/models/{model}:generateContent",
        "generateContent",
        "Gemini's answer, attributed to a user",
        "Gemini's API. Relayed byte for byte to Google, translated for every other provider. The user is "
        "`labels.user`; a model without a provider is Google's.",
    ),
    (
        "/v1beta/models/{model}:streamGenerateContent",
        "streamGenerateContent",
        "Gemini's answer as a stream, attributed to a user",
        "The same as a stream: server-sent events with `alt=sse`, else one JSON array.",
    ),
    (
        "/v1beta/models/{model}:countTokens",
        "countTokens",
        "How many tokens a request has",
        "Counted by Google for its models, estimated for every other one. It costs nothing and leaves a record.",
    ),
    (
        "/v1beta/models/{model}:embedContent",
        "embedContent",
        "One vector in Gemini's dialect, attributed to a user",
        "Relayed byte for byte to Google, translated for providers of OpenAI's dialect.",
    ),
    (
        "/v1beta/models/{model}:batchEmbedContents",
        "batchEmbedContents",
        "Vectors in Gemini's dialect, attributed to a user",
        "Relayed byte for byte to Google, translated for providers of OpenAI's dialect.",
    ),
)
_MODEL: Json = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "`provider/model`.",
    "schema": {"type": "string"},
}


def inference_paths() -> dict[str, Json]:
    """The OpenAPI path items of all inference paths."""
    return {
        CHAT_PATH: chat_path_item(),
        **{path: _path_item(path, name, summary, text) for path, name, summary, text in _OTHERS},
        **endpoint_path_items(),
        PASSING_PATH: passing_path_item(),
    }


def _path_item(path: str, operation: str, summary: str, description: str) -> Json:
    """Of a path whose format is somebody else's, and described there."""
    body: Json = {"schema": {"type": "object", "additionalProperties": True}}
    return {
        "post": {
            "tags": ["Inference"],
            "summary": summary,
            "description": description,
            "operationId": operation,
            **({"parameters": [_MODEL]} if "{model}" in path else {}),
            "requestBody": {"required": True, "content": {"application/json": body}},
            "responses": {
                "200": {
                    "description": "The answer, or a stream of its events.",
                    "content": {"application/json": body, "text/event-stream": {"schema": {"type": "string"}}},
                }
            },
        }
    }


def chat_path_item() -> Json:
    """The OpenAPI path item of `POST /v1/chat/completions`."""
    return {
        "post": {
            "tags": ["Inference"],
            "summary": "A chat completion, attributed to a user",
            "description": "The OpenAI chat format. Fields that are not listed pass through to an upstream of the same "
            "dialect. The answer always tells `usage`, with `cost` in US dollars.",
            "operationId": "createChatCompletion",
            "parameters": [dict(_USER_HEADER), dict(_TOKEN_HEADER)],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatCompletionRequest"}}},
            },
            "responses": {
                "200": {
                    "description": "The completion, or a stream of its chunks that `data: [DONE]` ends.",
                    "headers": {
                        "X-Generation-Id": {
                            "description": "The id of the record in `/v1/activity`.",
                            "schema": {"type": "string"},
                        }
                    },
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/ChatCompletion"}},
                        "text/event-stream": {"schema": {"type": "string"}},
                    },
                }
            },
        }
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What there is to say of an inference path whose bodies are the providers' own."""

    path: str
    operation_id: str
    summary: str
    body: str
    """The media type of the request."""
    answers: tuple[str, ...]
    """The media types of the answer."""


_JSON, _FORM, _EVENTS, _ANY = "application/json", "multipart/form-data", "text/event-stream", "*/*"

_ENDPOINTS = (
    _Told(
        path="/v1/completions",
        operation_id="createCompletion",
        summary="A completion in the form from before chat",
        body=_JSON,
        answers=(_JSON, _EVENTS),
    ),
    _Told(
        path="/v1/embeddings",
        operation_id="createEmbedding",
        summary="Vectors of texts",
        body=_JSON,
        answers=(_JSON,),
    ),
    _Told(
        path="/v1/rerank",
        operation_id="createRanking",
        summary="Documents in the order of their relevance",
        body=_JSON,
        answers=(_JSON,),
    ),
    _Told(
        path="/v1/moderations",
        operation_id="createModeration",
        summary="Whether a text or an image is harmful",
        body=_JSON,
        answers=(_JSON,),
    ),
    _Told(
        path="/v1/images/generations",
        operation_id="createImage",
        summary="Images from a prompt",
        body=_JSON,
        answers=(_JSON, _EVENTS),
    ),
    _Told(
        path="/v1/images/edits",
        operation_id="createImageEdit",
        summary="Images from images and a prompt",
        body=_FORM,
        answers=(_JSON, _EVENTS),
    ),
    _Told(
        path="/v1/audio/speech",
        operation_id="createSpeech",
        summary="Sound from a text, as it comes",
        body=_JSON,
        answers=(_ANY, _EVENTS),
    ),
    _Told(
        path="/v1/audio/transcriptions",
        operation_id="createTranscription",
        summary="The text of a sound",
        body=_FORM,
        answers=(_JSON, "text/plain", _EVENTS),
    ),
    _Told(
        path="/v1/audio/translations",
        operation_id="createTranslation",
        summary="The text of a sound in English",
        body=_FORM,
        answers=(_JSON, "text/plain"),
    ),
)


def endpoint_path_items() -> dict[str, Json]:
    """The OpenAPI path items of OpenAI's other endpoints, by path."""
    return {told.path: {"post": _operation(told)} for told in _ENDPOINTS}


def _operation(told: _Told) -> Json:
    form: Json = {"type": "object", "additionalProperties": True}
    return {
        "tags": ["Inference"],
        "summary": told.summary,
        "description": "OpenAI's format, relayed to a provider that has this endpoint. `model` is `provider/model`; "
        "`user` names the end user.",
        "operationId": told.operation_id,
        "parameters": [dict(_USER_HEADER), dict(_TOKEN_HEADER)],
        "requestBody": {"required": True, "content": {told.body: {"schema": form}}},
        "responses": {"200": {"description": "As the provider answers.", "content": _contents(told.answers)}},
    }


def passing_path_item() -> Json:
    """The OpenAPI path item of the providers' own paths."""
    return {
        method: {
            "tags": ["Pass-through"],
            "summary": "A provider's own path, byte for byte",
            "description": "`provider` is the name of a provider, such as `openai` or `google`. The key of "
            "the gateway is taken off and the provider's put on; the body and the answer are not changed.",
            "operationId": f"passThrough{method.title()}",
            "parameters": [
                *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _IN_PATH),
                dict(_USER_HEADER),
                dict(_TOKEN_HEADER),
            ],
            "responses": {"200": {"description": "As the provider answers.", "content": _contents((_ANY,))}},
        }
        for method in ("get", "post", "put", "patch", "delete")
    }


def _contents(media_types: Sequence[str]) -> Json:
    return {media_type: {"schema": {}} for media_type in media_types}


def chat_schemas() -> Json:
    """The schemas that it refers to: what the gateway itself reads and writes of the format."""
    count: Json = {"type": ["integer", "null"]}
    return {
        "ChatCompletionRequest": {
            "type": "object",
            "required": ["model", "messages"],
            "additionalProperties": True,
            "properties": {
                "model": {"type": "string", "description": "`provider/model`; a bare name means `openai/…`."},
                "messages": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
                "user": {
                    "type": ["string", "null"],
                    "description": "Any string that identifies your end user, at most 1,024 bytes. It is kept byte "
                    "for byte and never sent upstream as it is.",
                },
                "safety_identifier": {"type": ["string", "null"], "description": "The user, where `user` is absent."},
                "stream": {"type": ["boolean", "null"]},
                "stream_options": {
                    "type": ["object", "null"],
                    "properties": {
                        "include_usage": {
                            "type": "boolean",
                            "description": "`false` leaves the last chunk, which tells the usage, out.",
                        }
                    },
                },
                "tools": {"type": ["array", "null"], "items": {"type": "object"}},
                "max_tokens": count,
                "temperature": {"type": ["number", "null"]},
            },
        },
        "ChatCompletion": {
            "type": "object",
            "additionalProperties": True,
            "properties": {
                "id": {"type": "string"},
                "object": {"const": "chat.completion"},
                "model": {"type": "string", "description": "The one that answered."},
                "choices": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
                "usage": {
                    "type": "object",
                    "additionalProperties": True,
                    "properties": {
                        "prompt_tokens": count,
                        "completion_tokens": count,
                        "total_tokens": count,
                        "cost": {
                            "type": ["number", "null"],
                            "description": "US dollars with their exact digits; null where no price is known.",
                        },
                    },
                },
            },
        },
    }
