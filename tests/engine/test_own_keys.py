"""Requests of an organization that has keys of its own, through the pipeline."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from arouter.domain.errors import ARouterError, NoProvider, StorageUnavailable, UpstreamFailed
from arouter.domain.interruption import interrupted
from arouter.domain.keys import Key
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.domain.record import Status
from arouter.engine.breaker import BreakerRules
from arouter.engine.own_keys import MOST_HOLDERS, OwnKeys, OwnProviders, Vault
from arouter.engine.retrying import RetryRules
from arouter.engine.routing import Deployment, ModelRoute, Routing
from arouter.engine.vault import Vault as AesVault
from arouter.store.memory import MemoryStore
from arouter.store.memory_directory import MemoryDirectory
from tests.domain.test_provider_keys import key as provider_key
from tests.engine.pipeline import STREAM, NewSelection, Pipeline, ask, completion, playing
from tests.engine.samples import deployment, key, routing
from tests.engine.scripted_client import Says
from tests.engine.test_vault import FOREIGN, NEW, drawn, vault

OPERATOR = "key-of-openai"
OWN = "sk-of-the-organization-1234567890"
OTHER_KEY = key(hash="f" * 64)
"""Another API key of the same organization."""
STRANGER = key(organization_id="org_2", hash="e" * 64)

Told = list[tuple[str, str | None]]


def maker(name: str, secret: str) -> Deployment:
    return deployment(name, headers=(("Authorization", f"Bearer {secret}"), ("User-Agent", "arouter/test")))


READS = vault(NEW)
PROVIDERS = OwnProviders(makers={name: partial(maker, name) for name in ("openai", "groq", "xai", "anthropic")}, off={})


class Owners:
    """A directory, and what is known of it."""

    def __init__(self, seals: AesVault | None = None) -> None:
        self.directory = MemoryStore(clock=lambda: 0).directory
        self.seals = vault(NEW) if seals is None else seals
        self.keys: OwnKeys
        self.told: Told = []

    def among(
        self,
        operator: Routing,
        selection: NewSelection,
        *,
        reads: Vault | None,
        directory: MemoryDirectory | None = None,
        most_holders: int = MOST_HOLDERS,
    ) -> OwnKeys:
        self.keys = OwnKeys(
            self.directory if directory is None else directory,
            operator=operator,
            selection=selection,
            providers=PROVIDERS,
            vault=reads,
            most_holders=most_holders,
            on_unreadable=lambda reason, about: self.told.append((reason, None if about is None else about.id)),
        )
        return self.keys

    async def add(self, secret: str = OWN, key_id: str = "pkey_1", **changes: Any) -> ProviderKey:
        added = provider_key(key_id, **changes)
        await self.directory.add_provider_key(added, self.seals.seal(secret, added))
        await self.keys.refresh()
        return added


def place(
    *answers: Any,
    reads: Vault | None = READS,
    operator: Routing | None = None,
    breaker: BreakerRules | None = None,
    retries: RetryRules | None = None,
    **others: Any,
) -> tuple[Pipeline, Owners]:
    owners = Owners()
    own_keys = partial(owners.among, reads=reads, **others)
    pipeline = Pipeline(*answers, routes=operator, own_keys=own_keys, breaker=breaker, retries=retries)
    return pipeline, owners


def answers(number: int = 1) -> list[Says]:
    return [Says(steps=[completion()]) for _ in range(number)]


def asked_with(pipeline: Pipeline) -> list[str]:
    """The keys that providers were asked with."""
    lines = [line for one in pipeline.client.asked for line in one.head.decode().split("\r\n")]
    return [line.removeprefix("Authorization: Bearer ") for line in lines if line.startswith("Authorization: ")]


# ---------------------------------------------------------------- whose key


@playing
async def test_an_organization_is_asked_for_with_its_own_key_and_others_with_the_operators() -> None:
    pipeline, owners = place(*answers(4))
    await owners.add()
    for owner in (key(), STRANGER, OTHER_KEY, STRANGER):
        await ask(pipeline, key=owner, organization_id=owner.organization_id)
    assert asked_with(pipeline) == [OWN, OPERATOR, OWN, OPERATOR]
    assert [record.is_byok for record, _ in pipeline.told] == [True, False, True, False]


@playing
async def test_the_record_says_so_and_has_its_cost() -> None:
    pipeline, owners = place(*answers())
    await owners.add()
    await ask(pipeline)
    record = await pipeline.only_record()
    assert (record.is_byok, record.status, record.attempts) == (True, Status.SUCCESS, 1)
    assert record.cost == 400 * 1_000_000


@playing
async def test_other_providers_are_asked_with_the_operators_key() -> None:
    pipeline, owners = place(*answers())
    await owners.add()
    await ask(pipeline, "groq/llama")
    assert asked_with(pipeline) == ["key-of-groq"]
    assert not (await pipeline.only_record()).is_byok


@playing
async def test_a_key_that_is_bound_serves_that_api_key_alone() -> None:
    pipeline, owners = place(*answers(3))
    await owners.add(api_key_hash=key().hash)
    for owner in (key(), OTHER_KEY):
        await ask(pipeline, key=owner)
    assert asked_with(pipeline) == [OWN, OPERATOR]
    await owners.add("sk-of-everybody", key_id="pkey_2", created_at_us=9)
    await ask(pipeline, key=OTHER_KEY)
    assert asked_with(pipeline)[-1] == "sk-of-everybody"


@playing
async def test_a_provider_that_the_operator_has_not_configured_is_there_for_whoever_brings_a_key() -> None:
    operator = Routing([deployment("openai")], off=[("xai", "Set XAI_API_KEY.")])
    pipeline, owners = place(*answers(2), operator=operator)
    await owners.add(provider="xai")
    await ask(pipeline, "x-ai/grok")
    await ask(pipeline, "xai/grok", key=STRANGER, organization_id="org_2")
    assert asked_with(pipeline) == [OWN]
    (own, _), (strangers, error) = pipeline.told
    assert (own.model, own.provider, own.is_byok) == ("xai/grok", "xai", True)
    assert isinstance(error, NoProvider)
    assert (strangers.status, strangers.is_byok) == (Status.REJECTED, False)


@playing
async def test_a_refusal_names_the_provider_that_the_organization_alone_has() -> None:
    pipeline, owners = place(operator=Routing([], off=[("xai", "Set XAI_API_KEY.")]))
    await owners.add(provider="xai")
    await ask(pipeline, "x-ai/grok", key=key(allowed_providers=("groq",)))
    record = await pipeline.only_record()
    assert (record.model, record.status) == ("xai/grok", Status.REJECTED)


@playing
async def test_the_rules_of_the_api_key_hold_as_ever() -> None:
    pipeline, owners = place()
    await owners.add()
    reply = await ask(pipeline, key=key(allowed_providers=("groq",)))
    assert reply.error is not None
    assert reply.error.code == "provider_not_allowed"
    record = await pipeline.only_record()
    assert (record.status, record.is_byok) == (Status.REJECTED, False)


@playing
async def test_a_stream_is_no_different() -> None:
    pipeline, owners = place(Says(steps=STREAM))
    await owners.add()
    reply = await ask(pipeline, stream=True)
    assert reply.stream.endswith(STREAM[-1])
    assert asked_with(pipeline) == [OWN]
    assert (await pipeline.only_record()).is_byok


@playing
async def test_the_intent_tells_it_in_case_the_process_dies() -> None:
    pipeline, owners = place(*answers())
    await owners.add()
    await ask(pipeline)
    (opening,) = pipeline.ledger.opened
    left = interrupted(opening, now_us=1)
    assert (left.is_byok, left.model, left.opening.on_own_key) == (True, "openai/gpt-5.4", False)


# ---------------------------------------------------------------- changes


Change = Callable[[MemoryDirectory, ProviderKey], Awaitable[object]]


async def replaced(directory: MemoryDirectory, known: ProviderKey) -> bool:
    return await directory.replace_provider_key(known, vault(NEW).seal("sk-another", known))


async def disabled(directory: MemoryDirectory, known: ProviderKey) -> bool:
    return await directory.replace_provider_key(replace(known, disabled=True))


async def deleted(directory: MemoryDirectory, known: ProviderKey) -> bool:
    return await directory.delete_provider_key(known.organization_id, known.id)


@pytest.mark.parametrize(
    ("change", "then"),
    [(replaced, "sk-another"), (disabled, OPERATOR), (deleted, OPERATOR)],
    ids=["replaced", "disabled", "deleted"],
)
@playing
async def test_a_change_counts_after_the_next_refresh(change: Change, then: str) -> None:
    pipeline, owners = place(*answers(3))
    known = await owners.add()
    await ask(pipeline)
    assert await change(owners.directory, known)
    await owners.keys.refresh()
    await ask(pipeline)
    assert asked_with(pipeline) == [OWN, then]


@playing
async def test_what_is_known_is_read_once_until_the_directory_changes() -> None:
    directory = CountedDirectory()
    pipeline, owners = place(*answers(6), directory=directory)
    owners.directory = directory
    await owners.add()
    for _ in range(3):
        await ask(pipeline)
        await owners.keys.refresh()
    assert directory.reads == 1
    await owners.add("sk-of-groq-1234", key_id="pkey_2", provider="groq")
    await ask(pipeline)
    assert directory.reads == 2


@playing
async def test_nothing_is_read_for_an_organization_without_keys() -> None:
    directory = CountedDirectory()
    pipeline, owners = place(*answers(2), directory=directory)
    owners.directory = directory
    await owners.add(organization_id="org_2")
    await ask(pipeline)
    assert directory.reads == 0
    assert asked_with(pipeline) == [OPERATOR]


@playing
async def test_what_was_read_while_the_directory_changed_is_not_kept() -> None:
    directory = CountedDirectory()
    pipeline, owners = place(*answers(2), directory=directory)
    owners.directory = directory
    known = await owners.add()

    async def meanwhile() -> None:
        assert await replaced(directory, known)
        await owners.keys.refresh()

    directory.after_read = meanwhile
    await ask(pipeline)
    await ask(pipeline)
    assert asked_with(pipeline) == [OWN, "sk-another"]


@playing
async def test_what_leaves_these_keys_as_they_are_makes_none_of_them_be_read_again() -> None:
    directory = CountedDirectory()
    pipeline, owners = place(*answers(4), directory=directory)
    owners.directory = directory
    added = await owners.add()
    changes: list[frozenset[str] | None] = []
    owners.keys.on_change.append(changes.append)
    await ask(pipeline)
    await directory.add_key(OTHER_KEY, secret="s")
    await owners.keys.refresh()
    await ask(pipeline)
    assert (directory.reads, changes) == (1, [])
    await owners.add("sk-of-org-2", key_id="pkey_2", organization_id="org_2")
    await ask(pipeline)
    assert (directory.reads, changes) == (1, [frozenset({"org_2"})])
    assert await replaced(directory, added)
    await owners.keys.refresh()
    await ask(pipeline)
    assert (directory.reads, changes[1:]) == (2, [frozenset({"org_1"})])


@playing
async def test_as_many_organizations_are_kept_as_the_bound_says() -> None:
    directory = CountedDirectory()
    pipeline, owners = place(*answers(5), directory=directory, most_holders=2)
    owners.directory = directory
    for name in ("org_1", "org_2", "org_3"):
        await owners.add(f"sk-of-{name}", key_id=f"pkey_{name}", organization_id=name)
    for name in ("org_1", "org_2", "org_1", "org_3", "org_1"):
        await ask(pipeline, key=key(organization_id=name), organization_id=name)
    assert asked_with(pipeline) == ["sk-of-org_1", "sk-of-org_2", "sk-of-org_1", "sk-of-org_3", "sk-of-org_1"]
    assert directory.reads == 4


@playing
async def test_api_keys_with_keys_of_their_own_count_towards_the_bound() -> None:
    directory = CountedDirectory()
    pipeline, owners = place(*answers(6), directory=directory, most_holders=3)
    owners.directory = directory
    await owners.add(api_key_hash=key().hash)
    await owners.add("sk-of-org-2", key_id="pkey_2", organization_id="org_2")
    await owners.add("sk-of-org-3", key_id="pkey_3", organization_id="org_3")
    for name in ("org_1", "org_2", "org_1", "org_2", "org_3", "org_1"):
        await ask(pipeline, key=key(organization_id=name), organization_id=name)
    assert asked_with(pipeline) == [OWN, "sk-of-org-2", OWN, "sk-of-org-2", "sk-of-org-3", OWN]
    assert directory.reads == 4, "two for the first, one for each of the others"


class CountedDirectory(MemoryDirectory):
    """Counts how often secrets were read from it."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(clock=lambda: 0).directory._data)
        self.reads = 0
        self.after_read: Callable[[], Awaitable[None]] | None = None

    async def sealed_provider_keys(self, organization_id: str) -> Any:
        self.reads += 1
        found = await super().sealed_provider_keys(organization_id)
        if self.after_read is not None:
            await self.after_read()
            self.after_read = None
        return found


