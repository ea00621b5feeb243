"""What every measurement needs: cores, a vendor, folders, and a place to say how far it is."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

import attrs

from benchmarks.gateway import NO_POLLS, MeasuredGateway
from benchmarks.machine import Cores, pin, raise_open_file_limit
from benchmarks.servers import Server, free_port
from benchmarks.vendor import Vendor

_HERE: Final = Path(__file__).resolve().parent


@attrs.define(kw_only=True)
class Bench:
    """An open benchmark: one vendor, any number of servers that are stopped when their measurement ends.

    Attributes:
        is_quick: fewer and shorter rounds, for a first look.
        jobs: open jobs of the measurement `polls`.
    """

    cores: Cores
    vendor: Vendor
    folder: Path
    is_quick: bool
    jobs: int
    _began: float = attrs.field(factory=time.monotonic)

    @classmethod
    @asynccontextmanager
    async def opened(cls, *, is_quick: bool, jobs: int) -> AsyncIterator[Self]:
        """Pin this process, serve the vendor, make a temporary folder; undo it at the end."""
        cores = Cores.of_this_machine()
        pin(cores.load)
        raise_open_file_limit()
        with tempfile.TemporaryDirectory(prefix="musicgate-bench-") as folder:
            async with Vendor.serving() as vendor:
                bench = cls(cores=cores, vendor=vendor, folder=Path(folder), is_quick=is_quick, jobs=jobs)
                if cores.server is None:
                    bench.say("not pinned: server and load may share a core, so figures vary more")
                yield bench

    def say(self, text: str) -> None:
        """Show progress on stderr, with the seconds since the start."""
        print(f"[{time.monotonic() - self._began:5.0f} s] {text}", file=sys.stderr, flush=True)

    def new_folder(self, name: str) -> Path:
        """A folder that is removed with the benchmark."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def gateway(
        self,
        *,
        speed: float = NO_POLLS,
        accounts: int = 1,
        webhook_url: str = "",
        folder: Path | None = None,
        launcher: Sequence[str] = (),
    ) -> MeasuredGateway:
        """A musicgate on the server's core, not started yet, with a new store unless a folder is given."""
        return MeasuredGateway(
            folder or self.new_folder("musicgate"),
            self.vendor.url,
            self.cores.server,
            speed=speed,
            accounts=accounts,
            webhook_url=webhook_url,
            launcher=launcher,
        )

    def script(self, name: str, *arguments: str) -> Server:
        """A server of this folder on the server's core, not started yet: ``NAME.py PORT ARGUMENTS``."""
        port = free_port()
        # -P: nothing of this folder becomes importable, so no module here hides one of the standard library.
        command = [sys.executable, "-P", str(_HERE / f"{name}.py"), str(port), *arguments]
        return Server(name, command, port, self.new_folder(name), self.cores.server)
