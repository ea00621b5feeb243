"""A fixed part of a core for a process, by the CPU controller of cgroups v1; knows no server."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup/cpu")
#: Short, so that a process is never held for long: a create takes some hundred microseconds.
_PERIOD_US: Final = 5_000
_REMOVE_TIMEOUT_S: Final = 5.0


def can_limit() -> bool:
    """True if this process may limit others."""
    try:
        with _group("probe"):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def limited(pids: list[int], share: float) -> Iterator[None]:
    """Allow each of these processes so much of a core, for now: 0.35 = 35 percent.

    Raises:
        OSError: this machine does not let us.
    """
    with contextlib.ExitStack() as stack:
        for pid in pids:
            folder = stack.enter_context(_group(str(pid)))
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US), "utf-8")
            (folder / "cpu.cfs_quota_us").write_text(str(int(_PERIOD_US * share)), "utf-8")
            (folder / "cgroup.procs").write_text(str(pid), "utf-8")
        yield


@contextlib.contextmanager
def _group(name: str) -> Iterator[Path]:
    parent = _own()
    folder = parent / f"musicgate-bench-{os.getpid()}-{name}"
    folder.mkdir()
    try:
        yield folder
    finally:
        for pid in (folder / "cgroup.procs").read_text("utf-8").split():
            with contextlib.suppress(OSError):  # it has ended
                (parent / "cgroup.procs").write_text(pid, "utf-8")
        ends = time.monotonic() + _REMOVE_TIMEOUT_S
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:  # a process in it is just ending
                if time.monotonic() > ends:
                    raise
                time.sleep(0.01)


def _own() -> Path:
    """The group of this process."""
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return _ROOT / path.lstrip("/")
    raise OSError("no CPU controller of cgroups v1")