# ---------------------------------------------------------------- falling back


def refused_with(status: int, message: str = "No.") -> Says:
    body = b'{"error": {"message": "%b", "type": "x"}}' % message.encode()
    return Says(status=status, steps=[body])


@pytest.mark.parametrize("status", [401, 402, 403, 429, 500, 503])
@playing
async def test_with_a_fall_back_the_operators_key_is_asked_next_and_both_are_on_the_record(status: int) -> None:
    pipeline, owners = place(refused_with(status), *answers())
    await owners.add(byok_fallback=True)
    reply = await ask(pipeline)
    assert reply.error is None
    assert asked_with(pipeline) == [OWN, OPERATOR]
    record = await pipeline.only_record()
    assert (record.attempts, record.is_byok) == (2, False)
    assert [(one.provider, one.http_status, one.is_byok) for one in record.tried] == [
        ("openai", status, True),
        ("openai", 200, False),
    ]


@playing
async def test_an_account_that_anthropic_refuses_is_fallen_back_from_too() -> None:
    refusal = Says(status=403, steps=[b'{"error": {"type": "permission_error", "message": "No."}}'])
    pipeline, owners = place(refusal, Says(status=529, steps=[]))
    await owners.add(provider="anthropic", byok_fallback=True)
    await ask(pipeline, "anthropic/claude-sonnet-4-5")
    assert len(pipeline.client.asked) == 2


