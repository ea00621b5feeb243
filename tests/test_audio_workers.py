"""Audio work runs on a few threads; a cancelled caller never leaves a running call behind."""

import asyncio
import threading
from pathlib import Path

import pytest

from musicgate.assets.audio import AudioKind
from musicgate.assets.convert import convert_file
from musicgate.assets.measure import measure
from musicgate.assets.workers import MOST_WORKERS, AudioWorkers, usual_workers
from musicgate.emulation.tones import AudioFormat, song
from musicgate.errors import NotAudioError


async def test_results_and_errors_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(song(AudioFormat(), 1.0))
    (tmp_path / "b").write_bytes(b"no audio")
    workers = AudioWorkers(2)
    await workers.run(convert_file, tmp_path / "a", tmp_path / "c", AudioKind.FLAC, limit_s=30.0)
    results = await asyncio.gather(
        *(workers.run(measure, tmp_path / name) for name in "abc"), return_exceptions=True
    )
    assert [getattr(facts, "kind", None) for facts in results] == [AudioKind.MP3, None, AudioKind.FLAC]
    assert isinstance(results[1], NotAudioError)
    workers.close()


async def test_no_more_calls_run_than_there_are_workers() -> None:
    workers = AudioWorkers(2)
    lock, both, running, most = threading.Lock(), threading.Barrier(2), 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(10)  # passes only if two run at the same time
        with lock:
            running -= 1

    await asyncio.gather(*(workers.run(work) for _ in range(6)))
    assert most == 2
    workers.close()


def test_there_are_as_many_workers_as_cores_up_to_four() -> None:
    assert 1 <= usual_workers() <= MOST_WORKERS == 4
    assert AudioWorkers()._threads._max_workers == usual_workers()


async def test_a_cancelled_call_that_has_begun_is_waited_for_and_one_that_waits_is_dropped() -> None:
    workers = AudioWorkers(1)
    begun, may_end, ran = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        begun.set()
        assert may_end.wait(10)
        ran.append("first")

    first = asyncio.create_task(workers.run(work))
    second = asyncio.create_task(workers.run(ran.append, "second"))
    assert await asyncio.to_thread(begun.wait, 10)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    first.cancel()
    await asyncio.sleep(0.02)
    assert not first.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    await workers.run(ran.append, "third")
    assert ran == ["first", "third"]
    workers.close()


async def test_closed_workers_take_nothing_and_drop_what_waits() -> None:
    workers = AudioWorkers(1)
    may_end = threading.Event()
    first = asyncio.create_task(workers.run(may_end.wait, 10))
    second = asyncio.create_task(workers.run(may_end.wait, 10))
    await asyncio.sleep(0.02)
    workers.close()
    with pytest.raises(asyncio.CancelledError):
        await second
    may_end.set()
    assert await first
    with pytest.raises(RuntimeError):
        await workers.run(may_end.wait)
