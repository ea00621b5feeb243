"""Where the CPU time of one kind of work goes: by room of musicgate, by library, by function.

With py-spy (``pip install py-spy``), which samples the running server from outside. It stops the server for
each sample, so fewer requests are answered, but the CPU time of one stays as it is. C code counts as work of
the Python function that called it, so SQLite is in ``musicgate.store``, and what uvloop does by itself is in
``asyncio, uvloop``; ``--native`` shows C libraries apart, and stops the server for longer.

Without py-spy it is cProfile in the server: that doubles the times, sees one thread only, and overrates small
functions.
"""

from __future__ import annotations

import asyncio
import os
import pstats
import re
import shutil
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from benchmarks.bench import Bench
from benchmarks.machine import thread_cpu_s
from benchmarks.workloads import WORKLOADS, Start, Work

_HERE: Final = Path(__file__).resolve().parent
_SAMPLES_PER_S: Final = 200
_WARM_UP_S: Final = 2.0
#: Smaller shares are left out.
_SHOWN: Final = 0.001
_ASYNCIO: Final = "asyncio, uvloop"
#: Libraries outside site-packages that are a part, by a piece of their file name; others are their caller's.
_NATIVE: Final = {"sqlite3": "sqlite3", "libcrypto": "hashlib, ssl", "_asyncio": _ASYNCIO}
#: Packages of the standard library with a line of their own.
_STDLIB: Final = {
    "asyncio": _ASYNCIO,
    "selectors.py": _ASYNCIO,
    "contextlib.py": "stdlib contextlib",
    "json": "stdlib json",
    "logging": "stdlib logging",
}
_THREAD: Final = re.compile(r"thread \((\d+)\)")
_FRAME: Final = re.compile(r"(?P<function>.+) \((?P<file>[^()]*?)(?::\d+)?\)")


@attrs.frozen(kw_only=True)
class Frame:
    """A function on a stack: its name, and the path of its source file or shared library."""

    function: str
    file: str

    @classmethod
    def read(cls, text: str) -> Frame:
        """Read ``function (file:line)``; a text of another form is a function without a file."""
        found = _FRAME.fullmatch(text)
        return cls(function=found["function"], file=found["file"]) if found else cls(function=text, file="")


#: CPU time by name.
Weights = defaultdict[str, float]


@attrs.define
class Profile:
    """CPU seconds by what the CPU was doing.

    Attributes:
        threads: by thread.
        parts: by room of musicgate or library, without what it calls.
        functions: the same by function.
        with_callees: by function of musicgate, with everything that it calls.
    """

    threads: Weights = attrs.field(factory=lambda: defaultdict(float))
    parts: Weights = attrs.field(factory=lambda: defaultdict(float))
    functions: Weights = attrs.field(factory=lambda: defaultdict(float))
    with_callees: Weights = attrs.field(factory=lambda: defaultdict(float))

    def add(self, stack: Sequence[Frame], weight: float) -> None:
        """Add a stack, its outermost frame first."""
        for frame in reversed(stack):
            part = part_of(frame)
            if part:
                break
        else:
            part, frame = "interpreter", stack[-1]
        self.parts[part] += weight
        self.functions[_label(frame)] += weight
        for label in {_label(each) for each in stack if is_ours(each)}:
            self.with_callees[label] += weight


def part_of(frame: Frame) -> str:
    """The room or library of a function; empty for C code that works for its caller."""
    words = Path(frame.file).parts
    if "site-packages" in words:
        name = words[words.index("site-packages") + 1].partition(".")[0].removeprefix("_")
        return _ASYNCIO if name == "uvloop" else name
    if not frame.file.endswith(".py"):
        return next((part for piece, part in _NATIVE.items() if piece in Path(frame.file).name), "")
    for word in words:
        if word.startswith("musicgate_") and word != "musicgate_schemas":
            return f"plugin {word.removeprefix('musicgate_')}"
    if "musicgate" in words[:-1]:
        at = len(words) - 1 - words[::-1].index("musicgate")
        return f"musicgate.{words[at + 1].removesuffix('.py')}"
    for name, part in _STDLIB.items():
        if name in words:
            return part
    return "stdlib"


def _thread_id(thread: str) -> int:
    """The system's id of ``thread (123): name``; 0 where there is none."""
    found = _THREAD.match(thread)
    return int(found[1]) if found else 0


def _waits(frame: Frame) -> bool:
    """True for a thread that waits for work."""
    return (frame.function, Path(frame.file).name) in {("_worker", "thread.py"), ("wait", "threading.py")}


def is_ours(frame: Frame) -> bool:
    """True for the code of musicgate and its plugins, but not for what is on every stack."""
    part = part_of(frame)
    return part.startswith(("musicgate.", "plugin ")) and part not in {"musicgate.cli", "musicgate.__main__"}


def _label(frame: Frame) -> str:
    parts = Path(frame.file).parts
    for root in ("site-packages", "musicgate"):
        if root in parts[:-1]:
            at = len(parts) - 1 - parts[::-1].index(root)
            return f"{frame.function}  {'/'.join(parts[at + (root != 'musicgate') :])}"
    return f"{frame.function}  {'/'.join(parts[-2:])}"


def read_stacks(lines: Iterable[str], cpu_s: Mapping[int, float]) -> Profile:
    """Read what ``py-spy record --threads --format raw`` writes: frames between semicolons, and a count.

    A thread that waits for the disk or for a lock looks busy to py-spy. So its samples say what a thread did,
    and the system's own account how long.

    Args:
        cpu_s: CPU time by thread id; empty = every sample counts the same.
    """
    samples: Counter[str] = Counter()
    stacks: list[tuple[str, list[Frame], int]] = []
    for line in lines:
        text, _, number = line.rstrip().rpartition(" ")
        thread, *frames = text.split(";")
        stack = [Frame.read(frame) for frame in frames]
        if stack and not _waits(stack[-1]):
            samples[thread] += int(number)
            stacks.append((thread, stack, int(number)))
    profile = Profile()
    for thread, stack, count in stacks:
        name = thread.partition(": ")[2] or thread
        each_s = cpu_s.get(_thread_id(thread), 0.0) / samples[thread] if cpu_s else 1.0
        profile.threads[name] += each_s * count
        profile.add(stack, each_s * count)
    return profile


