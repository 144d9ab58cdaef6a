"""The secrets of authenticator apps as the directory keeps them: sealed where a key-encryption key is configured.

Sealed, they are `sealed:<id of the key-encryption key>:<nonce and ciphertext in base64>`, bound to the member whose
they are; else as they are, in base32, which has no colon.
"""

import base64

from arouter.domain.provider_keys import Sealed, Unreadable
from arouter.domain.sign_in import totp_binding
from arouter.engine.own_keys import SETTING, Vault

_SEALED = "sealed:"
_NONCE_BYTES = 12


class AppSecrets:
    """Seals them, and reads what is kept."""

    def __init__(self, vault: Vault | None) -> None:
        """With None what is new is kept as it is."""
        self._vault = vault

    def kept(self, secret: str, organization_id: str, member_id: str) -> str:
        """A member's secret as it is to be kept."""
        if self._vault is None:
            return secret
        sealed = self._vault.seal_bound(secret, totp_binding(organization_id, member_id))
        return f"{_SEALED}{sealed.key_id}:{base64.b64encode(sealed.nonce + sealed.ciphertext).decode()}"

    def read(self, kept: str, organization_id: str, member_id: str) -> str:
        """The secret. Unreadable if it is sealed, and not with a key that is configured, or is another member's."""
        if not kept.startswith(_SEALED):
            return kept
        if self._vault is None:
            raise Unreadable(f"it is sealed, and {SETTING} is not set")
        return self._vault.unseal_bound(_sealed(kept), totp_binding(organization_id, member_id))

    def renewed(self, kept: str, organization_id: str, member_id: str) -> str | None:
        """What is to be kept in place of it, sealed with the first key-encryption key; None: it may stay."""
        if self._vault is None or (kept.startswith(_SEALED) and _sealed(kept).key_id == self._vault.first_key_id):
            return None
        return self.kept(self.read(kept, organization_id, member_id), organization_id, member_id)


def _sealed(kept: str) -> Sealed:
    key_id, _, data = kept.removeprefix(_SEALED).partition(":")
    try:
        told = base64.b64decode(data, validate=True)
    except ValueError as exc:
        raise Unreadable("it was changed after it was sealed") from exc
    return Sealed(key_id=key_id, nonce=told[:_NONCE_BYTES], ciphertext=told[_NONCE_BYTES:])
