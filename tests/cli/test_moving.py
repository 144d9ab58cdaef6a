"""`arouter db copy`: a gateway's database into another, while it runs and after it has stopped."""

from pathlib import Path

import apsw

from arouter.store.sqlite import SqliteStore
from tests.cli.process import arouter, refused, succeeded, told
from tests.conformance.backends import sqlite
from tests.jobs.test_moving import begin
from tests.postgres_server import fresh_database


def test_a_database_is_copied_and_both_are_compared(tmp_path: Path) -> None:
    succeeded("keys", "create", "--name", "one", cwd=tmp_path)
    report = told("db", "copy", "--to", "sqlite:///new.db", cwd=tmp_path)
    assert (report["complete"], report["same"], report["records"], report["problems"]) == (True, True, 0, [])
    rows = {row["what"]: row for row in report["compared"]}
    assert (rows["keys"]["source"], rows["keys"]["target"], rows["keys"]["same"]) == (1, 1, True)
    assert rows["keys"]["source_cost"] is None
    assert rows["sums by user and day"]["target_cost"] == 0

    lines = succeeded("db", "copy", "--from", "sqlite:///new.db", "--to", "sqlite:///newer.db", cwd=tmp_path)
    assert "0 records and 0 adjustments copied from sqlite:///new.db to sqlite:///newer.db." in lines
    assert "Everything is equal" in lines
    names = told("keys", "list", cwd=tmp_path, env={"AROUTER_STORAGE__URL": "sqlite:///newer.db"})
    assert [key["name"] for key in names] == ["one"]


def test_a_database_is_copied_to_postgresql_without_telling_its_password(tmp_path: Path) -> None:
    succeeded("keys", "create", "--name", "one", cwd=tmp_path)
    url = fresh_database().replace("//arouter@", "//arouter:hunter2@")
    done = arouter("db", "copy", "--to", url, cwd=tmp_path)
    assert (done.returncode, "Everything is equal" in done.stdout) == (0, True), done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_what_cannot_be_copied_is_said_in_one_line(tmp_path: Path) -> None:
    assert "no database at" in refused("db", "copy", "--to", "sqlite:///new.db", cwd=tmp_path)
    succeeded("keys", "create", "--name", "one", cwd=tmp_path)
    assert "one database" in refused("db", "copy", "--to", "sqlite:///arouter.db", cwd=tmp_path)
    assert refused("db", "copy", "--to", "mysql://x", cwd=tmp_path).startswith("--to must be sqlite:///")
    assert refused("db", "copy", "--from", "x", "--to", "sqlite:///n.db", cwd=tmp_path).startswith("--from must be")
    succeeded("keys", "create", "--name", "two", cwd=tmp_path, env={"AROUTER_STORAGE__URL": "sqlite:///other.db"})
    line = refused("db", "copy", "--to", "sqlite:///other.db", cwd=tmp_path)
    assert line == "the target is not empty: there is something in audit, keys; name a new database"
    line = refused("db", "copy", "--to", "postgresql://u:hunter2@127.0.0.1:1/x", cwd=tmp_path)
    assert line.startswith("The PostgreSQL database at postgresql://u@127.0.0.1:1/x cannot be used.")
    assert "hunter2" not in line


def test_what_a_dead_process_left_open_is_recorded_first(tmp_path: Path) -> None:
    succeeded("keys", "create", "--name", "one", cwd=tmp_path)
    backend = sqlite(tmp_path)
    begin(backend, "gen-open")
    done = arouter("db", "copy", "--to", "sqlite:///early.db", cwd=tmp_path)
    assert (done.returncode, "not complete: a gateway still runs" in done.stdout) == (1, True)
    # Of a process on another file nobody holds the lock here: it is dead.
    (tmp_path / "left").mkdir()
    assert isinstance(backend.store, SqliteStore)
    backend.run(backend.store.backup(str(tmp_path / "left" / "arouter.db")))
    backend.stop()
    report = told("db", "copy", "--to", "sqlite:///new.db", cwd=tmp_path / "left")
    assert (report["same"], report["records"]) == (True, 1)
    connection = apsw.Connection(str(tmp_path / "left" / "new.db"))
    assert connection.execute("SELECT text FROM records JOIN names ON no = status_no").get == "interrupted"


def test_what_differs_ends_with_1(tmp_path: Path) -> None:
    succeeded("keys", "create", "--name", "one", cwd=tmp_path)
    told("db", "copy", "--to", "sqlite:///new.db", cwd=tmp_path)
    succeeded("keys", "create", "--name", "two", cwd=tmp_path, env={"AROUTER_STORAGE__URL": "sqlite:///new.db"})
    done = arouter("db", "copy", "--to", "sqlite:///new.db", cwd=tmp_path)
    assert done.returncode == 1
    assert "kinds of things differ" in done.stdout
