"""Who may ask for what: the rules of a key, checked before anything is spent."""

from arouter.domain.errors import InvalidRequest, NotPermitted
from arouter.domain.keys import Key, KeyKind, UserPolicy
from arouter.engine.call import Call
from arouter.engine.routing import Route

MOST_USER_BYTES = 1024
SANDBOX = "sandbox"

_LIVE = KeyKind.LIVE
_OPTIONAL = UserPolicy.OPTIONAL
"""By names of their own: Python 3.11 finds a member of an enumeration ten times as slowly."""


def resolve_user(key: Key, said: str | None) -> str | None:
    """The end user that a request is attributed to: the one it names, unless the key fixes another, or believes signed
    tokens only.

    InvalidRequest for more than 1,024 bytes of UTF-8 or for text that has no UTF-8 form.
    """
    if key.user_policy is not _OPTIONAL:
        if key.user_policy is UserPolicy.FIXED:
            return key.fixed_user
        if key.user_policy is UserPolicy.SIGNED:
            return None
    if said is not None and not (said.isascii() and len(said) <= MOST_USER_BYTES):
        check_user(said)
    return said


def check_user(user: str) -> None:
    """The two limits on an otherwise opaque value."""
    try:
        size = len(user.encode())
    except UnicodeEncodeError as exc:
        raise InvalidRequest(
            "user must be text that UTF-8 can hold; it has an unpaired surrogate.", code="invalid_value", param="user"
        ) from exc
    if size > MOST_USER_BYTES:
        raise InvalidRequest(
            f"user must be at most {MOST_USER_BYTES} bytes of UTF-8; this one has {size}. Send an id, not a document.",
            code="string_above_max_length",
            param="user",
        )


class Admission:
    """Lets a call through or says why not. Budgets and rates are `arouter.engine.guardian`'s."""

    def check(self, call: Call, route: Route, requested: str) -> None:
        """NotPermitted if a rule of the key refuses this call on this route.

        `requested` is the name that the client gave this very route, which may be a fall-back.
        """
        key = call.key
        if key.kind is not _LIVE:
            check_kind(key, route)
        if key.user_policy is not _OPTIONAL:
            check_user_policy(key, call.opening.user)
        if key.allowed_models is not None or key.allowed_providers is not None:
            check_allowed(key, route, requested)


def check_kind(key: Key, route: Route) -> None:
    """A management key never infers; a test key reaches the sandbox only."""
    if key.kind is KeyKind.MANAGEMENT:
        raise NotPermitted(
            "A management key cannot be used for inference. Use a key that begins with lr_live_.",
            code="wrong_key_type",
        )
    if key.kind is KeyKind.TEST and route.deployment.vendor.name != SANDBOX:
        raise NotPermitted(
            f"A test key reaches the sandbox provider only. Ask for sandbox/{route.model}, or use a live key.",
            code="wrong_key_type",
            param="model",
        )


def check_user_policy(key: Key, user: str | None) -> None:
    """Whether the key takes requests with, or without, an end user. For a request with a signed user token its key is
    one that fixes the token's user."""
    if key.user_policy is UserPolicy.SIGNED:
        raise NotPermitted(
            "This key takes only requests with a signed user token. Send X-ARouter-User-Token.",
            code="user_token_required",
            param="X-ARouter-User-Token",
        )
    if key.user_policy is UserPolicy.REQUIRED and user is None:
        raise NotPermitted(
            "This key takes only requests that name their end user. Send `user`.", code="user_required", param="user"
        )
    if key.user_policy is UserPolicy.FORBIDDEN and user is not None:
        raise NotPermitted(
            "This key takes only requests without an end user. Leave `user` out.", code="user_forbidden", param="user"
        )


def check_allowed(key: Key, route: Route, requested: str) -> None:
    """The key's lists of providers and models. A model may be listed with or without its provider."""
    provider = route.deployment.provider
    if key.allowed_providers is not None and not (
        {provider, route.deployment.vendor.name, *route.deployment.vendor.aliases} & set(key.allowed_providers)
    ):
        raise NotPermitted(
            f"provider '{provider}' is not allowed for this API key.",
            code="provider_not_allowed",
            param="model",
            metadata={"allowed_providers": list(key.allowed_providers)},
        )
    if key.allowed_models is not None and not ({route.name, route.model, requested} & set(key.allowed_models)):
        raise NotPermitted(
            f"model '{route.name}' is not allowed for this API key.",
            code="model_not_allowed",
            param="model",
            metadata={"allowed_models": list(key.allowed_models)},
        )
