"""`/v1/provider-keys`: a secret goes in and never comes out."""

from typing import Any

import pytest

from arouter.domain.keys import KeyKind
from arouter.domain.money import Picodollars
from arouter.domain.provider_keys import ProviderKey, Sealed
from tests.web.api.gateway import NEEDS_NO_STORE, VAULT, Gateway, exact, failure

PATH = "/v1/provider-keys"
SECRET = "sk-proj-sesame-1234567890-abcd"
OTHER = "sk-proj-another-0987654321-wxyz"


def create(gateway: Gateway, **fields: object) -> Any:
    answer = gateway.manage("POST", PATH, json={"provider": "openai", "key": SECRET, **fields})
    assert answer.status_code == 201, answer.text
    assert SECRET not in answer.text
    return answer.json()["data"]


def update(gateway: Gateway, key_id: str, **fields: object) -> Any:
    answer = gateway.manage("PATCH", f"{PATH}/{key_id}", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def listed(gateway: Gateway, query: str = "") -> list[str]:
    return [key["id"] for key in gateway.manage("GET", f"{PATH}{query}").json()["data"]]


def stored(gateway: Gateway) -> list[tuple[ProviderKey, Sealed]]:
    return list(gateway.run(gateway.store.directory.every_provider_key()))


def secrets_of(gateway: Gateway) -> list[str]:
    return [VAULT.unseal(sealed, key) for key, sealed in stored(gateway)]


def test_a_key_is_stored_sealed_and_shown_by_its_label(gateway: Gateway) -> None:
    made = create(gateway, name="prod")
    assert made.pop("id").startswith("pkey_")
    assert made == {
        "provider": "openai",
        "name": "prod",
        "label": "sk-…abcd",
        "api_key_hash": None,
        "byok_fallback": False,
        "disabled": False,
        "organization_id": "org_home",
        "creator": "mem_1",
        "created_at": "2026-11-22T06:00:00.123456Z",
        "updated_at": None,
    }
    assert secrets_of(gateway) == [SECRET]


def test_it_is_shown_and_listed_without_the_secret(gateway: Gateway) -> None:
    made = create(gateway)
    one, every = gateway.manage("GET", f"{PATH}/{made['id']}"), gateway.manage("GET", PATH)
    assert one.json() == {"data": made}
    assert every.json() == {"data": [made], "next_page_token": None}
    assert SECRET not in one.text + every.text
    assert one.headers["cache-control"] == "no-store"


def test_every_setting(gateway: Gateway) -> None:
    bound = gateway.live_key.hash
    made = create(gateway, provider="x-ai", byok_fallback=True, disabled=True, api_key_hash=bound)
    expected = {"provider": "xai", "name": "xai", "byok_fallback": True, "disabled": True, "api_key_hash": bound}
    assert {name: made[name] for name in expected} == expected


def test_fields_that_are_absent_stay(gateway: Gateway) -> None:
    made = create(gateway, name="prod")
    gateway.now_us += 1_000_000
    changed = update(gateway, made["id"], disabled=True)
    assert changed == {**made, "disabled": True, "updated_at": "2026-11-22T06:00:01.123456Z"}
    assert update(gateway, made["id"], name="x", byok_fallback=True)["disabled"] is True
    assert secrets_of(gateway) == [SECRET]


def test_the_secret_can_be_replaced(gateway: Gateway) -> None:
    made = create(gateway)
    before = stored(gateway)[0][1]
    answer = gateway.manage("PATCH", f"{PATH}/{made['id']}", json={"key": OTHER})
    assert answer.json()["data"]["label"] == "sk-…wxyz"
    assert OTHER not in answer.text
    assert secrets_of(gateway) == [OTHER]
    assert stored(gateway)[0][1].nonce != before.nonce


def test_a_deleted_key_is_gone(gateway: Gateway) -> None:
    made = create(gateway)
    answer = gateway.manage("DELETE", f"{PATH}/{made['id']}")
    assert (answer.status_code, answer.json()) == (200, {"data": {"deleted": True}})
    assert stored(gateway) == []
    for method in ("GET", "PATCH", "DELETE"):
        gone = gateway.manage(method, f"{PATH}/{made['id']}", **({"json": {}} if method == "PATCH" else {}))
        assert (gone.status_code, failure(gone)["code"]) == (404, "provider_key_not_found")


def test_pages_follow_each_other_and_disabled_ones_are_asked_for(gateway: Gateway) -> None:
    made = []
    for _ in range(3):
        gateway.now_us += 1
        made.append(create(gateway)["id"])
    update(gateway, made[0], disabled=True)
    assert listed(gateway) == [made[2], made[1]]
    assert listed(gateway, "?include_disabled") == made[::-1]
    first = gateway.manage("GET", f"{PATH}?page_size=2&include_disabled").json()
    second = gateway.manage("GET", f"{PATH}?page_size=2&include_disabled&page_token={first['next_page_token']}").json()
    assert [key["id"] for key in first["data"] + second["data"]] == made[::-1]
    assert second["next_page_token"] is None


def test_another_organization_sees_and_changes_nothing(gateway: Gateway) -> None:
    made = create(gateway)
    stranger, strangers_key = gateway.add_key("them", kind=KeyKind.MANAGEMENT, organization_id="org_2")
    for method in ("GET", "PATCH", "DELETE"):
        answer = gateway.ask(method, f"{PATH}/{made['id']}", key=stranger, content=b'{"disabled": true}')
        assert answer.status_code == 404
    assert gateway.ask("GET", PATH, key=stranger).json()["data"] == []
    bound = gateway.manage("POST", PATH, json={"provider": "openai", "key": SECRET, "api_key_hash": strangers_key.hash})
    assert (bound.status_code, failure(bound)["param"]) == (400, "api_key_hash")
    assert stored(gateway)[0][0].disabled is False


@NEEDS_NO_STORE
@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ("[]", None, "invalid_json"),
        ("{}", "provider", "missing_required_parameter"),
        ('{"provider": "openai"}', "key", "missing_required_parameter"),
        ('{"provider": "openai", "key": 5}', "key", "invalid_type"),
        ('{"provider": "openai", "key": null}', "key", "invalid_type"),
        ('{"provider": "openai", "key": ["sesame-1234"]}', "key", "invalid_type"),
        ('{"provider": "openai", "key": ""}', "key", "invalid_parameter"),
        ('{"provider": "openai", "key": "sesame"}', "key", "invalid_parameter"),
        ('{"provider": "openai", "key": "sesame 12345"}', "key", "invalid_parameter"),
        ('{"provider": "openai", "key": "sesame-12345\\r\\nX-Evil: 1"}', "key", "invalid_parameter"),
        ('{"provider": "openai", "key": "sesame-\\u0000-12345"}', "key", "invalid_parameter"),
        ('{"provider": "openai", "key": "sesame-é-12345"}', "key", "invalid_parameter"),
        ('{"provider": "opnai", "key": "sesame-12345"}', "provider", "invalid_value"),
        ('{"provider": "azure", "key": "sesame-12345"}', "provider", "invalid_value"),
        ('{"provider": "sandbox", "key": "sesame-12345"}', "provider", "invalid_value"),
        ('{"provider": "", "key": "sesame-12345"}', "provider", "invalid_value"),
        ('{"provider": "openai", "key": "sesame-12345", "name": " "}', "name", "invalid_parameter"),
        ('{"provider": "openai", "key": "sesame-12345", "api_key_hash": "x"}', "api_key_hash", "invalid_parameter"),
        ('{"provider": "openai", "key": "sesame-12345", "nmae": "x"}', "nmae", "unknown_parameter"),
        ('{"provider": "openai", "key": "sesame-12345", "is_fallback": true}', "is_fallback", "unsupported_parameter"),
        ('{"provider": "openai", "key": "sesame-12345"', None, "invalid_json"),
        ('{"provider": "openai", "key": "sesame-\\ud800-12345"}', None, "invalid_json"),
    ],
)
def test_what_is_wrong_is_named_and_the_secret_is_not_repeated(
    gateway: Gateway, body: str, param: str | None, code: str
) -> None:
    answer = gateway.manage("POST", PATH, content=body.encode())
    error = failure(answer)
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert "sesame" not in answer.text
    assert stored(gateway) == []


