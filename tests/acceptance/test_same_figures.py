"""The figures are the same everywhere: a history with everything in it, and every view of it on the real process.

The records are the truth: whatever adds them up, in whichever shape, says the same to the last digit.
"""

import csv
import hashlib
import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.acceptance.client import Client
from tests.cli.process import succeeded
from tests.faults.processes import Gateway, place, sandbox_at, sandbox_process, wait_until

KINDS = ("completions", "embeddings", "moderations")
CONFIG = ("--config", "settings.toml")
QUERIES: tuple[dict[str, str], ...] = ({}, {"user": "ada"}, {"user": ""}, {"unattributed": "true"}, {"user": "nobody"})


def exact(body: bytes) -> Any:
    """Every number as a decimal of its own digits."""
    return json.loads(body, parse_float=Decimal, parse_int=Decimal)


@dataclass(kw_only=True)
class Figures:
    """What every view can tell of some requests; tokens and cost of what is known."""

    requests: Decimal = field(default_factory=Decimal)
    input_tokens: Decimal = field(default_factory=Decimal)
    output_tokens: Decimal = field(default_factory=Decimal)
    cost: Decimal = field(default_factory=Decimal)

    def add(self, requests: Any, input_tokens: Any, output_tokens: Any, cost: Any) -> "Figures":
        self.requests += requests
        self.input_tokens += input_tokens or 0
        self.output_tokens += output_tokens or 0
        self.cost += cost or 0
        return self


def summed(rows: Iterable[Mapping[str, Any]], *names: str) -> Figures:
    """By the names of the four figures; a name that is empty counts nothing, that of the requests one each."""
    figures = Figures()
    for row in rows:
        requests, *others = (row[name] if name else None for name in names)
        figures.add(Decimal(1) if requests is None else requests, *others)
    return figures


RECORD = ("", "prompt_tokens", "completion_tokens", "cost")
SUMMARY = ("requests", *RECORD[1:])
AROUTER = ("requests", "input_tokens", "output_tokens", "estimated_cost_usd")


@dataclass(frozen=True, kw_only=True)
class History:
    gateway: Gateway
    manager: Client
    keys: Mapping[str, str]
    """Plaintexts by name."""
    records: list[dict[str, Any]]

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        answer = self.manager.ask("GET", f"{path}?{urlencode(query or {}, doseq=True)}")
        assert answer.status == 200, answer.body
        return exact(answer.body)

    def wanted(self, query: Mapping[str, str]) -> Figures:
        """By the records alone."""
        found = [
            one
            for one in self.records
            if not query or ("unattributed" in query and one["user"] is None) or query.get("user") == one["user"]
        ]
        return summed(found, *RECORD)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("history")
    with sandbox_process() as url:
        kek = hashlib.sha256(b"key-encryption key").hexdigest()
        prices = {'prices."openai/priced"': {"input": "0.123457", "output": "0.000001"}}
        settings = sandbox_at(url, security={"key_encryption_key": kek}, **prices)
        with place(folder, settings) as home:
            gateway = home.start()
            with gateway.client(gateway.management) as manager:
                keys = make_history(gateway, manager)
                correct(folder, manager)
                records = exact(manager.activity([("limit", "1000")]).body)["data"]
                yield History(gateway=gateway, manager=manager, keys=keys, records=records)


def make_history(gateway: Gateway, manager: Client) -> dict[str, str]:
    """Several users, keys, models and providers; errors, refusals, no prices, streams, vectors, own keys."""
    keys = {"first": gateway.live}
    for name, more in (("second", {}), ("narrow", {"allowed_models": ["openai/gpt-5.4"]})):
        keys[name] = manager.post("/v1/keys", {"name": name, **more}).json["key"]
    for name, key in keys.items():
        with gateway.client(key) as client:
            for user in ("ada", "", None, f"user of {name}"):
                for model in ("openai/gpt-5.4", "anthropic/claude-sonnet-4.6", "openai/priced", "openai/no-price"):
                    client.chat(model + "?cached_tokens=2&reasoning_tokens=3", user)
                client.chat("openai/priced", user, stream=True)
                client.chat("openai/sandbox-error-500", user)
                client.chat("openai/gpt-5.4?error_after=3", user, stream=True)
            client.post("/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": "text", "user": "ada"})
            client.post("/v1/moderations", {"model": "openai/omni-moderation-latest", "input": "text", "user": "ada"})
            client.chat("openai/gpt-5.4", 7)
    own = manager.post("/v1/provider-keys", {"provider": "openai", "key": "sk-of-the-organization"})
    assert own.status == 201, own.body
    with gateway.client(keys["second"]) as client:
        deadline_s = time.monotonic() + 10
        while client.chat("openai/priced", "ada").status != 200 or not newest(client)["is_byok"]:
            assert time.monotonic() < deadline_s
        client.chat("openai/gpt-5.4", None, stream=True)
    return keys


def newest(client: Client) -> dict[str, Any]:
    return client.records([("limit", "1")])[0]


