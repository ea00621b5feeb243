"""Chooses the job store of a command: the default one, or another one while that is in use.

A command uses a store alone, on PostgreSQL too: it has no callbacks and ends soon, so it must not take jobs
from a server. So that ``generate`` works beside a server or another ``generate``, there are further slots:
``cli-2.db`` to ``cli-9.db`` in the data folder, each with a folder for its audio.

A store whose server is down is left to that server if a short run could harm its jobs. A gateway that opens a
store sends the queued jobs, and this process would end in the middle of those calls: paid songs would be
lost. And a job whose create answer was lost is recovered by the vendor's callback, which only a server
receives; a gateway without one would have to fail it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import attrs

from musicgate.accounts import AccountBook
from musicgate.errors import ConfigError, JobNotFoundError
from musicgate.gateway import (
    Gateway,
    has_job_store,
    job_store_name,
    open_job_store,
    open_job_store_to_read,
)
from musicgate.model import AttemptOutcome, JobQuery
from musicgate.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from musicgate.hosting import PluginHost
    from musicgate.model import Job
    from musicgate.settings import Settings
    from musicgate.store import JobStore

_LAST_SLOT = 9


def slots(settings: Settings, *, is_lasting: bool = False) -> Iterator[Settings]:
    """The settings of each store, the default one first.

    A command does not receive callbacks, so there is no ``public_url``; and Ctrl-C must not wait for a drain.

    Args:
        is_lasting: the process serves a client as long as that wants, and waits for a drain when it has gone.
    """
    drain_s = settings.server.drain_s if is_lasting else 0.0
    local = attrs.evolve(settings, server=attrs.evolve(settings.server, public_url="", drain_s=drain_s))
    yield local
    try:
        folder = settings.data_dir.absolute()
    except ConfigError:  # without a data folder there are no slots in it
        return
    for number in range(2, _LAST_SLOT + 1):
        yield attrs.evolve(
            local,
            store=StoreSettings(url=f"sqlite:///{folder / f'cli-{number}.db'}"),
            assets=attrs.evolve(settings.assets, url=(folder / f"cli-{number}-audio").as_uri()),
        )


async def open_free(
    stack: AsyncExitStack, settings: Settings, host: PluginHost, *, is_lasting: bool = False
) -> Gateway:
    """Open a gateway on the first store that is not in use.

    Args:
        is_lasting: as for `slots`; it takes queued jobs over, too, since it does not end while it sends them.

    Raises:
        ConfigError: All of them are in use, or a setting is wrong.
        StorageError: A store cannot be opened.
    """
    for slot in slots(settings, is_lasting=is_lasting):
        try:
            if await _is_left_to_a_server(settings, slot, is_lasting=is_lasting):
                continue
            return await stack.enter_async_context(Gateway.open(slot, plugins=host, alone=True))
        except ConfigError as error:
            if not is_in_use(error):
                raise
    message = f"all {_LAST_SLOT} stores of the command line are in use; wait for a run to end"
    raise ConfigError(message, key="store.url", source=settings.source)


async def open_with(
    stack: AsyncExitStack, settings: Settings, host: PluginHost, job_id: str
) -> tuple[Gateway, Job]:
    """Open a gateway on the store that has a job, and return both.

    Raises:
        JobNotFoundError: No store has it.
        ConfigError: No free store has it, and some are in use; or its store is left to a server.
    """
    busy = []
    for slot in existing(settings):
        try:
            async with open_alone(slot) as store:
                job = await store.get(job_id)
        except ConfigError as error:
            if not is_in_use(error):
                raise
            busy.append(job_store_name(slot))
            continue
        if job is not None:
            if await _is_left_to_a_server(settings, slot):
                message = (
                    f"{job_store_name(slot)} has jobs that only a server can finish; "
                    "start it (musicgate serve) and use --url"
                )
                raise ConfigError(message, key="store.url", source=settings.source)
            gateway = await stack.enter_async_context(Gateway.open(slot, plugins=host, alone=True))
            return gateway, job
    if busy:
        names = ", ".join(busy)
        message = f"{job_id} is in no free store, and another musicgate uses {names}"
        raise ConfigError(f"{message}; if that is a server, use --url http://127.0.0.1:8080")
    raise JobNotFoundError(job_id)


async def list_jobs(settings: Settings, limit: int, account: str | None = None) -> list[Job]:
    """The newest jobs of an account, or of all, in any state; also those that another process works on."""
    found: dict[str, Job] = {}
    for slot in existing(settings):
        async with open_job_store_to_read(slot) as store:
            unfinished = [job for job in await _unfinished(store) if account in {None, job.account}]
            known = [*unfinished, *await store.list_jobs(account, JobQuery(limit=limit))]
        found |= {job.id: job for job in known}
    newest = sorted(found.values(), key=lambda job: job.created_at, reverse=True)
    return newest[:limit]


async def accounts(settings: Settings) -> set[str]:
    """The accounts that have jobs."""
    found: set[str] = set()
    for slot in existing(settings):
        async with open_job_store_to_read(slot) as store:
            found |= {*await store.accounts()}
    return found


async def account_book(settings: Settings) -> AccountBook:
    """The accounts of the settings, and those of the default store."""
    book = AccountBook(settings)
    if has_job_store(settings):
        async with open_job_store_to_read(settings) as store:
            book.update(await store.keys.load())
    return book


def open_to_read(slot: Settings) -> AbstractAsyncContextManager[JobStore]:
    """Open the store of a slot to read it, whether or not another process uses it.

    Raises:
        ConfigError: a musicgate of another version uses it.
        StorageError: it cannot be opened.
    """
    return open_job_store_to_read(slot)


def open_alone(slot: Settings) -> AbstractAsyncContextManager[JobStore]:
    """Open the store of a slot, so that no other process uses it meanwhile.

    Raises:
        ConfigError: another process uses it.
        StorageError: it cannot be opened.
    """
    return open_job_store(slot, alone=True)


async def is_used(slot: Settings) -> bool:
    """True if another process uses the store of a slot now."""
    try:
        async with open_alone(slot):
            return False
    except ConfigError as error:
        if not is_in_use(error):
            raise
        return True


def existing(settings: Settings) -> list[Settings]:
    """The slots whose store exists."""
    return [slot for slot in slots(settings) if has_job_store(slot)]


def is_in_use(error: ConfigError) -> bool:
    """True if a store could not be opened because another process uses it."""
    return isinstance(error.__cause__, TimeoutError)


async def _is_left_to_a_server(settings: Settings, slot: Settings, *, is_lasting: bool = False) -> bool:
    """True if a run without callbacks, or one that is short, would harm the jobs of this store."""
    if not has_job_store(slot):
        return False
    async with open_alone(slot) as store:
        attempts = [job.attempt for job in await _unfinished(store)]
    undecided = set() if is_lasting else {AttemptOutcome.PLANNED}
    if settings.server.public_url:
        undecided |= {AttemptOutcome.SENT, AttemptOutcome.UNKNOWN}
    return any(attempt.outcome in undecided and attempt.native_id is None for attempt in attempts if attempt)


async def _unfinished(store: JobStore) -> Sequence[Job]:
    return await store.open_jobs("", 10_000)
