"""A certificate for 127.0.0.1, for an upstream that speaks TLS."""

import shutil
import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> Path | None:
    """A file with the certificate and its key; None where there is no openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    both = folder / "certificate-and-key.pem"
    both.write_text(certificate.read_text() + key.read_text())
    return both
