"""What is open without a key, and what every fault looks like."""

import pytest

from arouter.web.api.app import Check, Readiness
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, failure

pytestmark = NEEDS_NO_STORE


class TestHealth:
    def test_it_lives(self, gateway: Gateway) -> None:
        gateway.readiness = Readiness(checks=(Check(name="ledger", ok=False, text="the disk is full"),))
        answer = gateway.ask("GET", "/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_it_is_ready(self, gateway: Gateway) -> None:
        answer = gateway.ask("GET", "/readyz")
        assert answer.status_code == 200
        assert answer.json() == {"status": "ok", "checks": [{"name": "ledger", "ok": True, "text": ""}]}

    def test_it_says_why_it_is_not(self, gateway: Gateway) -> None:
        broken = Check(name="ledger", ok=False, text="the disk is full")
        gateway.readiness = Readiness(checks=(Check(name="providers", ok=True), broken))
        answer = gateway.ask("GET", "/readyz")
        assert answer.status_code == 503
        assert answer.json()["status"] == "unavailable"
        assert answer.json()["checks"][1] == {"name": "ledger", "ok": False, "text": "the disk is full"}

    def test_metrics_are_prometheus_text(self, gateway: Gateway) -> None:
        answer = gateway.ask("GET", "/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.content == b"arouter_requests_total 1.0\n"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
def test_head_of_what_is_open(gateway: Gateway, path: str) -> None:
    answer = gateway.ask("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")


class TestFaults:
    @pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v2/activity", "/activity", "/v1/activity/", "/v1/ü"])
    def test_an_unknown_path(self, gateway: Gateway, path: str) -> None:
        answer = gateway.get(path)
        assert answer.status_code == 404
        error = failure(answer)
        assert (error["type"], error["code"]) == ("not_found_error", "not_found")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("POST", "/v1/activity", "GET, HEAD"),
            ("DELETE", "/api/v1/keys", "GET, HEAD, POST"),
            ("PUT", "/v1/keys/0", "DELETE, GET, HEAD, PATCH"),
            ("GET", "/v1/keys/0/rotate", "POST"),
            ("POST", "/docs", "GET, HEAD"),
        ],
    )
    def test_a_wrong_method_is_told_the_right_ones(
        self, gateway: Gateway, method: str, path: str, allowed: str
    ) -> None:
        answer = gateway.manage(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == allowed
        assert failure(answer)["code"] == "method_not_allowed"

    def test_a_fault_of_ours_tells_nothing_of_itself(self, gateway: Gateway) -> None:
        gateway.break_models(KeyError("secret detail"))
        answer = gateway.get("/v1/models")
        assert answer.status_code == 500
        error = failure(answer)
        assert (error["type"], error["code"]) == ("server_error", "internal_error")
        assert "secret" not in answer.text

    def test_an_unknown_parameter_is_refused_everywhere(self, gateway: Gateway) -> None:
        resources = ("activity", "activity/summary", "activity/report", "generation", "keys", "key", "models")
        for path in (f"/v1/{resource}" for resource in resources):
            answer = gateway.manage("GET", f"{path}?colour=red")
            assert answer.status_code == 400
            assert failure(answer)["param"] == "colour"
