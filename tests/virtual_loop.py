"""An event loop with virtual time: when nothing is left to do, it jumps to the next timer.

Hours of polls, retries and deadlines pass in milliseconds, always in the same order. Work on real threads (a
store that commits) is waited for in real time: while `outside` is above zero, virtual time does not move.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")
#: Real seconds that a thread may take; no test needs them.
_THREAD_TIMEOUT_S = 20.0


class NothingLeftToDoError(Exception):
    """Every task waits, and no timer and no thread is left to wake one."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.outside = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.outside:
            ready = super().select(_THREAD_TIMEOUT_S)
            if not ready:
                raise NothingLeftToDoError(f"a thread was silent for {_THREAD_TIMEOUT_S} s")
            return ready
        if timeout is None:
            raise NothingLeftToDoError
        self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose `time` starts at zero and jumps from timer to timer.

    Attributes:
        complaints: unretrieved exceptions of tasks and callbacks.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self.complaints: list[str] = []
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._jumping.now_s

    def enter_outside(self) -> None:
        """Stop virtual time: a thread works for a task."""
        self._jumping.outside += 1

    def leave_outside(self) -> None:
        """Let virtual time go on: the thread has answered."""
        self._jumping.outside -= 1

    def run_in_executor(self, executor: Any, func: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:  # type: ignore[override]  # the answer is there at once
        """Run the function at once: a thread would answer at another moment in each run."""
        answer: asyncio.Future[_T] = self.create_future()
        try:
            answer.set_result(func(*args))
        except BaseException as exc:  # noqa: BLE001 - a thread would hand it over as well
            answer.set_exception(exc)
        return answer

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")
