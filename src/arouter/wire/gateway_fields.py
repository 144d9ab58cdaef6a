"""The fields of a request that are the gateway's own business, by their names in OpenAI's formats."""

ROUTING_FIELDS = frozenset({"model", "models", "route", "provider", "stream", "stream_options", "usage"})
"""They say where the request goes and how the answer comes back: obeyed here, never an adapter's business."""

IDENTITY_FIELDS = frozenset({"user", "safety_identifier", "session_id", "metadata", "trace"})
"""They say for whom the request is: recorded here, and never sent raw to a provider."""

HOUSE_FIELDS = frozenset(
    {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "store", "transforms", "plugins"}
)
"""They address a service of the API that is asked (OpenAI's cache and storage, OpenRouter's rewriting). Without them
the answer is the same, so that a provider of another dialect that lacks them has not dropped anything."""

GATEWAY_FIELDS = ROUTING_FIELDS | IDENTITY_FIELDS | HOUSE_FIELDS
"""Fields that are never in `ChatRequest.rest`."""
