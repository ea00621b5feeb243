"""What measuring and converting a song costs, and how late the event loop is meanwhile.

Each kind of work has a process of its own, so that its peak of memory is its own, too. As a script,
``audio.py FOLDER measure|KIND SONGS`` does one, and prints its figures as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench

_SONG_S: Final = 180.0
#: Songs that settle at once, shorter so that it takes half a minute.
_MANY: Final = 200
_MANY_SONG_S: Final = 5.0
_PROBE_S: Final = 0.002


async def audio(bench: Bench) -> dict[str, object]:
    """Measuring and converting a song of three minutes in stereo, and 200 songs at once."""
    from musicgate.emulation import AudioFormat, Container, song

    whole, short = bench.new_folder("song"), bench.new_folder("songs")
    wav = AudioFormat(container=Container.WAV)
    song_s = 10.0 if bench.is_quick else _SONG_S
    (whole / "song").write_bytes(song(wav, song_s))
    (short / "song").write_bytes(song(wav, 0.5 if bench.is_quick else _MANY_SONG_S))
    found: dict[str, object] = {}
    for work in ("measure", "mp3", "wav", "opus", "m4a", "flac"):
        found[work] = {**await _figures(whole, work, 1), "song_s": song_s}
        bench.say(f"  {work}: {found[work]}")
    found["songs_at_once"] = await _figures(short, "mp3", _MANY)
    bench.say(f"  {_MANY} at once: {found['songs_at_once']}")
    return found


async def _figures(folder: Path, work: str, songs: int) -> dict[str, object]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.audio",
        str(folder),
        work,
        str(songs),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        sys.exit(f"audio work failed: {work}")
    figures: dict[str, object] = json.loads(out)
    return figures


def _work(source: Path, work: str, number: int) -> None:
    """What settling does: measure, and where another kind was asked for, convert and measure again."""
    from musicgate.assets.audio import AudioKind
    from musicgate.assets.convert import convert_file
    from musicgate.assets.measure import measure

    measure(source)
    if work != "measure":
        target = source.with_name(f"{number}.{work}")
        convert_file(source, target, AudioKind(work))
        measure(target)
        target.unlink()


async def _run(folder: Path, work: str, songs: int) -> dict[str, object]:
    from musicgate.assets.decoding import load_ffmpeg
    from musicgate.assets.workers import AudioWorkers

    load_ffmpeg()
    workers, late, core = AudioWorkers(), list[float](), _Core()

    async def probe() -> None:
        while True:
            began, waited = time.perf_counter(), core.waited_s()
            await asyncio.sleep(_PROBE_S)
            late.append(time.perf_counter() - began - _PROBE_S - (core.waited_s() - waited))

    probing = asyncio.create_task(probe())
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(workers.run(_work, folder / "song", work, number) for number in range(songs)))
    cpu_s, took_s = time.process_time() - cpu, time.perf_counter() - began
    probing.cancel()
    workers.close()
    late.sort()
    return {
        "cpu_s": round(cpu_s, 2),
        "took_s": round(took_s, 2),
        "peak_mb": round(_peak_bytes() / 2**20, 1),
        "late_p99_ms": round(1000 * late[int(0.99 * len(late))], 2),
        "late_max_ms": round(1000 * late[-1], 2),
    }


class _Core:
    """How long this thread has waited for a core, which others may use meanwhile; 0 if it is not told."""

    def __init__(self) -> None:
        path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._file = path.open("rb", buffering=0) if path.exists() else None

    def waited_s(self) -> float:
        if self._file is None:
            return 0.0
        self._file.seek(0)
        return int(self._file.read().split()[1]) / 1e9


def _peak_bytes() -> int:
    """The most memory that this process had. Linux hands the peak of its parent on, but not in this file."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))))
