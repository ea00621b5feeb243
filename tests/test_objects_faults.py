"""Stores that fail: an upload is retried or refused in one sentence, and is never half there."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from obstore.exceptions import BaseError

from musicgate.assets import folder, refusals
from musicgate.assets.objects import open_objects
from musicgate.assets.patience import Patience
from musicgate.assets.port import ObjectStore
from musicgate.errors import StorageError
from tests.free_port import free_port
from tests.s3_servers import BUCKET, IMPATIENT, KEY, PATIENT, SECRET, Fault, FaultyLink, S3Server

NAME = "ab/abcdef.wav"
#: Two parts of a multipart upload.
LARGE = os.urandom(65_536) * 96
SMALL = LARGE[:70_000]
_prefixes = (f"f{number}" for number in itertools.count())


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large.wav").write_bytes(LARGE)
    return tmp_path / "large.wav"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.wav").write_bytes(SMALL)
    return tmp_path / "small.wav"


async def content(store: ObjectStore, size: int) -> bytes:
    return b"".join([piece async for piece in store.read(NAME, 0, size)])


@pytest.mark.parametrize(
    "fault",
    [
        Fault("?uploads", 503),
        Fault("?uploads", "lose"),
        Fault("partNumber=1", 503, times=2),
        Fault("partNumber=1", "cut"),
        Fault("partNumber=2", "cut"),
        Fault("partNumber=2", "lose"),
        Fault("partNumber=2", "stall"),
        Fault("?uploadId", 409),
        Fault("?uploadId", 503),
        Fault("?uploadId", "lose"),
    ],
    ids=lambda fault: f"{fault.mark.strip('?')}-{fault.kind}",
)
async def test_an_upload_survives_a_fault_in_its_middle(server: S3Server, large: Path, fault: Fault) -> None:
    prefix = next(_prefixes)
    async with FaultyLink(server.port, [fault]) as link:
        fault = link.faults[0]
        await server.open(prefix, port=link.port, patience=PATIENT).put(NAME, large, "audio/wav")
        assert fault.times == 0
    assert await content(server.open(prefix), len(LARGE)) == LARGE
    assert not server.unfinished_uploads(prefix) or fault.mark == "?uploads"  # its id was in the lost answer


@pytest.mark.parametrize("kind", [503, "cut", "lose"])
async def test_a_small_upload_survives_a_fault(server: S3Server, small: Path, kind: str | int) -> None:
    prefix = next(_prefixes)
    async with FaultyLink(server.port, [Fault("PUT", kind)]) as link:
        await server.open(prefix, port=link.port, patience=PATIENT).put(NAME, small, "audio/wav")
    assert await content(server.open(prefix), len(SMALL)) == SMALL


@pytest.mark.parametrize(
    "mark, kind, message",
    [
        ("partNumber=1", "cut", "cut the connection"),
        ("partNumber=2", "cut", "stalled or cut the connection"),  # obstore does not tell, for the last part
        ("partNumber=2", 503, "answered 503 SlowDown"),
        ("partNumber=2", 507, "is full: it answered 507 XMinioStorageFull"),
        ("partNumber=2", 403, "refused it: it answered 403 AccessDenied"),
        ("partNumber=1", "stall", "stalled: it took longer than its time limit"),
        ("POST", 409, "answered 409 OperationAborted"),
    ],
)
async def test_an_upload_that_fails_leaves_nothing(
    server: S3Server, large: Path, mark: str, kind: str | int, message: str
) -> None:
    prefix = next(_prefixes)
    began = time.monotonic()
    async with FaultyLink(server.port, [Fault(mark, kind, times=100)]) as link:
        store = server.open(prefix, port=link.port, patience=IMPATIENT)
        with pytest.raises(StorageError) as failed:
            await store.put(NAME, large, "audio/wav")
    assert str(failed.value) == f"cannot store {NAME}: s3://songs/{prefix} {message}"
    assert SECRET not in repr(failed.value.__cause__)
    assert time.monotonic() - began < 30
    assert await server.open(prefix).size(NAME) is None
    assert not server.unfinished_uploads(prefix)


async def test_a_cancelled_upload_is_aborted(moto: S3Server, large: Path) -> None:
    prefix = next(_prefixes)
    async with FaultyLink(moto.port, [Fault("partNumber=2", "stall", times=100)]) as link:
        storing = asyncio.create_task(
            moto.open(prefix, port=link.port, patience=IMPATIENT).put(NAME, large, "")
        )
        await asyncio.wait_for(link.struck.wait(), 5)
        assert moto.unfinished_uploads(prefix) == 1
        assert await moto.open(prefix).size(NAME) is None
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
    assert moto.unfinished_uploads(prefix) == 0
    assert await moto.open(prefix).size(NAME) is None


async def test_an_answer_that_never_comes_ends_in_time_whatever_the_client_does(
    moto: S3Server, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = Patience(request_s=1000.0)
    monkeypatch.setattr(Patience, "step_s", 0.2)
    async with FaultyLink(moto.port, [Fault("", "stall", times=100)]) as link:
        store = moto.open("x", port=link.port, patience=endless)
        for call in (
            store.put(NAME, small, ""),
            store.size(NAME),
            anext(store.read(NAME, 0, 1)),
            store.check(),
        ):
            with pytest.raises(StorageError, match="stalled"):
                await call


@pytest.mark.parametrize("kind", [503, "lose", "stall"])
async def test_reading_survives_a_fault(
    server: S3Server, large: Path, tmp_path: Path, kind: str | int
) -> None:
    prefix = next(_prefixes)
    await server.open(prefix).put(NAME, large, "audio/wav")
    async with FaultyLink(server.port, [Fault("GET", kind)]) as link:
        store = server.open(prefix, port=link.port, patience=PATIENT)
        assert await content(store, len(LARGE)) == LARGE
        link.faults.append(Fault("GET", kind))
        await store.fetch(NAME, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == LARGE


async def test_a_failed_download_leaves_no_file(server: S3Server, large: Path, tmp_path: Path) -> None:
    prefix = next(_prefixes)
    await server.open(prefix).put(NAME, large, "audio/wav")
    async with FaultyLink(server.port, [Fault("GET", 503, times=100)]) as link:
        store = server.open(prefix, port=link.port, patience=IMPATIENT)
        with pytest.raises(StorageError, match="answered 503"):
            await store.fetch(NAME, tmp_path / "target")
    assert not (tmp_path / "target").exists()


async def test_a_wrong_secret_is_refused_without_showing_it(rclone: S3Server) -> None:
    options = {
        "access_key_id": KEY, "secret_access_key": "wrong-secret", "allow_http": "true",
        "endpoint": f"http://127.0.0.1:{rclone.port}",
    }  # fmt: skip
    store = open_objects("s3://songs", environ={}, options=options)
    with pytest.raises(StorageError, match="s3://songs refused it: it answered 403") as failed:
        await store.check()
    assert "secret" not in str(failed.value)
    assert failed.value.__cause__ is None


async def test_a_missing_bucket_is_named_by_the_check(moto: S3Server) -> None:
    options = {
        "access_key_id": KEY, "secret_access_key": SECRET, "allow_http": "true",
        "endpoint": f"http://127.0.0.1:{moto.port}",
    }  # fmt: skip
    store = open_objects("s3://nowhere/x", environ={}, options=options)
    with pytest.raises(StorageError, match="s3://nowhere/x answered 404 NoSuchBucket"):
        await store.check()


async def test_a_store_that_is_not_there_cannot_be_reached(moto: S3Server) -> None:
    store = moto.open("x", port=free_port(), patience=IMPATIENT)
    with pytest.raises(StorageError, match="s3://songs/x cannot be reached"):
        await store.size(NAME)


# ------------------------------------------------------------------------------------------------- the folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "objects"


async def test_a_file_is_flushed_before_it_is_renamed_and_its_folders_after(
    home: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    replace, flush, fsync = Path.replace, folder._flush, os.fsync

    def recorded_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    def recorded_flush(path: Path) -> None:
        steps.append("staged file" if path.is_file() else path.name)
        flush(path)

    def recorded_fsync(handle: int) -> None:
        steps.append("fsync")
        fsync(handle)

    monkeypatch.setattr(Path, "replace", recorded_replace)
    monkeypatch.setattr(folder, "_flush", recorded_flush)
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    await folder.FolderObjects(home).put(NAME, small, "")
    assert steps == ["staged file", "fsync", "rename", "ab", "fsync", "objects", "fsync"]


async def test_a_full_disk_leaves_nothing(home: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    store = folder.FolderObjects(home)
    with pytest.raises(StorageError, match=f"the folder {home} failed: No space left on device"):
        await store.put(NAME, small, "")
    assert await asyncio.to_thread(os.listdir, home / ".staging") == []
    assert not home.joinpath("ab").exists()


@pytest.mark.parametrize("place", ["folder", "memory"])
async def test_a_download_to_a_full_device_leaves_no_file(
    home: Path, small: Path, tmp_path: Path, place: str
) -> None:
    store = open_objects("memory:" if place == "memory" else home.as_uri(), environ={})
    await store.put(NAME, small, "")
    target = tmp_path / "target"
    target.symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left on device"):
        await store.fetch(NAME, target)
    assert not target.is_symlink()


@pytest.mark.parametrize("age_s, is_left", [(60.0, True), (7200.0, False)])
async def test_leftovers_of_a_killed_process_are_removed_at_a_later_start(
    home: Path, tmp_path: Path, age_s: float, is_left: bool
) -> None:
    script = (
        "import asyncio, os, pathlib, sys, signal\n"
        "from musicgate.assets import folder\n"
        "folder._flush = lambda path: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store = folder.FolderObjects(pathlib.Path(sys.argv[1]))\n"
        f"asyncio.run(store.put({NAME!r}, pathlib.Path(sys.argv[2]), ''))\n"
    )
    source = tmp_path / "source"
    source.write_bytes(SMALL)
    killed = subprocess.run([sys.executable, "-c", script, str(home), str(source)], check=False)  # noqa: S603, ASYNC221
    assert killed.returncode == -signal.SIGKILL
    (leftover,) = (home / ".staging").iterdir()
    os.utime(leftover, (time.time() - age_s,) * 2)
    store = folder.FolderObjects(home)
    assert leftover.exists() is is_left
    assert await store.size(NAME) is None
    assert [found async for found in store.objects()] == []


async def test_a_folder_that_cannot_be_written_to_is_found_by_the_check(small: Path) -> None:
    with pytest.raises(StorageError, match=f"cannot write to the store: the folder {small} failed"):
        await folder.FolderObjects(small).check()


async def test_what_lasts_is_told_from_what_may_pass(
    moto: S3Server, rclone: S3Server, tmp_path: Path
) -> None:
    wrong = {**rclone.options(), "secret_access_key": "wrong-secret"}
    gone = open_objects("s3://nowhere", environ={}, options=moto.options())
    refusing = open_objects(f"s3://{BUCKET}", environ={}, options=wrong)
    away = moto.open("x", port=free_port(), patience=IMPATIENT)
    (tmp_path / "file").touch()
    for store, is_refusal in (
        (gone, True),
        (refusing, True),
        (away, False),
        (folder.FolderObjects(tmp_path / "file"), True),
    ):
        with pytest.raises(StorageError) as failed:
            await store.check()
        assert failed.value.is_refusal is is_refusal


def test_a_store_without_credentials_says_so() -> None:
    """What obstore 0.12 says where it found no key, and asked for the machine's role."""
    unreachable = BaseError(
        "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 9s - HTTP error:"
        " error sending request  Debug source: kind: Connect,"
    )
    assert refusals.reason(unreachable).startswith("has no credentials")
    assert refusals.is_refusal(unreachable)
