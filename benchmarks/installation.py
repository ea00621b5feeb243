"""Several replicas on one PostgreSQL: start them, wait until their shares are even."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from benchmarks.bench import Bench
from benchmarks.database import Database
from benchmarks.gateway import NO_POLLS, MeasuredGateway
from benchmarks.load import ask, request_bytes

#: The database that they share.
NAME: Final = "musicgate"
_SHARES: Final = 64
_EVEN_TIMEOUT_S: Final = 60.0
_READY: Final = request_bytes("GET", "/readyz")


@attrs.define(kw_only=True)
class Installation:
    """A database, and how its replicas are started.

    Attributes:
        speed: of polls, ``follow.speed``.
        deadline_s: of jobs, ``follow.deadline_s``; 0 = the vendor's.
    """

    bench: Bench
    database: Database
    speed: float = NO_POLLS
    heartbeat_s: float = 10.0
    deadline_s: float = 0.0
    _audio: Path | None = None

    async def renew(self) -> None:
        """Begin with an empty database and an empty folder for audio."""
        await self.database.renew(NAME)
        self._audio = self.bench.new_folder("audio")

    def replica(
        self,
        *,
        core: int | None = None,
        store_url: str = "",
        vendor_url: str = "",
        webhook_url: str = "",
        launcher: Sequence[str] = (),
    ) -> MeasuredGateway:
        """A replica, not started yet; on the server's core unless another one is given."""
        return MeasuredGateway(
            self.bench.new_folder("replica"),
            vendor_url or self.bench.vendor.url,
            self.bench.cores.server if core is None else core,
            speed=self.speed,
            webhook_url=webhook_url,
            store_url=store_url or self.database.url(NAME),
            more_environ={
                "MUSICGATE_STORE__HEARTBEAT_S": str(self.heartbeat_s),
                "MUSICGATE_FOLLOW__DEADLINE_S": str(self.deadline_s),
                "MUSICGATE_ASSETS__URL": f"file://{self._audio}",
            },
            launcher=launcher,
        )

    async def shares(self) -> dict[str, int]:
        """Number of shares by the id of the replica that holds them, those that are picked at the moment."""
        rows = await self.database.run(
            "SELECT replica, count(*) FROM musicgate.pgqueuer JOIN musicgate.shares"
            " ON share = convert_from(payload, 'UTF8')::int WHERE status = 'picked' AND replica IS NOT NULL"
            " GROUP BY replica",
            NAME,
        )
        return {str(replica): int(count) for replica, count in rows}

    async def until_even(self, replicas: Sequence[MeasuredGateway], jobs: int = 0) -> float:
        """Wait until each replica has its part of the shares, and all jobs are followed; the seconds.

        Raises:
            SystemExit: that takes far too long.
        """
        began = time.monotonic()
        part = _SHARES // len(replicas)
        while True:
            held = sorted((await self.shares()).values())
            is_even = len(held) == len(replicas) and held[0] >= part and sum(held) == _SHARES
            if is_even and sum([await followed(replica) for replica in replicas]) >= jobs:
                return time.monotonic() - began
            if time.monotonic() - began > _EVEN_TIMEOUT_S:
                sys.exit(f"shares are not even after {_EVEN_TIMEOUT_S:g} s: {held}")
            await asyncio.sleep(0.1)


async def followed(replica: MeasuredGateway) -> int:
    """Number of open jobs that a replica follows."""
    found: int = (await ask(replica.port, _READY)).json()["jobs"]["scheduled"]
    return found
