"""One record in OpenRouter's shape: what `GET /v1/generation` answers.

Fields of that shape for which the ledger has no answer are null. `attempts` and `tried` are our own.
"""

import msgspec

from arouter.domain.activity import ActivityRow
from arouter.domain.record import Record, Status
from arouter.wire.attempts_json import AttemptRecord, attempt_records
from arouter.wire.instants import write_instant
from arouter.wire.numbers import Dollars, dollars, milliseconds

_API_TYPES = {
    "/v1/chat/completions": "completions",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/v1/embeddings": "embeddings",
}


class ProviderResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A provider was asked. `status` is its own HTTP status, null if it gave no answer or the record does not tell."""

    provider_name: str
    status: int | None
    latency: float | None
    endpoint_id: str | None
    id: str | None = None
    is_byok: bool
    model_permaslug: str | None
    service_tier: str | None = None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A request as OpenRouter tells it. Costs are US dollars, durations milliseconds."""

    id: str
    upstream_id: str | None
    request_id: str
    created_at: str
    model: str | None
    provider_name: str | None
    api_type: str | None
    streamed: bool
    cancelled: bool
    latency: float | None
    generation_time: float | None
    moderation_latency: float | None = None
    finish_reason: str | None
    native_finish_reason: str | None = None
    tokens_prompt: int | None
    tokens_completion: int | None
    native_tokens_prompt: int | None
    native_tokens_completion: int | None
    native_tokens_reasoning: int | None
    native_tokens_cached: int | None
    native_tokens_completion_images: int | None
    num_media_prompt: int | None = None
    num_media_completion: int | None = None
    num_input_audio_prompt: int | None = None
    num_fetches: int | None = None
    num_search_results: int | None = None
    usage: Dollars | None
    total_cost: Dollars | None
    cache_discount: Dollars | None = None
    upstream_inference_cost: Dollars | None
    is_byok: bool
    origin: str | None
    http_referer: str | None
    user_agent: str | None = None
    app_id: int | None = None
    external_user: str | None
    session_id: str | None
    workspace_id: str
    service_tier: str | None
    preset_id: str | None = None
    data_region: str | None = None
    response_cache_source_id: str | None = None
    router: str | None = None
    provider_responses: tuple[ProviderResponse, ...]
    attempts: int
    tried: tuple[AttemptRecord, ...]


class GenerationAnswer(msgspec.Struct, frozen=True):
    data: Generation


def encode_generation(row: ActivityRow) -> bytes:
    """`{"data": Generation}`."""
    return msgspec.json.encode(GenerationAnswer(_generation(row)))


def _generation(row: ActivityRow) -> Generation:
    record = row.record
    opening = record.opening
    usage = record.usage
    return Generation(
        id=opening.id,
        upstream_id=record.upstream_id,
        request_id=opening.request_id,
        created_at=write_instant(opening.created_at_us),
        model=record.model if record.model is not None else opening.requested_model,
        provider_name=record.provider,
        api_type=_API_TYPES.get(opening.endpoint),
        streamed=opening.streamed,
        cancelled=record.status is Status.CLIENT_DISCONNECT,
        latency=milliseconds(record.latency_us),
        generation_time=_generation_time_ms(record.latency_us, record.time_to_first_token_us),
        finish_reason=record.finish_reason,
        tokens_prompt=usage.prompt_tokens,
        tokens_completion=usage.completion_tokens,
        native_tokens_prompt=usage.prompt_tokens,
        native_tokens_completion=usage.completion_tokens,
        native_tokens_reasoning=usage.reasoning_tokens,
        native_tokens_cached=usage.cached_tokens,
        native_tokens_completion_images=usage.output_image_tokens,
        usage=dollars(record.cost),
        total_cost=dollars(record.cost),
        upstream_inference_cost=dollars(record.reported_cost),
        is_byok=record.is_byok,
        origin=opening.app_url,
        http_referer=opening.app_url,
        external_user=opening.user,
        session_id=opening.session_id,
        workspace_id=opening.workspace_id,
        service_tier=record.service_tier,
        provider_responses=_provider_responses(record),
        attempts=record.attempts,
        tried=attempt_records(record.tried),
    )


def _provider_responses(record: Record) -> tuple[ProviderResponse, ...]:
    """All attempts, in order. The last one's id and tier are the record's."""
    last = len(record.tried) - 1
    responses = [
        ProviderResponse(
            provider_name=attempt.provider,
            status=attempt.http_status,
            latency=milliseconds(attempt.latency_us),
            endpoint_id=attempt.deployment,
            id=record.upstream_id if place == last else None,
            is_byok=attempt.is_byok,
            model_permaslug=attempt.model,
            service_tier=record.service_tier if place == last else None,
        )
        for place, attempt in enumerate(record.tried)
    ]
    if not responses and record.attempts and record.provider is not None:
        alone = ProviderResponse(
            provider_name=record.provider,
            status=200 if record.status is Status.SUCCESS else None,
            latency=milliseconds(record.latency_us),
            endpoint_id=None,
            id=record.upstream_id,
            is_byok=record.is_byok,
            model_permaslug=record.upstream_model,
            service_tier=record.service_tier,
        )
        responses.append(alone)
    return tuple(responses)


def _generation_time_ms(latency_us: int | None, first_us: int | None) -> float | None:
    if latency_us is None or first_us is None:
        return None
    return milliseconds(latency_us - first_us)
