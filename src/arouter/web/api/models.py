"""`GET /v1/models`: what can be asked, and what it costs."""

from fastapi import Request, Response

from arouter.domain.errors import NotFound
from arouter.web.api.endpoint import JSON, Endpoint, answer_json
from arouter.web.api.parameters import Parameters
from arouter.web.api.services import ApiServices
from arouter.wire.models_json import Model, ModelList, encode_model, encode_models
from arouter.wire.nearest import quoted

DEFAULT_AUTHOR = "openai"
"""A bare name means this author's model, here as in a request."""


class ModelsApi:
    """Shows the models that the gateway can route to."""

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
                answers={JSON: ModelList},
                errors=(401,),
            ),
            Endpoint(
                method="GET",
                path="/models/{slug}",
                handler=self.one,
                operation_id="getModelOfDefaultAuthor",
                summary=f"One model of {DEFAULT_AUTHOR}",
                tag="Models",
                answers={JSON: Model},
                errors=(401, 404),
            ),
            Endpoint(
                method="GET",
                path="/models/{author}/{slug:path}",
                handler=self.one,
                operation_id="getModel",
                summary="One model",
                tag="Models",
                answers={JSON: Model},
                errors=(401, 404),
            ),
        )

    async def every(self, request: Request) -> Response:
        """OpenAI's list, with prices, context length and modalities."""
        await self._admit(request)
        return answer_json(encode_models(self._services.models()))

    async def one(self, request: Request) -> Response:
        """`pricing` is US dollars for one token or event, as decimal text."""
        await self._admit(request)
        author = request.path_params.get("author", DEFAULT_AUTHOR)
        model_id = f"{author}/{request.path_params['slug']}"
        for model in self._services.models():
            if model.id == model_id:
                return answer_json(encode_model(model))
        raise NotFound(f"There is no model `{quoted(model_id)}`.", code="model_not_found", param="model")

    async def _admit(self, request: Request) -> None:
        await self._services.authenticate(request.scope["headers"], request.scope["query_string"])
        Parameters(request.scope["query_string"], ())
