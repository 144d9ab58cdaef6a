"""`arouter activity report`: the same report as the API's, in a file."""

import json
from importlib.metadata import distribution
from pathlib import Path

from tests.cli.conftest import USERS, Gateway
from tests.cli.process import arouter, call, misused, refused, succeeded, told
from tests.pdf_text import lines


def test_the_data_is_the_apis(gateway: Gateway) -> None:
    here = told("activity", "report", "--timezone", "Europe/Berlin", "--limit", "3", cwd=gateway.folder)
    url = f"{gateway.url}/v1/activity/report?format=json&timezone=Europe/Berlin&limit=3"
    there = call(url, gateway.management_key)[1]
    assert here["totals"]["requests"] >= len(USERS)
    for name in ("totals", "by_user", "by_model", "by_api_key", "by_creator", "by_status", "by_day", "by_month"):
        assert here[name] == there[name]
    total = call(f"{gateway.url}/v1/activity/summary", gateway.management_key)[1]["totals"]
    assert here["totals"] == total


def test_a_pdf_a_page_and_json_by_the_ending(gateway: Gateway, tmp_path: Path) -> None:
    for name, start in (("a.pdf", b"%PDF-"), ("a.html", b"<!doctype html>"), ("a.json", b'{"object"'), ("a", b"%PDF-")):
        target = tmp_path / name
        done = arouter("activity", "report", "--out", str(target), "--title", "用户 & Co", cwd=gateway.folder)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.endswith(f" requests in {target}.\n")
        assert target.read_bytes().startswith(start)
    assert json.loads((tmp_path / "a.json").read_bytes())["title"] == "用户 & Co"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.html", "a.json", "a.pdf"]


def test_a_file_and_the_data_in_one_go(gateway: Gateway, tmp_path: Path) -> None:
    target = tmp_path / "ada.pdf"
    done = succeeded("activity", "report", "--user", "ada", "--out", str(target), "--json", cwd=gateway.folder)
    assert json.loads(done)["covers"] == "user “ada”"
    assert target.read_bytes().startswith(b"%PDF-")


def test_what_it_cannot_do_it_says(gateway: Gateway, tmp_path: Path) -> None:
    assert "--out" in misused("activity", "report")
    assert "Mars" in misused("activity", "report", "--json", "--timezone", "Mars/Olympus")
    line = refused("activity", "report", "--out", str(tmp_path / "no" / "a.pdf"), cwd=gateway.folder)
    assert "cannot be written" in line


def test_a_range_that_is_too_long_is_refused(gateway: Gateway) -> None:
    done = arouter("activity", "report", "--json", "--start", "1990-01-01", cwd=gateway.folder)
    assert done.returncode == 2
    assert "240 months" in done.stderr


def test_without_the_extra_it_says_how_to_get_it(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "fpdf.py").write_text("raise ModuleNotFoundError('no', name='fpdf')")
    env = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2] / 'src'}"}
    target = tmp_path / "a.pdf"
    line = refused("activity", "report", "--out", str(target), cwd=gateway.folder, env=env)
    assert "pip install 'arouter[report]'" in line
    assert not target.exists()


def test_letters_of_a_configured_font_are_in_the_pdf(gateway: Gateway, tmp_path: Path) -> None:
    folder = Path(str(distribution("matplotlib").locate_file("matplotlib/mpl-data/fonts/ttf")))
    asked = ("activity", "report", "--title", "⌓", "--out", str(tmp_path / "a.pdf"))
    succeeded(*asked, cwd=gateway.folder)
    assert r"\u2313" in lines((tmp_path / "a.pdf").read_bytes())
    succeeded(*asked, cwd=gateway.folder, env={"AROUTER_REPORT__FONTS": str(folder / "DejaVuSansMono.ttf")})
    assert "⌓" in lines((tmp_path / "a.pdf").read_bytes())
    assert "cannot be read" in refused(*asked, cwd=gateway.folder, env={"AROUTER_REPORT__FONTS": "absent.ttf"})
