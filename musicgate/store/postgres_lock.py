"""Which processes may use a PostgreSQL store: by a lock of a session, or by a lease in a row.

Replicas hold one advisory lock *shared*. Who must be alone takes it *exclusively*: a copy into the store, the
commands of the command line that write, and every musicgate from before there were replicas. So one kind
refuses while the other one is there. A session keeps its lock as long as its connection lives: it ends with
the process, at once, however it ends; and a process that is merely stopped keeps it. Beside it each replica
holds a lock that says its schema version, so that no migration takes away tables that it needs.

Behind a pooler there are no sessions, unless ``store.session_url`` goes past it. Without one a single process
may use the store. It renews a row every ten seconds, and another one may take the row when it is a minute
old. That loses two things. After a crash, a restart has to wait for up to a minute. And a process that was
stopped for longer finds its lease gone and writes nothing any more, but a write that was on its way just then
is not held back.

Lease and lock refuse while the other one is held. While neither can be proved, writes are refused; both go on
by themselves when PostgreSQL is there again and no other process is in the way.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import randbits
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from musicgate.errors import ConfigError, StorageError
from musicgate.store.postgres_connections import connect
from musicgate.store.postgres_errors import ERRORS, describe
from musicgate.store.postgres_migrate import MIGRATION_TIMEOUT_S, check_schema, hold_version, migrate

if TYPE_CHECKING:
    import asyncpg

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

#: "musicgat", and the next number. Advisory locks belong to one database.
_USE_KEY: Final = 0x6D75736963676174
START_KEY: Final = _USE_KEY + 1
#: A lease ends so long after it was renewed last, by PostgreSQL's clock.
LEASE_S: Final = 60
#: Its owner believes in it for less long, by its own clock: a write takes time, too.
_TRUSTED_S: Final = 40.0
_RENEW_EVERY_S: Final = 10.0
_RETRY_EVERY_S: Final = 1.0
_ANSWER_TIMEOUT_S: Final = 10.0

_WAIT_FOR_START: Final = "SELECT pg_advisory_xact_lock($1)"
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
_TRY_LOCK_SHARED: Final = "SELECT pg_try_advisory_lock_shared($1)"
_UNLOCK: Final = "SELECT pg_advisory_unlock($1)"
_IS_LOCKED: Final = """
SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = $1::bigint >> 32 AND objid::bigint = $1::bigint & 4294967295)
"""
_WHO: Final = "SELECT current_user::text"
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

    def __init__(self, url: str, *, has_session: bool, exclusive: bool) -> None:
        """Begin without it; `take` gets it, and `keep` keeps it.

        Args:
            url: of the database, past a pooler if ``has_session``.
            has_session: False where a pooler lends a connection for each transaction; then it is exclusive.
            exclusive: no other process may use the store meanwhile.
        """
        self._url = url
        self._has_session = has_session
        self._exclusive = exclusive
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
                " musicgate has taken it",
                is_away=True,
            )

    async def take(
        self, connection: "_Connection", prepare: "Callable[[_Connection], Awaitable[None]]" = migrate
    ) -> None:
        """Take the lock on this connection, and keep the connection.

        Args:
            connection: a new one; closed by `release`.
            prepare: migrates or checks the tables, once no process can be in the way.

        Raises:
            ConfigError: a process uses the store that this one cannot work beside, or the tables are such.
        """
        async with connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.fetchval(_WAIT_FOR_START, START_KEY, timeout=MIGRATION_TIMEOUT_S)
            await self._take(connection, prepare)
        self._trust()

    async def _take(
        self, connection: "_Connection", prepare: "Callable[[_Connection], Awaitable[None]]"
    ) -> None:
        if await connection.fetchval(_HAS_LEASES) and await connection.fetchval(_IS_LEASED, self._owner):
            raise in_use()
        if not self._has_session:
            if await connection.fetchval(_IS_LOCKED, _USE_KEY):
                raise in_use(
                    "stop it, or set store.session_url, so that several processes can use the database"
                )
        elif not await connection.fetchval(_TRY_LOCK if self._exclusive else _TRY_LOCK_SHARED, _USE_KEY):
            raise in_use() if self._exclusive else used_alone()
        await prepare(connection)
        if self._has_session:
            await hold_version(connection)
        elif await connection.fetchval(_TAKE_LEASE, self._owner) is None:
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
                await self.take(connection, check_schema)
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


async def check_session(session: "_Connection", url: str) -> None:
    """Return if a session is on the same database as the pooler of ``url``, and of the same user.

    An advisory lock shows it: it belongs to one database of one server, also where a copy of the server has
    the same names and the same system identifier.

    Raises:
        ConfigError: it is not.
    """
    connection = await connect(url, has_session=False)
    try:
        key = randbits(62)
        await session.fetchval(_TRY_LOCK, key)
        async with connection.transaction():
            is_same: Any = await connection.fetchval(_IS_LOCKED, key)
            user = await connection.fetchval(_WHO)
        await session.fetchval(_UNLOCK, key)
        if not is_same:
            raise ConfigError("names another database than store.url", key="store.session_url")
        if user != await session.fetchval(_WHO):
            raise ConfigError("names another user than store.url", key="store.session_url")
    finally:
        connection.terminate()


def in_use(mend: str = "stop it, or give this one a store of its own") -> ConfigError:
    """The error of a store that another process uses."""
    error = ConfigError(f"another musicgate uses the database; {mend}", key="store.url")
    # What a lock file raises: the command line asks for it, to use another store.
    error.__cause__ = TimeoutError()
    return error


def used_alone() -> ConfigError:
    """The error of a store that another process uses alone."""
    error = ConfigError(
        "another musicgate uses the database alone: wait for the end of the command (a copy, an import, a song"
        " of the command line), or stop the server of an earlier version",
        key="store.url",
    )
    error.__cause__ = TimeoutError()
    return error
