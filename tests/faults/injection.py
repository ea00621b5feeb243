"""Raises an error at the n-th call of a port: store, transport, plugin hook, clock or asset store.

Every call that the gateway makes through a port is counted. A run without errors therefore shows which runs
there are: one per call and kind of error. An error comes before the call is carried out, or after it: then
the call took effect and its answer is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, TypeVar

import attrs

from musicgate import (
    Failure,
    FailureClass,
    ProviderError,
    RequestError,
    StorageError,
)

_T = TypeVar("_T")
#: Longer than every time-out and every deadline of a run.
STALL_S = 1_500.0


class Moment(StrEnum):
    """When the error comes."""

    BEFORE = "before"
    AFTER = "after"


class Kind(StrEnum):
    """What is raised, or that the call hangs."""

    STORAGE = "StorageError"
    REQUEST = "RequestError"
    PROVIDER = "ProviderError"
    TYPE = "TypeError"
    MEMORY = "MemoryError"
    CANCELLED = "CancelledError"
    STALL = "stall"


@attrs.frozen(order=True)
class Fault:
    """One error: at which call, of which kind, before the call or after it."""

    at: int
    kind: Kind
    moment: Moment = Moment.BEFORE

    def __str__(self) -> str:
        return f"n={self.at} {self.kind} {self.moment}"


def error_of(kind: Kind, label: str, moment: Moment) -> BaseException:
    """The error to raise at a call."""
    match kind:
        case Kind.STORAGE:
            return StorageError("injected: the disk failed")
        case Kind.REQUEST:
            return RequestError("validation_error", "injected: not like this")
        case Kind.PROVIDER if label == "transport.send" and moment is Moment.AFTER:
            lost = Failure(reason=FailureClass.UNKNOWN_OUTCOME, message="injected: the answer was lost")
            return ProviderError(lost, maybe_accepted=True)
        case Kind.PROVIDER if label == "transport.send":
            return ProviderError(Failure(reason=FailureClass.UNAVAILABLE, message="injected: unreached"))
        case Kind.PROVIDER:
            broken = Failure(reason=FailureClass.UPSTREAM_FAILED, message="injected: broken")
            return ProviderError(broken, maybe_accepted=True)
        case Kind.TYPE:
            return TypeError("injected")
        case Kind.MEMORY:
            return MemoryError("injected")
        case _:
            return asyncio.CancelledError("injected")


#: Calls with an effect that stays when their answer is lost; for all others before and after are the same.
_WITH_EFFECT = frozenset(
    {
        "store.add",
        "store.replace",
        "store.delete",
        "transport.send",
        "transport.download",
        *("references.claim", "references.release", "references.begin_removal", "references.end_removal"),
        *("assets.put", "assets.delete"),
    }
)
#: A `StorageError` promises that nothing was stored, so it never comes after these calls.
_ONLY_BEFORE = {Kind.STORAGE: _WITH_EFFECT - {"transport.send", "transport.download"}}


def faults_at(at: int, label: str) -> list[Fault]:
    """Every error that is possible at a call."""
    kinds = [kind for kind in Kind if kind is not Kind.STALL or not label.endswith("()")]
    found = [Fault(at, kind) for kind in kinds]
    if label in _WITH_EFFECT:
        found += [
            Fault(at, kind, Moment.AFTER)
            for kind in kinds
            if label not in _ONLY_BEFORE.get(kind, frozenset())
        ]
    return found


class Injector:
    """Counts calls and raises at the chosen ones.

    Attributes:
        calls: the label of every call, in order. Labels of synchronous calls end in ``()``.
        raised_at: the labels of the calls at which an error was raised.
    """

    def __init__(self, *faults: Fault) -> None:
        self._faults = {fault.at: fault for fault in faults}
        self.calls: list[str] = []
        self.raised_at: list[str] = []
        self.is_on = True

    def sync(self, label: str) -> None:
        """Count a synchronous call."""
        fault = self._next(f"{label}()")
        if fault is not None:
            raise error_of(fault.kind, label, fault.moment)

    async def around(self, label: str, call: Callable[[], Awaitable[_T]]) -> _T:
        """Count an asynchronous call and make it."""
        fault = self._next(label)
        if fault is None:
            return await call()
        if fault.moment is Moment.BEFORE:
            await self._raise(fault, label)
        result = await call()
        if fault.moment is Moment.AFTER:
            await self._raise(fault, label)
        return result

    async def _raise(self, fault: Fault, label: str) -> None:
        if fault.kind is Kind.STALL:
            await asyncio.sleep(STALL_S)
        else:
            raise error_of(fault.kind, label, fault.moment)

    def _next(self, label: str) -> Fault | None:
        if not self.is_on:
            return None
        fault = self._faults.get(len(self.calls))
        self.calls.append(label)
        if fault is not None:
            self.raised_at.append(label)
        return fault


class Faulty:
    """A port whose calls are counted by an injector, which may make them fail."""

    def __init__(
        self,
        port: Any,
        name: str,
        injector: Injector,
        methods: frozenset[str],
        around: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None,
    ) -> None:
        self._port = port
        self._name = name
        self._injector = injector
        self._methods = methods
        self._around = around

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)
        if method not in self._methods:
            return found
        label = f"{self._name}.{method}"
        if not asyncio.iscoroutinefunction(found):

            def counted(*args: Any, **kwargs: Any) -> Any:
                self._injector.sync(label)
                return found(*args, **kwargs)

            return counted

        async def called(*args: Any, **kwargs: Any) -> Any:
            def call() -> Awaitable[Any]:
                return (
                    found(*args, **kwargs)
                    if self._around is None
                    else self._around(lambda: found(*args, **kwargs))
                )

            return await self._injector.around(label, call)

        return called
