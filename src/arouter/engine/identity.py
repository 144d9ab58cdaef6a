"""What a provider learns of the end user: a stable pseudonym, unless the operator decided otherwise."""

from arouter.domain.pseudonym import Pseudonyms
from arouter.engine.routing import Deployment


def identity_for(deployment: Deployment, pseudonyms: Pseudonyms, organization_id: str, user: str | None) -> str | None:
    """What is sent in the place of the organization's `user`; None: nothing."""
    if user is None or deployment.identity == "none":
        return None
    if deployment.identity == "raw":
        return user
    return pseudonyms.of(organization_id, user)
