"""A gateway, and the document that it says of itself: for tests that compare the two."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import schemathesis
from schemathesis.schemas import BaseSchema
from tools import reference

from tests.faults.processes import Gateway, Sections, place

PASSWORD = "correct horse battery"
NOT_THE_APIS = {"Inference", "Pass-through"}
"""Tags of the paths that have tests of their own."""

OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in reference.openapi()["paths"].items()
    for method, operation in item.items()
    if not NOT_THE_APIS & set(operation["tags"])
]
"""Method, path, and what the document says of it."""


def is_open(operation: dict[str, object]) -> bool:
    """Whether no key is asked for."""
    return operation.get("security") == []


@contextmanager
def described_gateway(folder: Path) -> Iterator[Gateway]:
    """With some requests of two users. It must log no error."""
    sections: Sections = {
        "server": {"port": 0},
        "storage": {"url": "sqlite:///arouter.db"},
        "log": {"format": "json"},
        "security": {"key_encryption_key": hashlib.sha256(b"key-encryption key").hexdigest()},
    }
    with place(folder, sections) as home:
        started = home.start()
        with started.client() as client:
            for user in ("ada", None, "ada"):
                assert client.chat("sandbox/sandbox", user).status == 200
        yield started
        assert [entry for entry in started.log() if entry["level"] in ("error", "critical")] == []


def document_of(gateway: Gateway) -> BaseSchema:
    """What it says of itself."""
    loaded = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    loaded.config.checks.positive_data_acceptance.enabled = False
    return loaded


def new_member(gateway: Gateway, email: str) -> str:
    """The id of one who was invited, and has a password."""
    with gateway.client(gateway.management) as client:
        invitation = client.post("/v1/invitations", {"email": email}).json["token"]
        accepted = client.post("/v1/invitations/accept", {"token": invitation, "name": "Ada", "password": PASSWORD})
        assert accepted.status == 201, accepted.body
        member: str = accepted.json["data"]["id"]
        return member


def new_session(gateway: Gateway, email: str) -> tuple[str, str]:
    """The token and the id of one."""
    with gateway.client(gateway.management) as client:
        token: str = client.post("/v1/auth/sign-in", {"email": email, "password": PASSWORD}).json["token"]
    with gateway.client(token) as client:
        sessions = client.ask("GET", "/v1/auth/sessions").json["data"]
    current: str = sessions[0]["id"]
    return token, current
