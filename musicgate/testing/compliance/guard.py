"""Catch hooks that use a clock, the environment, randomness, the network or files."""

from __future__ import annotations

import builtins
import datetime as dt
import os
import random
import secrets
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final
from unittest import mock

import attrs

#: Modules that may read a clock while a hook runs: a log record has a time, a test runner measures.
_BYSTANDERS: Final = frozenset(
    {"logging", "hypothesis", "pytest", "_pytest", "pluggy", "coverage", "threading", "importlib", "warnings"}
)
_FORBIDDEN: Final[Mapping[ModuleType, tuple[str, ...]]] = {
    socket: ("socket", "create_connection", "getaddrinfo", "gethostbyname"),
    time: (
        *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
        *("sleep", "localtime", "gmtime", "ctime"),
    ),
    os: ("getenv", "urandom", "getcwd", "system"),
    random: (
        *("random", "randint", "randrange", "choice", "choices", "sample", "shuffle"),
        *("uniform", "getrandbits", "randbytes", "gauss"),
    ),
    secrets: ("token_hex", "token_bytes", "token_urlsafe", "choice", "randbelow", "randbits"),
    uuid: ("uuid1", "uuid4"),
}


#: The real classes, which are replaced while a hook runs.
_Date, _DateTime = dt.date, dt.datetime


class ImpureError(Exception):
    """A hook used something outside its arguments."""


class _Guard:
    """Makes replacements that record what is used; only the thread under test is watched."""

    def __init__(self) -> None:
        self.uses: list[str] = []
        #: A module that is first imported while the guard is active may keep a replacement, which must work
        #: afterwards.
        self.is_active = True
        self._thread = threading.get_ident()

    def replacement(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def forbidden(*arguments: Any, **options: Any) -> Any:
            caller = str(sys._getframe(1).f_globals.get("__name__", ""))  # noqa: SLF001 - the caller decides
            if self.is_bystander(caller):
                return original(*arguments, **options)
            raise self.caught(name)

        return forbidden

    def is_bystander(self, caller: str) -> bool:
        is_watched = self.is_active and threading.get_ident() == self._thread
        return not is_watched or caller.partition(".")[0] in _BYSTANDERS

    def caught(self, name: str) -> ImpureError:
        self.uses.append(name)
        return ImpureError(f"a hook used {name}")

    def environment(self) -> Any:
        guard = self

        class Environment(dict[str, str]):
            def __getitem__(self, key: str) -> str:
                raise guard.caught(f"os.environ[{key!r}]")

            def get(self, key: str, default: object = None) -> Any:
                raise guard.caught(f"os.environ.get({key!r})")

            def __contains__(self, key: object) -> bool:
                raise guard.caught(f"os.environ ({key!r})")

            def __iter__(self) -> Iterator[str]:
                raise guard.caught("os.environ")

        return Environment()

    def timeless(self, real: type) -> type:
        """Make a `date` or `datetime` without a clock; instances of the real class are instances of it."""

        class Kind(type):
            def __instancecheck__(cls, instance: object) -> bool:
                return isinstance(instance, real)

        def forbidden(name: str) -> object:
            def read(*_: object, **__: object) -> None:
                raise self.caught(f"{real.__name__}.{name}")

            return staticmethod(read)

        clocks = [name for name in ("now", "utcnow", "today") if hasattr(real, name)]
        return Kind(real.__name__, (real,), {name: forbidden(name) for name in clocks})


@contextmanager
def pure(package: str | None, *, files: bool = False) -> Iterator[list[str]]:
    """Run hooks that can use nothing but their arguments.

    Args:
        package: the plugin's package, in whose modules names imported from ``time``, ``os`` and so on are
            replaced.
        files: opening files is allowed (an emulator's sounds are files).

    Yields:
        The names of what was used, as it happens; empty at the end for a pure hook.
    """
    guard = _Guard()
    swaps: list[tuple[object, str, object]] = [
        (module, name, guard.replacement(f"{module.__name__}.{name}", getattr(module, name)))
        for module, names in _FORBIDDEN.items()
        for name in names
        if hasattr(module, name)
    ]
    swaps.append((os, "environ", guard.environment()))
    swaps.extend((dt, kind.__name__, guard.timeless(kind)) for kind in (_Date, _DateTime))
    if not files:
        swaps.append((builtins, "open", guard.replacement("open", open)))
    originals = {id(getattr(owner, name)): new for owner, name, new in swaps}
    for module in _modules_of(package):
        for name, value in list(vars(module).items()):
            new = originals.get(id(value))
            if new is not None and not name.startswith("__"):
                swaps.append((module, name, new))
    patches = [mock.patch.object(owner, name, new) for owner, name, new in swaps]
    for patch in patches:
        patch.start()
    try:
        yield guard.uses
    finally:
        guard.is_active = False
        for patch in reversed(patches):
            patch.stop()


def _modules_of(package: str | None) -> list[ModuleType]:
    if not package:
        return []
    return [
        module
        for name, module in sys.modules.copy().items()  # a finalizer may import while a list is made
        if name == package or name.startswith(f"{package}.")
    ]


def snapshot(value: Any) -> object:
    """Copy a value into plain data, to compare it with its later state."""
    if attrs.has(type(value)):
        fields = attrs.fields_dict(type(value))
        return (type(value).__name__, {name: snapshot(getattr(value, name)) for name in fields})
    if isinstance(value, Mapping):
        return {key: snapshot(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return (type(value).__name__, [snapshot(inner) for inner in value])
    return value