@playing
async def test_without_one_the_operators_key_is_never_asked_with() -> None:
    for status in (401, 429, 500):
        pipeline, owners = place(refused_with(status), *answers())
        await owners.add()
        reply = await ask(pipeline)
        assert reply.error is not None
        assert asked_with(pipeline) == [OWN]
        assert (await pipeline.only_record()).is_byok


@playing
async def test_what_is_the_clients_fault_is_not_asked_again() -> None:
    pipeline, owners = place(refused_with(400), *answers())
    await owners.add(byok_fallback=True)
    await ask(pipeline)
    assert asked_with(pipeline) == [OWN]


@playing
async def test_a_fall_back_to_an_operator_who_has_no_key_is_none() -> None:
    pipeline, owners = place(refused_with(500), operator=Routing([], off=[("openai", "Set OPENAI_API_KEY.")]))
    await owners.add(byok_fallback=True)
    reply = await ask(pipeline)
    assert isinstance(reply.error, UpstreamFailed)


@playing
async def test_models_to_fall_back_to_come_after_the_operators_key() -> None:
    pipeline, owners = place(refused_with(429), refused_with(429), *answers())
    await owners.add(byok_fallback=True)
    await ask(pipeline, "openai/gpt-5.4", "groq/llama")
    assert asked_with(pipeline) == [OWN, OPERATOR, "key-of-groq"]


