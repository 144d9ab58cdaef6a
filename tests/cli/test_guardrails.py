"""`arouter guardrails` and `arouter users block`, `unblock`, `limit`: beside or without a gateway, on the database."""

from pathlib import Path

from tests.cli.process import arouter, misused, refused, told


def test_a_guardrail_is_made_listed_switched_and_deleted(tmp_path: Path) -> None:
    key = told("keys", "create", "--name", "prod", cwd=tmp_path)
    made = told(
        *("guardrails", "create", "--target", "key", "--target-id", key["hash"][:8], "--name", "cap"),
        *("--limit", "0.5", "--limit-reset", "daily", "--requests-per-minute", "5", "--requests-per-day", "6"),
        *("--tokens-per-minute", "7", "--tokens-per-day", "8", "--concurrent-requests", "9"),
        *("--allowed-model", "a/b", "--allowed-model", "c", "--ignored-model", "d"),
        *("--allowed-provider", "openai", "--ignored-provider", "groq", "--zero-data-retention"),
        cwd=tmp_path,
    )
    assert (made["target"], made["target_id"], made["name"]) == ("key", key["hash"], "cap")
    assert (made["limit"], made["limit_reset"]) == (0.5, "daily")
    assert [made[name] for name in ("requests_per_minute", "requests_per_day")] == [5, 6]
    assert [made[name] for name in ("tokens_per_minute", "tokens_per_day", "concurrent_requests")] == [7, 8, 9]
    assert (made["allowed_models"], made["ignored_models"]) == (["a/b", "c"], ["d"])
    assert (made["allowed_providers"], made["ignored_providers"]) == (["openai"], ["groq"])
    assert made["zero_data_retention"] is True
    assert told("guardrails", "list", cwd=tmp_path) == [made]
    shown = arouter("guardrails", "list", cwd=tmp_path).stdout
    assert "0.5 daily" in shown
    assert "5 requests/min" in shown
    assert "only a/b c" in shown
    assert told("guardrails", "disable", made["id"], cwd=tmp_path)["disabled"] is True
    assert told("guardrails", "enable", made["id"], cwd=tmp_path)["disabled"] is False
    assert told("guardrails", "delete", made["id"], cwd=tmp_path) == {"deleted": True, "id": made["id"]}
    for command in ("delete", "enable"):
        line = refused("guardrails", command, made["id"], cwd=tmp_path)
        assert line == f"there is no guardrail '{made['id']}'; `arouter guardrails list` shows them"


def test_a_guardrail_is_changed_in_what_is_said_alone(tmp_path: Path) -> None:
    told("keys", "create", "--name", "prod", cwd=tmp_path)
    made = told(
        *("guardrails", "create", "--target", "organization", "--name", "cap", "--limit", "5"),
        *("--limit-reset", "daily", "--requests-per-minute", "5", "--allowed-model", "a"),
        *("--ignored-provider", "groq", "--zero-data-retention"),
        cwd=tmp_path,
    )

    def changed(*arguments: str) -> dict[str, object]:
        """What became different."""
        before = told("guardrails", "list", cwd=tmp_path)[0]
        after = told("guardrails", "update", made["id"], *arguments, cwd=tmp_path)
        assert told("guardrails", "list", cwd=tmp_path) == [after]
        return {name: after[name] for name in after if after[name] != before[name] and name != "updated_at"}

    assert changed("--limit", "7.000000000001") == {"limit": 7.000000000001}
    assert changed("--name", "more", "--tokens-per-day", "8") == {"name": "more", "tokens_per_day": 8}
    assert changed("--allowed-model", "b", "--allowed-model", "c") == {"allowed_models": ["b", "c"]}
    assert changed("--any-data-retention") == {"zero_data_retention": False}
    cleared = changed("--clear", "limit", "--clear", "allowed_models", "--requests-per-minute", "0")
    assert cleared == {"limit": None, "limit_reset": None, "allowed_models": None, "requests_per_minute": 0}
    assert "no guardrail" in refused("guardrails", "update", "grl_none", "--limit", "1", cwd=tmp_path)
    assert "limit_reset" in refused("guardrails", "update", made["id"], "--limit-reset", "daily", cwd=tmp_path, code=2)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    told("keys", "create", "--name", "prod", cwd=tmp_path)
    assert "target_id" in refused("guardrails", "create", "--target", "user", cwd=tmp_path, code=2)
    assert "say what is to change" in misused("guardrails", "update", "grl_x")
    for arguments in (("--clear", "name"), ("--clear", "limit", "--limit", "5")):
        assert "--clear" in misused("guardrails", "update", "grl_x", *arguments)
    assert "world" in misused("guardrails", "create", "--target", "world")
    assert "dollars" in misused("guardrails", "create", "--target", "organization", "--limit", "much")


def test_what_applies_is_explained(tmp_path: Path) -> None:
    key = told("keys", "create", "--name", "prod", "--limit", "5", "--requests-per-minute", "60", cwd=tmp_path)
    assert key["rate_limit"]["requests_per_minute"] == 60
    every = told("guardrails", "create", "--target", "every_user", "--limit", "1", cwd=tmp_path)
    explained = told("guardrails", "explain", "--key", key["hash"][:8], "--user", "", cwd=tmp_path)
    assert [(one["scope"], one["meter"], one["limit"]) for one in explained["limits"]] == [
        ("key", "cost", 5),
        ("key", "requests", 60),
        ("user", "cost", 1),
    ]
    assert explained["limits"][2]["guardrail"] == every["id"]
    shown = arouter("guardrails", "explain", "--key", key["hash"][:8], cwd=tmp_path).stdout
    assert "the key's own limits" in shown


def test_a_user_is_limited_blocked_and_free_again(tmp_path: Path) -> None:
    key = told("keys", "create", "--name", "prod", cwd=tmp_path)
    limited = told("users", "limit", "ü x", "--limit", "2", "--limit-reset", "monthly", cwd=tmp_path)
    assert (limited["user"], limited["limits"]["limit"]) == ("ü x", 2)
    blocked = told("users", "block", "ü x", "--reason", "fraud", cwd=tmp_path)
    assert (blocked["blocked"], blocked["block_reason"], blocked["limits"]["limit"]) == (True, "fraud", 2)
    explained = told("guardrails", "explain", "--key", key["hash"][:8], "--user", "ü x", cwd=tmp_path)
    assert (explained["blocked"], explained["block_reason"]) == (True, "fraud")
    shown = arouter("guardrails", "explain", "--key", key["hash"][:8], "--user", "ü x", cwd=tmp_path).stdout
    assert "blocked" in shown
    assert told("users", "unblock", "ü x", cwd=tmp_path)["blocked"] is False
    assert told("users", "limit", "ü x", cwd=tmp_path)["limits"] is None
    assert "fraud" in arouter("users", "block", "x", "--reason", "fraud", cwd=tmp_path).stdout
    assert "1024" in refused("users", "block", "x" * 1025, cwd=tmp_path, code=2)
