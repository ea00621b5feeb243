"""What the jobs of a store keep, as an operator checks, moves and exports it.

It reads the jobs' documents and references, and must not know a command line or which store has the bytes.

What a document names counts only while its job still refers to it: the audio of an old job may have been
removed (``[retention]``), and its document stays as it was.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from musicgate.assets import (
    AudioKind,
    ExpectedObject,
    Problem,
    content_type,
    verify_objects,
)
from musicgate.gateway.sweep import audio_mark
from musicgate.model import JobQuery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from musicgate.assets import CheckedObject, ObjectStore
    from musicgate.model import Asset, Job
    from musicgate.store import JobStore

#: Jobs, and names, that are read at a time.
_PAGE: Final = 200
#: Younger objects are never orphans: a song is stored before its job says so.
ORPHAN_AGE: Final = timedelta(hours=1)
#: Ids of jobs that are told for one object.
_MAX_USERS: Final = 20
#: Names that a musicgate gave: ``<2>/<SHA-256>...``, and of earlier versions ``<job id>/<index>.<kind>``.
#: What else is in a bucket belongs to others.
_OUR_NAME: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}[.-][\w.-]*|music_\w+/\d+\.\w+")
_EARLIER_NAME: Final = re.compile(r"(?P<job_id>[\w-]+)/\d+\.\w+")
_TYPES: Final = {
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}


async def all_jobs(store: JobStore, account: str | None = None) -> AsyncGenerator[Job, None]:
    """Every job of an account, or of all, the newest first. A damaged one is logged and left out."""
    before: tuple[datetime, str] | None = None
    while page := await store.list_jobs(account, JobQuery(limit=_PAGE, before=before)):
        for job in page:
            yield job
        before = page[-1].created_at, page[-1].id


async def kept_assets(store: JobStore, job: Job) -> list[Asset]:
    """The assets of a job that it still refers to."""
    assets = [asset for track in job.tracks for asset in track.assets]
    if not assets:
        return []
    used = {*await store.asset_references.of_job(job.id)}
    return [
        asset
        for asset in assets
        if asset.name in used or (not used and await _is_kept_since_earlier(store, job, asset.name))
    ]


async def kept_objects(store: JobStore) -> AsyncGenerator[ExpectedObject, None]:
    """What the jobs keep, as it was recorded; then what else they refer to, which can be made again."""
    async for job in all_jobs(store):
        for asset in await kept_assets(store, job):
            yield ExpectedObject(
                name=asset.name,
                sha256=asset.sha256,
                size_bytes=asset.size_bytes,
                content_type=asset.content_type,
            )
    async for name in _noted_names(store):
        yield ExpectedObject(
            name=name, sha256=None, size_bytes=None, content_type=type_of_name(name), is_optional=True
        )


async def check_objects(
    store: JobStore,
    objects: ObjectStore,
    *,
    second: ObjectStore | None = None,
    scratch: Path | None = None,
    now: datetime | None = None,
) -> AsyncGenerator[CheckedObject, None]:
    """Check everything that the jobs keep, and look for objects that none of them refers to.

    Jobs may come and go meanwhile: what is not referred to any more when it is found to be missing is left
    out. Arguments and errors as of `verify_objects`.
    """
    before = (now or datetime.now(UTC)) - ORPHAN_AGE
    checking = verify_objects(
        objects, kept_objects(store), second=second, orphans_before=before, scratch=scratch
    )
    async with contextlib.aclosing(checking) as results:
        async for result in results:
            if result.problem is Problem.ORPHAN:
                if is_our_name(result.name) and not await users_of(store, result.name):
                    yield result
            elif result.problem is None or result.is_repaired or await users_of(store, result.name):
                yield result


async def users_of(store: JobStore, name: str) -> list[str]:
    """Ids of jobs that refer to an object, at most 20."""
    page = await store.asset_references.users((name, ""), _MAX_USERS)
    found = [job_id for used, job_id in page if used == name]
    earlier = _EARLIER_NAME.fullmatch(name)
    if not found and earlier is not None and await store.get(earlier["job_id"]) is not None:
        return [earlier["job_id"]]
    return found


def is_our_name(name: str) -> bool:
    """True for a name that a musicgate may have given to an object."""
    return _OUR_NAME.fullmatch(name) is not None


def type_of_name(name: str) -> str:
    """The media type of an object by its name's ending."""
    ending = name.rpartition(".")[2]
    try:
        return content_type(AudioKind(ending))
    except ValueError:
        return _TYPES.get(ending, "application/octet-stream")


async def _noted_names(store: JobStore) -> AsyncGenerator[str, None]:
    """Every name that a job refers to, and those whose bytes are about to be removed."""
    after = ("", "")
    while page := await store.asset_references.users(after, _PAGE):
        for name in _once(name for name, _ in page):
            yield name
        after = page[-1]
    last = ""
    while names := await store.asset_references.unused(last, _PAGE):
        for name in names:
            yield name
        last = names[-1]


def _once(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))


async def _is_kept_since_earlier(store: JobStore, job: Job, name: str) -> bool:
    """True for audio from before there were references, unless it was removed for its age."""
    if _EARLIER_NAME.fullmatch(name) is None:
        return False
    removed, ended = await audio_mark(store, job.account), job.completed_at
    return removed is None or ended is None or (ended, job.id) > removed