def correct(folder: Path, manager: Client) -> None:
    """One record gets a cost of more digits than a float has, one loses its own, and a refused one gets one."""
    by_status = {status: manager.records([("status", status), ("limit", "2")]) for status in ("success", "rejected")}
    (one, other), (refused, _) = by_status["success"], by_status["rejected"]
    for record, cost in ((one, "1234567.890123456789"), (other, "unknown"), (refused, "0.000000000007")):
        succeeded(*("activity", "correct", record["id"], "--cost", cost, "--reason", "a test", *CONFIG), cwd=folder)


def pages(history: History, path: str, query: Mapping[str, Any], cursor: str, following: str) -> Iterator[Any]:
    more: dict[str, Any] = {}
    while True:
        body = history.get(path, {**query, **more})
        yield body
        if not body["has_more"]:
            return
        more = {cursor: body[following]}


# ---------------------------------------------------------------- the history itself


def test_the_history_has_everything_in_it(history: History) -> None:
    records = history.records
    assert {one["status"] for one in records} == {"success", "upstream_error", "rejected"}
    assert {one["is_byok"] for one in records} == {True, False}
    assert {one["streamed"] for one in records} == {True, False}
    assert any(one["cost"] is None and one["total_tokens"] for one in records)
    assert {one["price_source"] for one in records} >= {"operator", "genai-prices", "correction", None}
    assert any(one["status"] == "rejected" and one["cost"] for one in records)
    assert len({one["endpoint"] for one in records}) == 3
    assert len({one["api_key_hash"] for one in records}) == 3
    assert len({one["model"] for one in records}) > 6
    assert history.wanted({}).cost.as_tuple().exponent == -12


# ---------------------------------------------------------------- our own views


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_exports_and_sums(history: History, query: dict[str, str]) -> None:
    wanted = history.wanted(query)
    lines = history.manager.activity([("format", "ndjson"), *query.items()]).body.splitlines()
    assert summed(map(exact, lines), *RECORD) == wanted
    table = csv.DictReader(io.StringIO(history.manager.activity([("format", "csv"), *query.items()]).body.decode()))
    told = [{name: Decimal(row[name]) if row[name] else None for name in RECORD[1:]} for row in table]
    assert summed(told, *RECORD) == wanted
    summary = history.get("/v1/activity/summary", query)
    assert summed([summary["totals"]], *SUMMARY) == wanted
    for group_by in ("user", "model,status", "provider,endpoint", "api_key,day", "hour", "workspace,month"):
        rows = history.get("/v1/activity/summary", {**query, "group_by": group_by, "limit": 10_000})["data"]
        assert summed(rows, *SUMMARY) == wanted


def test_every_generation(history: History) -> None:
    told = [history.get("/v1/generation", {"id": one["id"]})["data"] for one in history.records]
    assert summed(told, "", "tokens_prompt", "tokens_completion", "total_cost") == history.wanted({})


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_the_command_line(history: History, query: dict[str, str]) -> None:
    options = ["--unattributed" if name == "unattributed" else f"--{name}={value}" for name, value in query.items()]
    text = succeeded("activity", "summary", *options, "--json", *CONFIG, cwd=history.gateway.folder)
    assert summed([exact(text.encode())["totals"]], *SUMMARY) == history.wanted(query)
    text = succeeded("activity", "export", *options, "--json", *CONFIG, cwd=history.gateway.folder)
    assert summed(exact(text.encode()), *RECORD) == history.wanted(query)


def test_what_the_keys_have_spent(history: History) -> None:
    keys = history.get("/v1/keys")["data"]
    assert sum(one["usage"] for one in keys) == history.wanted({}).cost
    today = time.strftime("%Y-%m-%d", time.gmtime())
    todays = [one for one in history.records if one["created_at"].startswith(today)]
    assert sum(one["usage_daily"] for one in keys) == summed(todays, *RECORD).cost
    for key in history.keys.values():
        with history.gateway.client(key) as client:
            told = exact(client.ask("GET", "/v1/key").body)["data"]
        mine = [one for one in history.records if one["api_key_hash"] == told["hash"]]
        assert told["usage"] == summed(mine, *RECORD).cost
        assert told["byok_usage"] == summed([one for one in mine if one["is_byok"]], *RECORD).cost


# ---------------------------------------------------------------- ARouter's and OpenRouter's shapes


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_arouters_summary_and_series(history: History, query: dict[str, str]) -> None:
    wanted = history.wanted(query)
    body = history.get("/api/usage/summary", query)
    totals = ("total_requests", "total_input_tokens", "total_output_tokens", "estimated_cost_usd")
    assert summed([body], *totals) == wanted
    assert body["total_tokens"] == wanted.input_tokens + wanted.output_tokens
    for part in ("by_provider", "by_model", "by_user"):
        assert summed(body[part], *AROUTER) == wanted
    for granularity in ("hourly", "daily", "monthly"):
        series = {**query, "granularity": granularity, "by_user": "true"}
        points = history.get("/api/usage/timeseries", series)["data_points"]
        assert summed(points, *AROUTER) == wanted
        assert summed((one for point in points for one in point["by_user"]), *AROUTER) == wanted


