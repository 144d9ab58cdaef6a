"""A user is whatever text the client sent: each keeps its own identity, on the real process, from request to export."""

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from tests.acceptance.client import Client, Query
from tests.rfc4180 import read_csv, without_guard

MODEL = "sandbox/sandbox"

USERS = (
    "",
    " ",
    "  ",
    "\u00fc",
    "u\u0308",
    "\u00dc",
    "\u00fc" * 512,
    "x" * 1024,
    "x" * 1023,
    "a/b?c=d&e=f#g",
    "a%2Fb?c=d&e=f#g",
    "a+b",
    "a b",
    "'; DROP TABLE records; --",
    "=cmd()",
    "'=cmd()",
    "\U0001f469\u200d\U0001f680",
    "\U0001f469\U0001f680",
    "\U0001f44d\U0001f3fd",
    "\U0001f44d",
    "\x00",
    "a\x00b",
    "a",
    "null",
    "\u0645\u0631\u062d\u0628\u0627",
    "\u202eabc\u202c",
    "\u05e9\u05dc\u05d5\u05dd, user!",
    "line\r\nfeed",
    'say "hi", twice',
    "\ufeffuser",
)
"""Many differ from a neighbour in nothing but what a careless hand would normalise."""

Ids = Mapping[str | None, list[str]]


@pytest.fixture(scope="module")
def asked(caller: Client) -> Ids:
    """The ids of three requests of each user, newest first, and of three requests of nobody."""
    ids: dict[str | None, list[str]] = {user: [] for user in (*USERS, None)}
    for _ in range(3):
        for user, made in ids.items():
            answer = caller.chat(MODEL, user)
            assert answer.status == 200, answer.body
            made.insert(0, answer.headers["x-generation-id"])
    return MappingProxyType(ids)


def in_order(asked: Ids) -> list[tuple[str | None, str]]:
    """(user, id) of every request, newest first: ids are in the order of their making."""
    return sorted(((user, one) for user, made in asked.items() for one in made), key=lambda pair: pair[1], reverse=True)


def everything(caller: Client) -> Query:
    """Only the requests that succeeded: the refused ones of other tests are records too."""
    return [("status", "success")]


@pytest.mark.parametrize("user", USERS, ids=ascii)
def test_the_filter_finds_a_users_own_requests_and_no_others(caller: Client, asked: Ids, user: str) -> None:
    found = caller.records([("user", user)])
    assert [(record["user"], record["id"]) for record in found] == [(user, one) for one in asked[user]]


def test_requests_without_a_user_are_nobodys(caller: Client, asked: Ids) -> None:
    found = caller.records([("unattributed", "true"), *everything(caller)])
    assert [(record["user"], record["id"]) for record in found] == [(None, one) for one in asked[None]]


def test_several_users_are_asked_for_at_once(caller: Client, asked: Ids) -> None:
    chosen = ["", "u\u0308", "\x00"]
    found = caller.records([("user", user) for user in chosen])
    assert {record["id"] for record in found} == {one for user in chosen for one in asked[user]}


@pytest.mark.parametrize("user", USERS, ids=ascii)
def test_a_cursor_keeps_to_its_user(caller: Client, asked: Ids, user: str) -> None:
    assert pages(caller, [("user", user), ("limit", "1")]) == [(user, one) for one in asked[user]]


def test_a_cursor_goes_through_all_of_them(caller: Client, asked: Ids) -> None:
    assert pages(caller, [*everything(caller), ("limit", "7")]) == in_order(asked)


def pages(caller: Client, query: Query) -> list[tuple[str | None, str]]:
    """(user, id) of all pages, one after the other."""
    found: list[tuple[str | None, str]] = []
    cursor: str | None = None
    while True:
        page = caller.activity([*query, *([("cursor", cursor)] if cursor is not None else [])]).json
        found.extend((record["user"], record["id"]) for record in page["data"])
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if cursor is None:
            return found


def test_ndjson_holds_them_unchanged(caller: Client, asked: Ids) -> None:
    answer = caller.activity([("format", "ndjson"), *everything(caller)])
    records = [json.loads(line) for line in answer.body.removesuffix(b"\n").split(b"\n")]
    assert [(record["user"], record["id"]) for record in records] == in_order(asked)


def test_csv_holds_them_with_formulas_made_harmless(caller: Client, asked: Ids) -> None:
    answer = caller.activity([("format", "csv"), *everything(caller)])
    header, *rows = read_csv(answer.body.decode())
    cells = [(row[header.index("user")], row[header.index("id")]) for row in rows]
    assert [(None if user is None else without_guard(user), one) for user, one in cells] == in_order(asked)
    assert ("'=cmd()", asked["=cmd()"][0]) in cells
    assert not any(user[:1] in tuple("=+-@\t\r") for user, _ in cells if user)


def test_a_summary_keeps_them_apart(caller: Client, asked: Ids) -> None:
    answer = caller.ask("GET", "/v1/activity/summary?group_by=user&status=success&limit=1000")
    assert answer.status == 200, answer.body
    assert {row["user"]: row["requests"] for row in answer.json["data"]} == dict.fromkeys(asked, 3)


# ---------------------------------------------------------------- what is refused

BODY = '{"model":"sandbox/sandbox","messages":[{"role":"user","content":"Hello!"}],"user":%s}'


@pytest.mark.parametrize(
    ("written", "code"),
    [
        pytest.param(json.dumps("x" * 1025), "string_above_max_length", id="1,025 bytes"),
        pytest.param(json.dumps("\u00fc" * 512 + "x"), "string_above_max_length", id="513 characters, 1,025 bytes"),
        pytest.param("12345", "invalid_type", id="a number"),
        pytest.param("true", "invalid_type", id="a boolean"),
        pytest.param('{"id":"user_12345"}', "invalid_type", id="an object"),
        pytest.param('["user_12345"]', "invalid_type", id="an array"),
    ],
)
def test_what_is_no_user_is_refused_and_remembered(caller: Client, written: str, code: str) -> None:
    answer = caller.post("/v1/chat/completions", BODY % written)
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == "user"
    assert answer.error["code"] == code
    [newest] = caller.records([("limit", "1")])
    assert newest["id"] == answer.headers["x-generation-id"]
    assert (newest["status"], newest["http_status"], newest["user"]) == ("rejected", 400, None)
    assert newest["error_code"] == answer.error["code"]


@pytest.mark.parametrize("written", ['"\\ud800"', '"a\\udc00b"', '"\\udc00\\ud800"'])
def test_half_a_character_is_no_text(caller: Client, written: str) -> None:
    """UTF-8 has no form for an unpaired surrogate: the whole body is refused, before its fields have names."""
    answer = caller.post("/v1/chat/completions", BODY % written)
    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
    [newest] = caller.records([("limit", "1")])
    assert newest["id"] == answer.headers["x-generation-id"]
    assert (newest["status"], newest["error_code"], newest["user"]) == ("rejected", "invalid_json", None)


def test_null_is_no_user(caller: Client) -> None:
    answer = caller.post("/v1/chat/completions", BODY % "null")
    assert answer.status == 200
    [newest] = caller.records([("limit", "1")])
    assert (newest["id"], newest["user"]) == (answer.headers["x-generation-id"], None)
