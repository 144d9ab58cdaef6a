"""`arouter prices reprice`, on a real database, while a gateway runs and while one does not."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from arouter.domain.money import Picodollars, to_text
from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import Usage
from arouter.store.base import Home
from arouter.store.sqlite import SqliteStore
from tests.cli.process import COMMAND, arouter, call, chat, environment, misused, refused, running, succeeded, told

START_US = 1_790_000_000_000_000
HOME = Home(organization_id="org_1", workspace_id="ws_1", secret=bytes(32))

NOW = '[server]\nport = 0\n[prices."sandbox/sandbox-echo"]\ninput = 1\noutput = 2\n'
LATER = '[server]\nport = 0\n[prices."sandbox/sandbox-echo"]\ninput = 3\noutput = "0.000001"\n'

LLAMA = '[prices."local/llama"]\ninput = "0.1"\noutput = "0.000001"\n'


def record(number: int, **changes: Any) -> Record:
    model = str(changes.pop("model", "local/llama"))
    at_us = START_US + number * 1_000_000
    opening = Opening(
        id=f"gen-{number:06}",
        request_id=f"req-{number}",
        created_at_us=at_us,
        organization_id="org_1",
        workspace_id="ws_1",
        key_hash="key-1",
        user=f"user_{number % 3}",
        endpoint="/v1/chat/completions",
        requested_model=model,
        streamed=False,
    )
    fields: dict[str, Any] = {
        "usage": Usage(input_tokens=10 + number, output_tokens=1),
        "usage_source": UsageSource.PROVIDER,
        "raw_usage": b"{}",
        **changes,
    }
    return Record(
        opening=opening,
        completed_at_us=at_us,
        status=Status.SUCCESS,
        http_status=200,
        model=model,
        provider=model.partition("/")[0],
        **fields,
    )


def fill(folder: Path, *records: Record) -> Path:
    """A database with those records in the folder, and a configuration that prices `local/llama`."""

    async def write() -> None:
        store = SqliteStore.open(str(folder / "arouter.db"), clock=lambda: START_US)
        await store.start()
        await store.directory.home(HOME, now_us=START_US)
        for done in [store.ledger.close(each) for each in records]:
            await done
        await store.close()

    asyncio.run(write())
    (folder / "arouter.toml").write_text(LLAMA)
    return folder


def reprice(folder: Path, *options: str) -> Any:
    return told("prices", "reprice", "--start", "2026-01-01", *options, cwd=folder)


def total_cost(folder: Path) -> str:
    """As the summary prints it, digit for digit."""
    text = succeeded("activity", "summary", "--json", cwd=folder)
    return str(json.loads(text, parse_float=str, parse_int=str)["totals"]["cost"])


def cost_of(*numbers: int) -> int:
    """In picodollars, by LLAMA: a tenth of a dollar for a million tokens read, one picodollar for each generated."""
    return sum((10 + number) * 100_000 + 1 for number in numbers)


# ---------------------------------------------------------------- what it does


def test_records_without_a_price_get_the_one_that_is_known_now(tmp_path: Path) -> None:
    folder = fill(tmp_path, *(record(number) for number in range(7)), record(7, model="other/model"))
    assert total_cost(folder) == "0"
    wanted = {
        "records": 8,
        "changed": 7,
        "corrected": 0,
        "cost_before": 0,
        "cost_after": float(to_text(cost_of(*range(7)))),
        "unpriced_before": 8,
        "unpriced_after": 1,
    }
    ahead = reprice(folder, "--dry-run")
    assert {name: ahead[name] for name in wanted} == wanted
    assert [(one["model"], one["changed"]) for one in ahead["models"]] == [("local/llama", 7), ("other/model", 0)]
    assert total_cost(folder) == "0"
    assert reprice(folder) == {**ahead, "dry_run": False}
    assert total_cost(folder) == to_text(cost_of(*range(7)))
    again = reprice(folder)
    assert (again["changed"], again["cost_before"]) == (0, again["cost_after"])
    assert told("db", "check", cwd=folder)["problems"] == []


def test_the_export_has_the_new_cost_and_where_it_comes_from(tmp_path: Path) -> None:
    folder = fill(tmp_path, record(0), record(1, cost=Picodollars(5), price_source="genai-prices", price_version="1"))
    reprice(folder, "--user", "user_1")
    lines = succeeded("activity", "export", "--format", "ndjson", cwd=folder).splitlines()
    fields = ("cost", "price_source", "price_version")
    found = [tuple(json.loads(line, parse_float=str)[name] for name in fields) for line in lines]
    assert found == [(to_text(cost_of(1)), "operator", "always"), (None, None, None)]
    lines = succeeded(
        "activity", "export", "--format", "ndjson", "--updated-since", "2026-10-01", cwd=folder
    ).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["gen-000001"]


@pytest.mark.parametrize(
    ("options", "records"),
    [
        (("--model", "other/model"), 1),
        (("--provider", "local"), 3),
        (("--user", "user_0", "--user", "user_1"), 3),
        (("--end", str(START_US // 1_000_000 + 2)), 2),
    ],
)
def test_options_choose_the_records(tmp_path: Path, options: tuple[str, ...], records: int) -> None:
    folder = fill(tmp_path, *(record(number) for number in range(3)), record(3, model="other/model"))
    assert reprice(folder, "--dry-run", *options)["records"] == records


def test_the_table_shows_every_model_exactly(tmp_path: Path) -> None:
    folder = fill(tmp_path, *(record(number) for number in range(3)), record(3, model="other/\x1b[31mred"))
    text = succeeded("prices", "reprice", "--start", "2026-01-01", "--yes", cwd=folder)
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["local/llama"] == ["3", "3", "0.000000000000", to_text(cost_of(0, 1, 2)), "3", "0"]
    assert lines["Total"] == ["4", "3", "0.000000000000", to_text(cost_of(0, 1, 2)), "4", "1"]
    assert "\x1b[31m" not in text
    assert text.splitlines()[-1] == "3 of 4 records changed."


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    assert "--start" in misused("prices", "reprice")
    assert "there is no database" in refused("prices", "reprice", "--start", "2026-01-01", cwd=tmp_path)
    folder = fill(tmp_path)
    assert "start" in refused("prices", "reprice", "--start", "yesterday", cwd=folder, code=2)
    assert reprice(folder)["records"] == 0


# ---------------------------------------------------------------- beside a gateway, and cut short


def test_it_runs_while_the_gateway_answers(tmp_path: Path) -> None:
    (tmp_path / "arouter.toml").write_text(NOW)
    (tmp_path / "later.toml").write_text(LATER)
    with running("serve", cwd=tmp_path) as gateway:
        live, management = gateway.ready["live_key"], gateway.ready["management_key"]
        for user in ("ada", "ada", "bob"):
            assert chat(gateway.url, live, user) == 200
        ahead = told("prices", "reprice", "--start", "2026-01-01", "--config", "later.toml", cwd=tmp_path)
        assert (ahead["records"], ahead["changed"]) == (3, 3)
        assert chat(gateway.url, live, "eve") == 200
        _, page = call(f"{gateway.url}/v1/activity", management)
        costs = {}
        for record in page["data"]:
            read, written = record["prompt_tokens"], record["completion_tokens"]
            expected = read + 2 * written if record["user"] == "eve" else 3 * read + written / 10**6
            assert record["cost"] == pytest.approx(expected / 10**6, rel=1e-12)
            costs[record["id"]] = record["cost"]
        assert len(costs) == 4
        _, summary = call(f"{gateway.url}/v1/activity/summary", management)
        assert summary["totals"]["cost"] == pytest.approx(sum(costs.values()), rel=1e-12)
        _, mine = call(f"{gateway.url}/v1/key", live)
        assert mine["data"]["usage"] == summary["totals"]["cost"]
        assert told("db", "check", cwd=tmp_path)["problems"] == []
        assert gateway.stop() == 0


def test_cut_short_it_leaves_whole_pages_and_the_next_run_does_the_rest(tmp_path: Path) -> None:
    numbers = range(25_000)
    folder = fill(tmp_path, *(record(number) for number in numbers))
    command = [*COMMAND, "prices", "reprice", "--start", "2026-01-01", "--json"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not (done := adjusted(folder)):
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        output, complaint = process.communicate(timeout=20)
    done = adjusted(folder)
    assert 0 < done < len(numbers)
    assert done % 500 == 0
    assert process.returncode != 0
    assert output == b""
    assert b"Traceback" not in complaint
    assert told("db", "check", cwd=folder)["problems"] == []
    assert total_cost(folder) == to_text(cost_of(*numbers[:done]))
    assert reprice(folder)["changed"] == len(numbers) - done
    assert total_cost(folder) == to_text(cost_of(*numbers))
    assert arouter("db", "check", cwd=folder).returncode == 0


def adjusted(folder: Path) -> int:
    connection = apsw.Connection(str(folder / "arouter.db"), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return int(connection.execute("SELECT count(*) FROM adjusted").get)
    finally:
        connection.close()
