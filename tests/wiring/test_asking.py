"""Settings into the rules of choosing and asking."""

from pathlib import Path

from arouter.engine.breaker import BreakerRules
from arouter.engine.clock import SystemClock
from arouter.engine.retrying import RetryRules
from arouter.engine.routing import ModelRoute
from arouter.engine.timeouts import Timeouts
from arouter.settings import Settings, load
from arouter.wiring.asking import Asking, breaker_rules, model_routes, retry_rules, timeouts_of

TEXT = """
[upstream]
connect_timeout_s = 1
first_byte_timeout_s = 2
idle_timeout_s = 3
total_timeout_s = 4
[routing]
retries = 5
first_wait_s = 6
longest_wait_s = 7
total_timeout_s = 8
breaker_failures = 9
breaker_rest_s = 10
breaker_longest_rest_s = 11
[models."llama-3.3-70b"]
providers = ["groq/llama", "together/Llama"]
sort = "price"
"""


def settings(tmp_path: Path) -> Settings:
    (tmp_path / "arouter.toml").write_text(TEXT)
    return load(environment={}, cwd=tmp_path)


def test_each_setting_is_a_rule(tmp_path: Path) -> None:
    told = settings(tmp_path)
    assert retry_rules(told) == RetryRules(retries=5, first_wait_s=6.0, longest_wait_s=7.0, total_s=8.0)
    assert breaker_rules(told) == BreakerRules(failures=9, rest_s=10.0, longest_rest_s=11.0)
    assert timeouts_of(told.upstream) == Timeouts(connect_s=1.0, first_byte_s=2.0, idle_s=3.0, total_s=4.0)


def test_the_table_of_models_is_that_of_the_routing(tmp_path: Path) -> None:
    names = ("groq/llama", "together/Llama")
    assert model_routes(settings(tmp_path)) == {"llama-3.3-70b": ModelRoute(names=names, sort="price")}


def test_nobody_rests_at_the_start() -> None:
    assert Asking(Settings(), SystemClock()).resting == 0
