"""Signed user tokens on the real process: they open one path, and say at all others whom a request is for."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.acceptance.client import Answer, Client
from tests.acceptance.gateway import Gateway

MODEL = "sandbox/sandbox"
HELLO = [{"role": "user", "content": "Hello!"}]
CALLS: Mapping[str, Mapping[str, object]] = {
    "/v1/chat/completions": {"model": MODEL, "messages": HELLO},
    "/v1/responses": {"model": MODEL, "input": "Hello!"},
    "/v1/messages": {"model": MODEL, "messages": HELLO, "max_tokens": 50},
    "/v1beta/models/sandbox/sandbox:generateContent": {"contents": [{"role": "user", "parts": [{"text": "Hello!"}]}]},
    "/v1/embeddings": {"model": MODEL, "input": "Hello!"},
    "/sandbox/v1/chat/completions": {"model": "sandbox", "messages": HELLO},
}
"""A call in each dialect."""


def mint(gateway: Gateway, user: str, key: str | None = None) -> str:
    with gateway.client(gateway.management if key is None else key) as client:
        answer = client.post("/v1/user_tokens", {"user": user})
    assert answer.status == 201, answer.body
    token: str = answer.json["token"]
    return token


def call(gateway: Gateway, key: str, token: str | None, path: str = "/v1/chat/completions", **fields: object) -> Answer:
    headers = {} if token is None else {"X-ARouter-User-Token": token}
    with gateway.client(key) as client:
        return client.post(path, {**CALLS[path], **fields}, headers)


def recorded(gateway: Gateway, answer: Answer) -> dict[str, Any]:
    with gateway.manager() as manager:
        rows = manager.ask("GET", "/v1/activity?limit=20").json["data"]
    (row,) = (one for one in rows if one["id"] == answer.headers["x-generation-id"])
    found: dict[str, Any] = row
    return found


@pytest.fixture(autouse=True)
def _no_token_in_the_log(alone: Gateway) -> Iterator[None]:
    yield
    log = (alone.database.parent / "log.jsonl").read_text(encoding="utf-8")
    assert not re.search(r"eyJ[\w-]+\.[\w-]*", log)


# ---------------------------------------------------------------- what it opens, and nothing else


def test_it_opens_one_path_of_all_that_there_are(alone: Gateway) -> None:
    token = mint(alone, "ann")
    key = alone.new_key("one")
    assert call(alone, key, None, user="ann").status == 200
    walked = []
    with Client(alone.url, token) as bearer, Client(alone.url, None) as nobody:
        paths = nobody.ask("GET", "/openapi.json").json["paths"]
        for path, operations in paths.items():
            for method, operation in operations.items():
                if operation.get("security") == []:
                    continue
                named = re.sub(r"\{(\w+)\}", lambda match: _NAMES.get(match[1], "x"), path)
                for alias in (
                    (named, f"/api{named}", named.removeprefix("/v1")) if named.startswith("/v1/") else (named,)
                ):
                    body = None if method == "get" else b"{}"
                    answer = bearer.ask(method.upper(), alias, body, {"Content-Type": "application/json"})
                    if path == "/v1/users/me/usage":
                        assert answer.status == 200
                        assert answer.json["totals"]["requests"] == 1
                    else:
                        assert answer.status in (401, 403), (method, alias, answer.body)
                        walked.append((method, alias))
                    assert token.encode() not in answer.body
    assert len(walked) > 60
    assert {alias for _, alias in walked} >= {"/v1/activity", "/v1/users", "/v1/chat/completions", "/v1/user_tokens"}


_NAMES = {"user": "ann", "provider": "sandbox", "path": "v1/models", "model": "sandbox/sandbox"}


@pytest.mark.parametrize("user", ["a/b", "..", "", "ü\r\n\x00"])
def test_a_user_of_any_name_is_found_on_the_real_server(alone: Gateway, user: str) -> None:
    key = alone.new_key("names")
    assert call(alone, key, None, user=user).status == 200
    with alone.client(key) as client:
        paths = [f"/v1/users/?user={quote(user, safe='')}"]
        if user:
            paths += [f"/v1/users/{quote(user, safe='')}", f"/users/{quote(user, safe='')}"]
        for path in paths:
            answer = client.ask("GET", path)
            assert (answer.status, answer.json["user"]) == (200, user), path


# ---------------------------------------------------------------- at inference


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    ("policy", "said"), [("optional", "bob"), ("optional", None), ("fixed:carol", "bob"), ("signed", "bob")]
)
def test_its_user_goes_before_every_other(alone: Gateway, path: str, policy: str, said: str | None) -> None:
    key = alone.new_key("app", user_policy=policy)
    token = mint(alone, "änn")
    with alone.client(key) as client:
        headers = {"X-ARouter-User-Token": token, **({} if said is None else {"X-ARouter-User": said})}
        answer = client.post(path, CALLS[path], headers)
    assert answer.status == 200, answer.body
    assert answer.headers["x-arouter-user"] == "%C3%A4nn"
    assert recorded(alone, answer)["user"] == "änn"


def test_it_may_say_the_same_as_the_body(alone: Gateway) -> None:
    answer = call(alone, alone.new_key("app"), mint(alone, "ann"), user="ann")
    assert answer.status == 200
    assert "x-arouter-user" not in answer.headers
    assert recorded(alone, answer)["user"] == "ann"


@pytest.mark.parametrize("path", CALLS)
def test_a_key_can_demand_one(alone: Gateway, path: str) -> None:
    key = alone.new_key("app", user_policy="signed")
    answer = call(alone, key, None, path, user="ann")
    assert answer.status == 403
    assert b"X-ARouter-User-Token" in answer.body
    row = recorded(alone, answer)
    assert (row["status"], row["error_code"], row["user"]) == ("rejected", "user_token_required", None)


def test_such_a_key_mints_none_itself(alone: Gateway) -> None:
    with alone.client(alone.new_key("app", user_policy="signed")) as client:
        answer = client.post("/v1/user_tokens", {"user": "ann"})
    assert (answer.status, answer.error["code"]) == (403, "not_permitted")


def test_a_key_without_users_takes_none(alone: Gateway) -> None:
    answer = call(alone, alone.new_key("app", user_policy="forbidden"), mint(alone, "ann"))
    assert (answer.status, answer.error["code"]) == (403, "user_forbidden")


@pytest.mark.parametrize("path", CALLS)
def test_one_that_is_not_valid_is_refused_and_recorded(alone: Gateway, path: str) -> None:
    token = mint(alone, "ann")
    header, payload, signature = token.split(".")
    key = alone.new_key("app")
    for wrong in (f"{header}.{payload}.{signature[::-1]}", "x", f"{header}.{payload}."):
        answer = call(alone, key, wrong, path)
        assert answer.status == 401
        row = recorded(alone, answer)
        assert (row["status"], row["error_code"], row["user"]) == ("rejected", "invalid_user_token", None)
        assert wrong == "x" or wrong.encode() not in answer.body


def test_a_test_keys_word_counts_for_test_keys(alone: Gateway) -> None:
    test = alone.new_key("test", key_type="test")
    token = mint(alone, "ann", test)
    assert call(alone, test, token).status == 200
    answer = call(alone, alone.new_key("app"), token)
    assert (answer.status, answer.error["code"]) == (401, "invalid_user_token")


def test_it_ends_with_the_key_that_made_it(alone: Gateway) -> None:
    app = alone.new_key("app")
    with alone.manager() as manager:
        made = manager.post("/v1/keys", {"name": "minter"}).json
        token = mint(alone, "ann", made["key"])
        for _ in range(2):
            assert call(alone, app, token).status == 200
        assert manager.post(f"/v1/keys/{made['data']['hash']}/rotate", {}).status == 200
        answer = call(alone, app, token)
        assert (answer.status, answer.error["code"]) == (401, "invalid_user_token")
