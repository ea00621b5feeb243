"""Connections to PostgreSQL: reads, writes and transactions; knows no table.

Each write is one statement where that is possible: one round trip, and nothing to roll back when a connection
is lost. A pool replaces lost connections, so that everything goes on when PostgreSQL has started again.

Behind pgbouncer in transaction mode each transaction may run on another connection. There nothing may live
longer than a transaction: no prepared statement, no lock of a session, no setting of one. And even one
statement needs a transaction around it, since asyncpg sends it in two parts.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from musicgate.errors import StorageError
from musicgate.store.postgres_errors import ERRORS, is_lost, is_repeatable, storage_error

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
    _Pool = asyncpg.Pool[asyncpg.Record]
    _AsyncpgConnection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's own class is generic in its types only
    _AsyncpgConnection = asyncpg.Connection

_T = TypeVar("_T")
Rows = list[Any]

#: As many connections as PostgreSQL has cores to use, and more: some wait for the disk.
_MAX_CONNECTIONS: Final = 16
_CONNECT_TIMEOUT_S: Final = 10.0
#: No statement of ours takes a tenth of it. Callers wait so long where a network swallows everything.
_STATEMENT_TIMEOUT_S: Final = 10.0
#: How often a write that met another one is repeated.
_MOST_REPEATS: Final = 5


class _QuickConnection(_AsyncpgConnection):
    """A connection of the pool. It has no state of a session, so nothing is reset after each use."""

    def get_reset_query(self) -> str:
        return ""


async def connect(
    url: str, *, has_session: bool, name: str = "musicgate", statement_timeout_s: float = _STATEMENT_TIMEOUT_S
) -> "_Connection":
    """Connect once, outside of the pool.

    Args:
        name: what PostgreSQL shows of a session as its ``application_name``.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused.
        OSError: it cannot be reached, or not in time.
    """
    return await asyncpg.connect(
        url, timeout=_CONNECT_TIMEOUT_S, command_timeout=statement_timeout_s, **_options(has_session, name)
    )


def _options(has_session: bool, name: str = "musicgate") -> dict[str, Any]:
    if not has_session:
        return {"statement_cache_size": 0}
    # The server gives up a connection whose client's machine is gone within a minute.
    keepalives = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
    return {"server_settings": {"application_name": name, **keepalives}}


class PostgresConnections:
    """A pool of connections, for callers on one event loop."""

    def __init__(self, pool: "_Pool", *, has_session: bool, check: Callable[[], None]) -> None:
        """Use an open pool; `open` makes one.

        Args:
            has_session: False behind a pooler that lends a connection for each transaction.
            check: raises when nothing may be written.
        """
        self._pool = pool
        self._has_session = has_session
        self._check = check
        self._writes: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, *, has_session: bool, check: Callable[[], None]
    ) -> AsyncIterator["PostgresConnections"]:
        """Connect, and disconnect at the end.

        Raises:
            asyncpg.PostgresError: PostgreSQL refused.
            OSError: it cannot be reached, or not in time.
        """
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=_MAX_CONNECTIONS,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_STATEMENT_TIMEOUT_S,
            connection_class=_QuickConnection,
            **_options(has_session),
        )
        connections = cls(pool, has_session=has_session, check=check)
        try:
            yield connections
        finally:
            await connections.close()

    async def read(self, statement: str, *values: Any) -> Rows:
        """The rows of a query.

        Raises:
            StorageError: the database cannot be read.
        """
        try:
            return await self._read(statement, values)
        except StorageError as error:
            # The connection may have been lost long ago, and a read can be repeated.
            if (
                error.__cause__ is None
                or isinstance(error.__cause__, OSError)
                or not is_lost(error.__cause__)
            ):
                raise
        return await self._read(statement, values)

    async def write(self, statement: str, *values: Any) -> Rows:
        """Run one statement and return its rows when it is durable.

        A caller that is cancelled while it waits cannot know whether it happened: the write goes on.

        Raises:
            StorageError: nothing was stored, or ``maybe_stored``.
        """
        return await self._to_its_end(lambda connection: self._fetch(connection, statement, values))

    async def transaction(self, work: Callable[["Transaction"], Awaitable[_T]]) -> _T:
        """Run some work in a transaction and return its result when it is durable. It may run twice.

        Raises:
            StorageError: nothing was stored, or ``maybe_stored``.
        """

        async def whole(connection: "_Connection") -> _T:
            async with connection.transaction():
                return await work(Transaction(connection))

        return await self._to_its_end(whole)

    async def close(self) -> None:
        """Finish the writes that are running and disconnect. Closing again does nothing."""
        self._is_closed = True
        while self._writes:
            await asyncio.wait(self._writes)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await self._pool.close()
        except ERRORS:
            self._pool.terminate()

    async def _read(self, statement: str, values: tuple[Any, ...]) -> Rows:
        async with self._connection() as connection:
            try:
                return await self._fetch(connection, statement, values)
            except ERRORS as exc:
                raise storage_error(exc, was_sent=False) from exc

    async def _fetch(self, connection: "_Connection", statement: str, values: tuple[Any, ...]) -> Rows:
        if self._has_session or connection.is_in_transaction():
            return await connection.fetch(statement, *map(storable, values))
        async with connection.transaction():
            return await connection.fetch(statement, *map(storable, values))

    async def _to_its_end(self, work: Callable[["_Connection"], Coroutine[Any, Any, _T]]) -> _T:
        if self._is_closed:
            raise StorageError("the job store is closed")
        task = asyncio.create_task(self._written(work))
        self._writes.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have been cancelled, and no one else asks

    async def _written(self, work: Callable[["_Connection"], Coroutine[Any, Any, _T]]) -> _T:
        for repeats in range(_MOST_REPEATS + 1):
            async with self._connection() as connection:
                self._check()
                try:
                    return await work(connection)
                except ERRORS as exc:
                    if not is_repeatable(exc) or repeats == _MOST_REPEATS:
                        raise storage_error(exc, was_sent=True) from exc
        raise AssertionError  # pragma: no cover - the last repeat returns or raises

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator["_Connection"]:
        """Lend a connection; what fails before it is there stored nothing."""
        if self._is_closed and not self._writes:
            raise StorageError("the job store is closed")
        try:
            connection = await self._pool.acquire(timeout=_CONNECT_TIMEOUT_S)
        except ERRORS as exc:
            raise storage_error(exc, was_sent=False) from exc
        try:
            yield connection  # type: ignore[misc] # a proxy of the pool, which has all of its methods
        finally:
            # One that was lost cannot be given back without an error, and the pool makes a new one.
            with contextlib.suppress(*ERRORS):
                await self._pool.release(connection)


class Transaction:
    """Runs statements in one open transaction."""

    def __init__(self, connection: "_Connection") -> None:
        """Use a connection that has begun a transaction."""
        self._connection = connection

    async def run(self, statement: str, *values: Any) -> Rows:
        """Run a statement and return its rows."""
        return await self._connection.fetch(statement, *map(storable, values))

    async def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add rows to a table of musicgate, quicker than by inserting them."""
        await self._connection.copy_records_to_table(
            table,
            schema_name="musicgate",
            columns=list(columns),
            records=[tuple(map(storable, row)) for row in rows],
        )


def storable(value: Any) -> Any:
    """Escape what PostgreSQL refuses in a text: NUL, and lone surrogates. Ids come from vendors and URLs."""
    if isinstance(value, str):
        if value.isascii():
            return value.replace("\0", "\\x00") if "\0" in value else value
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if isinstance(value, list):
        return [storable(one) for one in value]
    return value
