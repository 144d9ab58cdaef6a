"""`arouter clickhouse`: the real commands, on ClickHouse's engine in the process of each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.organizations import Organization, Workspace
from arouter.store.base import Home
from arouter.store.postgres.database import PostgresStore
from tests.cli.process import arouter, refused, succeeded, told
from tests.conformance.backends import postgres
from tests.conformance.samples import adjust, adjustment, append, record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, and a copy that is to be in the engine."""
    made = tmp_path_factory.mktemp("copy")
    (made / "arouter.toml").write_text(f"[clickhouse]\nurl = 'chdb:{made}/engine'\npassword = 'hunter2'\n")
    succeeded("db", "migrate", cwd=made)
    return made


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = told("clickhouse", "status", cwd=folder)
    return found


def equal(*, records: int, organizations: int = 1) -> dict[str, Any]:
    """What `check` tells where nothing differs."""
    return {"organizations": organizations, "records": records, "equal": True, "differences": []}


def test_a_copy_is_made_and_compared_and_made_anew(folder: Path) -> None:
    assert (status(folder)["tables"], status(folder)["behind"]) == (None, 0)
    assert told("clickhouse", "copy", cwd=folder) == {"copied": 0}
    assert status(folder)["tables"] == "copied_1, records_1"
    assert told("clickhouse", "check", cwd=folder) == equal(records=0)
    assert "0 records and adjustments copied" in succeeded("clickhouse", "rebuild", "--yes", cwd=folder)
    text = succeeded("clickhouse", "status", cwd=folder)
    assert "records_2" in text
    assert "hunter2" not in text + json.dumps(status(folder))


def test_a_ledger_in_postgresql_is_copied_and_compared_as_well(tmp_path: Path) -> None:
    ledger = postgres(tmp_path)
    assert isinstance(ledger.store, PostgresStore)
    home = Home(organization_id="org_a", workspace_id="ws_a", secret=b"x" * 32)
    ledger.run(ledger.directory.home(home, now_us=0))
    append(ledger, *(record(f"gen-{number}") for number in range(9)))
    adjust(ledger, adjustment("adj-1", "gen-1", 7))
    (tmp_path / "arouter.toml").write_text(
        f"[storage]\nurl = '{ledger.store.url}'\n[clickhouse]\nurl = 'chdb:{tmp_path}/engine'\n"
    )
    assert told("clickhouse", "copy", cwd=tmp_path) == {"copied": 10}
    found = status(tmp_path)
    assert (found["tables"], found["behind"]) == ("copied_1, records_1", 0)
    assert told("clickhouse", "check", cwd=tmp_path) == equal(records=9)
    ledger.stop()


def test_every_organization_is_compared_and_what_differs_is_named(tmp_path: Path) -> None:
    ledger = postgres(tmp_path)
    assert isinstance(ledger.store, PostgresStore)
    ledger.run(ledger.directory.home(Home(organization_id="org_a", workspace_id="ws_a", secret=b"x" * 32), now_us=0))
    for name in ("b", "c"):
        organization = Organization(id=f"org_{name}", name=f"Team {name}", created_at_us=1)
        workspace = Workspace(id=f"ws_{name}", organization_id=organization.id, name="w", created_at_us=1)
        ledger.run(ledger.directory.add_organization(organization, workspace))
        opened = {"organization_id": organization.id, "workspace_id": workspace.id}
        append(ledger, *(record(f"gen-{name}-{number}", opened=opened) for number in range(3)))
    append(ledger, record("gen-a"))
    (tmp_path / "arouter.toml").write_text(
        f"[storage]\nurl = '{ledger.store.url}'\n[clickhouse]\nurl = 'chdb:{tmp_path}/engine'\n"
    )
    assert told("clickhouse", "check", cwd=tmp_path) == equal(records=7, organizations=3)
    _in_the_engine(tmp_path, "ALTER TABLE arouter.records_1 DELETE WHERE id = 'gen-b-1'")
    found = arouter("clickhouse", "check", "--json", cwd=tmp_path)
    assert found.returncode == 1
    assert json.loads(found.stdout) == {
        "organizations": 3,
        "records": 7,
        "equal": False,
        "differences": [{"organization_id": "org_b", "organization": "Team b", "days": ["2026-09-21T00:00:00Z"]}],
    }
    text = arouter("clickhouse", "check", cwd=tmp_path)
    assert text.returncode == 1
    assert text.stdout.splitlines() == [
        "Team b (org_b): 2026-09-21T00:00:00Z differs.",
        "7 records of 3 organizations: sums differ.",
    ]
    ledger.stop()


def _in_the_engine(folder: Path, sql: str) -> None:
    """A process may open one engine only, so this has its own."""
    script = (
        "import sys\n"
        "from arouter.store.clickhouse.connections import load_driver\n"
        "client = load_driver().connect_inside(sys.argv[1])\n"
        "client.command(sys.argv[2], {'mutations_sync': 2})\n"
        "client.close()"
    )
    subprocess.run([sys.executable, "-c", script, f"{folder}/engine", sql], check=True)


def test_a_copy_of_this_version_lacks_no_sums(folder: Path) -> None:
    told("clickhouse", "copy", cwd=folder)
    assert status(folder)["lacking"] == []
    assert told("clickhouse", "upgrade", cwd=folder) == {"made": []}
    assert "Nothing was lacking" in succeeded("clickhouse", "upgrade", cwd=folder)


def test_nothing_is_dropped_without_a_yes(folder: Path) -> None:
    assert arouter("clickhouse", "rebuild", cwd=folder, stdin="n\n").returncode == 1


def test_the_tables_are_shown_for_one_server_and_for_a_cluster(folder: Path) -> None:
    assert "ENGINE = MergeTree\n" in succeeded("clickhouse", "schema", cwd=folder)
    text = succeeded("clickhouse", "schema", cwd=folder, env={"AROUTER_CLICKHOUSE__CLUSTER": "main"})
    assert "ON CLUSTER main" in text


def test_without_a_url_there_is_one_line(tmp_path: Path) -> None:
    succeeded("db", "migrate", cwd=tmp_path)
    assert "clickhouse.url is not set" in refused("clickhouse", "status", cwd=tmp_path)


def test_a_server_that_is_away_is_one_line(folder: Path) -> None:
    away = {"AROUTER_CLICKHOUSE__URL": "http://127.0.0.1:9"}
    assert "ClickHouse" in refused("clickhouse", "copy", cwd=folder, env=away)
