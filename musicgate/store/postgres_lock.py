"""Only one process may use a PostgreSQL store: by a lock of a session, or by a lease in a row.

Two processes would both follow every open job. A session keeps an advisory lock as long as its connection
lives: it ends with the process, at once, however it ends; and a process that is merely stopped keeps it.

Behind a pooler there are no sessions. There the process renews a row every ten seconds, and another one may
take the row when it is a minute old. That loses two things. After a crash, a restart has to wait for up to a
minute. And a process that was stopped for longer finds its lease gone and writes nothing any more, but a
write that was on its way just then is not held back.

Each kind refuses while the other one is held. While neither can be proved, writes are refused; both go on by
themselves when PostgreSQL is there again and no other process has come.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from musicgate.errors import ConfigError, StorageError
from musicgate.store.postgres_connections import connect
from musicgate.store.postgres_errors import ERRORS, describe

if TYPE_CHECKING:
    import asyncpg

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

#: "musicgat", and the next number. Advisory locks belong to one database.
_USE_KEY: Final = 0x6D75736963676174
_START_KEY: Final = _USE_KEY + 1
#: A lease ends so long after it was renewed last, by PostgreSQL's clock.
LEASE_S: Final = 60
#: Its owner believes in it for less long, by its own clock: a write takes time, too.
_TRUSTED_S: Final = 40.0
_RENEW_EVERY_S: Final = 10.0
_RETRY_EVERY_S: Final = 1.0
_ANSWER_TIMEOUT_S: Final = 10.0

_WAIT_FOR_START: Final = "SELECT pg_advisory_xact_lock($1)"
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
_IS_LOCKED: Final = """
SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = $1::bigint >> 32 AND objid::bigint = $1::bigint & 4294967295)
"""
_HAS_LEASES: Final = "SELECT to_regclass('musicgate.store_lease') IS NOT NULL"
_IS_LEASED: Final = f"""
SELECT EXISTS (SELECT 1 FROM musicgate.store_lease WHERE owner <> $1
    AND renewed_at > clock_timestamp() - interval '{LEASE_S} seconds')
"""  # noqa: S608 - a number
_TAKE_LEASE: Final = f"""
INSERT INTO musicgate.store_lease AS known (id, owner, renewed_at) VALUES (1, $1, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, renewed_at = excluded.renewed_at
WHERE known.owner = excluded.owner OR known.renewed_at <= clock_timestamp() - interval '{LEASE_S} seconds'
RETURNING owner
"""  # noqa: S608 - a number
_END_LEASE: Final = "DELETE FROM musicgate.store_lease WHERE owner = $1"


class StoreLock:
    """The right of this process to write."""

    def __init__(self, url: str, *, has_session: bool) -> None:
        """Begin without it; `take` gets it, and `keep` keeps it."""
        self._url = url
        self._has_session = has_session
        self._owner = uuid4().hex
        self._connection: _Connection | None = None
        #: Until when it is believed to be held, by the steady clock.
        self._trusted_until = 0.0
        self._is_lost = asyncio.Event()
        #: Why it was not held at the last attempt; logged once.
        self._reported = ""

    def check(self) -> None:
        """Return if this process may write.

        Raises:
            StorageError: it may not, at least for now.
        """
        if time.monotonic() >= self._trusted_until:
            raise StorageError(
                "this process does not hold the job store at the moment: PostgreSQL is away, or another"
                " musicgate has taken it"
            )

    async def take(self, connection: "_Connection", prepare: "Callable[[_Connection], object]") -> None:
        """Take the lock on this connection, and keep the connection.

        Args:
            connection: a new one; closed by `close`.
            prepare: migrates, between the check whether the store is in use and taking the lease.

        Raises:
            ConfigError: another musicgate uses the store.
        """
        async with connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.fetchval(_WAIT_FOR_START, _START_KEY)
            await self._take(connection, prepare)
        self._trust()

    async def _take(self, connection: "_Connection", prepare: "Callable[[_Connection], object]") -> None:
        if await connection.fetchval(_HAS_LEASES) and await connection.fetchval(_IS_LEASED, self._owner):
            raise in_use()
        if self._has_session:
            if not await connection.fetchval(_TRY_LOCK, _USE_KEY):
                raise in_use()
        elif await connection.fetchval(_IS_LOCKED, _USE_KEY):
            raise in_use()
        prepared = prepare(connection)
        if asyncio.iscoroutine(prepared):
            await prepared
        if not self._has_session and await connection.fetchval(_TAKE_LEASE, self._owner) is None:
            raise in_use()
        self._connection = connection
        connection.add_termination_listener(self._on_end)

    @contextlib.asynccontextmanager
    async def keep(self) -> AsyncIterator[None]:
        """Keep the lock that was taken, take it again when it was lost, and release it at the end."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await self.release()

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_EVERY_S if self._connection else _RETRY_EVERY_S):
                    await self._is_lost.wait()
            self._is_lost.clear()
            try:
                async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                    await self._renew()
            except (*ERRORS, ConfigError) as exc:
                reason = exc if isinstance(exc, ConfigError) else describe(exc)
                if str(reason) != self._reported:
                    _log.warning("job store not held: reason=%s", reason)
                self._reported = str(reason)
                if isinstance(exc, ConfigError):
                    self._trusted_until = 0.0
                self._drop()

    async def _renew(self) -> None:
        if self._connection is None:
            connection = await connect(self._url, has_session=self._has_session)
            try:
                await self.take(connection, lambda _: None)
            except BaseException:
                connection.terminate()
                raise
            _log.info("job store held again")
            self._reported = ""
            return
        if self._has_session:
            await self._connection.fetchval("SELECT 1")
        else:
            async with self._connection.transaction():
                if await self._connection.fetchval(_IS_LOCKED, _USE_KEY):
                    raise in_use()
                if await self._connection.fetchval(_TAKE_LEASE, self._owner) is None:
                    raise in_use()
        self._trust()

    def _trust(self) -> None:
        # A lock of a session ends when its connection does, which is noticed; the time is for a connection
        # whose end is not: the server gives it up after a minute.
        self._trusted_until = time.monotonic() + _TRUSTED_S

    def _on_end(self, connection: object) -> None:
        if self._has_session:
            self._trusted_until = 0.0
        self._is_lost.set()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_termination_listener(self._on_end)
            connection.terminate()
        if self._has_session:
            self._trusted_until = 0.0

    async def release(self) -> None:
        """Give the lock back and close its connection."""
        self._trusted_until = 0.0
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.remove_termination_listener(self._on_end)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                if not self._has_session:
                    async with connection.transaction():
                        await connection.execute(_END_LEASE, self._owner)
                await connection.close()
        except ERRORS:
            connection.terminate()


def in_use() -> ConfigError:
    """The error of a store that another process uses."""
    error = ConfigError(
        "another musicgate uses the database; stop it, or give this one a store of its own", key="store.url"
    )
    # What a lock file raises: the command line asks for it, to use another store.
    error.__cause__ = TimeoutError()
    return error
