"""`arouter demo`: nothing to configure, something to look at, nothing left behind."""

import re
import time
from pathlib import Path
from urllib.request import urlopen

from tests.cli.process import TIMEOUT_S, Running, call, running


def test_pretend_users_cost_something_and_a_page_shows_it(tmp_path: Path) -> None:
    with running("demo", "--port", "0", "--rate", "40", "--requests", "60", cwd=tmp_path) as demo:
        key = demo.ready["management_key"]
        summary = f"{demo.url}/v1/activity/summary?group_by=user"
        deadline = time.monotonic() + TIMEOUT_S
        while (found := call(summary, key)[1])["totals"]["requests"] < 60:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(found["data"]) > 3
        assert found["totals"]["cost"] > 0
        assert found["totals"]["requests_without_price"] == 0
        _look_at_the_page(demo)
        assert not list(tmp_path.iterdir())
        assert demo.stop() == 0
        assert not Path(demo.ready["database"]).exists()


def _look_at_the_page(demo: Running) -> None:
    """It needs nothing from elsewhere, runs no script but its own, and reads only paths that exist."""
    address, fragment = demo.ready["dashboard"].split("#")
    assert fragment == f"key={demo.ready['management_key']}"
    with urlopen(address, timeout=TIMEOUT_S) as answer:
        page = answer.read().decode()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    paths = set(re.findall(r"\bget\(\"(/[^\"]+)\"", page))
    assert paths == {"/v1/activity", "/v1/activity/summary"}
    assert paths <= call(f"{demo.url}/openapi.json")[1]["paths"].keys()