def test_transactions_balance_and_credits(history: History) -> None:
    wanted = history.wanted({})
    bodies = pages(history, "/v1/billing/transactions", {"limit": 7}, "cursor", "next_cursor")
    told = [one for body in bodies for one in body["transactions"]]
    assert [one["generation_id"] for one in told] == [one["id"] for one in history.records]
    assert -summed(told, "", "", "", "amount").cost == wanted.cost
    assert history.get("/v1/balance") == {"balance": None, "currency": "USD", "total_usage": wanted.cost}
    nothing = {"total_credits": None, "total_usage": wanted.cost, "balance": None, "enabled": False}
    assert history.get("/v1/credits") == {"data": nothing}


def test_the_balance_of_credits(history: History) -> None:
    """In each shape, on the command line, and added up over all transactions; what was used before does not count."""
    used, folder = history.wanted({}).cost, history.gateway.folder
    paid = Decimal("1000000.000000000003")
    try:
        made = history.manager.post("/v1/credits", {"amount": str(paid + 1), "reference": "invoice 7"})
        assert made.status == 201, made.body
        succeeded("credits", "add", "--amount", "-1", "--type", "correction", *CONFIG, cwd=folder)
        told = {"total_credits": used + paid, "total_usage": used, "balance": paid, "enabled": True}
        assert history.get("/v1/credits") == {"data": told}
        assert exact(succeeded("credits", "show", "--json", *CONFIG, cwd=folder).encode()) == told
        assert history.get("/api/v1/balance") == {"balance": paid, "currency": "USD", "total_usage": used}
        bodies = pages(history, "/api/v1/transactions", {"limit": 50}, "cursor", "next_cursor")
        all_ = [one for body in bodies for one in body["transactions"]]
        assert sum((one["amount"] or Decimal(0) for one in all_), Decimal(0)) == paid
        entries = history.get("/v1/credits/entries")["data"]
        assert exact(succeeded("credits", "list", "--json", *CONFIG, cwd=folder).encode()) == entries
        assert [one["type"] for one in entries if one["amount"] < 0] == ["correction"]
        assert sum(one["amount"] for one in entries) == used + paid
        key = hashlib.sha256(history.keys["first"].encode()).hexdigest()

        def limit() -> Any:
            return history.get("/v1/guardrails/explain", {"api_key_hash": key})["data"]["limits"][0]

        # What another process entered, the gateway hears of within a moment.
        wait_until(lambda: bool(limit()["limit"] == used + paid))
        assert (limit()["used"], limit()["remaining"]) == (used, paid)
    finally:
        # The other tests are of an organization that keeps none.
        assert history.manager.ask("PATCH", "/v1/credits", b'{"enabled": false}').status == 200


# ---------------------------------------------------------------- OpenAI's shapes


@pytest.mark.parametrize("width", ["1m", "1h", "1d"])
@pytest.mark.parametrize(
    "group_by", [(), ("model",), ("user", "api_key_id"), ("project_id", "user_id", "model", "user")]
)
@pytest.mark.parametrize("query", QUERIES[:2], ids=str)
def test_openais_usage(history: History, width: str, group_by: tuple[str, ...], query: dict[str, str]) -> None:
    asked = {**query, "start_time": start(history), "bucket_width": width, "group_by[]": group_by}
    figures = Figures()
    for kind in KINDS:
        for body in pages(history, f"/v1/organization/usage/{kind}", asked, "page", "next_page"):
            for bucket in body["data"]:
                for one in bucket["results"]:
                    assert all(name in group_by or one[name] is None for name in ("user", "model", "api_key_id"))
                    figures.add(one["num_model_requests"], one["input_tokens"], one.get("output_tokens"), None)
    wanted = history.wanted(query)
    # Vectors and verdicts have no output.
    assert (figures.requests, figures.input_tokens) == (wanted.requests, wanted.input_tokens)
    assert figures.output_tokens == wanted.output_tokens


@pytest.mark.parametrize("group_by", ["project_id", "user_id", "line_item", "api_key_id", "user", "user,line_item"])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_openais_costs(history: History, group_by: str, query: dict[str, str]) -> None:
    asked = {**query, "start_time": start(history), "group_by": group_by}
    bodies = pages(history, "/v1/organization/costs", asked, "page", "next_page")
    amounts = [one["amount"] for body in bodies for bucket in body["data"] for one in bucket["results"]]
    assert summed(amounts, "", "", "", "value").cost == history.wanted(query).cost


def start(history: History) -> int:
    """A minute before the first record: the range begins within a minute, an hour and a day."""
    first = history.records[-1]["created_at"]
    return int(datetime.fromisoformat(first).timestamp()) - 61
