"""A certificate for the loopback address, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def certificate(folder: Path) -> tuple[Path, Path]:
    """What a server shows, with its key; and what a client must trust: SSL_CERT_FILE."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which makes a certificate")
    pem, own = folder / "server.pem", folder / "own.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", pem, "-out", own], check=True, capture_output=True)
    pem.write_text(pem.read_text() + own.read_text())
    return pem, own
