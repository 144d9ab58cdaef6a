"""`arouter credits`: beside or without a gateway, on the database."""

from pathlib import Path

from tests.cli.process import arouter, misused, refused, told


def test_credits_are_added_listed_and_switched(tmp_path: Path) -> None:
    told("keys", "create", "--name", "prod", cwd=tmp_path)
    nothing = {"total_credits": None, "total_usage": 0, "balance": None, "enabled": False}
    assert told("credits", "show", cwd=tmp_path) == nothing
    paid = ("credits", "add", "--amount", "12.5", "--reference", "inv-7")
    made = told(*paid, cwd=tmp_path)
    assert (made["type"], made["amount"], made["reference"]) == ("top_up", 12.5, "inv-7")
    assert told(*paid, cwd=tmp_path) == made
    line = refused("credits", "add", "--amount", "13", "--reference", "inv-7", cwd=tmp_path, code=2)
    assert f"the entry {made['id']} has the same one and says something else" in line
    less = told(
        *("credits", "add", "--amount", "-0.5", "--type", "correction", "--description", "a mistake"), cwd=tmp_path
    )
    assert (less["amount"], less["description"]) == (-0.5, "a mistake")
    standing = {"total_credits": 12, "total_usage": 0, "balance": 12, "enabled": True}
    assert told("credits", "show", cwd=tmp_path) == standing
    assert [one["id"] for one in told("credits", "list", cwd=tmp_path)] == [less["id"], made["id"]]
    shown = arouter("credits", "list", cwd=tmp_path).stdout
    assert "inv-7" in shown
    assert "a mistake" in shown
    assert told("credits", "disable", cwd=tmp_path) == nothing
    assert told("credits", "enable", cwd=tmp_path) == standing
    assert "12" in arouter("credits", "show", cwd=tmp_path).stdout


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    told("keys", "create", "--name", "prod", cwd=tmp_path)
    assert "dollars" in misused("credits", "add", "--amount", "much")
    assert "above zero" in refused("credits", "add", "--amount", "-1", cwd=tmp_path, code=2)
    assert "there is no organization" in refused("credits", "show", "--organization", "org_x", cwd=tmp_path)
