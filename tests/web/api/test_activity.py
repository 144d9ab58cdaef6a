"""`GET /v1/activity`: one record per request, to the byte and to the digit."""

import json

import pytest

from arouter.domain.attempt import Attempt
from arouter.domain.keys import ActivityScope, KeyKind
from arouter.domain.money import Picodollars
from arouter.domain.record import Status, UsageSource
from arouter.domain.usage import NOTHING_REPORTED, Usage
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, exact, failure

SECOND, HOUR = 1_000_000, 3_600_000_000


def users(gateway: Gateway, query: str = "", **rest: str) -> list[str | None]:
    answer = gateway.get(f"/v1/activity?{query}", **rest)
    assert answer.status_code == 200, answer.text
    return [record["user"] for record in answer.json()["data"]]


def test_a_record_says_everything_in_the_order_of_the_contract(gateway: Gateway) -> None:
    record = gateway.add_record(
        user="user_12345", session_id="s-1", tags=("a", "b"), app_url="https://app.example", app_title="App"
    )
    answer = gateway.get("/v1/activity?user=user_12345&limit=100")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = exact(answer.content)
    assert list(body) == ["object", "has_more", "next_cursor", "data"]
    assert (body["object"], body["has_more"], body["next_cursor"]) == ("list", False, None)
    [shown] = body["data"]
    assert list(shown.items()) == [
        ("id", record.opening.id),
        ("request_id", record.opening.request_id),
        ("created_at", "2026-11-22T06:00:00.123456Z"),
        ("completed_at", "2026-11-22T06:00:00.935856Z"),
        ("user", "user_12345"),
        ("session_id", "s-1"),
        ("tags", ["a", "b"]),
        ("api_key_hash", gateway.live_key.hash),
        ("api_key_name", "prod"),
        ("workspace_id", "ws_home"),
        ("organization_id", "org_home"),
        ("creator", "mem_1"),
        ("endpoint", "/v1/chat/completions"),
        ("requested_model", "openai/gpt-5.4"),
        ("model", "openai/gpt-5.4"),
        ("provider", "openai"),
        ("upstream_id", "chatcmpl-1"),
        ("streamed", True),
        ("status", "success"),
        ("http_status", "200"),
        ("finish_reason", "stop"),
        ("error_code", None),
        ("prompt_tokens", "120"),
        ("completion_tokens", "85"),
        ("total_tokens", "205"),
        ("cached_tokens", "60"),
        ("cache_write_tokens", "0"),
        ("reasoning_tokens", "30"),
        ("audio_tokens", None),
        ("image_tokens", None),
        ("cost", "0.0012345"),
        ("currency", "USD"),
        ("usage_source", "provider"),
        ("price_source", "genai-prices"),
        ("price_version", "2026-11-01"),
        ("is_byok", False),
        ("latency_ms", "812.4"),
        ("time_to_first_token_ms", "233.1"),
        ("attempts", "1"),
        ("app_url", "https://app.example"),
        ("app_title", "App"),
        ("tried", []),
    ]


def test_the_attempts_of_a_request_are_told_in_order(gateway: Gateway) -> None:
    tried = (
        Attempt(
            provider="groq",
            model="llama",
            http_status=None,
            error_code="upstream_timeout",
            latency_us=1_500,
            deployment="eu",
        ),
        Attempt(
            provider="mistral",
            model="large",
            http_status=200,
            error_code="upstream_error",
            latency_us=2_000,
            usage=Usage(input_tokens=7, output_tokens=0),
            usage_source=UsageSource.PARTIAL,
            cost=Picodollars(10),
            is_byok=True,
        ),
        Attempt(provider="openai", model="gpt-5.4", http_status=200, error_code=None, latency_us=0),
    )
    record = gateway.add_record(attempts=3, tried=tried)
    names = ("provider", "deployment", "model", "http_status", "error_code", "latency_ms",
             "prompt_tokens", "completion_tokens", "usage_source", "cost", "is_byok")  # fmt: skip
    told = [
        dict(zip(names, values, strict=True))
        for values in (
            ("groq", "eu", "llama", None, "upstream_timeout", "1.5", None, None, "none", None, False),
            ("mistral", None, "large", "200", "upstream_error", "2.0", "7", "0", "partial", "0.00000000001", True),
            ("openai", None, "gpt-5.4", "200", None, "0.0", None, None, "none", None, False),
        )
    ]
    [listed] = exact(gateway.get("/v1/activity").content)["data"]
    assert (listed["attempts"], listed["tried"]) == ("3", told)
    alone = exact(gateway.get(f"/v1/generation?id={record.opening.id}").content)["data"]
    assert (alone["attempts"], alone["tried"]) == ("3", told)


