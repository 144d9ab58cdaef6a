"""`arouter activity correct` and `show`: another cost beside the record, with who, why and when."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from arouter.cli.corrections import read_cost
from arouter.domain.attempt import Attempt
from arouter.domain.money import LARGEST, Picodollars, to_text
from tests.cli.process import misused, refused, succeeded, told
from tests.cli.test_reprice import fill, record, reprice, total_cost

TRIED = (
    Attempt(provider="groq", model="llama\x1b", http_status=None, error_code="upstream_timeout", latency_us=1_500),
    Attempt(provider="local", model="llama", http_status=200, error_code=None, latency_us=1),
)


def correct(folder: Path, number: int, cost: str, reason: str = "invoice 7", by: str = "ada") -> Any:
    """What it prints, with every number as its digits."""
    text = succeeded(
        *("activity", "correct", f"gen-{number:06}", "--cost", cost, "--reason", reason, "--by", by, "--json"),
        cwd=folder,
    )
    return json.loads(text, parse_float=str, parse_int=str)


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("unknown", None),
        ("0", 0),
        ("0.000000000001", 1),
        ("1e-12", 1),
        ("12.50", 12_500_000_000_000),
        (to_text(LARGEST), LARGEST),
    ],
)
def test_a_cost_is_read_exactly(text: str, cost: int | None) -> None:
    assert read_cost(text) == cost


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not an amount"),
        ("free", "not an amount"),
        ("NaN", "not an amount"),
        ("Infinity", "not an amount"),
        ("$1", "not an amount"),
        ("1,50", "not an amount"),
        ("-1", "not a difference"),
        ("0.0000000000001", "12 decimals"),
        ("9223372.036854775808", "cannot cost more"),
        ("1e999999", "cannot cost more"),
    ],
)
def test_what_cannot_be_a_cost_is_told(text: str, told: str) -> None:
    with pytest.raises(typer.BadParameter, match=told):
        read_cost(text)


def test_a_correction_holds_and_everything_before_it_is_kept(tmp_path: Path) -> None:
    folder = fill(tmp_path, record(1, cost=Picodollars(5), price_source="genai-prices"), record(2, cost=Picodollars(3)))
    first = correct(folder, 1, "0.000000000100")
    assert (first["record"]["cost"], first["record"]["price_source"]) == ("0.0000000001", "correction")
    assert first["original_cost"] == "0.000000000005"
    second = correct(folder, 1, "unknown", "they forgot", "bob ü")
    assert (second["record"]["cost"], second["record"]["price_source"]) == (None, None)
    said = [(one["kind"], one["cost"], one["author"], one["reason"]) for one in second["adjustments"]]
    assert said == [
        ("correction", "0.0000000001", "ada", "invoice 7"),
        ("correction", None, "bob ü", "they forgot"),
    ]
    assert second["adjustments"][0] == first["adjustments"][0]
    assert second["adjustments"][0]["created_at"] <= second["adjustments"][1]["created_at"]
    assert told("activity", "show", "gen-000001", cwd=folder)["adjustments"][1]["reason"] == "they forgot"
    assert total_cost(folder) == "0.000000000003"
    assert told("db", "check", cwd=folder)["problems"] == []


def test_repricing_leaves_it_alone_and_show_tells_both(tmp_path: Path) -> None:
    folder = fill(tmp_path, record(1, cost=Picodollars(5)), record(2))
    correct(folder, 1, "7")
    assert (reprice(folder, "--yes")["changed"], reprice(folder, "--yes")["corrected"]) == (1, 1)
    assert told("activity", "show", "gen-000001", cwd=folder)["record"]["cost"] == 7
    repriced = told("activity", "show", "gen-000002", cwd=folder)["adjustments"]
    assert [(one["kind"], one["author"]) for one in repriced] == [("reprice", None)]
    corrected = correct(folder, 2, "0.5")["adjustments"]
    assert [one["kind"] for one in corrected] == ["reprice", "correction"]


def test_show_is_for_people_too(tmp_path: Path) -> None:
    folder = fill(tmp_path, record(1, cost=Picodollars(5), attempts=2, tried=TRIED), record(2))
    text = succeeded("activity", "show", "gen-000001", cwd=folder)
    assert "\x1b" not in text
    rows = [line.split() for line in text.splitlines()]
    assert ["cost", "0.000000000005"] in rows
    assert [r"groq/llama\x1b", "upstream_timeout", "none", "1.5", "none", "none", "none"] in rows
    assert "No adjustments" in text
    succeeded("activity", "correct", "gen-000001", "--cost", "1", "--reason", "\x1b[31m", cwd=folder)
    text = succeeded("activity", "show", "gen-000001", cwd=folder)
    assert "\x1b" not in text
    (line,) = [line for line in text.splitlines() if " correction " in line and r"\x1b[31m" in line]
    assert line.split()[2] == "1"


def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path) -> None:
    assert "no database" in refused("activity", "show", "gen-000001", cwd=tmp_path)
    folder = fill(tmp_path, record(1))
    why = ("--reason", "x")
    assert "no record 'gen-9'" in refused("activity", "show", "gen-9", cwd=folder)
    assert "no record 'gen-9'" in refused("activity", "correct", "gen-9", "--cost", "1", *why, cwd=folder)
    assert "12 decimals" in misused("activity", "correct", "gen-000001", "--cost", "0.0000000000001", *why)
    assert "--reason" in misused("activity", "correct", "gen-000001", "--cost", "1")
    assert "1 to 1,000 characters" in misused("activity", "correct", "gen-000001", "--cost", "1", "--reason", " ")
    assert "--cost" in misused("activity", "correct", "gen-000001", *why)
