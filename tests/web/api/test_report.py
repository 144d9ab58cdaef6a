"""`GET /v1/activity/report`: the summary's figures as a document."""

import asyncio
import re
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from arouter.domain.keys import ActivityScope
from arouter.domain.record import Status
from tests.pdf_text import lines
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure

HOUR = 3_600_000_000
RANGE = "start=2026-11-01&end=2026-12-01&timezone=Europe/Berlin"
DIMENSIONS = {"user": "by_user", "model": "by_model", "api_key": "by_api_key", "status": "by_status"}


@pytest.fixture(autouse=True)
def _requests(gateway: Gateway) -> None:
    _, other = gateway.add_key("batch", creator="mem_2")
    for number in range(30):
        gateway.add_record(
            user=(None, "", "ada", "Zoë", "用户")[number % 5] if number % 3 else f"user_{number}",
            key=other if number % 4 == 0 else None,
            model=f"openai/model-{number % 3}",
            cost=None if number == 7 else 10 ** (number % 13) + number,
            ago_us=number * 13 * HOUR,
            status=Status.UPSTREAM_ERROR if number % 11 == 0 else Status.SUCCESS,
        )


def data(gateway: Gateway, query: str = RANGE, **rest: Any) -> Any:
    answer = gateway.get(f"/v1/activity/report?format=json&{query}", **rest)
    assert answer.status_code == 200, answer.text
    return exact(answer.content)


def summary(gateway: Gateway, query: str) -> Any:
    return exact(gateway.get(f"/v1/activity/summary?{query}", key=gateway.management).content)


def test_every_list_is_the_summarys_to_the_last_digit(gateway: Gateway) -> None:
    told = data(gateway, key=gateway.management)
    assert told["totals"] == summary(gateway, RANGE)["totals"]
    for dimension, name in DIMENSIONS.items():
        rows = summary(gateway, f"{RANGE}&group_by={dimension}")["data"]
        here = {row["value"]: row["totals"] for row in told[name]["data"]}
        assert told[name]["other"] is None
        assert here == {row.pop(dimension): row for row in rows}
    days = {row.pop("day"): row for row in summary(gateway, f"{RANGE}&group_by=day")["data"]}
    assert {day["start"]: day["totals"] for day in told["by_day"] if day["totals"]["requests"] != "0"} == days
    before = f"start={told['compared_with']['start']}&end={told['compared_with']['end']}"
    assert told["before"] == summary(gateway, before)["totals"]


def test_what_is_not_listed_is_added_up(gateway: Gateway) -> None:
    told = data(gateway, f"{RANGE}&limit=2", key=gateway.management)
    for name in DIMENSIONS.values():
        parts = [row["totals"] for row in told[name]["data"]]
        if told[name]["other"] is not None:
            parts.append(told[name]["other"]["totals"])
        for field in ("requests", "errors", "total_tokens", "cost", "cached_tokens", "requests_without_price"):
            assert sum(Decimal(part[field]) for part in parts) == Decimal(told["totals"][field])
    assert int(told["by_user"]["other"]["groups"]) > 10


def test_the_pdf_says_the_same(gateway: Gateway) -> None:
    answer = gateway.get(f"/v1/activity/report?{RANGE}&title=Acme", key=gateway.management)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == 'inline; filename="activity-2026-11-01.pdf"'
    assert answer.content.startswith(b"%PDF-")
    again = gateway.get(f"/v1/activity/report?{RANGE}&title=Acme", key=gateway.management)
    assert again.content == answer.content
    told = lines(answer.content)
    totals = summary(gateway, RANGE)["totals"]
    requests, tokens = f"{int(totals['requests']):,}", f"{int(totals['total_tokens']):,}"
    sums = [line for line in told if line.startswith("Total|")]
    assert len(sums) == 6
    for line in sums:
        assert line.startswith(f"Total|{requests}|{totals['errors']}|{tokens}|")
        assert Decimal(re.sub(r"[|,]", "", line[line.rindex("|", 0, line.rindex("|")) :])) == Decimal(totals["cost"])
    for row in summary(gateway, f"{RANGE}&group_by=model")["data"]:
        (line,) = [line for line in told if line.startswith(f"{row['model']}|")]
        assert Decimal(re.sub(r"[|,]", "", line[line.rindex("|", 0, line.rindex("|")) :])) == Decimal(row["cost"])


def test_the_page_says_the_same(gateway: Gateway) -> None:
    answer = gateway.get(f"/v1/activity/report?{RANGE}&format=html&title=Acme %26 Co", key=gateway.management)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    text = answer.text
    assert "<h1>Acme &amp; Co</h1>" in text
    assert "用户" in text
    assert "org_home" in text
    cost = data(gateway, key=gateway.management)["totals"]["cost"]
    assert f"${cost}".replace("$", "") in text.replace(",", "").replace('<span class="more">', "")