@pytest.mark.parametrize(
    ("cost", "shown"),
    [(None, None), (0, "0"), (1, "0.000000000001"), (10**13, "10"), (2**63 - 1, "9223372.036854775807")],
)
def test_money_keeps_its_digits(gateway: Gateway, cost: int | None, shown: str | None) -> None:
    gateway.add_record(cost=cost)
    assert exact(gateway.get("/v1/activity").content)["data"][0]["cost"] == shown


def test_what_is_unknown_is_null_and_not_zero(gateway: Gateway) -> None:
    gateway.add_record(
        status=Status.INTERRUPTED, http_status=None, model=None, provider=None, upstream_id=None, finish_reason=None,
        usage=NOTHING_REPORTED, usage_source=UsageSource.NONE, cost=None, latency_us=None, time_to_first_token_us=None,
        attempts=0,
    )  # fmt: skip
    [record] = gateway.get("/v1/activity").json()["data"]
    unknown = ("model", "http_status", "prompt_tokens", "total_tokens", "cost", "latency_ms", "time_to_first_token_ms")
    assert [record[name] for name in unknown] == [None] * len(unknown)
    assert (record["status"], record["usage_source"], record["attempts"]) == ("interrupted", "none", 0)


def test_every_view_shows_the_cost_that_holds(gateway: Gateway) -> None:
    first, second = gateway.add_record(user="ada"), gateway.add_record(user="bob")
    gateway.adjust(first, 9)
    gateway.adjust(first, 1)
    gateway.adjust(second, None)
    shown = {record["user"]: record for record in exact(gateway.get("/v1/activity").content)["data"]}
    fields = ("cost", "price_source", "price_version")
    assert [shown["ada"][name] for name in fields] == ["0.000000000001", "operator", "always"]
    assert [shown["bob"][name] for name in fields] == [None, None, None]
    totals = exact(gateway.get("/v1/activity/summary").content)["totals"]
    assert (totals["cost"], totals["requests_without_price"]) == ("0.000000000001", "1")
    assert exact(gateway.get("/v1/key").content)["data"]["usage"] == "0.000000000001"
    generation = exact(gateway.get(f"/v1/generation?id={first.opening.id}").content)
    assert generation["data"]["total_cost"] == "0.000000000001"
    assert ',0.000000000001,"USD","provider","operator","always",' in gateway.get("/v1/activity?format=csv").text


def test_records_that_were_adjusted_since_are_found(gateway: Gateway) -> None:
    old = gateway.add_record(user="ada")
    gateway.add_record(user="bob")
    gateway.now_us += HOUR
    gateway.adjust(old, 1)
    assert users(gateway, "updated_since=2026-11-22T07:00:00.123456Z") == ["ada"]
    assert users(gateway, "updated_since=2026-11-22T07:00:00.123457Z") == []


