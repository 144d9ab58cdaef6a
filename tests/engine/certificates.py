"""Certificates for `localhost`, each with its key in one file, and the two ends of TLS that use them."""

import ssl
import subprocess
from pathlib import Path

import pytest

KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
AUTHORITY = """
[ca]
default_ca = authority
[authority]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = names
x509_extensions = alternatives
[names]
commonName = supplied
[alternatives]
subjectAltName = DNS:localhost
"""


def self_signed(folder: Path) -> Path:
    """Valid for two days."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    _openssl(f"req -x509 {KEY} -days 2 -addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}")
    return _joined(folder, key, certificate)


def expired(folder: Path) -> Path:
    """Valid for one day in 2020. `openssl req` makes none that is over, `openssl ca` does."""
    key, request, certificate = folder / "key.pem", folder / "request.pem", folder / "certificate.pem"
    authority = folder / "authority.cnf"
    authority.write_text(AUTHORITY.format(folder=folder), encoding="ascii")
    (folder / "index.txt").touch()
    _openssl(f"req -new {KEY} -keyout {key} -out {request}")
    _openssl(
        f"ca -batch -selfsign -config {authority} -keyfile {key} -in {request} -out {certificate} -notext "
        "-startdate 20200101000000Z -enddate 20200102000000Z"
    )
    return _joined(folder, key, certificate)


def _openssl(command: str) -> None:
    try:
        made = subprocess.run(["openssl", *command.split()], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert made.returncode == 0, made.stderr


def _joined(folder: Path, key: Path, certificate: Path) -> Path:
    path = folder / "localhost.pem"
    path.write_text(key.read_text() + certificate.read_text())
    return path


def serving(certificate: Path, names: list[str | None] | None = None) -> ssl.SSLContext:
    """A peer's end; `names` takes the names that it is asked for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    if names is not None:
        context.sni_callback = lambda _, name, __: names.append(name)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's end that trusts this one and no other."""
    return ssl.create_default_context(cafile=str(certificate))