def test_the_form_is_also_chosen_by_the_accept_header(gateway: Gateway) -> None:
    def form(accept: str | None) -> str:
        headers = {} if accept is None else {"Accept": accept}
        return str(gateway.get(f"/v1/activity/report?{RANGE}", headers=headers).headers["content-type"])

    assert form(None) == "application/pdf"
    assert form("*/*") == "application/pdf"
    assert form("application/json") == "application/json"
    assert form("text/html;q=0.9, application/json;q=0.5") == "text/html; charset=utf-8"


def test_a_key_reports_on_what_it_may_see(gateway: Gateway) -> None:
    own = data(gateway)
    assert [row["name"] for row in own["by_api_key"]["data"]] == ["prod"]
    assert own["covers"] == f"key {gateway.live_key.hash[:12]}"
    assert int(own["totals"]["requests"]) < int(data(gateway, key=gateway.management)["totals"]["requests"])
    wide, _ = gateway.add_key("auditor", activity_scope=ActivityScope.ORGANIZATION)
    assert data(gateway, key=wide)["totals"] == data(gateway, key=gateway.management)["totals"]
    stranger, _ = gateway.add_key("stranger", organization_id="org_b", activity_scope=ActivityScope.ORGANIZATION)
    assert data(gateway, key=stranger)["totals"]["requests"] == "0"
    assert gateway.ask("GET", "/v1/activity/report").status_code == 401


def test_filters_are_those_of_the_summary(gateway: Gateway) -> None:
    query = f"{RANGE}&user=&user=ada&unattributed=true&status=success"
    told = data(gateway, query, key=gateway.management)
    assert told["totals"] == summary(gateway, query)["totals"]
    assert told["covers"] == "user “”, “ada”, none; status success"


def test_without_a_range_it_is_on_the_last_thirty_days(gateway: Gateway) -> None:
    told = data(gateway, "")
    assert (told["range"]["start"], told["until"]) == ("2026-10-24T00:00:00.000000Z", "2026-11-22T06:00:00.123457Z")
    assert len(told["by_day"]) == 30
    assert (told["title"], told["timezone"], told["as_of"]) == ("Activity report", "UTC", "2026-11-22T06:00:00.123456Z")
    assert told["generated_by"].endswith("for the key prod")


def test_nothing_makes_an_empty_report(gateway: Gateway) -> None:
    for form in ("pdf", "html", "json"):
        answer = gateway.get(f"/v1/activity/report?user=nobody&start=2027-01-01&end=2027-01-02&format={form}")
        assert answer.status_code == 200
    assert answer.json()["by_day"] == []


@NEEDS_NO_STORE
def test_head_reads_and_writes_nothing(gateway: Gateway) -> None:
    answer = gateway.ask("HEAD", f"/v1/activity/report?{RANGE}", key=gateway.live)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/pdf"
    assert "content-disposition" not in answer.headers, "the name is that of what was read"


@pytest.mark.parametrize(
    ("query", "param", "message"),
    [
        ("format=xlsx", "format", "pdf, html, json"),
        ("limit=101", "limit", "from 1 to 100"),
        ("timezone=Europe/Berlim", "timezone", "Did you mean `Europe/Berlin`?"),
        ("start=2026-11-02&end=2026-11-01", "end", "before `start`"),
        ("start=1990-01-01", "end", "240 months"),
        (f"title={'x' * 201}", "title", "200 characters"),
        ("group_by=user", "group_by", "Unknown parameter"),
    ],
)
@NEEDS_NO_STORE
def test_what_does_not_fit_is_named(gateway: Gateway, query: str, param: str, message: str) -> None:
    answer = gateway.get(f"/v1/activity/report?{query}")
    assert answer.status_code == 400
    error = failure(answer)
    assert error["param"] == param
    assert message in error["message"]


def test_many_may_be_asked_for_at_once(gateway: Gateway) -> None:
    async def ask() -> list[bytes]:
        headers = {"Authorization": f"Bearer {gateway.live}"}
        asking = [gateway.client.get(f"/v1/activity/report?{RANGE}", headers=headers) for _ in range(5)]
        return [answer.content for answer in await asyncio.gather(*asking)]

    (content,) = {*gateway.run(ask())}
    assert content.startswith(b"%PDF-")


_WITHOUT = """
import sys
sys.modules["{missing}"] = None
from tests.web.api.gateway import Gateway, failure
with Gateway() as gateway:
    answer = gateway.get("/v1/activity/report")
    error = failure(answer)
    print(answer.status_code, error["code"], error["param"], error["message"])
    print(gateway.get("/v1/activity/report?format=html").status_code)
    print(gateway.get("/v1/activity/report?format=json").status_code)
    print(sorted({{"fpdf", "numpy", "PIL", "matplotlib"}} & {{name for name, module in sys.modules.items() if module}}))
"""


def test_without_the_extra_the_pdf_is_refused_and_the_rest_works() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT.format(missing="fpdf")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    refused, html, json, loaded = done.stdout.splitlines()
    assert refused.startswith("501 extra_not_installed format ")
    assert "pip install 'arouter[report]'" in refused
    assert (html, json, loaded) == ("200", "200", "[]")
