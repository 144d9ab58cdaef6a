"""What a provider learns of the end user: a stable pseudonym, unless the operator decided otherwise."""

from collections.abc import Callable

from arouter.domain.pseudonym import Pseudonyms
from arouter.engine.routing import Deployment

Naming = Callable[[str, str], str]
"""What is sent in the place of an organization's user: the organization's id and the user in."""


def naming_for(deployment: Deployment, pseudonyms: Pseudonyms) -> Naming | None:
    """How a deployment is told of users; None: not at all."""
    if deployment.identity == "none":
        return None
    return _as_it_is if deployment.identity == "raw" else pseudonyms.of


def identity_for(deployment: Deployment, pseudonyms: Pseudonyms, organization_id: str, user: str | None) -> str | None:
    """What is sent in the place of the organization's `user`; None: nothing."""
    naming = naming_for(deployment, pseudonyms)
    return None if user is None or naming is None else naming(organization_id, user)


def _as_it_is(organization_id: str, user: str) -> str:
    return user