@playing
async def test_the_operators_key_is_the_second_also_while_the_own_one_rests() -> None:
    pipeline, owners = place(*([refused_with(401), *answers()] * 3), breaker=BreakerRules(failures=1))
    await owners.add(byok_fallback=True)
    for _ in range(3):
        await ask(pipeline, session_id="s")
    assert asked_with(pipeline) == [OWN, OPERATOR] * 3


@playing
async def test_what_fails_with_an_own_key_is_not_held_against_anybody_elses() -> None:
    models = {"gpt": ModelRoute(names=("openai/gpt-5.4", "groq/llama"))}
    operator = Routing([deployment("openai"), deployment("groq")], models=models)
    pipeline, owners = place(
        refused_with(500), *answers(4), operator=operator, breaker=BreakerRules(failures=1, rest_s=600.0)
    )
    await owners.add()
    await owners.add("sk-of-org-2", key_id="pkey_2", organization_id="org_2")
    for owner in (key(), key(), STRANGER, key(organization_id="org_3", hash="d" * 64)):
        await ask(pipeline, "gpt", key=owner, organization_id=owner.organization_id)
    assert asked_with(pipeline) == [OWN, "key-of-groq", "key-of-groq", "sk-of-org-2", OPERATOR]


@playing
async def test_all_of_the_operators_deployments_may_be_asked_then() -> None:
    several = [deployment("openai", name=name, headers=(("Authorization", f"Bearer {name}"),)) for name in ("eu", "us")]
    pipeline, owners = place(*[refused_with(429)] * 3, operator=Routing(several))
    await owners.add(byok_fallback=True)
    await ask(pipeline)
    assert asked_with(pipeline)[0] == OWN
    assert set(asked_with(pipeline)[1:]) == {"eu", "us"}
    record = await pipeline.only_record()
    assert next((one.deployment, one.is_byok) for one in record.tried) == ("pkey_1", True)
    assert {(one.deployment, one.is_byok) for one in record.tried[1:]} == {("eu", False), ("us", False)}


