"""News between replicas, by LISTEN and NOTIFY of PostgreSQL; knows ids and no job.

NOTIFY is no part of the writes that it tells of. A transaction that notifies takes one lock for all databases
of the server and holds it until its commit is on the disk, so that such commits happen one after another
(`PreCommit_Notify` in PostgreSQL's src/backend/commands/async.c, 14 to 18: "Serialize writers by acquiring a
special lock that we hold till after commit"). So news are gathered for 20 ms and told by a connection of
their own, many ids in one payload, and that connection's commits do not wait for the disk: news are not on it
(https://www.postgresql.org/docs/current/sql-notify.html, "Notes", 29 November 2026).

Nothing depends on news. What cannot be told, because PostgreSQL is away or too much is waiting, is dropped;
then the others are told that they missed something, as soon as that is possible.
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.store.postgres_connections import connect
from musicgate.store.postgres_errors import ERRORS, describe

if TYPE_CHECKING:
    import asyncpg

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

#: Channels belong to one database.
CHANNEL: Final = "musicgate"
#: News that come in this time are told together.
_GATHER_S: Final = 0.02
#: PostgreSQL refuses a payload of 8,000 bytes; ours are ASCII, with a head of less than 200.
_IDS_BYTES: Final = 7_700
#: A longer id is none of ours.
_LONGEST_ID_BYTES: Final = 500
#: Ids that may wait to be told: some seconds of the most that a process stores. Each takes 0.1 kB.
MAX_WAITING: Final = 20_000
#: An idle connection is tried so often, since its end may go unnoticed.
_PROBE_EVERY_S: Final = 15.0
_ANSWER_TIMEOUT_S: Final = 10.0
#: Seconds between tries to connect; the last one repeats.
_RETRY_S: Final = (0.1, 0.5, 2.0, 5.0)
#: Seconds for which a replica that ends tries to tell the rest.
_LAST_WORDS_S: Final = 1.0
_NOTIFY: Final = f"SELECT pg_notify('{CHANNEL}', payload) FROM unnest($1::text[]) AS payload"  # noqa: S608


@attrs.frozen
class _Hearing:
    """What is called with the news of others; see `musicgate.engine.News.start`."""

    changed: Callable[[str], None]
    due: Callable[[str], None]
    outbox: Callable[[], None]
    missed: Callable[[], None]
    keys: Callable[[], None]

    def hear(self, news: dict[str, Any]) -> None:
        """Pass on one payload. What is not known is of a later version, and left out."""
        if news.get("missed"):
            self.missed()
        for job_id in news.get("changed", ()):
            self.changed(job_id)
        for job_id in news.get("due", ()):
            self.due(job_id)
        if news.get("outbox"):
            self.outbox()
        if news.get("keys"):
            self.keys()


class PostgresNews:
    """News over one connection, which is made again when it is lost. For callers on one event loop."""

    def __init__(self, url: str, replica: str, *, reread_s: float = 2.0) -> None:
        """Prepare; `start` connects.

        Args:
            url: of PostgreSQL itself: a pooler that lends transactions passes no notification on.
            replica: the id of this process, which ignores its own news.
            reread_s: see `musicgate.engine.News`.
        """
        self.reread_s: float | None = reread_s
        self._url = url
        self._replica = replica
        self._changed: dict[str, None] = {}
        self._due: dict[str, None] = {}
        self._has_outbox = False
        self._has_keys = False
        self._has_missed = False
        self._hearing: _Hearing | None = None
        self._connection: _Connection | None = None
        self._worker: asyncio.Task[None] | None = None
        #: Set when there is something to tell, when the connection is lost, and at the end.
        self._wake = asyncio.Event()
        self._is_first_try_over = asyncio.Event()
        self._is_closed = False
        self._was_connected = False
        #: Failures since something was told last.
        self._failures = 0
        #: Why nothing is heard; logged once.
        self._reported = ""

    def changed(self, job_id: str) -> None:
        """Tell that a job was stored or deleted here."""
        self._add(self._changed, job_id)

    def due(self, job_id: str) -> None:
        """Tell the replica that follows a job to poll it now."""
        self._add(self._due, job_id)

    def outbox(self) -> None:
        """Tell that there is something new in the outbox."""
        self._has_outbox = True
        self._wake.set()

    def keys(self) -> None:
        """Tell that accounts or keys were changed."""
        self._has_keys = True
        self._wake.set()

    async def start(
        self,
        changed: Callable[[str], None],
        due: Callable[[str], None],
        outbox: Callable[[], None],
        missed: Callable[[], None],
        keys: Callable[[], None],
    ) -> None:
        """Connect and hear. Where PostgreSQL cannot be reached, that is tried again until it can."""
        self._hearing = _Hearing(changed, due, outbox, missed, keys)
        self._worker = asyncio.create_task(self._work(), name="news")
        await self._is_first_try_over.wait()

    async def close(self) -> None:
        """Tell the rest, if that is quickly done, and disconnect."""
        self._is_closed = True
        self._wake.set()
        worker, self._worker = self._worker, None
        if worker is None:
            return
        await asyncio.wait([worker], timeout=2 * _LAST_WORDS_S)
        worker.cancel()  # it still tries to connect
        await asyncio.wait([worker])
        self._disconnect()

    def _add(self, waiting: dict[str, None], job_id: str) -> None:
        if len(waiting) >= MAX_WAITING:
            self._drop()
        waiting[job_id] = None
        self._wake.set()

    def _drop(self) -> None:
        """Forget what waits, and tell the others later that they missed something."""
        self._changed.clear()
        self._due.clear()
        self._has_outbox = self._has_keys = False
        self._has_missed = True

    async def _work(self) -> None:
        while True:
            try:
                await self._connect()
                await self._tell_until_lost()
                reason = "the connection was lost"
            except ERRORS as exc:
                reason = describe(exc)
            except Exception as exc:  # noqa: BLE001 - whatever breaks: it is tried again
                reason = repr(exc)
            self._drop()
            self._disconnect()
            self._is_first_try_over.set()
            if self._is_closed:
                return
            if reason != self._reported:
                _log.warning("news of other replicas not heard, retrying: reason=%s", reason)
            self._reported = reason
            pause_s = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
            self._failures += 1
            await self._sleep(pause_s * (0.5 + random.random() / 2))  # noqa: S311 - no secret

    async def _sleep(self, pause_s: float) -> None:
        """Sleep, but not beyond `close`: what there is to tell can wait."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + pause_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                while not self._is_closed:
                    self._wake.clear()
                    await self._wake.wait()

    async def _connect(self) -> None:
        connection = await connect(self._url, has_session=True)
        self._connection = connection
        connection.add_termination_listener(lambda _: self._wake.set())
        await connection.execute("SET synchronous_commit = off")
        await connection.add_listener(CHANNEL, self._hear)
        if self._was_connected:
            self._call(lambda hearing: hearing.missed())
        if self._reported:
            _log.info("news of other replicas heard again")
        self._was_connected, self._reported = True, ""
        self._wake.set()  # something may wait already
        self._is_first_try_over.set()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _tell_until_lost(self) -> None:
        """Tell what comes, until the connection is lost or this ends."""
        connection = self._connection
        assert connection is not None  # noqa: S101 - it is called when there is one
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0 if self._is_closed else _PROBE_EVERY_S):
                    await self._wake.wait()
            if self._is_closed:
                async with asyncio.timeout(_LAST_WORDS_S):
                    await connection.execute(_NOTIFY, self._payloads())
                    await connection.close()
                return
            if self._wake.is_set():
                await asyncio.sleep(_GATHER_S)
            self._wake.clear()
            if connection.is_closed():
                return
            # With nothing to tell this finds out whether the connection is alive.
            await connection.execute(_NOTIFY, self._payloads(), timeout=_ANSWER_TIMEOUT_S)
            self._failures = 0

    def _payloads(self) -> list[str]:
        """Take all that waits, as the payloads that tell it."""
        payloads = []
        changed, self._changed = self._changed, {}
        due, self._due = self._due, {}
        has_outbox, self._has_outbox = self._has_outbox, False
        has_keys, self._has_keys = self._has_keys, False
        has_missed, self._has_missed = self._has_missed, False
        if has_outbox or has_keys or has_missed:
            payloads.append(self._payload(outbox=has_outbox, keys=has_keys, missed=has_missed))
        payloads += [self._payload(changed=part) for part in _parts(changed)]
        payloads += [self._payload(due=part) for part in _parts(due)]
        return payloads

    def _payload(self, **news: object) -> str:
        return json.dumps({"replica": self._replica, **news}, separators=(",", ":"))

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            news = json.loads(str(payload))
            if news["replica"] == self._replica:
                return
        except (ValueError, TypeError, LookupError):
            _log.warning("news of another program on the channel ignored: channel=%s", CHANNEL)
            return
        self._call(lambda hearing: hearing.hear(news))

    def _call(self, tell: Callable[[_Hearing], None]) -> None:
        assert self._hearing is not None  # noqa: S101 - it is connected after `start`
        try:
            tell(self._hearing)
        except Exception:  # noqa: BLE001 - asyncpg would only log it elsewhere
            _log.exception("news not taken")


def _parts(job_ids: Iterable[str]) -> Iterator[list[str]]:
    """Ids in groups that each fit into a payload."""
    part: list[str] = []
    size_bytes = 0
    for job_id in job_ids:
        id_bytes = len(json.dumps(job_id)) + 1
        if id_bytes > _LONGEST_ID_BYTES:
            continue
        if size_bytes + id_bytes > _IDS_BYTES:
            yield part
            part, size_bytes = [], 0
        part.append(job_id)
        size_bytes += id_bytes
    if part:
        yield part
