"""Custody: damage to stored objects is found and repaired, and a move loses nothing when it is killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from musicgate.assets import custody
from musicgate.assets.custody import (
    CheckedObject,
    ExpectedObject,
    MovedObject,
    Problem,
    move_objects,
    verify_objects,
)
from musicgate.assets.objects import open_objects
from musicgate.assets.port import ObjectStore
from musicgate.errors import StorageError
from tests.s3_servers import BUCKET, S3Server

CONTENTS = [bytes([number]) * (1_000 + number) for number in range(12)]


def expected(content: bytes) -> ExpectedObject:
    sha256 = hashlib.sha256(content).hexdigest()
    return ExpectedObject(
        name=f"{sha256[:2]}/{sha256}.wav", sha256=sha256, size_bytes=len(content), content_type="audio/wav"
    )


ALL = [expected(content) for content in CONTENTS]
FIRST, SECOND, THIRD = ALL[:3]


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A store with local files, and one without."""
    return open_objects("memory:" if request.param == "memory" else (tmp_path / "a").as_uri(), environ={})


@pytest.fixture
def other(tmp_path: Path) -> ObjectStore:
    return open_objects((tmp_path / "b").as_uri(), environ={})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


async def fill(store: ObjectStore, source: Path, contents: list[bytes] = CONTENTS) -> None:
    for content in contents:
        await put(store, source, expected(content).name, content)


async def put(store: ObjectStore, source: Path, name: str, content: bytes) -> None:
    source.write_bytes(content)  # noqa: ASYNC240 - a small file
    await store.put(name, source, "audio/wav")


async def content(store: ObjectStore, item: ExpectedObject) -> bytes:
    return b"".join([piece async for piece in store.read(item.name, 0, item.size_bytes or 0)])


async def problems(results: AsyncGenerator[CheckedObject, None]) -> dict[str, Problem]:
    return {result.name: result.problem async for result in results if result.problem}


async def test_whole_objects_have_no_problem(store: ObjectStore, source: Path) -> None:
    await fill(store, source)
    results = [result async for result in verify_objects(store, ALL)]
    assert sorted(result.name for result in results) == sorted(item.name for item in ALL)
    assert [result for result in results if result.problem] == []


async def test_missing_and_corrupt_objects_are_found(store: ObjectStore, source: Path) -> None:
    await fill(store, source)
    await store.delete(FIRST.name)
    await put(store, source, SECOND.name, b"\xff" * (SECOND.size_bytes or 0))
    await put(store, source, THIRD.name, CONTENTS[2][:-1])
    assert await problems(verify_objects(store, ALL)) == {
        FIRST.name: Problem.MISSING,
        SECOND.name: Problem.CORRUPT,
        THIRD.name: Problem.CORRUPT,
    }


async def test_old_objects_that_nothing_refers_to_are_orphans(store: ObjectStore, source: Path) -> None:
    await fill(store, source)
    now = datetime.now(UTC)
    later, earlier = now + timedelta(hours=1), now - timedelta(hours=1)
    assert await problems(verify_objects(store, ALL[1:], orphans_before=later)) == {
        FIRST.name: Problem.ORPHAN
    }
    assert await problems(verify_objects(store, ALL[1:], orphans_before=earlier)) == {}
    assert await problems(verify_objects(store, ALL[1:])) == {}


async def test_an_object_of_many_jobs_is_checked_once(store: ObjectStore, source: Path) -> None:
    async def twice() -> AsyncGenerator[ExpectedObject, None]:
        for item in [*ALL, *ALL]:
            yield item

    await fill(store, source)
    assert len([result async for result in verify_objects(store, twice())]) == len(ALL)