def test_the_alias_answers_the_same(gateway: Gateway) -> None:
    gateway.add_record(user="a")
    assert gateway.get("/api/v1/activity").content == gateway.get("/v1/activity").content


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user=a", ["a"]),
        ("user=a&user=", ["", "a"]),
        ("user", [""]),
        ("unattributed=true", [None]),
        ("unattributed=true&user=a", [None, "a"]),
        ("unattributed=false", ["", None, "a"]),
        ("user=A", []),
        ("user=a%20", []),
        ("order=asc", ["a", None, ""]),
        ("limit=1", [""]),
        ("", ["", None, "a"]),
    ],
)
def test_who(gateway: Gateway, query: str, expected: list[str | None]) -> None:
    for ago, user in ((3, "a"), (2, None), (1, "")):
        gateway.add_record(user=user, ago_us=ago)
    assert users(gateway, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("model=anthropic/claude-opus-5", ["b"]),
        ("model=asked/for", ["b"]),
        ("provider=anthropic", ["b"]),
        ("provider=anthropic&provider=openai", ["b", "a"]),
        ("status=rejected", ["b"]),
        ("status=success&status=rejected", ["b", "a"]),
        ("session_id=s", ["b"]),
        ("tag=x", ["b"]),
        ("tag=x&tag=z", ["b"]),
        ("endpoint=/v1/messages", ["b"]),
        ("workspace_id=ws_home", ["b", "a"]),
        ("workspace_id=ws_other", []),
        ("provider=anthropic&status=success", []),
    ],
)
def test_which(gateway: Gateway, query: str, expected: list[str]) -> None:
    gateway.add_record(user="a", ago_us=1)
    gateway.add_record(
        user="b", model="anthropic/claude-opus-5", requested_model="asked/for", provider="anthropic",
        status=Status.REJECTED, session_id="s", tags=("x", "y"), endpoint="/v1/messages",
    )  # fmt: skip
    assert users(gateway, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("start=2026-11-22T06:00:00.123456Z", ["now"]),
        ("start=2026-11-22T06:00:00.1234561Z", []),
        ("end=2026-11-22T06:00:00.123456Z", ["hour", "day"]),
        ("start=2026-11-22", ["now", "hour"]),
        ("end=2026-11-22", ["day"]),
        ("start=1795323600.123456&end=1795327200.123456", ["hour"]),
        ("start=2026-11-22T06:00:00+01:00", ["now", "hour"]),
        ("start=2026-11-22T06:00:00%2B01:00&end=2026-11-22 06:00", ["hour"]),
        ("updated_since=2026-11-22T06:00:00.123456Z", ["now", "hour", "day"]),
        ("updated_since=2026-11-22T06:00:00.123457Z", []),
    ],
)
def test_when(gateway: Gateway, query: str, expected: list[str]) -> None:
    for user, ago in (("day", 24 * HOUR), ("hour", HOUR), ("now", 0)):
        gateway.add_record(user=user, ago_us=ago)
    assert users(gateway, query) == expected


