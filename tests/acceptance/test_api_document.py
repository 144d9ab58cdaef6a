"""The OpenAPI document against the real gateway: what it describes is what is answered, whatever is asked.

Requests are made up from the document, those that fit and those that do not. No answer may be a defect of the gateway,
or have a status, a media type or a body that the document does not tell; none may take what does not fit. The same
requests are made in every run.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema

from tests.acceptance.described import OPERATIONS, described_gateway, document_of, is_open, new_member, new_session
from tests.faults.processes import Gateway

POSITIVE = GenerationMode.POSITIVE
EXAMPLES = 8
"""Of each kind for each operation."""

ASKED = [
    pytest.param(method, path, mode, id=f"{method} {path} {mode.value}")
    for method, path, operation in OPERATIONS
    for mode in GenerationMode
    # Without a key and parameters there is nothing that could not fit.
    if mode is POSITIVE or not is_open(operation)
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with described_gateway(tmp_path_factory.mktemp("described")) as started:
        yield started


@pytest.fixture(scope="module")
def document(gateway: Gateway) -> BaseSchema:
    return document_of(gateway)


@pytest.mark.parametrize(("method", "path", "mode"), ASKED)
def test_answers_are_as_described(
    gateway: Gateway, document: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = document[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {gateway.management}"})

    ask()


LEAST = [path for method, path, mode in (one.values for one in ASKED) if (method, mode) == ("GET", POSITIVE)]


ASKED_BY_USERS = "/v1/users/me/usage"
"""With a user's own token, and by no key."""
ONE_OF_TWO = {"/v1/guardrails/explain": ["api_key_hash"]}
"""Parameters that have another name, so that neither is required."""


ASKED_BY_MEMBERS = ("/v1/auth/me", "/v1/auth/sessions")
"""With a session."""


@pytest.fixture(scope="module")
def session(gateway: Gateway) -> str:
    """The token of a member who has signed in."""
    new_member(gateway, "ada@example.com")
    return new_session(gateway, "ada@example.com")[0]


@pytest.mark.parametrize("path", [path for path in LEAST if "{" not in str(path) and path != ASKED_BY_USERS])
def test_the_least_that_can_be_asked_is_answered_as_described(
    gateway: Gateway, document: BaseSchema, session: str, path: str
) -> None:
    """What is made up is refused most of the time: here are the answers."""
    [record, *_] = gateway.records()
    given = {"start_time": int(time.time()) - 86_400, "id": record["id"], "api_key_hash": record["api_key_hash"]}
    required = [one.name for one in document[path]["GET"].iter_parameters() if one.is_required]
    required += ONE_OF_TWO.get(path, [])
    case = document[path]["GET"].Case(query={name: given[name] for name in required})
    token = session if path in ASKED_BY_MEMBERS else gateway.management
    answer = case.call_and_validate(headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
