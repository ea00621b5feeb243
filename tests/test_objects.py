"""Objects by name: one contract for the folder, memory, and two S3 servers that are not ours."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import obstore
import pytest

from musicgate.assets.cloud import CloudObjects
from musicgate.assets.objects import open_objects
from musicgate.assets.port import ObjectStore, StoredObject
from musicgate.errors import StorageError
from tests.s3_servers import Fault, FaultyLink, S3Server

SMALL = os.urandom(70_000)
#: More than one part of a multipart upload, and no multiple of anything.
LARGE = SMALL * 80 + b"end"
NAME = "ab/abcdef.mp3"
_prefixes = (f"t{number}" for number in itertools.count())


@pytest.fixture(params=["folder", "memory", "moto", "rclone"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_objects((tmp_path / "objects").as_uri(), environ={})
    if request.param == "memory":
        return open_objects("memory:", environ={})
    server: S3Server = request.getfixturevalue(request.param)
    return server.open(next(_prefixes))


class Put(Protocol):
    """Stores bytes."""

    async def __call__(self, content: bytes, name: str = NAME) -> None: ...


@pytest.fixture
def put(store: ObjectStore, tmp_path: Path) -> Put:
    async def put(content: bytes, name: str = NAME) -> None:
        source = tmp_path / "source"
        source.write_bytes(content)
        await store.put(name, source, "audio/mpeg")

    return put


async def read(store: ObjectStore, start: int, stop: int, name: str = NAME) -> list[bytes]:
    return [piece async for piece in store.read(name, start, stop)]


async def listed(store: ObjectStore, prefix: str = "") -> list[StoredObject]:
    return sorted([found async for found in store.objects(prefix)], key=lambda found: found.name)


@pytest.mark.parametrize("content", [b"", b"x", SMALL, LARGE], ids=["empty", "byte", "small", "large"])
async def test_an_object_is_read_as_it_was_stored(
    store: ObjectStore, put: Put, tmp_path: Path, content: bytes
) -> None:
    await put(content)
    assert await store.size(NAME) == len(content)
    pieces = await read(store, 0, len(content))
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) <= 65_536
    await store.fetch(NAME, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content


@pytest.mark.parametrize(
    "start, stop", [(0, 1), (0, 65_536), (1, 65_538), (65_535, 65_537), (69_999, 70_000), (70_000, 70_000)]
)
async def test_any_range_can_be_read(store: ObjectStore, put: Put, start: int, stop: int) -> None:
    await put(SMALL)
    assert b"".join(await read(store, start, stop)) == SMALL[start:stop]


@pytest.mark.parametrize("start, stop", [(0, 70_001), (69_000, 140_000), (70_001, 70_002)])
async def test_reading_behind_the_end_is_an_error(
    store: ObjectStore, put: Put, start: int, stop: int
) -> None:
    await put(SMALL)
    with pytest.raises(StorageError, match=f"cannot read {NAME}: .* is shorter than it was"):
        await read(store, start, stop)


async def test_a_reader_may_stop_early(store: ObjectStore, put: Put) -> None:
    await put(LARGE)
    async with contextlib.aclosing(store.read(NAME, 0, len(LARGE))) as pieces:
        async for piece in pieces:
            assert LARGE.startswith(piece)
            break
    assert b"".join(await read(store, 5, 10)) == LARGE[5:10]


async def test_storing_again_replaces_the_object(store: ObjectStore, put: Put) -> None:
    await put(SMALL)
    await put(b"shorter")
    assert await read(store, 0, 7) == [b"shorter"]
    assert await store.size(NAME) == 7


async def test_the_same_object_may_be_stored_at_the_same_time(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    await asyncio.gather(*(store.put(NAME, source, "audio/wav") for _ in range(3)))
    assert b"".join(await read(store, 0, len(LARGE))) == LARGE


async def test_an_absent_object_has_no_size_and_cannot_be_read(store: ObjectStore, tmp_path: Path) -> None:
    absent = f"cannot read {NAME}: .* has no such object"
    assert await store.size(NAME) is None
    assert await listed(store) == []
    with pytest.raises(StorageError, match=absent):
        await read(store, 0, 10)
    (tmp_path / "target").write_bytes(b"older")
    with pytest.raises(StorageError, match=absent):
        await store.fetch(NAME, tmp_path / "target")
    assert store.local_path(NAME) is None


async def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: ObjectStore, put: Put) -> None:
    await put(SMALL)
    await store.delete(NAME)
    assert await store.size(NAME) is None
    assert await listed(store) == []
    await store.delete(NAME)


async def test_objects_are_listed_with_size_and_time(store: ObjectStore, put: Put) -> None:
    await put(SMALL, "ab/one.mp3")
    await put(b"two", "ab/two.mp3")
    await put(b"", "abc/three.mp3")
    facts = await listed(store)
    assert [(found.name, found.size_bytes) for found in facts] == [
        ("ab/one.mp3", 70_000),
        ("ab/two.mp3", 3),
        ("abc/three.mp3", 0),
    ]
    assert all(abs(found.modified_at - datetime.now(UTC)) < timedelta(minutes=1) for found in facts)
    assert [found.name for found in await listed(store, "ab")] == ["ab/one.mp3", "ab/two.mp3"]
    assert await listed(store, "a") == []


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "ab/../x", "ab/..", ".staging/x", "ab//x", "ab/", "a b", "ä", "x" * 513],
)
async def test_a_name_that_could_lead_elsewhere_is_refused(
    store: ObjectStore, tmp_path: Path, name: str
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    calls = [
        store.put(name, source, "audio/mpeg"),
        store.size(name),
        store.fetch(name, source),
        store.delete(name),
        store.link(name, lifetime_s=60, content_type="audio/mpeg", disposition="inline"),
        anext(store.read(name, 0, 1)),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="no object can have the name"):
            await call
    with pytest.raises(StorageError, match="no object can have the name"):
        store.local_path(name)
    assert source.read_bytes() == b"x"


async def test_a_missing_source_is_an_error_and_stores_nothing(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        await store.put(NAME, tmp_path / "missing", "audio/mpeg")
    assert await store.size(NAME) is None


async def test_checking_a_store_leaves_nothing_in_it(store: ObjectStore) -> None:
    await store.check()
    assert await listed(store) == []


async def test_a_cancelled_upload_is_whole_or_absent(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    for steps in (1, 4, 7):
        storing = asyncio.create_task(store.put(NAME, source, "audio/mpeg"))
        for _ in range(steps):
            await asyncio.sleep(0.002)
        storing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await storing
        assert await store.size(NAME) in {None, len(LARGE)}


@pytest.mark.parametrize("place", ["folder", "memory"])
async def test_a_store_without_links_says_so(tmp_path: Path, place: str) -> None:
    store = open_objects("memory:" if place == "memory" else tmp_path.as_uri(), environ={})
    link = await store.link(NAME, lifetime_s=60, content_type="audio/mpeg", disposition="inline")
    assert link is None


async def test_names_that_are_not_ours_are_not_listed(tmp_path: Path, put: Put, store: ObjectStore) -> None:
    strange = ["a b.mp3", ".hidden", ".staging/x.part"]
    if isinstance(store, CloudObjects):
        for name in strange:
            await obstore.put_async(store._store, name, b"x")
    else:
        await asyncio.gather(*(asyncio.to_thread(write, tmp_path / "objects" / name) for name in strange))
    await put(SMALL)
    assert [found.name for found in await listed(store)] == [NAME]


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
async def test_an_object_has_the_content_type_that_it_was_stored_with(
    moto: S3Server, tmp_path: Path, content: bytes
) -> None:
    store = moto.open(next(_prefixes))
    assert isinstance(store, CloudObjects)
    (tmp_path / "source").write_bytes(content)
    await store.put(NAME, tmp_path / "source", "audio/flac")
    result = await obstore.get_async(store._store, NAME)
    assert result.attributes["Content-Type"] == "audio/flac"


async def test_few_ranges_are_fetched_at_a_time_however_many_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching, lengths = 0, set()
    most = 0

    async def counted(self: CloudObjects, name: str, start: int, stop: int) -> bytes:
        nonlocal fetching, most
        fetching += 1
        most = max(most, fetching)
        lengths.add(stop - start)
        await asyncio.sleep(0.001)
        fetching -= 1
        return bytes(stop - start)

    monkeypatch.setattr(CloudObjects, "_range", counted)
    store = open_objects("memory:", environ={})
    heard = await asyncio.gather(*(read(store, 0, 500_000) for _ in range(20)))
    assert {sum(map(len, pieces)) for pieces in heard} == {500_000}
    assert most == 4
    assert len(await read(store, 0, 98_304)) == 2
    assert max(lengths) == 98_304  # for few listeners


async def test_deleting_needs_no_bulk_call(moto: S3Server, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    async with FaultyLink(moto.port, [Fault("POST", 403, times=9)]) as relay:
        store = moto.open(next(_prefixes), port=relay.port)
        await store.put(NAME, tmp_path / "source", "audio/mpeg")
        await store.delete(NAME)
        assert await store.size(NAME) is None


async def test_a_store_that_answers_fewer_bytes_ends_the_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: object, **__: object) -> bytes:
        return b""

    monkeypatch.setattr(obstore, "get_range_async", none)
    store = open_objects("memory:", environ={})
    with pytest.raises(StorageError, match="shorter than it was"):
        await read(store, 0, 10)
