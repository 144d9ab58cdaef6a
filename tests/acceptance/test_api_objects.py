"""The OpenAPI document against what is there: objects that exist are read, changed and deleted with what the document
lets one say, members ask with their sessions, and every path is asked by whoever may not.

`test_api_document` makes up ids, too, so that most of its answers are refusals.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import negative_data_rejection
from schemathesis.schemas import BaseSchema

from tests.acceptance.described import (
    OPERATIONS,
    described_gateway,
    document_of,
    is_open,
    new_member,
    new_session,
)
from tests.faults.processes import Gateway

EXAMPLES = 6
DELETED = 2
NUMBERS = count(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with described_gateway(tmp_path_factory.mktemp("objects")) as started:
        yield started


@pytest.fixture(scope="module")
def document(gateway: Gateway) -> BaseSchema:
    return document_of(gateway)


# ---------------------------------------------------------------- objects


def posted(path: str, body: Callable[[int], dict[str, object]], name: str = "id") -> Callable[[Gateway], str]:
    """Makes one by POST; its id."""

    def make(gateway: Gateway) -> str:
        with gateway.client(gateway.management) as client:
            answer = client.post(path, body(next(NUMBERS)))
        assert answer.status == 201, answer.body
        made: str = answer.json["data"][name]
        return made

    return make


def own_organization(gateway: Gateway) -> str:
    with gateway.client(gateway.management) as client:
        own: str = client.ask("GET", "/v1/organizations").json["data"][0]["id"]
    return own


def another_session(gateway: Gateway) -> str:
    return new_session(gateway, MEMBER)[1]


MEMBER = "member@example.com"
PROVIDER_KEY = {"provider": "openai", "key": "sk-xxxxxxxxxxxxxxxxxxxx"}
MADE: dict[str, tuple[str, Callable[[Gateway], str]]] = {
    "/v1/keys/{hash}": ("hash", posted("/v1/keys", lambda number: {"name": f"key {number}"}, "hash")),
    "/v1/guardrails/{id}": (
        "id",
        posted("/v1/guardrails", lambda number: {"target": "user", "target_id": f"u{number}", "name": "x", "limit": 1}),
    ),
    "/v1/credits/entries/{id}": ("id", posted("/v1/credits", lambda number: {"amount": number})),
    "/v1/workspaces/{id}": ("id", posted("/v1/workspaces", lambda number: {"name": f"workspace {number}"})),
    "/v1/invitations/{id}": (
        "id",
        posted("/v1/invitations", lambda number: {"email": f"invited{number}@example.com"}),
    ),
    "/v1/members/{id}": ("id", lambda gateway: new_member(gateway, f"member{next(NUMBERS)}@example.com")),
    "/v1/provider-keys/{id}": (
        "id",
        posted("/v1/provider-keys", lambda number: {**PROVIDER_KEY, "name": f"key {number}"}),
    ),
    "/v1/organizations/{id}": ("id", own_organization),
    "/v1/users/{user}": ("user", lambda gateway: "ada"),
    "/v1/auth/sessions/{id}": ("id", another_session),
    "/v1/models/{slug}": ("slug", lambda gateway: "sandbox/sandbox-echo"),
    "/v1/models/{author}/{slug}": ("slug", lambda gateway: "sandbox-echo"),
    "/v1beta/models/{name}": ("name", lambda gateway: "sandbox/sandbox-echo"),
}
"""What the name in a path is called, and how one is made."""
BASES = [(method, path) for method, path, _ in OPERATIONS if "{" in path and "/oidc/" not in path]


def of_path(path: str) -> str:
    """The path of the object that a path belongs to."""
    head, brace, _ = path.rpartition("}")
    return head + brace


@pytest.fixture(scope="module")
def session(gateway: Gateway) -> str:
    new_member(gateway, MEMBER)
    return new_session(gateway, MEMBER)[0]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), BASES, ids=str)
def test_what_is_there_answers_as_described(
    gateway: Gateway, document: BaseSchema, session: str, method: str, path: str, mode: GenerationMode
) -> None:
    name, make = MADE[of_path(path)]
    others = {"author": "sandbox"} if "{author}" in path else {}
    token = session if path.startswith("/v1/auth/") else gateway.management
    statuses: set[int] = set()

    @given(case=document[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=DELETED if method == "DELETE" else EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        case.path_parameters = {name: make(gateway), **others}
        # What did not fit may have been the id, which fits now.
        answer = case.call_and_validate(
            headers={"Authorization": f"Bearer {token}"}, excluded_checks=[negative_data_rejection]
        )
        statuses.add(answer.status_code)

    ask()
    assert 404 not in statuses
    if mode is GenerationMode.POSITIVE and method in ("GET", "DELETE"):
        assert 200 in statuses


# ---------------------------------------------------------------- members


OF_MEMBERS = [
    (method, path) for method, path, operation in OPERATIONS if path.startswith("/v1/auth/") and not is_open(operation)
]
"""What a session is needed for. Those that end it are asked last, and each gets a new one."""


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), [one for one in OF_MEMBERS if "{" not in one[1]], ids=str)
def test_members_are_answered_as_described(
    gateway: Gateway, document: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    email = f"asking{next(NUMBERS)}@example.com"
    new_member(gateway, email)
    statuses: set[int] = set()

    @given(case=document[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        token, _ = new_session(gateway, email)
        statuses.add(case.call_and_validate(headers={"Authorization": f"Bearer {token}"}).status_code)

    ask()
    assert statuses.isdisjoint({401, 403} if method == "GET" else {403})


# ---------------------------------------------------------------- who may not


SECURED = [(method, path) for method, path, operation in OPERATIONS if not is_open(operation)]


@pytest.mark.parametrize(("method", "path"), SECURED, ids=str)
def test_whoever_may_not_is_told_so_as_described(
    gateway: Gateway, document: BaseSchema, session: str, method: str, path: str
) -> None:
    @given(case=document[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    @settings(max_examples=1, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case[Any]) -> None:
        for token in ("", "lr_live_nobody", "lr_sess_nobody"):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            assert case.call_and_validate(headers=headers).status_code in (400, 401)
        for token in (gateway.live, session):
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"})

    ask()
