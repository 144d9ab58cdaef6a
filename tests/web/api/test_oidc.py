"""`/v1/auth/oidc` against a real issuer on this machine: who comes in, and every way in which nobody does."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import jwt
import pytest

from arouter.domain.roles import Role
from arouter.engine.oidc import Issuer
from arouter.engine.upstream import Upstream
from arouter.web.api.app import create_api
from tests.issuer import CLIENT_ID, CLIENT_SECRET, LocalIssuer, local_issuer
from tests.web.api.gateway import BOSS, Gateway, failure
from tests.web.api.people import member
from tests.web.api.test_members import invite

BACK = "https://gateway.example/back"
PATH = "/v1/auth/oidc/work"


class Somebody:
    """Who signs in at the issuer."""

    def __init__(self, issuer: LocalIssuer, client_secret: str = CLIENT_SECRET) -> None:
        self.issuer = issuer
        issuer.now_s = 1_795_327_200
        self.client = Upstream()
        self.gateway = Gateway()
        known = Issuer(issuer=issuer.url, client_id=CLIENT_ID, client_secret=client_secret, client=self.client)
        api = create_api(replace(self.gateway.services, oidc={"work": known}))
        self.gateway.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=api, raise_app_exceptions=False), base_url="http://gateway"
        )

    def close(self) -> None:
        self.gateway.run(self.client.aclose())
        self.gateway.__exit__()

    def begin(self) -> dict[str, str]:
        """What to end with."""
        answer = self.gateway.ask("POST", f"{PATH}/begin", json={"redirect_uri": BACK})
        assert answer.status_code == 200, answer.text
        begun = answer.json()["data"]
        code, state = self.issuer.visit(begun["url"])
        assert state == begun["state"]
        assert begun["binding"] not in begun["url"]
        return {"code": code, "state": state, "binding": begun["binding"], "redirect_uri": BACK}

    def end(self, body: dict[str, str]) -> Any:
        return self.gateway.ask("POST", f"{PATH}/complete", json=body)

    def sign_in(self, **more: str) -> Any:
        return self.end({**self.begin(), **more})


@pytest.fixture
def somebody() -> Iterator[Somebody]:
    with local_issuer() as issuer:
        one = Somebody(issuer)
        yield one
        one.close()


def test_a_member_signs_in(somebody: Somebody) -> None:
    assert somebody.gateway.ask("GET", "/v1/auth/oidc").json() == {"data": [{"name": "work"}]}
    for _ in range(2):
        answer = somebody.sign_in()
        assert answer.status_code == 201, answer.text
        assert answer.json()["member"]["id"] == BOSS.id
    me = somebody.gateway.ask("GET", "/v1/auth/me", key=answer.json()["token"])
    assert me.json()["data"]["member"]["email"] == BOSS.email
    assert somebody.issuer.fetched.count("/keys") == 1, "what it publishes is kept"
    [entry] = somebody.gateway.manage("GET", "/v1/audit?limit=1").json()["data"]
    assert (entry["action"], entry["actor"], entry["actor_id"]) == ("session.create", "member", BOSS.id)


def test_the_address_is_compared_without_regard_to_case(somebody: Somebody) -> None:
    somebody.issuer.claims = {"email": "BOSS@Example.com"}
    assert somebody.sign_in().status_code == 201


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email": None},
        {"email": "nobody@example.com"},
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"aud": "somebody-else"},
        {"aud": [CLIENT_ID, "other"]},
        {"aud": [CLIENT_ID, "other"], "azp": "other"},
        {"exp": 1_795_327_000},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 1_795_327_500},
        {"nbf": 1_795_327_500},
        {"sub": None},
    ],
    ids=str,
)
def test_what_is_not_proven_lets_nobody_in(somebody: Somebody, claims: dict[str, Any]) -> None:
    somebody.issuer.claims = claims
    refused = somebody.sign_in()
    assert (refused.status_code, failure(refused)["code"]) == (401, "invalid_sign_in")


def test_a_disabled_member_does_not_come_in(somebody: Somebody) -> None:
    gateway = somebody.gateway
    gateway.run(gateway.store.directory.add_member(member("sleeper", Role.ADMIN, disabled=True)))
    somebody.issuer.claims = {"email": "sleeper@example.com"}
    assert somebody.sign_in().status_code == 401


def test_a_token_that_the_issuer_did_not_sign_is_refused(somebody: Somebody) -> None:
    issuer = somebody.issuer
    said = {
        "iss": issuer.url,
        "aud": CLIENT_ID,
        "sub": "x",
        "iat": issuer.now_s,
        "exp": issuer.now_s + 60,
        "email": BOSS.email,
        "email_verified": True,
    }
    with local_issuer() as other:
        forged = jwt.encode(said, other.keys["k1"], algorithm="RS256", headers={"kid": "k1"})
    unsigned = jwt.encode(said, "", algorithm="none", headers={"kid": "k1"})
    shared = jwt.encode(said, "x" * 32, algorithm="HS256", headers={"kid": "k1"})
    unknown = jwt.encode(said, issuer.keys["k1"], algorithm="RS256", headers={"kid": "k9"})
    for token in (forged, unsigned, shared, unknown, "nonsense", ""):
        issuer.token = token
        assert somebody.sign_in().status_code == 401


def test_a_new_key_of_the_issuer_is_looked_for(somebody: Somebody) -> None:
    assert somebody.sign_in().status_code == 201
    with local_issuer() as other:
        somebody.issuer.keys = {"k2": other.keys["k1"]}
    somebody.issuer.signs_with = "k2"
    assert somebody.sign_in().status_code == 201


def test_a_way_is_ended_where_it_was_begun_within_ten_minutes(somebody: Somebody) -> None:
    begun = somebody.begin()
    for name, value in (
        ("state", begun["state"] + "x"),
        ("state", "9" + begun["state"]),
        ("state", "nonsense"),
        ("binding", "another's"),
        ("redirect_uri", "https://evil.example/back"),
    ):
        refused = somebody.end({**begun, name: value})
        assert (refused.status_code, failure(refused)["param"]) == (400, "state")
    assert somebody.end(begun).status_code == 201
    assert somebody.end(begun).status_code == 401, "a code is taken once"
    late = somebody.begin()
    somebody.gateway.now_us += 600_000_000
    assert failure(somebody.end(late))["param"] == "state"


def test_the_code_of_another_way_does_not_fit(somebody: Somebody) -> None:
    first, second = somebody.begin(), somebody.begin()
    assert somebody.end({**first, "code": second["code"]}).status_code == 401


def test_who_is_invited_becomes_a_member_with_the_address_of_the_invitation(somebody: Somebody) -> None:
    made = invite(somebody.gateway, email="ada@example.com", role="billing")
    assert somebody.sign_in(invitation=made["token"]).status_code == 401, "it is for another address"
    somebody.issuer.claims = {"email": "Ada@example.com", "name": "Ada"}
    assert somebody.sign_in().status_code == 401, "nobody comes in by an address alone"
    answer = somebody.sign_in(invitation=made["token"])
    assert answer.status_code == 201
    assert (answer.json()["member"]["name"], answer.json()["member"]["role"]) == ("Ada", "billing")
    assert somebody.sign_in(invitation=made["token"]).status_code == 401
    assert somebody.sign_in().status_code == 201


def test_an_issuer_that_calls_itself_otherwise_is_not_trusted(somebody: Somebody) -> None:
    somebody.issuer.calls_itself = "https://evil.example"
    answer = somebody.gateway.ask("POST", f"{PATH}/begin", json={"redirect_uri": BACK})
    assert (answer.status_code, failure(answer)["code"]) == (502, "upstream_error")


@pytest.mark.parametrize("is_public", [True, False])
def test_a_client_without_a_secret_is_let_in_where_the_issuer_says_so(is_public: bool) -> None:
    with local_issuer() as issuer:
        issuer.is_public = is_public
        one = Somebody(issuer, client_secret="")
        assert one.sign_in().status_code == (201 if is_public else 401)
        one.close()


def test_an_issuer_that_nobody_named_is_not_there(somebody: Somebody) -> None:
    for what, body in (("begin", {"redirect_uri": BACK}), ("complete", {})):
        answer = somebody.gateway.ask("POST", f"/v1/auth/oidc/other/{what}", json=body)
        assert failure(answer)["code"] == "issuer_not_found"
