"""Signed user tokens: who may mint them, and whom they are for.

A token is minted by a key, and lives as long as the key's plaintext of then: a key that is deleted, disabled, rotated
or expired takes its tokens with it, and where a rotation left the old plaintext some time, they have that time too.
Nothing of a token is stored, and nothing here logs one.
"""

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.errors import NotAuthenticated, NotPermitted
from arouter.domain.keys import Key, KeyKind, UserPolicy, by_previous_plaintext
from arouter.engine.remembered import Remembered
from arouter.store.base import Directory, KeySecrets
from arouter.web.auth import principal_of

if TYPE_CHECKING:
    from arouter.engine.user_tokens import Claims

HEADER: Final = b"x-arouter-user-token"
DEFAULT_LIFETIME_S: Final = 15 * 60
MOST_LIFETIME_S: Final = 24 * 60 * 60
MOST_BYTES: Final = 16 * 1024
"""A user of 1,024 bytes takes 8 kB at most, as JSON and base64 have it."""
ID_BYTES: Final = 16
MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUser:
    """An end user for whom a key vouches."""

    user: str
    key: Key
    """The one that minted the token."""
    expires_at_us: int


class UserTokens:
    """Mints tokens and knows them again."""

    def __init__(
        self,
        directory: Directory,
        *,
        secret: bytes,
        now_us: Callable[[], int],
        entropy: Callable[[int], bytes],
        revision: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`secret` is the server's own. A token is remembered until `forget`, if `revision`, the directory's, was the
        same before and after it was checked; with None none is."""
        self._directory = directory
        self._secret = secret
        self._now_us = now_us
        self._entropy = entropy
        self._revision = revision
        self._remembered: Remembered[str, SignedUser] = Remembered(MOST_REMEMBERED)
        self._library: Any = None

    def forget(self, changes: DirectoryChanges) -> None:
        """Those of keys that may be otherwise."""
        self._remembered.forget(changes.keys(found.key for found in self._remembered.things.values()))

    async def mint(self, key: Key, user: str, *, lifetime_s: int) -> "tuple[str, Claims]":
        """A token for `user`, by `key`. NotPermitted if the key's policy has no such users."""
        _check_vouching(key, user)
        secrets = await self._directory.secrets_of(key.organization_id, key.hash)
        if secrets is None:
            raise NotAuthenticated("invalid api key. It was deleted meanwhile.")
        library = await self._loaded()
        now_s = self._now_us() // 1_000_000
        ends_at_s = now_s + lifetime_s
        if key.expires_at_us is not None:
            # A plaintext that ends soon makes nothing that outlives it.
            ends_at_s = min(ends_at_s, key.expires_at_us // 1_000_000)
        claims: Claims = library.Claims(
            id=f"ut_{self._entropy(ID_BYTES).hex()}",
            user=user,
            organization_id=key.organization_id,
            key_hash=key.hash,
            issued_at_s=now_s,
            expires_at_s=ends_at_s,
        )
        signing_key = library.signing_key(self._secret, key.organization_id, key.hash, secrets.current)
        return library.sign(claims, signing_key), claims

    async def check(self, token: str) -> SignedUser:
        """For whom a token is. NotAuthenticated if it is none that is valid now."""
        found = self._recalled(token)
        if found is not None:
            return found
        library = await self._loaded()
        if len(token) > MOST_BYTES:
            raise library.invalid_token()
        revision = self._revision()
        organization_id, key_hash = library.named_key(token)
        key = await self._directory.get_key(organization_id, key_hash)
        if key is not None and key.kind is KeyKind.MANAGEMENT:
            # The bearer sees no more than whoever made the key, and for no longer.
            key = await principal_of(self._directory, key)
        secrets = await self._directory.secrets_of(organization_id, key_hash)
        if key is None or secrets is None:
            raise library.invalid_token()
        claims, key = self._verified(library, token, key, secrets)
        if key.disabled or (key.expires_at_us is not None and key.expires_at_us <= self._now_us()):
            raise library.invalid_token()
        try:
            _check_vouching(key, claims.user)
        except NotPermitted as exc:
            raise library.invalid_token() from exc
        found = SignedUser(user=claims.user, key=key, expires_at_us=claims.expires_at_s * 1_000_000)
        if revision is not None and revision == self._revision():
            self._remembered.put(token, key_hash, found)
        return found

    async def fixed(self, key: Key, token: bytes) -> Key:
        """`key` for one request that carries a token: it is attributed to the token's user, whatever else it says.

        NotAuthenticated if the token is not valid, or of another organization; NotPermitted if the key takes no users.
        """
        signed = await self.check(token.decode("latin-1").strip())
        trusted = signed.key.kind is not KeyKind.TEST or key.kind is KeyKind.TEST
        if signed.key.organization_id != key.organization_id or not trusted:
            raise self._library.invalid_token()
        if key.user_policy is UserPolicy.FORBIDDEN:
            raise NotPermitted(
                "This key takes only requests without an end user. Leave X-ARouter-User-Token out.",
                code="user_forbidden",
                param="X-ARouter-User-Token",
            )
        return replace(key, user_policy=UserPolicy.FIXED, fixed_user=signed.user)

    def _verified(self, library: Any, token: str, key: Key, secrets: KeySecrets) -> "tuple[Claims, Key]":
        """What a token says, and the key with the end of the plaintext that signed it. NotAuthenticated if none did."""
        signed_by = [(secrets.current, key)]
        if secrets.previous is not None:
            signed_by.append((secrets.previous, by_previous_plaintext(key)))
        now_s = self._now_us() // 1_000_000
        for secret, found in signed_by:
            signing_key = library.signing_key(self._secret, key.organization_id, key.hash, secret)
            try:
                return library.verify(token, signing_key, now_s=now_s), found
            except NotAuthenticated as exc:
                if exc.code != library.INVALID:
                    raise
        raise library.invalid_token()

    def _recalled(self, token: str) -> SignedUser | None:
        found = self._remembered.things.get(token)
        if found is None:
            return None
        now_us = self._now_us()
        expires_at_us = found.key.expires_at_us
        if found.expires_at_us <= now_us or (expires_at_us is not None and expires_at_us <= now_us):
            return None
        return found

    async def _loaded(self) -> Any:
        """`arouter.engine.user_tokens`, which takes a while to import; not on the event loop."""
        if self._library is None:
            loop = asyncio.get_running_loop()
            self._library = await loop.run_in_executor(None, importlib.import_module, "arouter.engine.user_tokens")
        return self._library


def _check_vouching(key: Key, user: str) -> None:
    """NotPermitted if a key may not vouch for a user: what asks with a key that takes signed users only could otherwise
    sign whomever it likes."""
    if key.user_policy is UserPolicy.SIGNED:
        raise NotPermitted(
            "This key takes user tokens, and mints none. Mint them with another key of the organization, which stays "
            "on your server."
        )
    if key.user_policy is UserPolicy.FORBIDDEN:
        raise NotPermitted("This key takes only requests without an end user.", code="user_forbidden", param="user")
    if key.user_policy is UserPolicy.FIXED and user != key.fixed_user:
        raise NotPermitted("This key is for one user, and mints tokens for no other.", param="user")
