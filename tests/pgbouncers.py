"""Starts a pgbouncer in transaction mode in front of a PostgreSQL for tests."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.free_port import free_port
from tests.postgres_servers import other_than_root

#: The program, where it is neither on PATH nor where Debian's package has it. No package of PyPI has one.
NAMED = "MUSICGATE_TEST_PGBOUNCER"
_NAMED_PROGRAM = os.environ.get(NAMED)
_CONFIG = """\
[databases]
{database} = {target}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 200
default_pool_size = {connections}
"""


@contextlib.contextmanager
def pgbouncer(url: str, *, connections: int = 4) -> Iterator[str]:
    """The URL of the same database by a pooler that lends few connections, each for one transaction."""
    program = _NAMED_PROGRAM or shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        pytest.skip(f"no pgbouncer: install it (Debian: apt-get install pgbouncer), or name it in {NAMED}")
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    listen_port, database = free_port(), parts.path.lstrip("/")
    target = {"host": host, "port": parts.port or 5432, "dbname": database}
    target |= {"user": parts.username, "password": parts.password}
    with tempfile.TemporaryDirectory(prefix="musicgate-pgbouncer-") as name:
        folder = Path(name)
        config = folder / "pgbouncer.ini"
        config.write_text(
            _CONFIG.format(
                database=database,
                target=" ".join(f"{key}='{value}'" for key, value in target.items() if value),
                listen_port=listen_port,
                connections=connections,
            )
        )
        # It refuses to run as root, and must be able to open the socket of the server.
        owner = Path(host).stat().st_uid if host.startswith("/") and os.geteuid() == 0 else other_than_root()
        if owner is not None:
            os.chown(folder, owner, -1)
            os.chown(config, owner, -1)
        log = folder / "log"
        with (
            log.open("wb") as written,
            subprocess.Popen([program, str(config)], user=owner, stderr=written) as process,  # noqa: S603 - our own
        ):
            try:
                _wait(process, listen_port, log)
                yield f"postgresql://{parts.username}@127.0.0.1:{listen_port}/{database}"
            finally:
                process.terminate()
                process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(f"pgbouncer did not start: {log.read_text()}")
