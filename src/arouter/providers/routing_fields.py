"""Fields of a request in OpenAI's dialects that are instructions to a gateway, beside those for the model."""

FALL_BACK_FIELDS = ("models", "route")
"""Followed by us, in our names of the models: never sent, also not to a gateway, which has other names for them."""
ROUTING_FIELDS = ("provider", "session_id", "usage", "transforms", "plugins", "trace")
"""Instructions to a gateway: taken by us, and by no vendor that is not a gateway itself."""

IDENTITY_FIELDS = ("user", "safety_identifier")
"""What the client says of its end user: never sent as it came."""


def taken_from(*, gateway: bool) -> frozenset[str]:
    """The fields that never reach a vendor, which may be a gateway itself."""
    taken = frozenset((*IDENTITY_FIELDS, *FALL_BACK_FIELDS))
    return taken if gateway else taken.union(ROUTING_FIELDS)
