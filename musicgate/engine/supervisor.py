"""Own every background task of a gateway: log and count failures, restart services.

Two kinds of task run beside the callers. A *service* (scheduler, sweeper, courier) never ends by itself; one
that does has failed, and is restarted after a pause that grows. A *one-off* (a create call in flight, a
request to a vendor to stop) ends when its work is done, and hands its job over by itself. One that raises has
a bug, which is logged here, so that it is seen although no caller awaits the task.

Only the supervisor cancels these tasks, when it closes. A `CancelledError` that arises otherwise is a failure
like any other: asyncio would take a task that lets it through for one that was stopped on purpose, and log
nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager
    from types import TracebackType

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
#: Seconds until a failed service is restarted; the last one repeats. One that ran well for `_STEADY_S` starts
#: over.
_RESTART_S = (0.5, 1.0, 5.0, 30.0)
_STEADY_S = 60.0


class StrayCancellationError(Exception):
    """A `CancelledError` in a task that was not cancelled."""


def is_cancelled() -> bool:
    """True if the current task is being cancelled, so that a `CancelledError` in it is no failure."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _NoStrayCancellation:
    """It keeps nothing, so that one serves every block: half a microsecond for each step of each job."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError) and not is_cancelled():
            message = "a CancelledError was raised in a task that was not cancelled"
            raise StrayCancellationError(message) from error


_NO_STRAY_CANCELLATION: Final = _NoStrayCancellation()


def no_stray_cancellation() -> AbstractContextManager[None, None]:
    """Turn a `CancelledError` in a task that was not cancelled into an error.

    Raises:
        StrayCancellationError: the block raised a `CancelledError` although its task was not cancelled.
    """
    return _NO_STRAY_CANCELLATION


@attrs.frozen(kw_only=True)
class ServiceReport:
    """The state of a service.

    Attributes:
        is_running: False while it waits for its restart.
        restarts: how often it has failed.
        error: the type of the last failure; its text may hold anything, and is in the log only.
    """

    is_running: bool
    restarts: int
    error: str | None = None


class Supervisor:
    """The background tasks of one gateway."""

    def __init__(self, restart_s: tuple[float, ...] = _RESTART_S) -> None:
        self._restart_s = restart_s
        self._loop = asyncio.get_running_loop()
        self._services: dict[str, asyncio.Task[None]] = {}
        self._reports: dict[str, ServiceReport] = {}
        #: With what is called at the end of each.
        self._one_offs: dict[asyncio.Task[Any], Callable[[asyncio.Task[Any]], None] | None] = {}
        #: Failures of one-offs by the first word of their name.
        self.failures: Counter[str] = Counter()

    @property
    def services(self) -> dict[str, ServiceReport]:
        """The state of every service, by name."""
        return dict(self._reports)

    @property
    def is_well(self) -> bool:
        """True if every service runs."""
        return all(report.is_running for report in self._reports.values())

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a service until the supervisor closes; ``run`` is called again whenever it ends."""
        self._reports[name] = ServiceReport(is_running=True, restarts=0)
        self._services[name] = self._loop.create_task(self._serve(name, run), name=name)

    def spawn(
        self,
        name: str,
        work: Coroutine[Any, Any, _T],
        then: Callable[[asyncio.Task[_T]], None] | None = None,
    ) -> asyncio.Task[_T]:
        """Run a one-off to its end. Its result may be awaited, or not.

        Args:
            then: called with the task at its end, also of one that was cancelled before it began.
        """
        task = self._loop.create_task(work, name=name)
        self._one_offs[task] = then
        task.add_done_callback(self._ended)
        return task

    async def finish(self, timeout_s: float) -> None:
        """Give the one-offs some time to end, then stop the others, and what they start while they end."""
        if self._one_offs:
            await asyncio.wait(self._one_offs, timeout=timeout_s)
        while self._one_offs:
            await _stop(list(self._one_offs))

    async def stop(self, name: str) -> None:
        """Stop a service, and wait for its end; it is no longer reported."""
        self._reports.pop(name, None)
        task = self._services.pop(name, None)
        if task is not None:
            await _stop([task])

    async def stop_services(self) -> None:
        """Stop every service, and wait for its end."""
        await _stop(list(self._services.values()))

    async def _serve(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        loop, failures_in_a_row = asyncio.get_running_loop(), 0
        while True:
            started_s = loop.time()
            error = "ended by itself"
            try:
                with no_stray_cancellation():
                    await run()
                _log.error("service ended by itself, restarting: service=%s", name)
            except Exception as exc:  # noqa: BLE001 - a failed service is restarted
                error = type(exc).__name__
                _log.exception("service failed, restarting: service=%s", name)
            failures_in_a_row = 0 if loop.time() - started_s > _STEADY_S else failures_in_a_row
            pause_s = self._restart_s[min(failures_in_a_row, len(self._restart_s) - 1)]
            failures_in_a_row += 1
            restarts = self._reports[name].restarts + 1
            self._reports[name] = ServiceReport(is_running=False, restarts=restarts, error=error)
            await asyncio.sleep(pause_s)
            self._reports[name] = attrs.evolve(self._reports[name], is_running=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        then = self._one_offs.pop(task)
        if not task.cancelled() and task.exception() is not None:
            self.failures[task.get_name().split(" ", 1)[0]] += 1
            _log.error("background task failed: task=%s", task.get_name(), exc_info=task.exception())
        if then is not None:
            then(task)


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