@pytest.mark.parametrize(
    ("query", "param", "message"),
    [
        ("usr=a", "usr", "Did you mean `user`?"),
        ("page=2", "page", "Unknown parameter"),
        ("limit=0", "limit", "from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("limit=ten", "limit", "whole number"),
        ("limit=1&limit=2", "limit", "more than once"),
        ("limit=１", "limit", "whole number"),
        ("cursor=", "cursor", "not a cursor"),
        ("cursor=nonsense", "cursor", "not a cursor"),
        ("order=up", "order", "desc, asc"),
        ("start=yesterday", "start", "not an instant"),
        ("start=1795327200000", "start", "milliseconds"),
        ("start=2026-11-22&end=2026-11-21", "end", "before"),
        ("status=ok", "status", "success"),
        ("unattributed=maybe", "unattributed", "true or false"),
        ("format=xml", "format", "json, ndjson, csv, parquet, focus"),
        ("until=soon", "until", "not an instant"),
        ("cursor=2026-11-22", "cursor", "not a cursor"),
        ("cursor=soon,gen-1", "cursor", "not a cursor"),
        ("format=focus&limit=1", "limit", "format=focus"),
        ("format=focus&order=desc", "order", "format=focus"),
        ("user=%FF", "user", "UTF-8"),
    ],
)
@NEEDS_NO_STORE
def test_what_does_not_fit_is_named(gateway: Gateway, query: str, param: str, message: str) -> None:
    answer = gateway.get(f"/v1/activity?{query}")
    assert answer.status_code == 400
    error = failure(answer)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert message in error["message"]


def test_a_key_is_needed(gateway: Gateway) -> None:
    answer = gateway.ask("GET", "/v1/activity")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert failure(answer)["code"] == "missing_api_key"
    assert gateway.get("/v1/activity", key="lr_live_" + "0" * 48).status_code == 401


def test_the_key_may_come_in_the_query(gateway: Gateway) -> None:
    gateway.add_record(user="a")
    answer = gateway.ask("GET", f"/v1/activity?key={gateway.live}&user=a")
    assert len(answer.json()["data"]) == 1


class TestWhoseRecords:
    """A key sees its own records, unless it was given a wider sight."""

    @pytest.fixture(autouse=True)
    def _records(self, gateway: Gateway) -> None:
        _, neighbour = gateway.add_key("neighbour")
        _, colleague = gateway.add_key("colleague", workspace_id="ws_other")
        _, stranger = gateway.add_key("stranger", organization_id="org_other", workspace_id="ws_x")
        gateway.add_record(user="mine")
        for owner in (neighbour, colleague, stranger):
            gateway.add_record(user=owner.name, key=owner)

    def test_a_live_key_sees_its_own(self, gateway: Gateway) -> None:
        assert users(gateway) == ["mine"]
        assert gateway.get("/v1/activity?format=ndjson").text.count("\n") == 1
        assert gateway.get("/v1/activity/summary").json()["totals"]["requests"] == 1

    def test_no_filter_widens_it(self, gateway: Gateway) -> None:
        [neighbour] = [key for key in gateway.manage("GET", "/v1/keys").json()["data"] if key["name"] == "neighbour"]
        assert users(gateway, f"api_key_hash={neighbour['hash']}") == []
        assert users(gateway, "user=neighbour") == []
        assert users(gateway, "workspace_id=ws_other&workspace_id=ws_home") == ["mine"]
        assert users(gateway, f"api_key_hash={neighbour['hash']}", key=gateway.management) == ["neighbour"]

    def test_a_management_key_sees_its_organization(self, gateway: Gateway) -> None:
        assert set(users(gateway, key=gateway.management)) == {"mine", "neighbour", "colleague"}

    @pytest.mark.parametrize(
        ("scope", "expected"),
        [
            (ActivityScope.KEY, set()),
            (ActivityScope.WORKSPACE, {"mine", "neighbour"}),
            (ActivityScope.ORGANIZATION, {"mine", "neighbour", "colleague"}),
        ],
    )
    @pytest.mark.parametrize("kind", [KeyKind.LIVE, KeyKind.TEST])
    def test_the_scope_widens_it(
        self, gateway: Gateway, kind: KeyKind, scope: ActivityScope, expected: set[str]
    ) -> None:
        plaintext, _ = gateway.add_key("wide", kind=kind, activity_scope=scope)
        assert set(users(gateway, key=plaintext)) == expected

    def test_one_record_is_hidden_like_a_list(self, gateway: Gateway) -> None:
        everything = gateway.get("/v1/activity", key=gateway.management).json()["data"]
        seen = {record["user"]: gateway.get(f"/v1/generation?id={record['id']}").status_code for record in everything}
        assert seen == {"mine": 200, "neighbour": 404, "colleague": 404}


class TestPages:
    """A cursor is a place in time, not a count."""

    @pytest.mark.parametrize("order", ["desc", "asc"])
    def test_pages_follow_each_other(self, gateway: Gateway, order: str) -> None:
        # Several records share an instant: the id decides.
        for number in range(10):
            gateway.add_record(user=str(number), ago_us=number // 3)
        whole = users(gateway, f"order={order}")
        read, cursor = [], ""
        for _ in range(4):
            body = gateway.get(f"/v1/activity?order={order}&limit=3{cursor}").json()
            read += [record["user"] for record in body["data"]]
            cursor = f"&cursor={body['next_cursor']}"
            assert body["has_more"] is (len(read) < 10)
        assert body["next_cursor"] is None
        assert read == whole
        assert len(set(read)) == 10

    def test_new_records_move_nothing(self, gateway: Gateway) -> None:
        for number in range(6):
            gateway.add_record(user=str(number), ago_us=number)
        read, cursor = [], ""
        for _ in range(3):
            body = gateway.get(f"/v1/activity?limit=2{cursor}").json()
            read += [record["user"] for record in body["data"]]
            cursor = f"&cursor={body['next_cursor']}"
            gateway.now_us += SECOND
            gateway.add_record(user="new")
        assert read == ["0", "1", "2", "3", "4", "5"]

    def test_an_exact_end_has_no_more(self, gateway: Gateway) -> None:
        gateway.add_record()
        gateway.add_record()
        body = gateway.get("/v1/activity?limit=2").json()
        assert (body["has_more"], body["next_cursor"]) == (False, None)


class TestGeneration:
    """`GET /v1/generation?id=`: one record in OpenRouter's shape."""

    def test_it_says_what_the_ledger_knows(self, gateway: Gateway) -> None:
        record = gateway.add_record(user="ü", session_id="s", reported_cost=1)
        data = exact(gateway.get(f"/v1/generation?id={record.opening.id}").content)["data"]
        expected = {
            "id": record.opening.id,
            "upstream_id": "chatcmpl-1",
            "created_at": "2026-11-22T06:00:00.123456Z",
            "model": "openai/gpt-5.4",
            "provider_name": "openai",
            "api_type": "completions",
            "streamed": True,
            "cancelled": False,
            "latency": "812.4",
            "generation_time": "579.3",
            "tokens_prompt": "120",
            "native_tokens_cached": "60",
            "usage": "0.0012345",
            "total_cost": "0.0012345",
            "upstream_inference_cost": "0.000000000001",
            "external_user": "ü",
            "session_id": "s",
            "num_search_results": None,
        }
        assert {name: data[name] for name in expected} == expected

    def test_one_attempt_is_the_only_response(self, gateway: Gateway) -> None:
        record = gateway.add_record(service_tier="flex", upstream_model="gpt-5.4-2026")
        data = exact(gateway.get(f"/v1/generation?id={record.opening.id}").content)["data"]
        assert data["service_tier"] == "flex"
        assert data["provider_responses"] == [
            {
                "provider_name": "openai",
                "status": "200",
                "latency": "812.4",
                "endpoint_id": None,
                "id": "chatcmpl-1",
                "is_byok": False,
                "model_permaslug": "gpt-5.4-2026",
                "service_tier": "flex",
            }
        ]

    def test_every_attempt_is_a_response(self, gateway: Gateway) -> None:
        tried = (
            Attempt(provider="groq", model="l", http_status=429, error_code="rate_limit_exceeded", latency_us=1000),
            Attempt(provider="openai", model="g", http_status=200, error_code=None, latency_us=2000, is_byok=True),
        )
        record = gateway.add_record(attempts=2, tried=tried, is_byok=True)
        responses = gateway.get(f"/v1/generation?id={record.opening.id}").json()["data"]["provider_responses"]
        told = [(one["provider_name"], one["status"], one["id"], one["is_byok"]) for one in responses]
        assert told == [("groq", 429, None, False), ("openai", 200, "chatcmpl-1", True)]

    def test_who_was_never_asked_did_not_respond(self, gateway: Gateway) -> None:
        record = gateway.add_record(status=Status.REJECTED, provider=None, attempts=0)
        data = gateway.get(f"/v1/generation?id={record.opening.id}").json()["data"]
        assert data["provider_responses"] == []

    def test_a_client_that_left_has_cancelled(self, gateway: Gateway) -> None:
        record = gateway.add_record(status=Status.CLIENT_DISCONNECT)
        assert gateway.get(f"/v1/generation?id={record.opening.id}").json()["data"]["cancelled"] is True

    def test_an_unknown_one_is_404_and_none_is_400(self, gateway: Gateway) -> None:
        assert gateway.get("/v1/generation?id=gen-0").status_code == 404
        assert failure(gateway.get("/v1/generation"))["code"] == "missing_required_parameter"


def test_head_has_the_headers_and_no_body(gateway: Gateway) -> None:
    gateway.add_record(user="a")
    for query in ("", "?format=csv", "?format=ndjson", "?format=parquet", "?format=focus", "?format=csv&limit=1"):
        answer = gateway.ask("HEAD", f"/v1/activity{query}", key=gateway.live)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == gateway.get(f"/v1/activity{query}").headers["content-type"]


def test_answers_are_not_cached(gateway: Gateway) -> None:
    assert gateway.get("/v1/activity").headers["cache-control"] == "no-store"


def test_json_is_plain_json(gateway: Gateway) -> None:
    gateway.add_record(user="=cmd()")
    [record] = json.loads(gateway.get("/v1/activity").content)["data"]
    assert record["user"] == "=cmd()"
