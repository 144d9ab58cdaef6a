"""The files in `deploy/` name settings, files, ports and paths that there are, and leave the gateway time to stop."""

import re
from pathlib import Path

import pytest

from arouter.providers.vendors import VENDORS
from arouter.settings import Server, rows

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEXTS = {path.relative_to(DEPLOY).as_posix(): path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file()}
PODS = ("kubernetes/statefulset.yaml", "kubernetes-postgres/deployment.yaml")
LEAST_STOP_S = Server().shutdown_timeout_s + 5


def test_every_variable_of_ours_is_that_of_a_setting() -> None:
    ours = {row.variable for row in rows()}
    named = {name for text in TEXTS.values() for name in re.findall(r"AROUTER_[A-Z_]+", text)}
    assert named
    assert named <= ours


def test_every_key_of_a_provider_is_one_that_is_read() -> None:
    known = {name for vendor in VENDORS for name in vendor.key_variables}
    named = {name for text in TEXTS.values() for name in re.findall(r"\b[A-Z_]+_API_KEY\b", text)}
    assert named
    assert named <= known


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("arouter.service", r"TimeoutStopSec=(\d+)"),
        ("compose.yaml", r"stop_grace_period: (\d+)s"),
        ("compose.postgres.yaml", r"  gateway:\n(?:.*\n)*?    stop_grace_period: (\d+)s"),
        ("kubernetes/statefulset.yaml", r"terminationGracePeriodSeconds: (\d+)"),
        ("kubernetes-postgres/deployment.yaml", r"terminationGracePeriodSeconds: (\d+)"),
    ],
)
def test_who_stops_it_waits_for_running_requests(file: str, pattern: str) -> None:
    (seconds,) = re.findall(pattern, TEXTS[file])
    assert int(seconds) >= LEAST_STOP_S


def test_the_image_is_built_from_what_is_there_and_sent_to_the_builder() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", TEXTS["Dockerfile"], re.MULTILINE)
        for source in line.split()[:-1]
    }
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_everybody_asks_at_the_port_that_is_listened_on() -> None:
    port = Server().port
    assert f"EXPOSE {port}\n" in TEXTS["Dockerfile"]
    assert f"http://127.0.0.1:{port}/healthz" in TEXTS["Dockerfile"]
    assert f"server gateway:{port};" in TEXTS["nginx.conf"]
    for pod in PODS:
        assert f"containerPort: {port}\n" in TEXTS[pod]


def test_nobody_is_root() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", TEXTS["Dockerfile"], re.MULTILINE)
    assert int(user) > 0
    for pod in PODS:
        assert f"runAsUser: {user}\n" in TEXTS[pod]
        assert "runAsNonRoot: true" in TEXTS[pod]
    assert "User=arouter" in TEXTS["arouter.service"]


def test_the_proxy_lets_through_what_the_gateway_takes() -> None:
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", TEXTS["nginx.conf"])
    assert int(megabytes) * 1_048_576 >= Server().body_most_bytes
    assert "proxy_buffering off;" in TEXTS["nginx.conf"]


def test_every_resource_of_kubernetes_is_applied() -> None:
    for folder in ("kubernetes", "kubernetes-postgres"):
        listed = set(re.findall(r"^  - (\S+\.yaml)$", TEXTS[f"{folder}/kustomization.yaml"], re.MULTILINE))
        assert listed == {name.partition("/")[2] for name in TEXTS if name.startswith(f"{folder}/")} - {
            "kustomization.yaml"
        }