@NEEDS_NO_STORE
@pytest.mark.parametrize("body", ['{"key": "sesame 12345"}', '{"key": null}', '{"name": ""}', '{"provider": "groq"}'])
def test_a_change_that_cannot_be_changes_nothing(gateway: Gateway, body: str) -> None:
    made = create(gateway)
    answer = gateway.manage("PATCH", f"{PATH}/{made['id']}", content=body)
    assert answer.status_code == 400
    assert "sesame" not in answer.text
    assert secrets_of(gateway) == [SECRET]
    assert gateway.manage("GET", f"{PATH}/{made['id']}").json()["data"] == made


@NEEDS_NO_STORE
@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/x")])
def test_only_a_management_key_may(gateway: Gateway, method: str, path: str) -> None:
    answer = gateway.ask(method, path, key=gateway.live)
    assert (answer.status_code, failure(answer)["code"]) == (403, "wrong_key_type")
    assert gateway.ask(method, path).status_code == 401


def test_without_a_key_encryption_key_it_is_said_what_to_set_and_keys_can_still_be_deleted() -> None:
    with Gateway(vault=None) as gateway:
        known = ProviderKey(
            id="pkey_1",
            organization_id="org_home",
            api_key_hash=None,
            provider="openai",
            name="x",
            label="…",
            creator=None,
            created_at_us=1,
        )
        gateway.run(gateway.store.directory.add_provider_key(known, VAULT.seal(SECRET, known)))
        for answer in (
            gateway.manage("POST", PATH, json={"provider": "openai", "key": SECRET}),
            gateway.manage("PATCH", f"{PATH}/pkey_1", json={"key": SECRET}),
        ):
            error = failure(answer)
            assert (answer.status_code, error["code"]) == (503, "own_keys_not_configured")
            assert "security.key_encryption_key is not set" in error["message"]
        assert update(gateway, "pkey_1", disabled=True)["disabled"] is True
        assert gateway.manage("DELETE", f"{PATH}/pkey_1").status_code == 200


def test_what_an_api_key_spent_on_own_keys_is_told_apart(gateway: Gateway) -> None:
    gateway.add_record(cost=Picodollars(10**12))
    gateway.add_record(cost=Picodollars(25 * 10**10), is_byok=True)
    own = exact(gateway.get("/v1/key").content)["data"]
    assert (own["usage"], own["byok_usage"], own["byok_usage_daily"]) == ("1.25", "0.25", "0.25")
    assert own["include_byok_in_limit"] is True
