"""NDJSON and CSV: every match, in pages, the same as JSON; and users that are hard to carry."""

import json
from urllib.parse import quote, quote_plus

import httpx2
import pytest

from arouter.domain.attempt import Attempt
from tests.rfc4180 import read_csv, without_guard
from tests.web.api.gateway import Gateway, exact

USERS = [
    "",
    " ",
    "ü",
    "u\u0308",
    "x" * 1024,
    "ü" * 512,
    "a/b?c=d&e=f#g",
    "'; DROP TABLE records; --",
    "=cmd()",
    "'=cmd()",
    "+1",
    "-1",
    "@SUM(A1)",
    "\ttab",
    "\rreturn",
    'say "hi", twice\r\n',
    "🧑\u200d🚀",
    "a\u2028b\u0085c",
    "null",
    "%75",
    "a+b",
    "\x00",
]

NUMBERS = ("http_status", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cache_write_tokens",
           "reasoning_tokens", "audio_tokens", "image_tokens", "cost", "latency_ms", "time_to_first_token_ms",
           "attempts")  # fmt: skip
TRIED = (
    Attempt(provider="groq", model='=a"b', http_status=None, error_code="upstream_timeout", latency_us=1),
    Attempt(provider="openai", model="gpt", http_status=200, error_code=None, latency_us=2),
)
FLAGS = ("streamed", "is_byok")


def ndjson(answer: httpx2.Response) -> list[object]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.content.endswith(b"\n")
    return [exact(line) for line in answer.content.split(b"\n")[:-1]]


def csv_records(answer: httpx2.Response) -> list[object]:
    """CSV read back into what `exact` makes of JSON."""
    header, *rows = read_csv(answer.content.decode())
    names = [name or "" for name in header]
    return [{name: _value(name, cell) for name, cell in zip(names, row, strict=True)} for row in rows]


def _value(name: str, cell: str | None) -> object:
    if cell is None or name in NUMBERS:
        return cell
    if name in FLAGS:
        return {"true": True, "false": False}[cell]
    text = without_guard(cell)
    return exact(text.encode()) if name in ("tags", "tried") else text


@pytest.fixture
def users(gateway: Gateway) -> list[str | None]:
    """One request each, newest first; the last is nobody's."""
    everyone = [*USERS, None]
    for ago, user in enumerate(everyone):
        gateway.add_record(
            user=user,
            ago_us=ago,
            tags=("=t", 'a"b,c'),
            app_title="-=title",
            cost=None if ago % 3 else 7,
            tried=() if ago % 2 else TRIED,
        )
    return everyone


def test_every_user_keeps_its_own_identity_in_each_form(gateway: Gateway, users: list[str | None]) -> None:
    page = exact(gateway.get("/v1/activity?limit=1000").content)["data"]
    assert [record["user"] for record in page] == users
    assert ndjson(gateway.get("/v1/activity?format=ndjson")) == page
    assert csv_records(gateway.get("/v1/activity?format=csv")) == page


def test_every_user_is_found_by_its_name(gateway: Gateway, users: list[str | None]) -> None:
    for user in USERS:
        for escape in (quote, quote_plus):
            answer = gateway.get(f"/v1/activity?user={escape(user, safe='')}")
            assert [record["user"] for record in answer.json()["data"]] == [user]
    assert [r["user"] for r in gateway.get("/v1/activity?unattributed=true").json()["data"]] == [None]
    answer = gateway.get("/v1/activity", params=[("user", user) for user in USERS])
    assert len(answer.json()["data"]) == len(USERS)


def test_every_user_is_passed_once_by_a_cursor(gateway: Gateway, users: list[str | None]) -> None:
    read: list[str | None] = []
    cursor = ""
    for _ in users:
        body = gateway.get(f"/v1/activity?limit=1{cursor}").json()
        read += [record["user"] for record in body["data"]]
        cursor = f"&cursor={body['next_cursor']}"
    assert read == users
    assert body["next_cursor"] is None


def test_every_user_is_a_group_of_its_own(gateway: Gateway, users: list[str | None]) -> None:
    body = gateway.get("/v1/activity/summary?group_by=user").json()
    assert {(row["user"], row["requests"]) for row in body["data"]} == {(user, 1) for user in users}
    assert body["totals"]["users"] == len(USERS)
    header, *rows = read_csv(gateway.get("/v1/activity/summary?group_by=user&format=csv").text)
    shown = {None if row[1] is None else without_guard(row[1]) for row in rows}
    assert header[1] == "user"
    assert shown == set(users)


def test_no_csv_cell_is_a_formula(gateway: Gateway, users: list[str | None]) -> None:
    for row in read_csv(gateway.get("/v1/activity?format=csv").content.decode()):
        assert not [cell for cell in row if cell is not None and cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_csv_has_a_header_even_when_nothing_matches(gateway: Gateway) -> None:
    answer = gateway.get("/v1/activity?format=csv")
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    [header] = read_csv(answer.text)
    assert (header[0], header[4], header[-1]) == ("id", "user", "tried")
    assert gateway.get("/v1/activity?format=ndjson").content == b""


class TestWithoutALimit:
    """An export holds every match, more than a page of them."""

    COUNT = 1203

    @pytest.fixture(autouse=True)
    def _many(self, gateway: Gateway) -> None:
        for number in range(self.COUNT):
            gateway.add_record(user=str(number), ago_us=number // 2)

    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_each_record_once(self, gateway: Gateway, order: str) -> None:
        lines = [
            json.loads(line) for line in gateway.get(f"/v1/activity?format=ndjson&order={order}").text.splitlines()
        ]
        times = [(line["created_at"], line["id"]) for line in lines]
        assert times == sorted(times, reverse=order == "desc")
        assert {line["user"] for line in lines} == {str(number) for number in range(self.COUNT)}
        assert len(lines) == self.COUNT

    def test_csv_too(self, gateway: Gateway) -> None:
        assert len(read_csv(gateway.get("/v1/activity?format=csv").text)) == 1 + self.COUNT

    def test_unless_one_is_given(self, gateway: Gateway) -> None:
        for limit in (1, 7, 200, 201, 1000):
            assert gateway.get(f"/v1/activity?format=ndjson&limit={limit}").text.count("\n") == limit
        assert len(gateway.get("/v1/activity").json()["data"]) == 100

    def test_a_cursor_begins_it(self, gateway: Gateway) -> None:
        cursor = gateway.get("/v1/activity?limit=1000").json()["next_cursor"]
        assert gateway.get(f"/v1/activity?format=ndjson&cursor={cursor}").text.count("\n") == self.COUNT - 1000


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv; header=present; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0.5, text/csv", "text/csv; header=present; charset=utf-8"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv;q=x", "application/json"),
    ],
)
def test_the_accept_header_chooses(gateway: Gateway, accept: str, content_type: str) -> None:
    answer = gateway.get("/v1/activity", headers={"Accept": accept})
    assert answer.headers["content-type"] == content_type


def test_the_parameter_overrules_the_header(gateway: Gateway) -> None:
    answer = gateway.get("/v1/activity?format=json", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "application/json"
