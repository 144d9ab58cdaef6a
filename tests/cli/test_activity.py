"""`arouter activity`: the same records and the same sums as the HTTP API, in files and tables."""

import json
import subprocess
from pathlib import Path
from urllib.request import urlopen

from tests.cli.conftest import USERS, Gateway
from tests.cli.process import COMMAND, TIMEOUT_S, call, environment, misused, refused, succeeded, told


def _records(gateway: Gateway) -> list[dict[str, object]]:
    """By the HTTP API, of the key that the fixture used."""
    return list(call(f"{gateway.url}/v1/activity?limit=1000", gateway.live_key)[1]["data"])


def test_every_format_holds_what_the_api_tells(gateway: Gateway) -> None:
    (key_hash,) = {str(record["api_key_hash"]) for record in _records(gateway)}
    only = ("--api-key-hash", key_hash)
    records = _records(gateway)
    assert [record["user"] for record in records] == list(reversed(USERS))
    assert told("activity", "export", *only, cwd=gateway.folder) == records
    lines = succeeded("activity", "export", *only, "--format", "ndjson", cwd=gateway.folder).splitlines()
    assert [json.loads(line) for line in lines] == records
    table = succeeded("activity", "export", *only, "--oldest-first", cwd=gateway.folder)
    url = f"{gateway.url}/v1/activity?format=csv&order=asc&key={gateway.live_key}"
    with urlopen(url, timeout=TIMEOUT_S) as answer:
        assert table.splitlines() == answer.read().decode().splitlines()


def test_filters_are_the_apis(gateway: Gateway) -> None:
    def users(*filters: str) -> list[object]:
        return [one["user"] for one in told("activity", "export", *filters, cwd=gateway.folder)]

    assert users("--user", "ada", "--user", "", "--unattributed", "--model", "sandbox/sandbox-echo") == [
        None,
        "",
        "ada",
    ]
    assert users("--user", "user_12345", "--status", "upstream_error", "--start", "2020-01-01") == []
    assert "`end`" in refused(
        "activity", "export", "--start", "2021-01-01", "--end", "2020-01-01", cwd=gateway.folder, code=2
    )


def test_a_file_is_there_only_when_it_is_whole(gateway: Gateway, tmp_path: Path) -> None:
    target = tmp_path / "records.ndjson"
    target.write_text("an earlier export")
    succeeded(
        *("activity", "export", "--user", "user_12345", "--format", "ndjson", "--output", str(target)),
        cwd=gateway.folder,
    )
    assert len(target.read_text().splitlines()) == 2
    assert list(tmp_path.iterdir()) == [target]
    line = refused("activity", "export", "--output", str(tmp_path / "no" / "folder.csv"), cwd=gateway.folder)
    assert "cannot be written" in line


def test_the_summary_is_the_apis(gateway: Gateway) -> None:
    here = told("activity", "summary", "--group-by", "user", "--group-by", "model", cwd=gateway.folder)
    there = call(f"{gateway.url}/v1/activity/summary?group_by=user,model", gateway.management_key)[1]
    assert {**here, "as_of": None} == {**there, "as_of": None}
    few = told("activity", "summary", "--group-by", "user", "--limit", "1", "--order-by", "user", cwd=gateway.folder)
    assert few["data"][0]["user"] == ""
    assert few["other"]["requests"] == here["totals"]["requests"] - 1


def test_the_table_has_a_row_for_each_user_and_the_sums(gateway: Gateway) -> None:
    text = succeeded(
        *("activity", "summary", "--group-by", "user", "--timezone", "Europe/Berlin", "--user", "user_12345"),
        *("--user", "\x1b[31mred", "--unattributed"),
        cwd=gateway.folder,
    )
    assert "\x1b" not in text
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["User", "Requests", "Errors", "Prompt", "Completion", "Tokens", "Users", "Cost,", "$"]
    requests = {row[0]: row[1] for row in rows if len(row) > 1}
    assert requests["user_12345"] == "2"
    assert requests[r"\x1b[31mred"] == "1"
    assert requests["none"] == "1"
    assert requests["Total"] == "4"


def test_what_does_not_exist_is_wrong_usage() -> None:
    assert "Mars" in misused("activity", "summary", "--timezone", "Mars/Olympus")


def test_a_closed_pipe_ends_quietly(gateway: Gateway) -> None:
    with subprocess.Popen(
        [*COMMAND, "activity", "export"],
        cwd=gateway.folder,
        env=environment(gateway.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