async def test_damage_is_repaired_from_the_second_store(
    store: ObjectStore, other: ObjectStore, source: Path
) -> None:
    await fill(other, source)
    await fill(store, source, CONTENTS[1:])
    await put(store, source, SECOND.name, b"damaged")
    results = [result async for result in verify_objects(store, ALL, second=other) if result.problem]
    assert sorted(results, key=lambda result: result.problem or "") == [
        CheckedObject(name=SECOND.name, problem=Problem.CORRUPT, is_repaired=True),
        CheckedObject(name=FIRST.name, problem=Problem.MISSING, is_repaired=True),
    ]
    assert await content(store, FIRST) == CONTENTS[0]
    assert await content(store, SECOND) == CONTENTS[1]
    assert await problems(verify_objects(store, ALL)) == {}


async def test_damage_is_not_repaired_by_other_damage(
    store: ObjectStore, other: ObjectStore, source: Path
) -> None:
    await fill(store, source, CONTENTS[:1])
    await put(other, source, FIRST.name, CONTENTS[0])
    await put(other, source, SECOND.name, b"damaged, too")
    results = [result async for result in verify_objects(store, ALL[:3], second=other) if result.problem]
    assert {result.name: result.is_repaired for result in results} == {SECOND.name: False, THIRD.name: False}
    assert await store.size(SECOND.name) is None


