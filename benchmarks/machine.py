"""The machine: its cores, and what a process has used of it; knows no server."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import attrs

#: Packages whose version explains a figure.
_EXPLAINING: Final = ("aiohttp", "orjson", "uvloop", "jsonschema-rs", "cattrs", "attrs", "pluggy")
_IS_LINUX: Final = sys.platform == "linux"


@attrs.frozen(kw_only=True)
class Cores:
    """The core of the server and the core of everything else; None = the system chooses."""

    server: int | None
    load: int | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two cores that this process may use; none where pinning is impossible or useless."""
        if not _IS_LINUX:
            return cls(server=None, load=None)
        usable = sorted(os.sched_getaffinity(0))
        return cls(server=usable[0], load=usable[1]) if len(usable) > 1 else cls(server=None, load=None)


@attrs.frozen(kw_only=True)
class Usage:
    """What a process has used since its start, and its memory now."""

    cpu_s: float
    rss_bytes: int


def pin(core: int | None, pid: int = 0) -> None:
    """Keep a process on a core; 0 = this one."""
    if _IS_LINUX and core is not None:
        os.sched_setaffinity(pid, {core})


def raise_open_file_limit() -> None:
    """Allow this process, and the servers that it starts, as many open files as the system does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS calls its hard limit infinite and refuses more than this.
    most = 10_240 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def usage(pid: int) -> Usage:
    """CPU time and resident memory of a process with all its threads."""
    if not _IS_LINUX:
        return _usage_by_ps(pid)
    # The name of the process, in parentheses, may have blanks in it. The resolution of CPU times is 10 ms.
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    return Usage(cpu_s=ticks / os.sysconf("SC_CLK_TCK"), rss_bytes=pages * os.sysconf("SC_PAGE_SIZE"))


def thread_cpu_s(pid: int) -> dict[int, float]:
    """CPU time of each thread of a process, by the system's thread id; empty where that is not known."""
    if not _IS_LINUX:
        return {}
    return {int(path.name): _cpu_s(path / "stat") for path in Path(f"/proc/{pid}/task").iterdir()}


def _cpu_s(stat: Path) -> float:
    # The name of the process, in parentheses, may have blanks in it. The resolution is 10 ms.
    fields = stat.read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _usage_by_ps(pid: int) -> Usage:
    words = ["ps", "-o", "time=", "-o", "rss=", "-p", str(pid)]
    clock, rss_kb = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()  # noqa: S603 - fixed words
    cpu_s = 0.0
    for part in clock.replace("-", ":").split(":"):
        cpu_s = cpu_s * 60 + float(part)
    return Usage(cpu_s=cpu_s, rss_bytes=int(rss_kb) * 1024)


def facts() -> dict[str, str | int]:
    """The machine and the interpreter, for the file of results."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Versions of the libraries that the figures depend on; those that are missing are left out."""
    found = {}
    for name in _EXPLAINING:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
