"""TLS on loopback, with a self-signed certificate that ``openssl`` makes for the test run."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

NAMES = "subjectAltName=DNS:vendor.example,DNS:localhost,IP:127.0.0.1"


def server_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server-side TLS context and its certificate; skips the test where there is no ``openssl``."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("this machine has no openssl to make a certificate with")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = [
        program, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=vendor.example", "-addext", NAMES,
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", str(key), "-out", str(certificate),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the arguments are ours
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
