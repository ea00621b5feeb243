"""Start a server as a process on its own core, weigh it, hold it, stop it; knows almost no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.machine import Usage, pin, usage

_START_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 15.0
_PR_SET_PDEATHSIG: Final = 1


class Server:
    """One server process. `start` it, and leave `running` to stop it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: Path,
        core: int | None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self._command = command
        self._core = core
        self._environ = dict(os.environ if environ is None else environ)
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Id of the running process."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Start the server, and stop it at the end."""
        await self.start()
        try:
            yield self
        finally:
            self.stop()

    async def start(self) -> float:
        """Start the process; return the seconds until it accepted a connection and answered.

        Raises:
            SystemExit: it ended, or did not answer in time; with the end of its log.
        """
        began = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own servers
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                cwd=self._log.parent,
                # Its own group: Ctrl-C reaches this process alone, which then stops the servers in order.
                start_new_session=True,
                preexec_fn=_prepare(self._core),  # noqa: PLW1509 - no thread is running yet, or none holds a lock
            )
        while not await self._answers():
            if self._process.poll() is not None or time.perf_counter() - began > _START_TIMEOUT_S:
                self.kill()
                tail = self._log.read_text("utf-8", "replace")[-2000:]
                sys.exit(f"{self.name} did not start:\n{tail}")
            await asyncio.sleep(0.005)
        return time.perf_counter() - began

    def usage(self) -> Usage:
        """CPU time and memory so far."""
        return usage(self.pid)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Suspend the process, so that it takes nothing from another one on the same core."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ask the process to end; kill it when it does not."""
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End the process without a warning, and wait for its end."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    @property
    def has_ended(self) -> bool:
        """True if it was started and runs no longer."""
        return self._process is not None and self._process.poll() is not None

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return (await reader.read(5)) == b"HTTP/"
        except OSError:
            return False
        finally:
            writer.close()


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _prepare(core: int | None) -> Callable[[], None]:
    """What the child does before it becomes the server: move to its core, and never outlive this process."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only

    def prepare() -> None:
        pin(core)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare
