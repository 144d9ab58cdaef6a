"""`/v1/organization/usage/…` and `/v1/organization/costs`: the ledger in OpenAI's shapes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from arouter.domain.keys import ActivityScope
from arouter.domain.record import Status
from arouter.domain.usage import NOTHING_REPORTED, Usage
from tests.web.api.gateway import NEEDS_NO_STORE, NOW_US, Gateway, exact, failure

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
MIDNIGHT = NOW_US // DAY * DAY // SECOND
"""2026-11-22T00:00:00Z; now is 06:00."""
TEN_DAYS_AGO = MIDNIGHT - 9 * 86_400 - 3_600
COMPLETIONS, COSTS = "/v1/organization/usage/completions", "/v1/organization/costs"
KINDS = ("completions", "embeddings", "moderations")


def page(gateway: Gateway, path: str, query: str = "", *, key: str | None = None) -> dict[str, Any]:
    start = "" if "start_time" in query else f"start_time={TEN_DAYS_AGO}&"
    answer = gateway.get(f"{path}?{start}{query}", key=gateway.management if key is None else key)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = exact(answer.content)
    return body


def results(gateway: Gateway, path: str, query: str = "", *, key: str | None = None) -> list[dict[str, Any]]:
    limit = "" if "limit" in query else "&limit=31"
    buckets = page(gateway, path, query + limit, key=key)["data"]
    return [result for bucket in buckets for result in bucket["results"]]


def values(gateway: Gateway, path: str, query: str, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(result[name] for name in names) for result in results(gateway, path, query)]


def test_a_page_is_openais(gateway: Gateway) -> None:
    gateway.add_record(user="ada")
    body = page(gateway, COMPLETIONS, f"start_time={MIDNIGHT}")
    assert body == {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": str(MIDNIGHT),
                "end_time": str(MIDNIGHT + 86_400),
                "results": [
                    {
                        "object": "organization.usage.completions.result",
                        "input_tokens": "120",
                        "output_tokens": "85",
                        "input_cached_tokens": "60",
                        "input_cache_write_tokens": None,
                        "input_uncached_tokens": None,
                        "input_audio_tokens": None,
                        "output_audio_tokens": None,
                        "num_model_requests": "1",
                        "requests_without_usage": "0",
                        "project_id": None,
                        "user_id": None,
                        "api_key_id": None,
                        "user": None,
                        "model": None,
                        "batch": None,
                        "service_tier": None,
                    }
                ],
            }
        ],
        "has_more": False,
        "next_page": None,
    }


def test_costs_are_openais(gateway: Gateway) -> None:
    gateway.add_record(cost=1)
    gateway.add_record(cost=10**13)
    gateway.add_record(cost=None)
    body = page(gateway, COSTS, f"start_time={MIDNIGHT}")
    assert body["data"][0]["results"] == [
        {
            "object": "organization.costs.result",
            "amount": {"value": "10.000000000001", "currency": "usd"},
            "line_item": None,
            "quantity": None,
            "quantity_unit": None,
            "requests_without_price": "1",
            "project_id": None,
            "user_id": None,
            "api_key_id": None,
            "user": None,
        }
    ]


@pytest.mark.parametrize(("kind", "endpoint"), [("embeddings", "/v1/embeddings"), ("moderations", "/v1/moderations")])
def test_embeddings_and_moderations_have_reports_of_their_own(gateway: Gateway, kind: str, endpoint: str) -> None:
    gateway.add_record()
    gateway.add_record(endpoint=endpoint, usage=Usage(input_tokens=7, output_tokens=0))
    [result] = results(gateway, f"/v1/organization/usage/{kind}", "group_by=model")
    assert result == {
        "object": f"organization.usage.{kind}.result",
        "input_tokens": "7",
        "num_model_requests": "1",
        "requests_without_usage": "0",
        "project_id": None,
        "user_id": None,
        "api_key_id": None,
        "user": None,
        "model": "openai/gpt-5.4",
    }
    assert [one["input_tokens"] for one in results(gateway, COMPLETIONS)] == ["120"]


def test_the_reports_together_and_the_costs_are_everything(gateway: Gateway) -> None:
    for number, endpoint in enumerate(("/v1/embeddings", "/v1/moderations", "/v1/rerank", "/v1/images/generations")):
        gateway.add_record(endpoint=endpoint, cost=10**number, ago_us=number * DAY)
    gateway.add_record(status=Status.REJECTED, provider=None, model=None, usage=NOTHING_REPORTED, cost=None)
    totals = exact(gateway.get("/v1/activity/summary").content)["totals"]
    found = [result for kind in KINDS for result in results(gateway, f"/v1/organization/usage/{kind}")]
    assert sum(int(one["num_model_requests"]) for one in found) == int(totals["requests"])
    assert sum(int(one["input_tokens"]) for one in found) == int(totals["prompt_tokens"])
    assert sum(Decimal(one["amount"]["value"]) for one in results(gateway, COSTS)) == Decimal(totals["cost"])


class TestBuckets:
    """Where they begin and end."""

    def test_the_first_begins_at_the_start_and_all_days_are_there(self, gateway: Gateway) -> None:
        gateway.add_record(ago_us=2 * DAY)
        start = MIDNIGHT - 3 * 86_400 + 4_000
        body = page(gateway, COMPLETIONS, f"start_time={start}")
        edges = [(int(bucket["start_time"]), int(bucket["end_time"])) for bucket in body["data"]]
        assert edges == [
            (start, MIDNIGHT - 2 * 86_400),
            (MIDNIGHT - 2 * 86_400, MIDNIGHT - 86_400),
            (MIDNIGHT - 86_400, MIDNIGHT),
            (MIDNIGHT, MIDNIGHT + 86_400),
        ]
        assert [len(bucket["results"]) for bucket in body["data"]] == [0, 1, 0, 0]

    def test_the_last_ends_at_the_end(self, gateway: Gateway) -> None:
        gateway.add_record(ago_us=HOUR)
        gateway.add_record(ago_us=0, user="behind it")
        end = NOW_US // SECOND - 60
        body = page(gateway, COMPLETIONS, f"start_time={MIDNIGHT}&end_time={end}")
        [bucket] = body["data"]
        assert bucket["end_time"] == str(end)
        assert [one["num_model_requests"] for one in bucket["results"]] == ["1"]

    def test_the_future_has_none(self, gateway: Gateway) -> None:
        end = MIDNIGHT + 100 * 86_400
        assert len(page(gateway, COMPLETIONS, f"start_time={MIDNIGHT}&end_time={end}&limit=31")["data"]) == 1
        body = page(gateway, COMPLETIONS, f"start_time={end}")
        assert (body["data"], body["has_more"], body["next_page"]) == ([], False, None)

    @pytest.mark.parametrize(
        ("width", "limit", "count", "seconds"),
        [
            ("", "", 7, 86_400),
            ("1d", "", 7, 86_400),
            ("1d", "31", 10 + 1, 86_400),
            ("1h", "", 24, 3600),
            ("1h", "168", 168, 3600),
            ("1m", "", 60, 60),
            ("1m", "1440", 1440, 60),
        ],
    )
    def test_how_many(self, gateway: Gateway, width: str, limit: str, count: int, seconds: int) -> None:
        query = "&".join(f"{name}={value}" for name, value in (("bucket_width", width), ("limit", limit)) if value)
        body = page(gateway, COMPLETIONS, query)
        assert len(body["data"]) == count
        assert int(body["data"][1]["end_time"]) - int(body["data"][1]["start_time"]) == seconds
        assert body["has_more"] is (limit != "31")

    def test_costs_have_up_to_180_days(self, gateway: Gateway) -> None:
        start = f"start_time={MIDNIGHT - 400 * 86_400}"
        assert len(page(gateway, COSTS, start)["data"]) == 7
        assert len(page(gateway, COSTS, f"{start}&limit=180")["data"]) == 180

    @pytest.mark.parametrize("width", ["1m", "1h", "1d"])
    def test_pages_follow_each_other_while_time_goes_on(self, gateway: Gateway, width: str) -> None:
        for number in range(12):
            gateway.add_record(user=str(number), cost=10**number, ago_us=number * 37 * 60 * SECOND)
        start = MIDNIGHT - 3 * 3600 + 7
        query = f"start_time={start}&bucket_width={width}&group_by=user&limit=5"
        found, cursor, edges = [], "", [start]
        while True:
            body = page(gateway, COMPLETIONS, query + cursor)
            for bucket in body["data"]:
                assert int(bucket["start_time"]) == edges[-1]
                edges.append(int(bucket["end_time"]))
                found += [(one["user"], one["num_model_requests"]) for one in bucket["results"]]
            if not body["has_more"]:
                break
            assert len(body["data"]) == 5
            cursor = f"&page={body['next_page']}"
            gateway.now_us += 60 * SECOND
        assert sorted(found) == sorted((str(number), "1") for number in range(12))
        assert edges == sorted(set(edges))

    def test_a_minute_says_the_same_as_a_day(self, gateway: Gateway) -> None:
        gateway.add_record(user="a", ago_us=61 * SECOND)
        gateway.add_record(user="a")
        gateway.add_record(user=None, ago_us=1)
        start = f"start_time={MIDNIGHT + 5 * 3600}&group_by=user"
        minutes = results(gateway, COMPLETIONS, f"{start}&bucket_width=1m&limit=1440")
        [nobody, ada] = results(gateway, COMPLETIONS, start)
        assert [one["user"] for one in minutes] == ["a", None, "a"]
        assert sum(int(one["input_tokens"]) for one in minutes if one["user"] == "a") == int(ada["input_tokens"])
        assert nobody == minutes[1]


class TestGroups:
    """What can be told apart, and what is shown for it."""

    @pytest.fixture(autouse=True)
    def _requests(self, gateway: Gateway) -> None:
        _, other = gateway.add_key("other", creator="mem_2", workspace_id="ws_2")
        _, nobodys = gateway.add_key("nobody's", creator=None)
        gateway.add_record(user="a", cost=1)
        gateway.add_record(user="b", cost=2, model="openai/gpt-5.4-mini")
        gateway.add_record(user=None, cost=4, key=other, workspace_id="ws_2")
        gateway.add_record(user="a", cost=8, key=nobodys, status=Status.REJECTED, model=None)
        self.other, self.nobodys = other, nobodys

    @pytest.mark.parametrize(
        ("field", "expected"),
        [
            ("user", [(None, "4"), ("a", "9"), ("b", "2")]),
            ("project_id", [("ws_2", "4"), ("ws_home", "11")]),
            ("user_id", [(None, "8"), ("mem_1", "3"), ("mem_2", "4")]),
            ("line_item", [(None, "8"), ("openai/gpt-5.4", "5"), ("openai/gpt-5.4-mini", "2")]),
        ],
    )
    def test_costs_by_one(self, gateway: Gateway, field: str, expected: list[tuple[str | None, str]]) -> None:
        told = values(gateway, COSTS, f"group_by={field}", field, "amount")
        trimmed = [(value, str(round(Decimal(amount["value"]) * 10**12))) for value, amount in told]
        assert trimmed == expected

    def test_usage_by_everything(self, gateway: Gateway) -> None:
        fields = ("project_id", "user_id", "api_key_id", "model", "user", "batch")
        found = values(gateway, COMPLETIONS, f"group_by={','.join(fields)}", *fields)
        live = gateway.live_key.hash
        assert sorted(found, key=repr) == sorted(
            [
                ("ws_home", "mem_1", live, "openai/gpt-5.4", "a", False),
                ("ws_home", "mem_1", live, "openai/gpt-5.4-mini", "b", False),
                ("ws_2", "mem_2", self.other.hash, "openai/gpt-5.4", None, False),
                ("ws_home", None, self.nobodys.hash, None, "a", False),
            ],
            key=repr,
        )

    @pytest.mark.parametrize("form", ["group_by=user&group_by=model", "group_by[]=user&group_by[]=model",
                                      "group_by%5B%5D=user,model"])  # fmt: skip
    def test_a_list_is_written_in_any_way(self, gateway: Gateway, form: str) -> None:
        found = values(gateway, COMPLETIONS, form, "user", "model")
        assert found == values(gateway, COMPLETIONS, "group_by=user,model", "user", "model")
        assert len(found) == 4

    @pytest.mark.parametrize(
        ("query", "requests"),
        [
            ("user=a", 2),
            ("user=a&user=b", 3),
            ("unattributed=true", 1),
            ("models[]=openai/gpt-5.4-mini", 1),
            ("project_ids=ws_2&project_ids=nowhere", 1),
            ("user_ids=mem_1", 2),
            ("user_ids[]=mem_1&user_ids[]=mem_2", 3),
            ("user_ids=mem_1&group_by=user", 2),
            ("user_ids=nobody", 0),
            ("batch=false", 4),
            ("batch=true", 0),
        ],
    )
    def test_filters(self, gateway: Gateway, query: str, requests: int) -> None:
        assert sum(int(one["num_model_requests"]) for one in results(gateway, COMPLETIONS, query)) == requests

    def test_a_key_is_a_filter(self, gateway: Gateway) -> None:
        query = f"api_key_ids={self.other.hash}&group_by=api_key_id"
        assert values(gateway, COSTS, query, "api_key_id", "requests_without_price") == [(self.other.hash, "0")]

    def test_a_line_item_is_the_model_that_was_routed_to(self, gateway: Gateway) -> None:
        gateway.add_record(cost=100, requested_model="openai/gpt-5.4-mini", model="openai/gpt-5.4")
        query = "line_items=openai/gpt-5.4-mini"
        [result] = results(gateway, COSTS, query)
        assert result["amount"]["value"] == "0.000000000002"

    def test_the_maker_of_a_deleted_key_is_known(self, gateway: Gateway) -> None:
        assert gateway.manage("DELETE", f"/v1/keys/{self.other.hash}").status_code == 200
        assert ("mem_2", "1") in values(gateway, COMPLETIONS, "group_by=user_id", "user_id", "num_model_requests")


class TestScopes:
    """Whoever asks, however: its own records only."""

    @pytest.fixture(autouse=True)
    def _requests(self, gateway: Gateway) -> None:
        _, colleague = gateway.add_key("colleague")
        _, neighbour = gateway.add_key("neighbour", workspace_id="ws_2")
        _, stranger = gateway.add_key("stranger", organization_id="org_2", workspace_id="ws_3")
        self.keys = {"mine": gateway.live_key, "colleague": colleague, "neighbour": neighbour, "stranger": stranger}
        for user, key in self.keys.items():
            gateway.add_record(user=user, key=key, organization_id=key.organization_id, workspace_id=key.workspace_id)

    @pytest.mark.parametrize(
        ("scope", "seen"),
        [
            (ActivityScope.KEY, ["mine"]),
            (ActivityScope.WORKSPACE, ["colleague", "mine"]),
            (ActivityScope.ORGANIZATION, ["colleague", "mine", "neighbour"]),
        ],
    )
    @pytest.mark.parametrize("path", [COMPLETIONS, COSTS, f"{COMPLETIONS}?bucket_width=1m"])
    def test_a_key_sees_what_its_scope_covers(
        self, gateway: Gateway, scope: ActivityScope, seen: list[str], path: str
    ) -> None:
        gateway.replace_key(replace(gateway.live_key, activity_scope=scope))
        path, _, query = path.partition("?")
        start = f"start_time={NOW_US // SECOND - 60}"
        for more in ("", *(f"&api_key_ids={key.hash}" for key in self.keys.values()), "&user_ids=mem_1"):
            found = results(gateway, path, f"{start}&group_by=user,api_key_id{more}&{query}", key=gateway.live)
            allowed = [user for user in seen if self.keys[user].hash in more or "api_key_ids" not in more]
            assert sorted(one["user"] for one in found) == allowed

    def test_anothers_page_opens_nothing(self, gateway: Gateway) -> None:
        query = f"start_time={MIDNIGHT - 86_400}&limit=1&group_by=user"
        theirs = page(gateway, COMPLETIONS, query)["next_page"]
        assert [one["user"] for one in results(gateway, COMPLETIONS, f"{query}&page={theirs}", key=gateway.live)] == [
            "mine"
        ]

    def test_without_a_key_there_is_nothing(self, gateway: Gateway) -> None:
        for path in (COMPLETIONS, COSTS):
            assert gateway.ask("GET", f"{path}?start_time=0").status_code == 401


@pytest.mark.parametrize(
    ("path", "query", "param", "message"),
    [
        (COMPLETIONS, "", "start_time", "required"),
        (COMPLETIONS, "start_time=yesterday", "start_time", "whole number"),
        (COMPLETIONS, "start_time=1.5", "start_time", "whole number"),
        (COMPLETIONS, "start_time=-1", "start_time", "whole number"),
        (COMPLETIONS, "start_time=1795327200000", "start_time", "to 253370764800"),
        (COMPLETIONS, "start_time=9&end_time=9", "end_time", "later"),
        (COMPLETIONS, "start_time=9&end_time=x", "end_time", "whole number"),
        (COMPLETIONS, "start_time=0&bucket_width=1w", "bucket_width", "1m, 1h, 1d"),
        (COMPLETIONS, "start_time=0&limit=0", "limit", "from 1 to 31"),
        (COMPLETIONS, "start_time=0&limit=32", "limit", "from 1 to 31"),
        (COMPLETIONS, "start_time=0&limit=169&bucket_width=1h", "limit", "from 1 to 168"),
        (COMPLETIONS, "start_time=0&limit=1441&bucket_width=1m", "limit", "from 1 to 1440"),
        (COMPLETIONS, "start_time=0&group_by=service_tier", "group_by", "project_id"),
        (COMPLETIONS, "start_time=0&group_by[]=line_item", "group_by", "project_id"),
        (COMPLETIONS, "start_time=0&group_by=", "group_by", "project_id"),
        (COMPLETIONS, "start_time=0&batch=perhaps", "batch", "true or false"),
        (COMPLETIONS, "start_time=0&page=nonsense", "page", "not a page"),
        (COMPLETIONS, "start_time=0&page=é", "page", "not a page"),
        (COMPLETIONS, "start_time=0&page=page_AAAAAAAAAAEAAAAAAAAAAQ", "page", "another request"),
        (COMPLETIONS, "start_time=0&models=a&model=b", "model", "Did you mean `models`?"),
        (COMPLETIONS, "start_time=0&start_time[]=0", "start_time[]", "Unknown parameter"),
        (COMPLETIONS, "start_time=0&line_items=a", "line_items", "Unknown parameter"),
        (COSTS, "start_time=0&bucket_width=1h", "bucket_width", "1d"),
        (COSTS, "start_time=0&limit=181", "limit", "from 1 to 180"),
        (COSTS, "start_time=0&group_by=model", "group_by", "line_item"),
        (COSTS, "start_time=0&models=a", "models", "Unknown parameter"),
        ("/v1/organization/usage/embeddings", "start_time=0&batch=true", "batch", "Unknown parameter"),
    ],
)
@NEEDS_NO_STORE
def test_what_does_not_fit_is_named(gateway: Gateway, path: str, query: str, param: str, message: str) -> None:
    answer = gateway.get(f"{path}?{quote(query, safe='=&%[]')}")
    assert answer.status_code == 400
    error = failure(answer)
    assert error["param"] == param
    assert message in error["message"]


def test_a_page_belongs_to_its_width(gateway: Gateway) -> None:
    start = f"start_time={MIDNIGHT - 86_400}"
    cursor = page(gateway, COMPLETIONS, f"{start}&bucket_width=1h&limit=5")["next_page"]
    error = failure(gateway.get(f"{COMPLETIONS}?{start}&page={cursor}"))
    assert (error["param"], error["code"]) == ("page", "invalid_parameter")
