"""Take an operator's audio into custody: for a job that lost its own, or as a finished job.

It needs a store that no other process uses. A file is measured like any other; what is no audio that plays
is refused, and leaves nothing behind.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import attrs

from musicgate import jobs, planning
from musicgate.aio import run_to_end
from musicgate.errors import JobNotFoundError, RequestError, StorageError
from musicgate.gateway.custody import users_of
from musicgate.model import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.aio import Clock
    from musicgate.assets import ObjectStore
    from musicgate.gateway.audio_keeper import AudioKeeper
    from musicgate.http import Transport
    from musicgate.model import Asset, Job
    from musicgate.store import JobStore

_DOWNLOAD_TIMEOUT_S: Final = 900.0
_COPY_BYTES: Final = 1024 * 1024


@attrs.frozen(kw_only=True)
class Importer:
    """Imports audio into one store of jobs, which it uses alone.

    Attributes:
        max_bytes: of a file.
    """

    store: JobStore
    objects: ObjectStore
    keeper: AudioKeeper
    transport: Transport
    clock: Clock
    max_bytes: int
    new_id: Callable[[str], str]
    new_token: Callable[[], str]

    async def restore(self, source: str, job_id: str, index: int) -> Job:
        """Give a track of a job that has ended the audio that it lacks. A failed job is completed by that.

        Args:
            source: a file, or a link.
            index: of the track, from 0; the number after the last one makes a new track.

        Raises:
            JobNotFoundError: there is no such job.
            RequestError: the job is open, has no such track, or has the audio of that track.
            NotAudioError: it is no audio that plays.
            ProviderError: the link does not give it.
            StorageError: the file cannot be read, or the store is full, read-only or broken.
        """
        job = await self.store.get(job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        if not job.state.is_final:
            raise RequestError("not_ready", f"job {job_id} is not finished", reason="job_is_open")
        if not 0 <= index <= len(job.tracks):
            message = f"job {job_id} has {len(job.tracks)} tracks"
            raise RequestError("not_found", message, reason="audio_not_found")
        if index < len(job.tracks) and await self._is_kept(job.tracks[index].asset):
            message = f"track {index + 1} of job {job_id} has its audio"
            raise RequestError("validation_error", message, reason="audio_is_kept")
        asset = await self._kept(source, job_id, index)
        usage = planning.measure_usage(jobs.with_audio(job.tracks, jobs.KeptAudio(assets={index: asset})), ())
        return await self._replaced(job, jobs.with_imported_audio(job, index, asset, usage, self.clock.now()))

    async def add(self, source: str, *, account: str, title: str | None, model: str) -> tuple[Job, bool]:
        """Make a finished job of an account with one song, unless it has imported the same bytes before.

        Returns:
            The job, and whether it is new.

        Raises:
            NotAudioError: it is no audio that plays.
            ProviderError: the link does not give it.
            StorageError: the file cannot be read, or the store is full, read-only or broken.
        """
        job = jobs.import_job(
            self.new_id("music_"),
            self.new_id("G-"),
            self.new_token(),
            account=account,
            title=title or _title_of(source),
            model=model,
            now=self.clock.now(),
            steady=self.clock.steady(),
        )
        await self.store.add(job, jobs.history(None, job, job.created_at))
        try:
            asset = await self._kept(source, job.id, 0)
            earlier = await self._imported_before(asset, job)
        except BaseException:
            await self.keeper.delete_job(job.id)
            raise
        if earlier is not None:
            await self.keeper.delete_job(job.id)
            return earlier, False
        with_audio = jobs.with_audio(job.tracks, jobs.KeptAudio(assets={0: asset}))
        usage = planning.measure_usage(with_audio, ())
        return await self._replaced(job, jobs.end_import(job, asset, usage, self.clock.now())), True

    async def _is_kept(self, asset: Asset | None) -> bool:
        return asset is not None and await self.objects.size(asset.name) == asset.size_bytes

    async def _kept(self, source: str, job_id: str, index: int) -> Asset:
        with self.keeper.staged(job_id, index) as staged:
            if is_address(source):
                await self.transport.download(
                    source, staged, max_bytes=self.max_bytes, timeout_s=_DOWNLOAD_TIMEOUT_S
                )
            else:
                await run_to_end(_copy, Path(source), staged, self.max_bytes)
            return await self.keeper.keep(staged, job_id)

    async def _imported_before(self, asset: Asset, job: Job) -> Job | None:
        for user in await users_of(self.store, asset.name):
            other = await self.store.get(user) if user != job.id else None
            if other is not None and other.plugin == jobs.IMPORT and other.account == job.account:
                return other
        return None

    async def _replaced(self, job: Job, wanted: Job) -> Job:
        stored = await self.store.replace(job, wanted, jobs.history(job, wanted, wanted.updated_at))
        if stored is None:
            raise StorageError(f"job {job.id} was changed meanwhile")
        return stored


def _title_of(source: str) -> str:
    """The name of a file, without its ending; or of the last part of a link."""
    path = unquote(urlsplit(source).path) if is_address(source) else source
    return Path(path.rstrip("/")).stem or "Imported song"


def _copy(source: Path, target: Path, max_bytes: int) -> None:
    try:
        with source.open("rb") as reader, target.open("wb") as writer:
            left = max_bytes
            while piece := reader.read(_COPY_BYTES):
                left -= len(piece)
                if left < 0:
                    message = f"{source} is larger than assets.max_bytes = {max_bytes}"
                    raise StorageError(message)
                writer.write(piece)
    except OSError as exc:
        raise StorageError(f"{exc.filename or source}: {exc.strerror or exc}") from exc