@playing
async def test_a_failure_that_may_pass_is_asked_again_with_the_own_key_alone() -> None:
    pipeline, owners = place(refused_with(500), *answers(), retries=RetryRules(retries=1))
    await owners.add()
    await ask(pipeline)
    assert asked_with(pipeline) == [OWN, OWN]
    assert [one.is_byok for one in (await pipeline.only_record()).tried] == [True, True]


@playing
async def test_preferences_and_names_of_the_operators_hold_for_owners_too() -> None:
    models = {"gpt": ModelRoute(names=("groq/llama", "openai/gpt-5.4"))}
    operator = Routing([deployment("openai"), deployment("groq")], models=models)
    pipeline, owners = place(*answers(3), operator=operator)
    await owners.add()
    await ask(pipeline, "gpt")
    await ask(pipeline, "gpt", provider={"order": ["openai"]})
    await ask(pipeline, "gpt:floor", provider={"only": ["openai/pkey_1"]})
    assert asked_with(pipeline) == ["key-of-groq", OWN, OWN]


# ---------------------------------------------------------------- what is said of the key


@playing
async def test_whose_key_was_refused_is_said() -> None:
    pipeline, owners = place(refused_with(401), refused_with(401))
    await owners.add()
    own = await ask(pipeline)
    operators = await ask(pipeline, key=STRANGER, organization_id="org_2")
    assert own.error is not None
    assert operators.error is not None
    assert "your organization's own key" in own.error.message
    assert "the gateway's credentials" in operators.error.message


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
@playing
async def test_a_provider_that_repeats_the_key_is_not_repeated(status: int) -> None:
    pipeline, owners = place(refused_with(status, f"Sorry, {OWN} may not. Bearer {OWN}!"))
    await owners.add()
    reply = await ask(pipeline)
    error = reply.error
    assert isinstance(error, UpstreamFailed)
    assert OWN not in f"{error.message} {error.metadata} {error.detail} {error.code}"
    assert error.message == "Sorry, … may not. Bearer …!"


