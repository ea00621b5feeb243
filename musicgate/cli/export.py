"""Writes the kept audio of many jobs to a folder, under names for people, with an index.

An interrupted export is run again: a file that has its size is not fetched again. Files appear under their
names whole or not at all, and the index is replaced as a whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from musicgate.cli import stores
from musicgate.cli.configuration import read_settings
from musicgate.cli.counter import counter
from musicgate.cli.terminal import print_json, say, visible
from musicgate.errors import StorageError
from musicgate.gateway import all_jobs, kept_assets, open_asset_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from musicgate.assets import ObjectStore
    from musicgate.model import Asset, Job, Track

_INDEX: Final = "index.jsonl"
_PREFIX, _SUFFIX = ".musicgate-", ".part"
#: What no file system minds, in a name of a person's making.
_UNSAFE: Final = re.compile(r"[^\w\s()+,.=@~'&!-]")
_LONGEST_TITLE: Final = 60
_LONGEST_ACCOUNT: Final = 60


@attrs.define
class _Export:
    """An export under way: the index as it is so far, and what came of the files."""

    folder: Path
    entries: dict[tuple[str, int], dict[str, Any]]
    written: int = 0
    present: int = 0
    problems: list[dict[str, str]] = attrs.field(factory=list)

    async def file(self, objects: ObjectStore, asset: Asset, name: str, job: Job) -> str | None:
        """Write an asset under a name in the folder, unless it is there; None if it cannot be had."""
        path = self.folder / name
        if _size(path) == asset.size_bytes:
            self.present += 1
            return name
        part = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            await objects.fetch(asset.name, part)
            if asset.sha256 is not None and _sha256(part) != asset.sha256:
                self._problem(job, asset, "its bytes are not those that were recorded")
                return None
            part.replace(path)
        except StorageError as error:
            self._problem(job, asset, str(error))
            return None
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        self.written += 1
        return name

    def _problem(self, job: Job, asset: Asset, reason: str) -> None:
        self.problems.append({"job": job.id, "name": asset.name, "reason": reason})
        say(visible(f"warning: job {job.id}: {reason}"), err=True)

    def save_index(self) -> None:
        """Replace the index."""
        part = self.folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        with part.open("w", encoding="utf-8") as file:
            for entry in self.entries.values():
                file.write(json.dumps(entry) + "\n")
        part.replace(self.folder / _INDEX)


async def export_all(
    config: str | None,
    folder: Path,
    *,
    since: datetime | None,
    account: str | None,
    originals: bool,
    as_json: bool,
) -> bool:
    """Export the kept audio of every store of jobs on this machine.

    Args:
        since: of jobs that ended then or later.
        account: of this one only.
        originals: the files as they were delivered as well, where they were converted or marked.

    Returns:
        True if all of it could be written.

    Raises:
        OSError: the folder cannot be written.
        StorageError: a store of jobs fails.
    """
    settings = read_settings(config)
    export = _Export(folder, _prepared(folder))
    try:
        with counter("exporting", "songs") as done:
            for slot in stores.existing(settings):
                async with AsyncExitStack() as stack:
                    store = await stack.enter_async_context(stores.open_to_read(slot))
                    objects = open_asset_store(slot)
                    stack.push_async_callback(objects.close)
                    jobs = await stack.enter_async_context(aclosing(all_jobs(store, account)))
                    async for job in jobs:
                        if job.completed_at is None or (since is not None and job.completed_at < since):
                            continue
                        kept = {asset.name for asset in await kept_assets(store, job)}
                        for track in job.tracks:
                            done.count()
                            await _export_track(export, objects, job, track, kept, originals=originals)
    finally:
        export.save_index()
    is_well = not export.problems
    if as_json:
        answer = {"object": "asset_export", "ok": is_well, "folder": str(folder), "written": export.written}
        print_json(answer | {"present": export.present, "problems": export.problems})
        return is_well
    say(f"{export.written:,} files written to {folder}, {export.present:,} were there; index: {_INDEX}")
    if not is_well:
        say(f"{len(export.problems):,} files cannot be had; find out with: musicgate assets verify", err=True)
    return is_well


async def _export_track(
    export: _Export, objects: ObjectStore, job: Job, track: Track, kept: set[str], *, originals: bool
) -> None:
    wanted = {"file": track.asset, "rejected_file": track.rejected}
    if originals:
        wanted["original_file"] = track.original
    stem = _stem(job, track)
    endings = {"file": "", "original_file": " (original)", "rejected_file": " (does not play)"}
    files = {}
    for key, asset in wanted.items():
        if asset is not None and asset.name in kept:
            name = f"{stem}{endings[key]}.{asset.kind}"
            if (written := await export.file(objects, asset, name, job)) is not None:
                files[key] = written
    if files:
        earlier = export.entries.get((job.id, track.index), {})
        export.entries[job.id, track.index] = {**_facts(job, track), **_files_of(earlier), **files}


def _facts(job: Job, track: Track) -> dict[str, Any]:
    """What the index says of a song beside its files."""
    asset, request = track.asset, job.request
    facts = {
        "job": job.id,
        "track": track.index,
        "account": job.account,
        "title": track.title or request.title,
        "provider": job.attempt.provider if job.attempt else None,
        "model": job.attempt.model if job.attempt else request.model,
        "native_id": track.native_id or job.native_id,
        "created_at": job.created_at.isoformat(),
        "completed_at": job.completed_at.isoformat() if job.completed_at else None,
        "prompt": request.prompt,
        "style": request.style,
        "tags": track.tags,
        "lyrics": track.lyrics or request.lyrics,
        "metadata": dict(request.metadata) or None,
        "duration": asset.duration_s if asset else None,
        "format": asset.kind if asset else None,
        "size_bytes": asset.size_bytes if asset else None,
        "sha256": asset.sha256 if asset else None,
        "error": track.failure_message,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _files_of(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("file", "original_file", "rejected_file") if name in entry}


def _stem(job: Job, track: Track) -> str:
    """Folder and name of a song's files: the day, its title, and what makes them unique."""
    day = (job.completed_at or job.created_at).date().isoformat()
    title = _plain(track.title or job.request.title or "Song", _LONGEST_TITLE)
    return f"{_plain(job.account, _LONGEST_ACCOUNT)}/{day} {title} {job.id}-{track.index + 1}"


def _plain(text: str, longest: int) -> str:
    """Text as a part of a file name: no separators, no control characters, no dot or blank at its ends."""
    words = " ".join(_UNSAFE.sub(" ", text).split()).strip(". ")
    while len(words.encode()) > 2 * longest or len(words) > longest:
        words = words[:-1]
    return words.strip(". ") or "-"


def _prepared(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Make the folder, remove what a killed export left in it, and read its index."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in (f"{_PREFIX}*{_SUFFIX}", f"*/{_PREFIX}*{_SUFFIX}"):
        for leftover in folder.glob(pattern):
            leftover.unlink(missing_ok=True)
    return dict(_read_index(folder / _INDEX))


def _read_index(path: Path) -> Iterator[tuple[tuple[str, int], dict[str, Any]]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
            yield (entry["job"], entry["track"]), entry
        except (ValueError, KeyError, TypeError):
            raise click.UsageError(f"{path} is not an index of musicgate; choose another folder.") from None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
