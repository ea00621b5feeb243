"""What a gateway holds in memory does not grow with the jobs that have ended."""

import base64
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from musicgate.emulation import tones
from musicgate.gateway.idempotency import IdempotencyKey
from musicgate.model import JobState
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FakeVendor, Rig, rig_of

CONTAINERS = (Mapping, set, frozenset, list, tuple, deque)


def parts(value: object) -> Iterator[object]:
    """What a container or an object of musicgate refers to."""
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, CONTAINERS):
        yield from value
    else:
        names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
        yield from (getattr(value, name) for name in names if hasattr(value, name))


def held(root: object) -> int:
    """Number of entries of all containers that a gateway refers to; the store's are on disk."""
    seen: set[int] = set()
    waiting, count = [root], 0
    while waiting:
        value = waiting.pop()
        module = type(value).__module__
        ours = module.startswith("musicgate") and not module.startswith("musicgate.testing")
        if id(value) in seen or not (ours or isinstance(value, CONTAINERS)):
            continue
        seen.add(id(value))
        if isinstance(value, CONTAINERS):
            count += len(value)
        waiting.extend(parts(value))
    return count


async def make_songs(rig: Rig, first: int, count: int) -> None:
    sound = tones.AudioFormat(container=tones.Container.WAV, sample_rate_hz=16_000, channels=1)
    song = base64.b64encode(tones.song(sound, 0.1)).decode()
    for number in range(first, first + count):
        answer: dict[str, Any] = {
            "id": f"n{number}",
            "status": "done",
            "tracks": [{"id": "t", "audio": song}],
        }
        refusal = {"no": "invalid"}
        rig.transport.script("one", refusal if number % 10 == 0 else answer)
        request = rig.gate.read({"model": "fake/song", "prompt": "jazz", "metadata": {"n": str(number)}})
        key = IdempotencyKey(route="r", key=str(number), fingerprint=str(number))
        job = await rig.gate.submit(request, account=f"account {number}", idempotency=key)
        assert job.state is (JobState.FAILED if number % 10 == 0 else JobState.COMPLETED)
    rig.transport.sent.clear()


async def test_five_hundred_songs_leave_nothing_behind_in_memory(tmp_path: Path) -> None:
    async with rig_of(tmp_path, FakeVendor("one"), store=MemoryJobStore()) as rig:
        await make_songs(rig, 0, 50)
        before = held(rig.gate)
        await make_songs(rig, 50, 500)
        # A few entries belong to the last minute, however many calls there were in it.
        assert held(rig.gate) <= before + 20


def test_held_objects_are_found_wherever_they_are() -> None:
    class Room:
        def __init__(self) -> None:
            self.jobs = {"m1": [1, 2, 3]}

    Room.__module__ = "musicgate.gateway.room"
    assert held(Room()) == 4