# ---------------------------------------------------------------- keys that cannot be read


async def refusal_of(pipeline: Pipeline, owner: Key | None = None) -> ARouterError:
    reply = await ask(pipeline, key=key() if owner is None else owner)
    assert reply.error is not None
    return reply.error


@pytest.mark.parametrize("reads", [None, vault(FOREIGN)], ids=["none", "another"])
@playing
async def test_without_the_key_encryption_key_the_operators_account_is_not_charged_instead(reads: Vault | None) -> None:
    pipeline, owners = place(*answers(2), reads=reads)
    await owners.add()
    error = await refusal_of(pipeline)
    assert isinstance(error, NoProvider)
    assert "security.key_encryption_key" in error.message
    assert pipeline.client.asked == []
    await ask(pipeline, key=STRANGER, organization_id="org_2")
    await ask(pipeline, "groq/llama")
    assert asked_with(pipeline) == [OPERATOR, "key-of-groq"]


@playing
async def test_it_is_told_once_what_is_missing() -> None:
    pipeline, owners = place(reads=vault(FOREIGN))
    await owners.add()
    await owners.add(key_id="pkey_2", provider="groq")
    missing, *rest = owners.told
    assert rest == []
    assert missing[1] is None
    assert next(iter(vault(NEW).key_ids)) in missing[0]
    await refusal_of(pipeline)
    await owners.add(key_id="pkey_3", provider="xai")
    await refusal_of(pipeline)
    assert [about for _, about in owners.told[1:]] == ["pkey_1", "pkey_2", "pkey_3"]


@playing
async def test_a_row_that_somebody_changed_is_refused_and_the_others_go_on() -> None:
    pipeline, owners = place(*answers(1))
    known = await owners.add()
    await owners.add("sk-of-groq-123", key_id="pkey_2", provider="groq")
    foreign = vault(NEW).seal(OWN, provider_key("pkey_of_org_2", organization_id="org_2"))
    assert await owners.directory.replace_provider_key(known, foreign)
    await owners.keys.refresh()
    assert isinstance(await refusal_of(pipeline), NoProvider)
    await ask(pipeline, "groq/llama")
    assert asked_with(pipeline) == ["sk-of-groq-123"]
    assert [about for _, about in owners.told] == ["pkey_1"]


@playing
async def test_an_unreadable_key_with_a_fall_back_falls_back() -> None:
    pipeline, owners = place(*answers(), reads=vault(FOREIGN))
    await owners.add(byok_fallback=True)
    await ask(pipeline)
    assert asked_with(pipeline) == [OPERATOR]
    assert not (await pipeline.only_record()).is_byok


@playing
async def test_a_provider_that_takes_keys_no_more_is_not_asked_with_the_operators() -> None:
    pipeline, owners = place(*answers(), operator=routing("mistral"))
    await owners.add(provider="mistral")
    reply = await ask(pipeline, "mistral/large")
    assert isinstance(reply.error, NoProvider)
    assert pipeline.client.asked == []


@playing
async def test_a_directory_that_cannot_be_read_refuses_those_who_need_it() -> None:
    class Away(MemoryDirectory):
        async def sealed_provider_keys(self, organization_id: str) -> tuple[tuple[ProviderKey, Sealed], ...]:
            raise StorageUnavailable("The storage cannot be reached.")

    directory = Away(MemoryStore(clock=lambda: 0).directory._data)
    pipeline, owners = place(*answers(), directory=directory)
    owners.directory = directory
    await owners.add()
    assert isinstance(await refusal_of(pipeline), StorageUnavailable)
    await ask(pipeline, key=STRANGER, organization_id="org_2")
    assert asked_with(pipeline) == [OPERATOR]


def test_a_secret_is_not_in_what_is_printed() -> None:
    other = AesVault([hashlib.sha256(b"kek").digest()], drawn())
    assert OWN not in repr(other.seal(OWN, provider_key()))
    assert OWN not in repr(other)