async def test_a_repair_that_the_store_loses_is_no_repair(
    store: ObjectStore, other: ObjectStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lossy(name: str, path: Path, content_type: str) -> None:
        await asyncio.sleep(0)

    await fill(other, source, CONTENTS[:1])
    monkeypatch.setattr(store, "put", lossy)
    results = [result async for result in verify_objects(store, ALL[:1], second=other)]
    assert results == [CheckedObject(name=FIRST.name, problem=Problem.MISSING)]


async def test_a_store_that_fails_is_reported_for_each_object(store: ObjectStore) -> None:
    unspeakable = attrs.evolve(FIRST, name="../x")
    (result,) = [result async for result in verify_objects(store, [unspeakable])]
    assert result.problem is Problem.UNREADABLE
    assert result.detail == "no object can have the name '../x'"


async def test_an_object_without_a_recorded_hash_is_only_measured(store: ObjectStore, source: Path) -> None:
    await fill(store, source, CONTENTS[:1])
    unknown = attrs.evolve(FIRST, sha256=None)
    assert await problems(verify_objects(store, [unknown])) == {}
    assert await problems(verify_objects(store, [attrs.evolve(unknown, size_bytes=1)])) == {
        FIRST.name: Problem.CORRUPT
    }


async def test_at_most_four_objects_are_in_work(
    store: ObjectStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, source)
    working = most = 0
    full = asyncio.Event()
    facts = custody._facts

    async def counted(path: Path) -> tuple[str, int]:
        nonlocal working, most
        working += 1
        most = max(most, working)
        if working == 4:
            full.set()
        await asyncio.wait_for(full.wait(), 30)
        await asyncio.sleep(0.001)
        try:
            return await facts(path)
        finally:
            working -= 1

    monkeypatch.setattr(custody, "_facts", counted)
    assert await problems(verify_objects(store, ALL)) == {}
    assert most == 4


async def test_a_reader_of_results_may_stop_early(store: ObjectStore, source: Path, tmp_path: Path) -> None:
    await fill(store, source)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    results = verify_objects(store, ALL, scratch=scratch)
    await anext(results)
    await results.aclose()
    assert os.listdir(scratch) == []  # noqa: PTH208 - only the names are wanted


async def test_a_move_copies_everything_and_deletes_nothing(
    store: ObjectStore, other: ObjectStore, source: Path
) -> None:
    await fill(store, source)
    results = [result async for result in move_objects(store, other, ALL)]
    assert sorted(results, key=lambda result: result.name) == sorted(
        (MovedObject(name=item.name, problem=None, is_copied=True) for item in ALL),
        key=lambda result: result.name,
    )
    for item, bytes_ in zip(ALL, CONTENTS, strict=True):
        assert await content(other, item) == await content(store, item) == bytes_
    assert [
        result async for result in move_objects(store, other, ALL) if result.is_copied or result.problem
    ] == []


async def test_a_move_can_take_everything_that_a_store_has(
    store: ObjectStore, other: ObjectStore, source: Path
) -> None:
    await fill(store, source)
    everything = custody.everything_in(store, lambda _: "audio/wav")
    assert [result.problem async for result in move_objects(store, other, everything)] == [None] * len(ALL)
    assert await problems(verify_objects(other, ALL)) == {}


async def test_a_move_replaces_damage_in_the_target_and_copies_none(
    store: ObjectStore, other: ObjectStore, source: Path
) -> None:
    await fill(store, source, CONTENTS[:2])
    await put(other, source, FIRST.name, b"\xff" * (FIRST.size_bytes or 0))
    await put(store, source, SECOND.name, b"damaged")
    results = {result.name: result async for result in move_objects(store, other, ALL[:3])}
    assert results[FIRST.name] == MovedObject(name=FIRST.name, problem=None, is_copied=True)
    assert results[SECOND.name] == MovedObject(name=SECOND.name, problem=Problem.CORRUPT)
    assert results[THIRD.name] == MovedObject(name=THIRD.name, problem=Problem.MISSING)
    assert await content(other, FIRST) == CONTENTS[0]
    assert await other.size(SECOND.name) is None


async def test_a_move_stops_when_the_target_has_other_bytes_than_were_stored(
    store: ObjectStore, other: ObjectStore, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lossy(name: str, path: Path, content_type: str) -> None:
        await asyncio.sleep(0)

    await fill(store, source, CONTENTS[:1])
    monkeypatch.setattr(other, "put", lossy)
    with pytest.raises(StorageError, match="other bytes"):
        [result async for result in move_objects(store, other, ALL[:1])]


#: Moves everything, and kills itself in the middle of an upload if it is told to.
MOVE = """
import asyncio, json, os, signal, sys
from musicgate.assets.custody import everything_in, move_objects
from musicgate.assets.objects import open_objects

source, target, options, kill_at, delay_s = sys.argv[1:]
began = 0

async def main():
    stores = [open_objects(source, environ={}), open_objects(target, environ={}, options=json.loads(options))]
    put = stores[1].put

    async def killed(*args):
        global began
        began += 1
        if began == int(kill_at):
            asyncio.get_running_loop().call_later(float(delay_s), os.kill, os.getpid(), signal.SIGKILL)
        await put(*args)
        if began >= int(kill_at) > 0:
            await asyncio.sleep(10)

    stores[1].put = killed
    async for result in move_objects(*stores, everything_in(stores[0], lambda name: "audio/wav")):
        print(result.problem, result.is_copied)

asyncio.run(main())
"""


@pytest.mark.parametrize("place", ["folder", "s3"])
async def test_a_move_that_is_killed_anywhere_loses_nothing(
    place: str, other: ObjectStore, source: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # More than the killed runs can copy together: four are in work at a time.
    contents = [os.urandom(size) for size in (*(10, 100_000, 6_000_000) * 3, *(1_000,) * 9)]
    items = [expected(content) for content in contents]
    await fill(other, source, contents)
    url, options = (tmp_path / "c").as_uri(), {}
    target = open_objects(url, environ={})
    if place == "s3":
        moto: S3Server = request.getfixturevalue("moto")
        url, options, target = f"s3://{BUCKET}/moved", moto.options(), moto.open("moved")
    command = [sys.executable, "-c", MOVE, (tmp_path / "b").as_uri(), url, json.dumps(options)]
    for kill_at, delay_s in ((5, 0.01), (1, 0.0), (1, 0.03)):
        process = await asyncio.create_subprocess_exec(*command, str(kill_at), str(delay_s))
        assert await process.wait() == -signal.SIGKILL
        assert set((await problems(verify_objects(target, items))).values()) == {Problem.MISSING}
    process = await asyncio.create_subprocess_exec(*command, "0", "0", stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    results = output.decode().splitlines()
    assert len(results) == 18
    assert set(results) == {"None True", "None False"}
    assert await problems(verify_objects(target, items)) == {}
    assert await problems(verify_objects(other, items)) == {}