def read_pstats(file: Path) -> Profile:
    """Read what cProfile has written. C functions count as work of their callers, where that is known."""
    profile = Profile()
    stats: Mapping[_PstatsKey, _PstatsRow] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    for key, (_, _, own_s, all_s, callers) in stats.items():
        frame = _pstats_frame(key)
        if frame.file.endswith(".py") or part_of(frame):
            profile.add([frame], own_s)
            if is_ours(frame):
                profile.with_callees[_label(frame)] += all_s - own_s
        else:
            for caller, (_, _, from_it_s, _) in callers.items():
                profile.add([_pstats_frame(caller)], from_it_s)
    return profile


_PstatsKey = tuple[str, int, str]
_PstatsRow = tuple[int, int, float, float, Mapping[_PstatsKey, tuple[int, int, float, float]]]


def _pstats_frame(key: _PstatsKey) -> Frame:
    file, _, name = key
    # Built-in functions have "~" as their file, and a name like <method 'execute' of 'sqlite3.Cursor'>.
    return Frame(function=name, file=name if file == "~" else file)


async def profile(
    bench: Bench,
    name: str,
    *,
    seconds: float,
    connections: int,
    top: int,
    raw: Path | None,
    native: bool,
) -> None:
    """Profile one workload and print the result."""
    py_spy = _find_py_spy()
    file = bench.new_folder("profile") / "profile"
    launcher: Sequence[str] = () if py_spy else ("-P", str(_HERE / "profiled_server.py"), str(file))
    bench.say(f"{name}: starting musicgate, making what is needed")
    async with WORKLOADS[name](bench, Start(connections=connections, launcher=launcher)) as work:
        await work.run(_WARM_UP_S)
        bench.say(f"{name}: profiling for {seconds:g} s with {'py-spy' if py_spy else 'cProfile'}")
        before, began, done = work.gateway.usage(), asyncio.get_running_loop().time(), work.done()
        if py_spy:
            found = await _with_py_spy(py_spy, work, seconds, file, native=native)
        else:
            found = await _with_cprofile(work, seconds, file)
        took = asyncio.get_running_loop().time() - began
        cpu_s, done = work.gateway.usage().cpu_s - before.cpu_s, work.done() - done
    if raw is not None:
        shutil.copy(file, raw)
    _print(found, name=name, unit=work.unit, done=done, cpu_s=cpu_s, took=took, top=top)


def _find_py_spy() -> str | None:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


async def _with_py_spy(py_spy: str, work: Work, seconds: float, file: Path, *, native: bool) -> Profile:
    words = ["record", "--pid", str(work.gateway.pid), "--format", "raw", "--output", str(file)]
    words += ["--rate", str(_SAMPLES_PER_S // (4 if native else 1)), "--duration", f"{seconds:.0f}"]
    words += ["--full-filenames", "--function", "--threads", *(["--native"] if native else [])]
    before = thread_cpu_s(work.gateway.pid)
    process = await asyncio.create_subprocess_exec(
        py_spy, *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        await work.run(seconds)
        after = thread_cpu_s(work.gateway.pid)
        _, errors = await asyncio.wait_for(process.communicate(), seconds + 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not file.exists():
        sys.exit(f"py-spy failed (it may need root, or ptrace to be allowed):\n{errors.decode()}")
    cpu_s = {number: total - before.get(number, 0.0) for number, total in after.items()}
    return read_stacks(file.read_text("utf-8", "replace").splitlines(), cpu_s)


async def _with_cprofile(work: Work, seconds: float, file: Path) -> Profile:
    os.kill(work.gateway.pid, signal.SIGUSR1)
    await work.run(seconds)
    os.kill(work.gateway.pid, signal.SIGUSR2)
    async with asyncio.timeout(30):
        while not file.exists():
            await asyncio.sleep(0.1)
    return read_pstats(file)


def _largest(weights: Weights) -> list[tuple[str, float]]:
    return sorted(weights.items(), key=lambda item: -item[1])


def _print(found: Profile, *, name: str, unit: str, done: int, cpu_s: float, took: float, top: int) -> None:
    total = sum(found.parts.values()) or 1
    each_us = 1e6 * cpu_s / max(1, done)
    print(f"\n{name}: {done} times '{unit}' in {took:.1f} s", end=", ")
    print(f"{cpu_s:.1f} s of CPU ({cpu_s / took:.0%}), {each_us:.0f} us each\n")
    for thread, weight in _largest(found.threads):
        if weight / total >= _SHOWN:
            print(f"{each_us * weight / total:>8.1f} {weight / total:>6.1%}  thread {thread}")
    print()
    print(f"{'us each':>8} {'share':>6}  part, without what it calls")
    for part, weight in _largest(found.parts):
        if weight / total >= _SHOWN:
            print(f"{each_us * weight / total:>8.1f} {weight / total:>6.1%}  {part}")
    for title, weights in (
        ("function, without what it calls", found.functions),
        ("function of musicgate, with all that it calls", found.with_callees),
    ):
        print(f"\n{'us each':>8} {'share':>6}  {title}")
        for label, weight in _largest(weights)[:top]:
            print(f"{each_us * weight / total:>8.1f} {weight / total:>6.1%}  {label}")
