"""`Client`: the methods of `AsyncClient` without asyncio, on a thread with an event loop.

A method is not written twice: `_blocking` and `_stepping` make it of the one of `AsyncClient`, with its
parameters and its documentation, and type checkers see both.

Why a thread, and not a loop in the caller's: a call then works where a loop runs already (a notebook), from
many threads at the same time, and Ctrl-C ends it at once. The thread begins with the first call. After a
``fork`` the child has no such thread, so its first call begins one, with connections of its own; those of the
parent stay untouched. What the thread uses is therefore held by the thread alone: in the child it is never
freed, and so never closed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar

from musicgate.client.async_client import AsyncClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
    from pathlib import Path
    from types import TracebackType

    from musicgate.model import Secret

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
#: How long an interrupted call may take to end: it closes its connection and removes its unfinished file.
_END_S: Final = 2.0
#: How often a waiting call wakes. A signal that another thread gets, or that comes just before the wait, does
#: not end the wait, and Python acts on it only when the main thread wakes.
_WAKE_S: Final = 0.25
_NO_MORE: Final[Any] = object()


def _blocking(
    method: Callable[Concatenate[AsyncClient, _Arguments], Coroutine[Any, Any, _Result]],
) -> Callable[Concatenate[Client, _Arguments], _Result]:
    """Make the method that returns when the call has ended."""

    @functools.wraps(method)
    def call(self: Client, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        worker = self._worker()
        return worker.run(method(worker.client, *args, **kwargs))

    return call


def _stepping(
    method: Callable[Concatenate[AsyncClient, _Arguments], AsyncGenerator[_Result, None]],
) -> Callable[Concatenate[Client, _Arguments], Generator[_Result, None, None]]:
    """Make the generator whose steps return when there is a next value."""

    @functools.wraps(method)
    def steps(
        self: Client, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Generator[_Result, None, None]:
        worker = self._worker()
        values = method(worker.client, *args, **kwargs)

        async def step() -> _Result:
            return await anext(values, _NO_MORE)

        try:
            while (value := worker.run(step())) is not _NO_MORE:
                yield value
        finally:
            worker.end(values)

    return steps


class Client:
    """A musicgate server: ``with Client() as client: job = client.generate("Warm jazz trio")``.

    The methods are those of `AsyncClient`, without ``await``. Any number of threads may use one client.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | Secret | None = None,
        ca_file: str | Path | None = None,
        retry_s: float = 60.0,
    ) -> None:
        """Read the settings; nothing is sent yet. The arguments are those of `AsyncClient`.

        Raises:
            ConfigError: a setting is missing, malformed or cannot be read.
        """
        self._make = functools.partial(AsyncClient, url, api_key=api_key, ca_file=ca_file, retry_s=retry_s)
        self._lock = threading.Lock()
        self._current: _Worker | None = None
        self._is_closed = False
        self._first: AsyncClient | None = self._make()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. No call can be made any more."""
        self._is_closed = True
        if self._current is not None:
            self._current.stop()

    submit = _blocking(AsyncClient.submit)
    generate = _blocking(AsyncClient.generate)
    wait = _blocking(AsyncClient.wait)
    watch = _stepping(AsyncClient.watch)
    get = _blocking(AsyncClient.get)
    list_jobs = _stepping(AsyncClient.list_jobs)
    events = _stepping(AsyncClient.events)
    cancel = _blocking(AsyncClient.cancel)
    delete = _blocking(AsyncClient.delete)
    plan = _blocking(AsyncClient.plan)
    models = _blocking(AsyncClient.models)
    providers = _blocking(AsyncClient.providers)
    webhook_log = _blocking(AsyncClient.webhook_log)
    replay_webhook = _blocking(AsyncClient.replay_webhook)
    listen = _stepping(AsyncClient.listen)
    audio = _blocking(AsyncClient.audio)
    download = _blocking(AsyncClient.download)

    def _worker(self) -> _Worker:
        """The thread of this process."""
        if self._is_closed:
            raise RuntimeError("the client is closed")
        if self._current is not None and self._current.pid != os.getpid():
            self._lock = threading.Lock()  # a thread of the parent may have held the other one
            self._current = None
        with self._lock:
            if self._current is None:
                client, self._first = self._first or self._make(), None
                self._current = _Worker(client)
                # At the end of the program as well; by then a daemon thread would not get to it.
                weakref.finalize(self, self._current.stop)
            return self._current


class _Worker:
    """A thread with an event loop, and the client that lives there."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="musicgate-client", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()
            runner.run(self.client.close())

    def run(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a call to its end, or until the calling thread is interrupted.

        Raises:
            RuntimeError: the client was closed meanwhile, or the call belongs to the parent of this process.
        """
        if self.pid != os.getpid():
            call.close()
            raise RuntimeError("this generator belongs to the process that began it")
        ended = threading.Event()
        tasks: list[asyncio.Task[Any] | None] = []

        async def noted() -> _Result:
            tasks.append(asyncio.current_task())
            try:
                return await call
            finally:
                ended.set()

        try:
            future = asyncio.run_coroutine_threadsafe(noted(), self._loop)
            while not concurrent.futures.wait([future], _WAKE_S).done:
                pass
            return future.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("the client was closed") from None
        except BaseException:
            # Ctrl-C. It may come before the future is here, so the task is found where it runs.
            if not ended.is_set():
                self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks if task])
                ended.wait(_END_S)
            raise

    def end(self, values: AsyncGenerator[Any, None]) -> None:
        """End a generator; none is left once the thread has stopped."""
        if self.pid == os.getpid() and self._thread.is_alive():
            self.run(values.aclose())

    def stop(self) -> None:
        """Close the client and end the thread, in the process that it belongs to."""
        if self.pid != os.getpid() or not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:  # as it is if the garbage is collected there
            self._thread.join(_END_S)
