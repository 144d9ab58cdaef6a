"""Tokens that are remembered: as long as their keys stay the same, and they last."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from arouter.domain.directory_changes import DirectoryChanges, Thing
from arouter.domain.errors import NotAuthenticated
from arouter.domain.keys import Key, KeyKind, by_previous_plaintext
from arouter.store.base import KeySecrets
from arouter.store.memory import MemoryStore
from arouter.store.memory_directory import MemoryDirectory
from arouter.web.user_tokens import SignedUser, UserTokens

Result = TypeVar("Result")

KEY = Key(
    hash="h",
    name="prod",
    kind=KeyKind.LIVE,
    label="",
    organization_id="org_a",
    workspace_id="ws_a",
    creator=None,
    created_at_us=0,
)


class Counting:
    """A directory that counts what it is asked for."""

    def __init__(self) -> None:
        self.directory: MemoryDirectory = MemoryStore(clock=lambda: 0).directory
        self.asked = 0
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens while it is asked."""

    async def get_key(self, organization_id: str, key_hash: str) -> Key | None:
        self.asked += 1
        self.meanwhile()
        return await self.directory.get_key(organization_id, key_hash)

    async def secrets_of(self, organization_id: str, key_hash: str) -> KeySecrets | None:
        return await self.directory.secrets_of(organization_id, key_hash)


class Tokens:
    """With a clock and a revision that stand still until they are set."""

    def __init__(self) -> None:
        self.counting = Counting()
        self.now_us = 10**15
        self.revision: int | None = 1
        self.runner = asyncio.Runner()
        self.run(self.counting.directory.add_key(KEY, secret="1" * 64))
        self.tokens = UserTokens(
            self.counting,  # type: ignore[arg-type]  # the part of a directory that is asked
            secret=bytes(32),
            now_us=lambda: self.now_us,
            entropy=bytes,
            revision=lambda: self.revision,
        )

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def mint(self, lifetime_s: int = 60) -> str:
        return self.run(self.tokens.mint(KEY, "ann", lifetime_s=lifetime_s))[0]

    def check(self, token: str) -> SignedUser:
        return self.run(self.tokens.check(token))


@pytest.fixture
def known() -> Iterator[Tokens]:
    tokens = Tokens()
    yield tokens
    tokens.runner.close()


def test_a_token_is_looked_up_once(known: Tokens) -> None:
    token = known.mint()
    assert known.check(token) == known.check(token)
    assert (known.counting.asked, known.check(token).user) == (1, "ann")


def test_without_a_revision_none_is_remembered(known: Tokens) -> None:
    known.revision = None
    token = known.mint()
    known.check(token)
    known.check(token)
    assert known.counting.asked == 2


def changes(*things: Thing) -> DirectoryChanges:
    return DirectoryChanges(revision=2, things=frozenset(things))


@pytest.mark.parametrize(
    "changed",
    [
        changes(("key.update", "org_a", KEY.hash)),
        changes(("member.update", "org_a", "mem_1")),
        DirectoryChanges(revision=2, things=None),
    ],
    ids=["its key", "its organization", "anything"],
)
def test_a_change_of_its_key_counts(known: Tokens, changed: DirectoryChanges) -> None:
    token = known.mint()
    known.check(token)
    known.run(known.counting.directory.replace_key(replace(KEY, disabled=True)))
    known.revision = 2
    known.tokens.forget(changed)
    with pytest.raises(NotAuthenticated):
        known.check(token)


def test_a_change_of_another_key_makes_no_token_forgotten(known: Tokens) -> None:
    token = known.mint()
    known.check(token)
    known.revision = 2
    known.tokens.forget(changes(("key.update", "org_a", "another"), ("member.update", "org_b", "mem_2")))
    known.check(token)
    assert known.counting.asked == 1


def test_what_changed_while_a_token_was_looked_up_counts(known: Tokens) -> None:
    token = known.mint()
    known.counting.meanwhile = lambda: setattr(known, "revision", 2)
    known.check(token)
    known.check(token)
    assert known.counting.asked == 2


def test_one_that_is_remembered_ends_with_its_time(known: Tokens) -> None:
    token = known.mint()
    known.check(token)
    known.now_us += 60_000_000
    with pytest.raises(NotAuthenticated, match="expired"):
        known.check(token)


def test_what_was_refused_is_not_remembered(known: Tokens) -> None:
    body, _, signature = known.mint().rpartition(".")
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            known.check(f"{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}")
    assert known.counting.asked == 2


def test_a_token_has_the_time_that_a_rotation_leaves_its_key(known: Tokens) -> None:
    token = known.mint()
    ends_at_us = known.now_us + 10_000_000
    known.run(
        known.counting.directory.rotate_key(
            "org_a", "h", secret="2" * 64, label="", now_us=known.now_us, previous_expires_at_us=ends_at_us
        )
    )
    known.revision = 2
    assert known.check(token).user == "ann"
    newer = known.mint()
    known.now_us = ends_at_us
    for _ in range(2):
        with pytest.raises(NotAuthenticated) as refused:
            known.check(token)
        assert refused.value.code == "invalid_user_token"
        assert known.check(newer).user == "ann"
    known.now_us += 60_000_000
    with pytest.raises(NotAuthenticated) as refused:
        known.check(newer)
    assert refused.value.code == "expired_user_token"


def test_a_plaintext_that_ends_makes_no_token_that_outlives_it(known: Tokens) -> None:
    ends_at_us = known.now_us + 10_000_000
    old = by_previous_plaintext(replace(KEY, previous_expires_at_us=ends_at_us))
    _, claims = known.run(known.tokens.mint(old, "ann", lifetime_s=60))
    assert claims.expires_at_s * 1_000_000 == ends_at_us
