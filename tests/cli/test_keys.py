"""`arouter keys`: what it does counts for the gateway that runs meanwhile."""

import asyncio
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from arouter.domain.keys import KeyKind
from arouter.engine.clock import SystemClock
from arouter.store.sqlite import SqliteStore
from arouter.wiring.storage import find_home, make_key
from tests.cli.conftest import Gateway
from tests.cli.process import call, chat, misused, refused, succeeded, told

AT_ONCE_S = 1.0


def _status_within(url: str, key: str, wanted: int) -> bool:
    """Whether requests with the key are answered so, at the latest after `AT_ONCE_S`."""
    deadline = time.monotonic() + AT_ONCE_S
    while chat(url, key, "keys") != wanted:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_key_works_is_disabled_enabled_rotated_and_deleted_while_the_gateway_runs(gateway: Gateway) -> None:
    made = told("keys", "create", "--name", "prod", cwd=gateway.folder)
    prefix = made["hash"][:8]
    assert _status_within(gateway.url, made["key"], 200)

    assert told("keys", "disable", prefix, cwd=gateway.folder)["disabled"] is True
    assert _status_within(gateway.url, made["key"], 401)
    assert told("keys", "enable", prefix, cwd=gateway.folder)["disabled"] is False
    assert _status_within(gateway.url, made["key"], 200)

    rotated = told("keys", "rotate", prefix, cwd=gateway.folder)
    assert (rotated["hash"], rotated["name"]) == (made["hash"], "prod")
    assert _status_within(gateway.url, rotated["key"], 200)
    assert _status_within(gateway.url, made["key"], 401)

    again = told("keys", "rotate", prefix, "--overlap", "24h", cwd=gateway.folder)
    ends = datetime.fromisoformat(again["previous_key_expires_at"])
    assert ends - datetime.fromisoformat(again["updated_at"]) == timedelta(days=1)
    assert _status_within(gateway.url, again["key"], 200)
    assert _status_within(gateway.url, rotated["key"], 200)

    short = told("keys", "rotate", prefix, "--overlap", "1s", cwd=gateway.folder)
    assert _status_within(gateway.url, short["key"], 200)
    assert _status_within(gateway.url, rotated["key"], 401)
    assert _status_within(gateway.url, again["key"], 401)

    assert told("keys", "delete", prefix, cwd=gateway.folder) == {"deleted": True, "hash": made["hash"]}
    assert _status_within(gateway.url, short["key"], 401)
    assert made["hash"] not in {one["hash"] for one in told("keys", "list", cwd=gateway.folder)}


def test_every_option_of_create_is_on_the_key(tmp_path: Path) -> None:
    made = told(
        *("keys", "create", "--name", "café", "--test", "--user-policy", "fixed:ada", "--limit", "12.345678901234"),
        *("--limit-reset", "weekly", "--expires-at", "2999-01-01", "--activity-scope", "workspace"),
        *("--allowed-model", "sandbox/sandbox-echo", "--allowed-provider", "sandbox"),
        cwd=tmp_path,
    )
    assert made["key"].startswith("lr_test_")
    shown = told("keys", "show", made["hash"], cwd=tmp_path)
    assert shown == {name: value for name, value in made.items() if name != "key"}
    assert shown["name"] == "café"
    assert shown["user_policy"] == "fixed:ada"
    assert shown["limit_reset"] == "weekly"
    assert shown["expires_at"] == "2999-01-01T00:00:00.000000Z"
    assert shown["activity_scope"] == "workspace"
    assert shown["allowed_models"] == ["sandbox/sandbox-echo"]
    assert shown["allowed_providers"] == ["sandbox"]
    # Not a digit is lost on the way.
    assert '"limit":12.345678901234,' in succeeded("keys", "show", made["hash"], "--json", cwd=tmp_path)


def test_the_text_shows_the_plaintext_once_and_the_list_never(tmp_path: Path) -> None:
    text = succeeded("keys", "create", "--name", "ops", "--management", cwd=tmp_path)
    plaintext = text.splitlines()[0]
    assert plaintext.startswith("lr_mgmt_")
    listed = succeeded("keys", "list", cwd=tmp_path)
    assert "ops" in listed
    assert "never" in listed
    assert plaintext not in listed


def test_the_list_is_newest_first_with_what_each_key_spent(gateway: Gateway) -> None:
    listed = told("keys", "list", cwd=gateway.folder)
    assert [one["name"] for one in listed if one["name"] in ("first", "management")] == ["management", "first"]
    (first,) = (one for one in listed if one["name"] == "first")
    assert first["usage"] > 0
    (latest,) = call(f"{gateway.url}/v1/activity?limit=1", gateway.live_key)[1]["data"]
    assert first["last_used_at"] == latest["created_at"]
    assert first["usage"] == call(f"{gateway.url}/v1/key", gateway.live_key)[1]["data"]["usage"]


def test_a_hash_may_be_short_but_not_ambiguous(tmp_path: Path) -> None:
    asyncio.run(_add_keys(tmp_path / "arouter.db", ["abcdef01" * 8, "abcdef02" * 8]))
    assert told("keys", "show", "ABCDEF01", cwd=tmp_path)["hash"] == "abcdef01" * 8
    line = refused("keys", "delete", "abcdef", cwd=tmp_path)
    assert line.startswith("'abcdef' is ambiguous")
    assert "abcdef01" * 8 in line
    assert "abcdef02" * 8 in line
    assert "at least 6" in refused("keys", "show", "abcde", cwd=tmp_path)


async def _add_keys(path: Path, hashes: list[str]) -> None:
    store = SqliteStore.open(str(path), clock=SystemClock().now_us)
    await store.start()
    home = await find_home(store, SystemClock())
    for key_hash in hashes:
        blank, _ = make_key(home, KeyKind.LIVE, "alike", now_us=0)
        await store.directory.add_key(replace(blank, hash=key_hash), secret=key_hash)
    await store.close()


def test_wrong_usage_exits_2(tmp_path: Path) -> None:
    assert "--limit" in misused("keys", "create", "--name", "x", "--limit", "ten")
    for overlap in ("soon", "24", "0h", "31d", "-1h", "1.5h"):
        assert "--overlap" in misused("keys", "rotate", "abcdef", f"--overlap={overlap}")
    finer = refused("keys", "create", "--name", "x", "--limit", "1e-13", cwd=tmp_path, code=2)
    assert finer == "`limit` has more than twelve decimals."


def test_a_question_makes_no_database(tmp_path: Path) -> None:
    line = refused("keys", "list", cwd=tmp_path)
    assert line.startswith(f"there is no database at {tmp_path / 'arouter.db'};")
    assert not (tmp_path / "arouter.db").exists()
