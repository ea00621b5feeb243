"""Keep audio under a name of its content: measured, converted, and removed with its last user.

A file is first referenced, then stored, then named by its job: a process that is killed in between leaves a
reference that ends with the job, never bytes that no job knows. See `musicgate.store.AssetReferences` for how
bytes that no job uses are removed.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

import attrs

from musicgate.aio import run_to_end
from musicgate.assets import (
    KIND_OF_FORMAT,
    KINDS_OF_FORMAT,
    AudioKind,
    Peaks,
    content_type,
    extension,
)
from musicgate.errors import StorageError
from musicgate.gateway import audio_files
from musicgate.metrics import Figures
from musicgate.model import Asset

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from musicgate.assets import AudioWorkers, ObjectStore, Staging
    from musicgate.assets.marks import Tags
    from musicgate.model import AuditEntry, Track
    from musicgate.store import JobStore

_log = logging.getLogger(__name__)

#: What is asked for as this is the file that the vendor delivered.
ORIGINAL: Final = "original"
#: Other names for an object whose own name is being removed: so many removals at once do not happen.
_MAX_NAMES: Final = 20
_PEAKS: Final = "peaks.json"
_TODAYS_NAME: Final = re.compile("[0-9a-f]{2}/")
#: Unused objects that are removed at a time.
_UNUSED_PAGE: Final = 200
#: After so many failures the store is the reason.
_MAX_FAILURES: Final = 50


@attrs.frozen(kw_only=True)
class Rendition:
    """A kept file in the format that was asked for, as it can be read."""

    name: str
    kind: str
    content_type: str
    size_bytes: int
    #: SHA-256 of the bytes where it is known: of everything but conversions on demand and old assets.
    sha256: str | None


class AudioKeeper:
    """Keeps the audio of one gateway's jobs.

    Attributes:
        marks: how finished files are marked.
    """

    def __init__(
        self,
        *,
        objects: ObjectStore,
        store: JobStore,
        staging: Staging,
        workers: AudioWorkers,
        marks: audio_files.Marks | None = None,
        figures: Figures | None = None,
    ) -> None:
        self._figures = figures or Figures()
        self.marks = marks or audio_files.Marks()
        self._objects = objects
        self._store = store
        self._references = store.asset_references
        self._staging = staging
        self._workers = workers
        self._removing = asyncio.Lock()
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def objects(self) -> ObjectStore:
        """The store that has the bytes."""
        return self._objects

    def staged(self, job_id: str, index: int) -> AbstractContextManager[Path]:
        """An empty file to write a track's audio to; it is removed at the end.

        Raises:
            StorageError: it cannot be created.
        """
        return self._staging.file(job_id, index)

    async def rescue(self, content: bytes, job_id: str, index: int) -> Path:
        """Write audio in memory that the store does not take to a local file, which stays.

        Raises:
            StorageError: the local disk takes it neither.
        """
        return await self._workers.run(self._staging.rescue, job_id, index, content)

    async def keep_bytes(self, content: bytes, job_id: str, index: int) -> Asset:
        """Measure and keep audio that is in memory; errors as of `keep`."""
        with self.staged(job_id, index) as path:
            await self._workers.run(audio_files.write, path, content)
            return await self.keep(path, job_id)

    async def keep(self, path: Path, job_id: str) -> Asset:
        """Measure a file and keep it for a job. Its header is made to agree with its body.

        Raises:
            NotAudioError: it is not audio that plays; nothing is kept.
            JobNotFoundError: the job was deleted; nothing is kept.
            StorageError: the store is full, read-only or broken.
        """
        return await self._store_as(await self._workers.run(audio_files.measure, path), path, job_id)

    async def keep_rejected(self, path: Path, job_id: str) -> Asset | None:
        """Keep what was delivered and is no audio that plays, for ``musicgate assets export``.

        Returns:
            None for an empty file, and for a short text: the error page of a link.

        Raises:
            JobNotFoundError: the job was deleted; nothing is kept.
            StorageError: the store is full, read-only or broken.
        """
        rejected = await self._workers.run(audio_files.read_rejected, path)
        return None if rejected is None else await self._store_as(rejected, path, job_id)

    async def keep_rejected_bytes(self, content: bytes, job_id: str, index: int) -> Asset | None:
        """Keep bytes that are in memory; see `keep_rejected`."""
        with self.staged(job_id, index) as path:
            await self._workers.run(audio_files.write, path, content)
            return await self.keep_rejected(path, job_id)

    async def finish(
        self, asset: Asset, wanted: str | None, tags: Tags | None, job_id: str, index: int
    ) -> Asset:
        """Convert and mark kept audio, and keep the result for the job as well.

        Args:
            wanted: a ``format`` to convert it to; None = it stays in its format.
            tags: what its marks say; None = it is not marked.

        Raises:
            NotAudioError: it cannot be converted.
            MarksError: it cannot be marked.
            StorageError: the store is full, read-only or broken, or the audio is gone.
        """
        with self.staged(job_id, index) as path:
            if wanted is None:
                await self._objects.fetch(asset.name, path)  # marked in place, so it needs a copy of its own
                source, made, kind = path, path, AudioKind(asset.kind)
            else:
                source, made = await self._local(asset.name, path), path.with_name("made")
                kind = KIND_OF_FORMAT[wanted]
                with self._timed(f"as{extension(kind)}"):
                    await self._workers.run(audio_files.convert, source, made, kind)
            if tags is not None:
                with self._timed("marks"):
                    await self._workers.run(audio_files.mark, made, kind, tags, self.marks, source)
            return await self.keep(made, job_id)

    async def rendition(self, track: Track, wanted: str | None, job_id: str) -> Rendition | None:
        """The kept audio of a track in a format, converted now if it was not asked for before.

        Args:
            track: one that has an asset.
            wanted: a ``format``, or ``original``; None = as it was asked for when it was made.

        Returns:
            None when the audio is not kept any more.

        Raises:
            NotAudioError: it cannot be converted.
            StorageError: the store is full, read-only or broken.
        """
        if wanted == ORIGINAL:
            return await self._found(track.original or track.asset) if track.asset else None
        for asset in (track.asset, track.original):
            if asset is not None and (wanted is None or is_wanted(asset.kind, wanted)):
                return await self._found(asset)
        # Never a conversion of a conversion.
        source = track.original or track.asset
        if source is None or wanted is None:
            return None
        kind = KIND_OF_FORMAT[wanted]
        made = await self._derived(
            source,
            f"as{extension(kind)}",
            content_type(kind),
            partial(audio_files.convert, kind=kind),
            job_id,
            track.index,
        )
        if made is None:
            return None
        name, size_bytes = made
        return Rendition(
            name=name,
            kind=kind.value,
            content_type=content_type(kind),
            size_bytes=size_bytes,
            sha256=None,
        )

    async def peaks(self, track: Track, job_id: str) -> Peaks | None:
        """The peaks of a track's kept audio, as fine as they get, found now unless they are kept already.

        They are kept and pictures are not: a picture is drawn from them in milliseconds, and kept in every
        size that a link's holder can think of, pictures would fill the store.

        Args:
            track: one that has an asset.

        Returns:
            None when the audio is not kept any more.

        Raises:
            NotAudioError: it cannot be decoded in time.
            StorageError: the store is full, read-only or broken.
        """
        source = track.original or track.asset
        if source is None:
            return None
        made = await self._derived(
            source, _PEAKS, "application/json", audio_files.write_peaks, job_id, track.index
        )
        if made is None:
            return None
        name, size_bytes = made
        async with aclosing(self.read(name, 0, size_bytes)) as pieces:
            content = b"".join([piece async for piece in pieces])
        return await run_to_end(audio_files.read_peaks, name, content)

    async def keep_picture(self, path: Path, job_id: str) -> Asset | None:
        """Keep a picture for a job as it is; None if it is none that browsers show.

        Raises:
            StorageError: as of `keep`.
        """
        found = await run_to_end(audio_files.read_picture, path)
        return None if found is None else await self._store_as(found, path, job_id)

    async def picture(self, track: Track) -> Rendition | None:
        """The kept cover of a track; None if there is none, or not any more.

        Raises:
            StorageError: the store is broken.
        """
        return await self._found(track.image) if track.image else None

    def read(self, name: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a kept file from ``start`` up to, not including, ``stop``, in pieces.

        Raises:
            StorageError: it is gone, or shorter than it was.
        """
        return self._objects.read(name, start, stop)

    async def link(self, audio: Rendition, disposition: str, lifetime_s: int) -> str | None:
        """A link of the object store itself, which works for so long; None where it has none."""
        return await self._objects.link(
            audio.name, lifetime_s=lifetime_s, content_type=audio.content_type, disposition=disposition
        )

    async def fetch(self, asset: Asset, target: Path) -> None:
        """Copy a kept file to a local one.

        Raises:
            StorageError: it is gone, or one of the two cannot be read or written.
        """
        await self._objects.fetch(asset.name, target)

    def local_path(self, asset: Asset) -> Path | None:
        """Path of a kept file on a local disk; None when it is stored elsewhere or gone."""
        return self._objects.local_path(asset.name)

    async def release(self, job_id: str) -> None:
        """Forget that a job uses its files, and remove those that no other job uses.

        Raises:
            StorageError: that cannot be noted. What is noted, but cannot be removed, is removed later.
        """
        names = await self._names_of(job_id)
        if names:
            await self._references.release(job_id, names)
            await self.remove_unused()

    async def delete_job(self, job_id: str, *, audit: AuditEntry | None = None) -> None:
        """Delete a job, and the files that no other job uses; errors as of `release`.

        Args:
            audit: noted with the deletion.
        """
        names = await self._names_of(job_id)
        if any(_is_of_earlier_version(name) for name in names):
            await self._references.release(job_id, names)
        await self._store.delete(job_id, audit=audit)
        if names:
            await self.remove_unused()

    async def remove_unused(self) -> None:
        """Remove the bytes of files that no job uses, but those that another replica is removing.

        What cannot be removed is logged, and stays noted.
        """
        # One at a time: once the first of two has ended a removal, a job may store the bytes again, and the
        # second would remove those.
        async with self._removing:
            await self._remove_unused()

    async def _remove_unused(self) -> None:
        after, failures = "", 0
        while page := await self._references.unused(after, _UNUSED_PAGE):
            for name in page:
                try:
                    if await self._references.begin_removal(name):
                        await self._objects.delete(name)
                        await self._references.end_removal(name)
                except StorageError as error:
                    failures += 1
                    _log.warning("unused audio not removed yet: name=%s error=%s", name, error)
                    if failures >= _MAX_FAILURES:
                        return
            after = page[-1]

    async def _names_of(self, job_id: str) -> Sequence[str]:
        """Everything that a job uses, with audio from before there were references."""
        names = await self._references.of_job(job_id)
        if names:
            return names
        try:
            job = await self._store.get(job_id)
        except StorageError as error:  # a damaged document must not keep its job from being removed
            _log.warning("audio of a damaged job is not found: job=%s error=%s", job_id, error)
            return ()
        return [asset.name for track in job.tracks for asset in track.assets] if job else []

    async def _found(self, asset: Asset) -> Rendition | None:
        size_bytes = await self._objects.size(asset.name)
        if size_bytes is None:
            return None
        return Rendition(
            name=asset.name,
            kind=asset.kind,
            content_type=asset.content_type,
            size_bytes=size_bytes,
            sha256=asset.sha256,
        )

    async def _derived(
        self,
        source: Asset,
        what: str,
        media_type: str,
        make: Callable[[Path, Path], None],
        job_id: str,
        index: int,
    ) -> tuple[str, int] | None:
        """Name and size of what is made of a kept file, which is made now unless it is kept already.

        Several who ask for it at once wait for the first one.

        Args:
            what: the rest of its name, behind the source's.
            make: reads the first path and writes the second one, on a worker's thread.

        Returns:
            None when the source is not kept any more.
        """
        name = f"{source.name.rpartition('.')[0]}.{what}"
        async with self._making.setdefault(name, asyncio.Lock()):
            used = await self._references.of_job(job_id)
            own = next((own for own in used if own in _names(name)), None)
            size_bytes = None if own is None else await self._objects.size(own)
            if own is not None and size_bytes is not None:
                return own, size_bytes
            # Before the name is claimed: a job whose audio was removed must not have references again.
            if await self._objects.size(source.name) is None:
                return None
            name = own or await self._claim(name, job_id)
            size_bytes = await self._objects.size(name)  # another job may have made it
            if size_bytes is None:
                with self.staged(job_id, index) as path:
                    made = path.with_name("made")
                    local = await self._local(source.name, path)
                    with self._timed(what):
                        await self._workers.run(make, local, made)
                    await self._objects.put(name, made, media_type)
                    size_bytes = made.stat().st_size
                    self._figures.kept_bytes[(what,)] += size_bytes
            return name, size_bytes

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        """Count work on audio, and how long it takes."""
        outcome, began_s = "failed", time.perf_counter()
        try:
            yield
            outcome = "made"
        finally:
            self._figures.conversions.observe((what, outcome), time.perf_counter() - began_s)

    async def _local(self, name: str, staged: Path) -> Path:
        """A kept file as a local one, to be read only: itself, or a copy of it in a staged file."""
        local = self._objects.local_path(name)
        if local is not None:
            return local
        await self._objects.fetch(name, staged)
        return staged

    async def _store_as(self, asset: Asset, path: Path, job_id: str) -> Asset:
        """Store a file for a job as an asset; see `_claim` for its name."""
        name = await self._claim(asset.name, job_id)
        await self._objects.put(name, path, asset.content_type)
        self._figures.kept_bytes[(asset.kind,)] += asset.size_bytes
        return attrs.evolve(asset, name=name)

    async def _claim(self, name: str, job_id: str) -> str:
        """Claim a name for a job, or another one while that is being removed."""
        for free in _names(name):
            if await self._references.claim(free, job_id):
                return free
        raise StorageError(f"the audio {name} is being removed")


def is_wanted(kind: str, wanted: str) -> bool:
    """True if a kind of file is what a ``format`` asks for."""
    return kind in KINDS_OF_FORMAT[wanted]


def _is_of_earlier_version(name: str) -> bool:
    """True for ``<job id>/0.mp3``; today's names begin with two hexadecimal digits."""
    return _TODAYS_NAME.match(name) is None


def _names(name: str) -> Iterator[str]:
    yield name
    stem, _, suffix = name.rpartition(".")
    for number in range(1, _MAX_NAMES):
        yield f"{stem}-{number}.{suffix}"
