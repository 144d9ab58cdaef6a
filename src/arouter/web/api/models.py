"""`GET /v1/models`: what a key can ask for, and what it costs; in the words of the client's own API.

A client of Anthropic's API says so by its header `anthropic-version`, one of Gemini's by the path `/v1beta/models`, or
by the header fields of Google's SDKs.
"""

from collections.abc import Sequence

from fastapi import Request, Response

from arouter.domain.errors import NotFound
from arouter.domain.keys import Key, KeyKind
from arouter.domain.models import ModelInfo
from arouter.engine.admission import SANDBOX
from arouter.providers.vendors import ALIASES
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameter, Parameters, invalid
from arouter.web.api.services import ApiServices
from arouter.wire.models_dialects import (
    RESOURCE,
    GeminiModel,
    GeminiModels,
    encode_anthropic_model,
    encode_anthropic_models,
    encode_gemini_model,
    encode_gemini_models,
)
from arouter.wire.models_json import Model, ModelList, encode_model, encode_models
from arouter.wire.nearest import quoted

DEFAULT_AUTHOR = "openai"
"""A bare name means this author's model, here as in a request."""

ANTHROPIC_VERSION = "anthropic-version"
GEMINI_FIELDS = ("x-goog-api-client", "x-goog-api-key")
MOST_PAGE = 1000
DEFAULT_ANTHROPIC_PAGE = 20
DEFAULT_GEMINI_PAGE = 50

LIST_PARAMETERS = (
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_PAGE},
        description=f"How many models at most: all, or for clients of Anthropic's API {DEFAULT_ANTHROPIC_PAGE}.",
    ),
    Parameter(name="after_id", description="The models behind this one."),
    Parameter(name="before_id", description="The models in front of this one."),
)
GEMINI_PARAMETERS = (
    Parameter(
        name="pageSize",
        schema={"type": "integer", "minimum": 1, "maximum": MOST_PAGE, "default": DEFAULT_GEMINI_PAGE},
        description="How many models at most.",
    ),
    Parameter(name="pageToken", description="`nextPageToken` of the page before."),
)


class ModelsApi:
    """Shows the models that the gateway can route to, and that the key may ask for."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/models",
                handler=self.every,
                operation_id="listModels",
                summary="The models that can be asked",
                tag="Models",
                parameters=LIST_PARAMETERS,
                answers={JSON: ModelList},
                errors=(400, 401),
            ),
            Endpoint(
                method="GET",
                path="/models/{slug}",
                handler=self.one,
                operation_id="getModelOfDefaultAuthor",
                summary=f"One model of {DEFAULT_AUTHOR}",
                tag="Models",
                answers={JSON: Model},
                errors=(400, 401, 404),
            ),
            Endpoint(
                method="GET",
                path="/models/{author}/{slug:path}",
                handler=self.one,
                operation_id="getModel",
                summary="One model",
                tag="Models",
                answers={JSON: Model},
                errors=(400, 401, 404),
            ),
            *self._of_gemini(),
        )

    def _of_gemini(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/models",
                prefixes=("/v1beta",),
                handler=self.every_of_gemini,
                operation_id="listGeminiModels",
                summary="The same in the words of Gemini's API",
                tag="Models",
                parameters=GEMINI_PARAMETERS,
                answers={JSON: GeminiModels},
                errors=(400, 401),
            ),
            Endpoint(
                method="GET",
                path="/models/{name:path}",
                prefixes=("/v1beta",),
                handler=self.one_of_gemini,
                operation_id="getGeminiModel",
                summary="One model in the words of Gemini's API",
                tag="Models",
                answers={JSON: GeminiModel},
                errors=(400, 401, 404),
            ),
        )

    async def every(self, request: Request) -> Response:
        """OpenAI's list, with prices, context length and modalities; with a header `anthropic-version`, Anthropic's."""
        if _speaks_gemini(request):
            return await self.every_of_gemini(request)
        models = await self._models(request)
        parameters = Parameters(request.scope["query_string"], LIST_PARAMETERS)
        limit = parameters.whole("limit", least=1, most=MOST_PAGE)
        is_anthropic = ANTHROPIC_VERSION in request.headers
        if limit is None:
            limit = DEFAULT_ANTHROPIC_PAGE if is_anthropic else len(models)
        page, has_more = _page(models, limit, after=parameters.one("after_id"), before=parameters.one("before_id"))
        return answer_json(encode_anthropic_models(page, has_more=has_more) if is_anthropic else encode_models(page))

    async def one(self, request: Request) -> Response:
        """`pricing` is US dollars for one token or event, as decimal text."""
        author = request.path_params.get("author", DEFAULT_AUTHOR)
        model = await self._one(request, f"{author}/{request.path_params['slug']}")
        if _speaks_gemini(request):
            return answer_json(encode_gemini_model(model))
        encode = encode_anthropic_model if ANTHROPIC_VERSION in request.headers else encode_model
        return answer_json(encode(model))

    async def every_of_gemini(self, request: Request) -> Response:
        """The name of a model is `models/provider/model`."""
        models = await self._models(request)
        parameters = Parameters(request.scope["query_string"], GEMINI_PARAMETERS)
        size = parameters.whole("pageSize", least=1, most=MOST_PAGE)
        size = DEFAULT_GEMINI_PAGE if size is None else size
        token = parameters.one("pageToken")
        start = 0 if not token else _place(models, "pageToken", token) + 1
        page = models[start : start + size]
        following = page[-1].id if start + size < len(models) else None
        return answer_json(encode_gemini_models(page, following))

    async def one_of_gemini(self, request: Request) -> Response:
        """With `models/` in front of its name or without."""
        name = request.path_params["name"]
        return answer_json(encode_gemini_model(await self._one(request, name.removeprefix(RESOURCE))))

    async def _one(self, request: Request, model_id: str) -> ModelInfo:
        models = await self._models(request)
        Parameters(request.scope["query_string"], ())
        for model in models:
            if model.id == model_id:
                return model
        raise NotFound(f"There is no model `{quoted(model_id)}`.", code="model_not_found", param="model")

    async def _models(self, request: Request) -> list[ModelInfo]:
        """Those that the key may ask for."""
        key = await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        return [model for model in self._services.models() if may_ask(key, model)]


def may_ask(key: Key, model: ModelInfo) -> bool:
    """Whether the key's kind and its lists let it ask for a model. A management key sees what others may ask for."""
    provider, _, name = model.id.partition("/")
    if key.kind is KeyKind.TEST and provider != SANDBOX:
        return False
    if key.allowed_providers is not None and provider not in {ALIASES.get(one, one) for one in key.allowed_providers}:
        return False
    return key.allowed_models is None or model.id in key.allowed_models or name in key.allowed_models


def _speaks_gemini(request: Request) -> bool:
    """Google's newer SDKs ask for `/v1/models` as OpenAI's do, and name themselves in header fields."""
    return any(name in request.headers for name in GEMINI_FIELDS)


def _page(
    models: list[ModelInfo], limit: int, *, after: str | None, before: str | None
) -> tuple[Sequence[ModelInfo], bool]:
    """A page, and whether there are more models in its direction."""
    if before is not None:
        end = _place(models, "before_id", before)
        return models[max(0, end - limit) : end], end > limit
    start = 0 if after is None else _place(models, "after_id", after) + 1
    return models[start : start + limit], start + limit < len(models)


def _place(models: list[ModelInfo], name: str, model_id: str) -> int:
    for place, model in enumerate(models):
        if model.id == model_id:
            return place
    raise invalid(name, "names no model of the list")
