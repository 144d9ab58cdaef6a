"""Keys on HTTP: four places, and what is remembered of them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.errors import NotAuthenticated, StorageUnavailable
from arouter.domain.guardrails import Guardrail, Target
from arouter.domain.keys import Key, KeyKind, digest, new_plaintext
from arouter.domain.organizations import Organization, Workspace
from arouter.store.memory import MemoryStore
from arouter.store.memory_directory import MemoryDirectory
from arouter.web.auth import MOST_UNKNOWN, Authenticator, find_credentials
from tests.engine.samples import key

PLAINTEXT = new_plaintext(KeyKind.LIVE, bytes(24))
KEY = key(hash=digest(PLAINTEXT))
CAP = Guardrail(
    id="grl_1", organization_id="org_1", name="the cap", target=Target.ORGANIZATION, target_id=None, created_at_us=1
)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({b"authorization": b"Bearer k"}, b""),
        ({b"authorization": b"bearer  k "}, b""),
        ({b"x-api-key": b" k"}, b""),
        ({b"x-goog-api-key": b"k"}, b""),
        ({}, b"alt=sse&key=k"),
        ({}, b"key=%6b"),
        ({b"authorization": b"Basic abc", b"x-api-key": b"k"}, b""),
        ({b"authorization": b"Bearer k", b"x-api-key": b"other"}, b"key=another"),
    ],
)
def test_a_key_is_found_wherever_a_client_puts_it(headers: dict[bytes, bytes], query: bytes) -> None:
    assert find_credentials(headers, query).plaintext == "k"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, b""),
        ({b"authorization": b"Bearer"}, b""),
        ({b"x-api-key": b""}, b"key="),
        ({}, b"monkey=k"),
        ({}, b"%ff=key="),
    ],
)
def test_no_key_says_how_to_send_one(headers: dict[bytes, bytes], query: bytes) -> None:
    with pytest.raises(NotAuthenticated, match="Authorization: Bearer lr_live_") as refused:
        find_credentials(headers, query)
    assert refused.value.code == "missing_api_key"


class Counting(MemoryDirectory):
    """Counts the look-ups."""

    asked = 0

    async def find_key(self, secret: str) -> Key | None:
        self.asked += 1
        return await super().find_key(secret)


class Rig:
    def __init__(self) -> None:
        self.now_us = 1_000
        self.directory = Counting(MemoryStore(clock=lambda: self.now_us).directory._data)
        self.authenticator = Authenticator(self.directory, now_us=lambda: self.now_us)

    async def ask(self, plaintext: str = PLAINTEXT) -> Key:
        return await self.authenticator.authenticate({b"authorization": b"Bearer " + plaintext.encode()}, b"")

    async def refused(self, plaintext: str = PLAINTEXT) -> str:
        with pytest.raises(NotAuthenticated) as refused:
            await self.ask(plaintext)
        return refused.value.code


def rig(dialogue: Any) -> Any:
    """A test with a directory that knows one key."""

    def test() -> None:
        async def run() -> None:
            one = Rig()
            await one.directory.add_key(KEY, secret=KEY.hash)
            await one.authenticator.refresh()
            await dialogue(one)

        asyncio.run(run())

    test.__name__ = dialogue.__name__
    return test


@rig
async def test_a_key_is_looked_up_once_until_the_directory_changes(one: Rig) -> None:
    assert await one.ask() == KEY
    assert await one.ask() == KEY
    await one.authenticator.refresh()
    assert await one.ask() == KEY
    assert one.directory.asked == 1
    await one.directory.replace_key(replace(KEY, name="new"))
    await one.authenticator.refresh()
    assert (await one.ask()).name == "new"


@rig
async def test_a_key_stays_the_same_object_while_others_are_made_changed_and_deleted(one: Rig) -> None:
    known = await one.ask()
    told: list[DirectoryChanges] = []
    one.authenticator.on_change.append(told.append)
    plaintexts = [new_plaintext(KeyKind.LIVE, bytes(23) + bytes([number])) for number in (1, 2)]
    others = [key(hash=digest(plaintext)) for plaintext in plaintexts]
    for other in others:
        await one.directory.add_key(other, secret=other.hash)
        await one.authenticator.refresh()
    assert [(await one.ask(plaintext)).hash for plaintext in plaintexts] == [other.hash for other in others]
    await one.directory.replace_key(replace(others[0], disabled=True))
    assert await one.directory.delete_key(others[1].organization_id, others[1].hash, now_us=0)
    await one.authenticator.refresh()
    assert [await one.refused(plaintext) for plaintext in plaintexts] == ["invalid_api_key"] * 2
    assert await one.ask() is known
    hashes = [frozenset({one.hash for one in some}) for some in (others[:1], others[1:], others)]
    assert [changes.keys(()) for changes in told] == hashes


@rig
async def test_what_may_say_something_of_an_organizations_keys_makes_those_forgotten_and_no_others(
    one: Rig,
) -> None:
    plaintext = new_plaintext(KeyKind.LIVE, bytes(23) + b"\3")
    foreign = key(hash=digest(plaintext), organization_id="org_2")
    await one.directory.add_key(foreign, secret=foreign.hash)
    workspace = Workspace(id="ws_1", organization_id="org_1", name="Main", created_at_us=1)
    organization = Organization(id="org_1", name="Acme", created_at_us=1)
    await one.authenticator.refresh()
    for change, asked in (
        (one.directory.add_organization(organization, workspace), 2),
        (one.directory.replace_workspace(replace(workspace, name="Other")), 3),
        (one.directory.add_guardrail(CAP), 3),
    ):
        await one.ask()
        await one.ask(plaintext)
        await change
        await one.authenticator.refresh()
        await one.ask()
        await one.ask(plaintext)
        assert one.directory.asked == asked


@rig
async def test_both_plaintexts_of_a_key_are_forgotten_with_it(one: Rig) -> None:
    newer = new_plaintext(KeyKind.LIVE, bytes(23) + b"\2")
    assert await one.directory.rotate_key(
        KEY.organization_id, KEY.hash, secret=digest(newer), label="", now_us=1_000, previous_expires_at_us=2_000
    )
    await one.authenticator.refresh()
    assert [(await one.ask(plaintext)).hash for plaintext in (PLAINTEXT, newer)] == [KEY.hash] * 2
    assert await one.directory.delete_key(KEY.organization_id, KEY.hash, now_us=1_000)
    await one.authenticator.refresh()
    assert [await one.refused(plaintext) for plaintext in (PLAINTEXT, newer)] == ["invalid_api_key"] * 2


@rig
async def test_however_many_keys_are_tried_that_belong_to_nobody_those_that_are_known_stay(one: Rig) -> None:
    known = await one.ask()
    for number in range(1, MOST_UNKNOWN + 2):
        await one.refused(new_plaintext(KeyKind.LIVE, number.to_bytes(24)))
    asked = one.directory.asked
    assert await one.ask() is known
    await one.refused(new_plaintext(KeyKind.LIVE, (1).to_bytes(24)))
    assert one.directory.asked == asked, "it is known to belong to nobody"


@rig
async def test_an_unknown_key_is_refused_and_one_without_the_shape_is_not_looked_up(one: Rig) -> None:
    unknown = new_plaintext(KeyKind.LIVE, bytes(23) + b"\1")
    assert [await one.refused(unknown), await one.refused(unknown)] == ["invalid_api_key"] * 2
    assert one.directory.asked == 1
    for odd in ("sk-x", PLAINTEXT + "0", PLAINTEXT.upper(), "ü", "", PLAINTEXT[:-1]):
        with pytest.raises(NotAuthenticated):
            await one.ask(odd)
    assert one.directory.asked == 1
    await one.directory.add_key(key(hash=digest(unknown)), secret=digest(unknown))
    await one.authenticator.refresh()
    assert (await one.ask(unknown)).hash == digest(unknown)


@rig
async def test_a_disabled_a_deleted_and_an_expired_key(one: Rig) -> None:
    await one.directory.replace_key(replace(KEY, expires_at_us=2_000))
    await one.authenticator.refresh()
    one.now_us = 1_999
    await one.ask()
    one.now_us = 2_000
    assert await one.refused() == "expired_api_key"
    await one.directory.replace_key(replace(KEY, disabled=True))
    await one.authenticator.refresh()
    assert await one.refused() == "invalid_api_key"
    await one.directory.delete_key(KEY.organization_id, KEY.hash, now_us=0)
    await one.authenticator.refresh()
    assert await one.refused() == "invalid_api_key"


@rig
async def test_an_old_plaintext_ends_with_its_time_though_the_directory_stays_the_same(one: Rig) -> None:
    newer = new_plaintext(KeyKind.LIVE, bytes(23) + b"\2")
    rotation = one.directory.rotate_key(
        KEY.organization_id, KEY.hash, secret=digest(newer), label="", now_us=1_000, previous_expires_at_us=2_000
    )
    assert await rotation
    await one.authenticator.refresh()
    assert [(await one.ask(plaintext)).hash for plaintext in (PLAINTEXT, newer)] == [KEY.hash] * 2
    remembered = find_credentials({b"x-api-key": PLAINTEXT.encode()}, b"")
    assert one.authenticator.recall(remembered, 1_999) is not None
    assert one.authenticator.recall(remembered, 2_000) is None
    one.now_us = 2_000
    assert await one.refused() == "expired_api_key"
    assert (await one.ask(newer)).expires_at_us is None
    assert one.directory.asked == 2


@rig
async def test_a_key_that_changes_while_it_is_looked_up_is_not_remembered_as_it_was(one: Rig) -> None:
    looked_up = await one.directory.find_key(KEY.hash)
    slow: asyncio.Future[Key | None] = asyncio.get_running_loop().create_future()

    async def find(secret: str) -> Key | None:
        return await slow

    class Slow(MemoryDirectory):
        async def find_key(self, secret: str) -> Key | None:
            return await find(secret) if not slow.done() else await super().find_key(secret)

    one.directory = Slow(one.directory._data)  # type: ignore[assignment]
    one.authenticator = Authenticator(one.directory, now_us=lambda: one.now_us)
    await one.authenticator.refresh()
    asking = asyncio.ensure_future(one.ask())
    await asyncio.sleep(0)
    await one.directory.replace_key(replace(KEY, disabled=True))
    await one.authenticator.refresh()
    slow.set_result(looked_up)
    assert await asking == KEY
    assert await one.refused() == "invalid_api_key"


class Away(MemoryDirectory):
    """Cannot be read when a test says so."""

    away = False

    async def find_key(self, secret: str) -> Key | None:
        if self.away:
            raise StorageUnavailable("The storage is away.")
        return await super().find_key(secret)

    async def changes_after(self, revision: int) -> DirectoryChanges:
        if self.away:
            raise StorageUnavailable("The storage is away.")
        return await super().changes_after(revision)


def test_while_the_directory_is_away_the_keys_that_are_known_stay_and_the_others_are_not_called_invalid() -> None:
    async def run() -> None:
        directory = Away(MemoryStore(clock=lambda: 0).directory._data)
        await directory.add_key(KEY, secret=KEY.hash)
        authenticator = Authenticator(directory, now_us=lambda: 0)
        await authenticator.refresh()
        headers = {b"authorization": f"Bearer {PLAINTEXT}".encode()}
        assert (await authenticator.authenticate(headers, b"")).hash == KEY.hash
        directory.away = True
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                await authenticator.refresh()
            assert (await authenticator.authenticate(headers, b"")).hash == KEY.hash
        other = new_plaintext(KeyKind.LIVE, bytes([1] * 24))
        with pytest.raises(StorageUnavailable):
            await authenticator.authenticate({b"authorization": f"Bearer {other}".encode()}, b"")
        directory.away = False
        await directory.delete_key(KEY.organization_id, KEY.hash, now_us=1)
        await authenticator.refresh()
        with pytest.raises(NotAuthenticated):
            await authenticator.authenticate(headers, b"")

    asyncio.run(run())
