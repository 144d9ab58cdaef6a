"""How soon an installed server answers, and what it needs. Bounds that only something broken would miss."""

import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.client import Client
from tests.acceptance.gateway import Gateway, running_gateway

MOST_RESIDENT_BYTES = 120_000_000
MOST_START_S = 5.0


def resident_bytes(gateway: Gateway) -> int:
    """The highest that it ever was."""
    status = Path(f"/proc/{gateway.pid}/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    kibibytes = int(line.removeprefix("VmHWM:").removesuffix("kB"))
    return kibibytes * 1024


def wait_until_ready(client: Client) -> None:
    """The prices are read after the first answer; until then it says that it is not ready, and why."""
    end_s = time.monotonic() + MOST_START_S
    while (ready := client.ask("GET", "/readyz")).status != 200:
        assert ready.status == 503
        assert [check["name"] for check in ready.json["checks"] if not check["ok"]] == ["prices"]
        assert time.monotonic() < end_s
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory is read from /proc")
def test_a_server_answers_soon_and_stays_small(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway, gateway.client() as client:
        assert client.ask("GET", "/healthz").status == 200
        wait_until_ready(client)
        started = resident_bytes(gateway)
        for number in range(200):
            assert client.chat("sandbox/sandbox", f"user_{number}", stream=number % 2 == 0).status == 200
        assert len(client.records([("limit", "1000")])) == 200
        worked = resident_bytes(gateway)
    sys.stdout.write(
        f"ready after {gateway.started_in_s:.2f} s; at most {started / 1e6:.0f} MB resident at the start, "
        f"{worked / 1e6:.0f} MB after 200 requests\n"
    )
    assert gateway.started_in_s < MOST_START_S
    assert started <= worked < MOST_RESIDENT_BYTES
