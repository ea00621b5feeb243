"""A process of ``musicgate serve`` that is killed, stopped and started again, and when that happened."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import attrs

from tests.free_port import free_port

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping
    from pathlib import Path


#: How a server that is one of several logs its id.
_REPLICA = re.compile(rb"replica started: replica=(\w+)")


@attrs.define
class Life:
    """One process, from its start to its end; all times are steady.

    Attributes:
        ready_s: when it was ready; infinite until then.
        ended_s: when it was killed, or had ended after it was asked to stop.
        asked_s: when it was asked to stop.
        is_killed: True if it was killed.
        stops: from when to when it was stopped; the last one may not have ended.
        replica: its id in ``musicgate.replicas``, where it is known.
    """

    began_s: float
    ready_s: float = math.inf
    ended_s: float = math.inf
    asked_s: float = math.inf
    is_killed: bool = False
    stops: list[tuple[float, float]] = attrs.field(factory=list)
    replica: str = ""

    @property
    def is_stopped(self) -> bool:
        """True between SIGSTOP and SIGCONT."""
        return bool(self.stops) and math.isinf(self.stops[-1][1])


class Server:
    """One server of an installation. Its processes follow one another, at the same address.

    Attributes:
        name: empty where there is only one server.
        lives: its processes, the last one perhaps running.
    """

    def __init__(
        self,
        folder: Path,
        session: aiohttp.ClientSession,
        name: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            folder: has ``gate.toml``, and a folder ``site`` with plugins.
            environ: variables of this server.
        """
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: Process | None = None
        self.lives: list[Life] = []
        #: Why it was not ready at the last try.
        self.not_ready = ""
        self._folder = folder
        self._session = session
        self._environ = environ or {}

    @property
    def pid(self) -> int | None:
        """The process id; None once it was killed or asked to stop."""
        is_over = self.process is None or self.process.returncode is not None
        if self.process is None or is_over or self.life.is_killed or not math.isinf(self.life.asked_s):
            return None
        return self.process.pid

    @property
    def life(self) -> Life:
        """The last process."""
        return self.lives[-1]

    @property
    def up_since(self) -> float | None:
        """Steady time at which the running process became ready; None while there is none."""
        return self.life.ready_s if self.is_up else None

    @property
    def is_up(self) -> bool:
        """True if it is ready to serve, or was when it was stopped."""
        return self.pid is not None and not math.isinf(self.life.ready_s)

    @property
    def is_serving(self) -> bool:
        """True if it is ready and not stopped."""
        return self.is_up and not self.life.is_stopped

    async def start(self) -> None:
        """Start a process, and wait until it is ready.

        Raises:
            AssertionError: it ended by itself.
        """
        self.lives.append(Life(began_s=time.monotonic()))
        logged = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "musicgate", "serve", "--config", str(self._folder / "gate.toml")),
                stdout=log,
                stderr=log,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "HOME": str(self._folder),
                    "PYTHONPATH": self._path(),
                    "MUSICGATE_SERVER__PORT": str(self.port),
                    **self._environ,
                },
                cwd=self._folder,
            )
        async with asyncio.timeout(45):
            while await self.readiness() is None:
                if self.life.is_killed or not math.isinf(self.life.asked_s):
                    return
                if self.process.returncode is not None:
                    message = f"the server ended by itself ({self.process.returncode}): {self.log_tail()}"
                    raise AssertionError(message)
                await asyncio.sleep(0.02)
        self.life.ready_s = time.monotonic()
        if found := _REPLICA.search(self.log.read_bytes()[logged:]):
            self.life.replica = found[1].decode()

    def _path(self) -> str:
        """``PYTHONPATH`` of the server: the plugin that breaks hooks, and this tree."""
        own = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
        return os.pathsep.join([str(self._folder / "site"), *own])

    def kill(self) -> None:
        """``kill -9`` now."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            self.life.is_killed = True
            self.life.ended_s = time.monotonic()
            if self.life.is_stopped:
                self.life.stops[-1] = (self.life.stops[-1][0], self.life.ended_s)

    async def gone(self) -> None:
        """Wait until the process has ended."""
        if self.process is not None:
            await self.process.wait()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the process to stop; its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.go_on()
            self.life.asked_s = time.monotonic()
            self.process.send_signal(number)
        code = await self.process.wait()
        self.life.ended_s = min(self.life.ended_s, time.monotonic())
        return code

    def halt(self) -> None:
        """SIGSTOP."""
        if (pid := self.pid) is not None and not self.life.is_stopped:
            self.life.stops.append((time.monotonic(), math.inf))
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT, if the process is stopped."""
        if (pid := self.pid) is not None and self.life.is_stopped:
            self.life.stops[-1] = (self.life.stops[-1][0], time.monotonic())
            os.kill(pid, signal.SIGCONT)

    async def readiness(self) -> dict[str, object] | None:
        """The answer of ``/readyz``; None unless it is 200."""
        try:
            async with self._session.get(f"{self.url}/readyz") as answer:
                body = dict(await answer.json())
                if answer.status == 200:
                    return body
                self.not_ready = str(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.not_ready = repr(error)
        return None

    @property
    def log(self) -> Path:
        """The log of all of its processes."""
        return self._folder / f"log{self.name}.txt"

    def log_tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-20:])
