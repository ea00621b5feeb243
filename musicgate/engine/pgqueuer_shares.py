"""Shares of the open jobs over the engine pgqueuer; knows two threads, and neither SQL nor a job.

pgqueuer runs in a thread with an event loop of its own (`pgqueuer_worker`): on the loop of the callers, a
step that blocks it would keep the heartbeats back until all shares are lost. What it takes and loses is told
on the callers' loop.
"""

import asyncio
import contextlib
import logging
import math
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final
from uuid import uuid4

from musicgate.engine.pgqueuer_worker import ShareWorker, prepare
from musicgate.engine.replicas import READING_LASTS_S, Replica
from musicgate.engine.shares import ReplicaState
from musicgate.errors import ConfigError, StorageError
from musicgate.store.postgres_errors import ERRORS, describe

_log = logging.getLogger(__name__)

#: As many replicas that have ended are remembered.
_MOST_UNKNOWN: Final = 1_000
#: Shares that are taken within it are told in one call.
_GATHER_S: Final = 0.05


class PgqueuerShares:
    """The shares that this replica holds, of a store on PostgreSQL that is open and migrated.

    A share whose replica dies is followed elsewhere after ``heartbeat_s`` and two seconds at most.
    """

    def __init__(
        self,
        url: str,
        *,
        software: str,
        schema_version: int,
        heartbeat_s: float = 30.0,
        replica: str | None = None,
    ) -> None:
        """Prepare, on the event loop that uses it; `start` begins.

        Args:
            url: as libpq reads it; of PostgreSQL itself, no pooler that lends transactions.
            software: the version of musicgate.
            schema_version: of the database.
            replica: the id of this replica; a new one where None.
        """
        self._replica = Replica(
            id=replica or uuid4().hex,
            host=socket.gethostname(),
            software=software,
            schema_version=schema_version,
        )
        self._url = url
        self._worker = ShareWorker(
            url, self._replica, heartbeat_s, taken=self._has_taken, lost=self._has_lost
        )
        self._loop = asyncio.get_running_loop()
        self._engine_loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Those that the engine waits for are set on its own loop.
        self._leaving, self._closing = asyncio.Event(), asyncio.Event()
        self._has_left, self._has_ended = asyncio.Event(), asyncio.Event()
        self._is_leaving = False
        #: No other replica was alive when this one started.
        self.is_first = False
        self._taken: Callable[[Collection[int]], Awaitable[None]] = _take_none
        self._lost: Callable[[Collection[int]], None] = _lose_none
        #: Replicas that were asked for and are not known, and when that was first.
        self._unknown_s: dict[str, float] = {}
        #: Shares to be told as taken.
        self._untold: set[int] = set()
        self._telling: asyncio.Task[None] | None = None

    @property
    def replica(self) -> str:
        """The id of this replica."""
        return self._replica.id

    @property
    def held(self) -> Collection[int]:
        """The shares that it holds; none when a heartbeat is overdue, until the next one is confirmed."""
        held = self._worker.held
        return () if self._is_leaving or time.monotonic() >= held.until_s else held.terms.keys()

    def term_of(self, share: int) -> int | None:
        """The term under which it holds a share, also while a heartbeat is overdue; None if it does not.

        It may be lost at any moment, on the other thread: a caller has to ask once, and to look at None.
        """
        return self._worker.held.terms.get(share)

    def silence_s(self, replica: str) -> float:
        """Seconds since a replica was last seen alive, as of the last second, by the database's clock.

        Infinite for one that has ended. While PostgreSQL could not be reached nothing could be seen of the
        others, so that such a time does not count, and an old reading says nothing. One that is not known may
        have started since the others were read last, and makes calls already: it counts as alive until a
        later reading does not show it.
        """
        neighbours = self._worker.neighbours
        if replica == self.replica or time.monotonic() - neighbours.asked_s > READING_LASTS_S:
            return 0.0
        if replica in neighbours.silent_s:
            self._unknown_s.pop(replica, None)
            return neighbours.silence_s(replica)
        if len(self._unknown_s) >= _MOST_UNKNOWN:
            self._unknown_s.clear()
        first_s = self._unknown_s.setdefault(replica, time.monotonic())
        return math.inf if neighbours.asked_s > first_s else 0.0

    @property
    def is_seen(self) -> bool:
        """True if the others can see that this replica is alive."""
        return self._worker.sign.is_seen(time.monotonic())

    def state(self) -> ReplicaState:
        """How this replica is among the others, as of the last second."""
        neighbours = self._worker.neighbours
        age_s = time.monotonic() - neighbours.read_s
        return ReplicaState(
            shares=len(self.held),
            replicas=1 + len(neighbours.live(self._worker.live_s)),
            heartbeat_age_s=max(0.0, age_s) if math.isfinite(age_s) else math.inf,
        )

    async def start(
        self,
        taken: Callable[[Collection[int]], Awaitable[None]],
        lost: Callable[[Collection[int]], None],
    ) -> None:
        """Begin to take shares, and return when the others see this replica. Then nothing is raised any more.

        Raises:
            ConfigError: the URL cannot be read, or another version of pgqueuer is in use.
            StorageError: PostgreSQL refuses, or cannot be reached.
        """
        self._taken, self._lost = taken, lost
        began_s = time.monotonic()
        try:
            self.is_first = await prepare(self._url, self._replica)
        except ValueError as exc:  # its message may quote the URL
            raise ConfigError("is no URL of PostgreSQL", key="store.url") from exc
        except ERRORS as exc:
            raise StorageError(f"the engine cannot be started: {describe(exc)}") from exc
        self._worker.sign = self._worker.sign.renewed(began_s, time.monotonic())
        _log.info("replica started: replica=%s is_first=%s", self.replica, self.is_first)
        self._engine_loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._engine_loop,), name="musicgate shares", daemon=True
        )
        self._thread.start()

    async def hand_over(self) -> None:
        """Give every share to the other replicas, and take none any more. Each is told as lost.

        It takes two seconds at most. Where PostgreSQL is away, the others get them by time.
        """
        self._is_leaving = True
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])
        if self._set(self._leaving):
            await self._has_left.wait()

    async def close(self) -> None:
        """Be a replica no longer, within two seconds."""
        await self.hand_over()
        if self._thread is not None and self._set(self._closing):
            await self._has_ended.wait()
            self._thread.join()
            self._thread = None

    def _set(self, event: asyncio.Event) -> bool:
        """Set an event of the engine; False if it does not run."""
        if self._engine_loop is None:
            return False
        with contextlib.suppress(RuntimeError):  # its loop has ended
            self._engine_loop.call_soon_threadsafe(event.set)
        return True

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._worker.hold(self._leaving))
                self._post(self._has_left.set)
                runner.run(self._worker.stay(self._closing))
        except Exception:  # noqa: BLE001 - it ends the thread only
            _log.exception("engine ended")
        finally:
            self._post(self._has_left.set)
            self._post(self._has_ended.set)

    def _has_taken(self, share: int) -> None:
        self._post(self._note_taken, share)

    def _has_lost(self, shares: Sequence[int]) -> None:
        self._post(self._note_lost, frozenset(shares))

    def _post(self, note: Callable[..., None], *values: object) -> None:
        """Call on the callers' loop; in the order of the calls."""
        try:
            self._loop.call_soon_threadsafe(note, *values)
        except RuntimeError:  # it was closed, and we were not
            self._leaving.set()
            self._closing.set()

    def _note_taken(self, share: int) -> None:
        self._untold.add(share)
        if self._telling is None and not self._is_leaving:
            self._telling = asyncio.ensure_future(self._tell())

    def _note_lost(self, shares: frozenset[int]) -> None:
        # Also what was not told as taken yet: it was held, and jobs of it may have been made here.
        self._untold -= shares
        try:
            self._lost(shares)
        except Exception:  # noqa: BLE001 - the loop goes on
            _log.exception("shares lost, and the jobs of them were not let go: shares=%s", sorted(shares))

    async def _tell(self) -> None:
        try:
            await asyncio.sleep(_GATHER_S)
            while self._untold:
                shares = frozenset(self._untold)
                self._untold.clear()
                try:
                    await self._taken(shares)
                except Exception:  # noqa: BLE001 - what was missed is looked for now and then
                    _log.exception(
                        "shares taken, and their jobs could not be read: shares=%s", sorted(shares)
                    )
        finally:
            self._telling = None


async def _take_none(shares: Collection[int]) -> None:
    pass


def _lose_none(shares: Collection[int]) -> None:
    pass
