"""Plays a job of this machine: its kept audio, also beside a server, or its stream while it is made."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from musicgate.cli import FailedError, run, stores
from musicgate.cli.configuration import read_all
from musicgate.cli.files import length_text
from musicgate.cli.local import answer_of, fetch_track, follow
from musicgate.cli.progress import display
from musicgate.cli.terminal import say, visible
from musicgate.errors import JobNotFoundError, RequestError
from musicgate.gateway import open_asset_store

if TYPE_CHECKING:
    from musicgate.cli.playback import Playback
    from musicgate.gateway import Gateway
    from musicgate.hosting import PluginHost
    from musicgate.model import Job, Track
    from musicgate.settings import Settings

#: A stream that has a link may have no bytes yet.
_AGAIN_S: Final = 2.0


async def play_locally(job_id: str, index: int, playback: Playback, *, config: str | None) -> None:
    """Play a track of a job of this machine, or write it to a file.

    Args:
        index: of the track, from 0.

    Raises:
        FailedError: the job failed, has no such audio, or the player failed.
        MusicgateError: there is no such job here, or it is open and a server works on it.
    """
    settings, host = read_all(config)
    slot, job = await _found(settings, job_id)
    if job.state.is_final and _track(job, index).asset is not None:
        await _play_kept(slot, job, index, playback)
        return
    await _play_by_gateway(settings, host, job, index, playback)


async def _found(settings: Settings, job_id: str) -> tuple[Settings, Job]:
    for slot in stores.existing(settings):
        async with stores.open_to_read(slot) as store:
            job = await store.get(job_id)
        if job is not None:
            return slot, job
    raise JobNotFoundError(job_id)


async def _play_kept(slot: Settings, job: Job, index: int, playback: Playback) -> None:
    """Play from the audio store; no gateway is opened, so it works while a server runs."""
    track = _track(job, index)
    if track.asset is None:  # pragma: no cover - asked before
        raise AssertionError(job.id)
    async with AsyncExitStack() as stack:
        objects = open_asset_store(slot)
        stack.push_async_callback(objects.close)
        path = objects.local_path(track.asset.name)
        is_temporary = path is None
        if path is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="musicgate-"))
            path = Path(folder) / f"song.{track.asset.kind}"
            await objects.fetch(track.asset.name, path)
        await playback.file(path, about=_about(job, track), is_temporary=is_temporary)


async def _play_by_gateway(
    settings: Settings, host: PluginHost, job: Job, index: int, playback: Playback
) -> None:
    async with AsyncExitStack() as stack:
        gateway, job = await stores.open_with(stack, settings, host, job.id)
        if playback.can_stream and not job.state.is_final and await _streamed(gateway, job, index, playback):
            return
        async with display() as shown:
            job = await follow(gateway, job, shown)
        run.refuse_failed(answer_of(gateway, job))
        track = _track(job, index)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="musicgate-")))
        kept = gateway.audio_path(job, index)
        path = kept or await fetch_track(gateway, job, track, folder)
        if path is None:
            raise FailedError(visible(f"track {index + 1} of {job.id} has no audio that can be fetched"))
        await playback.file(path, about=_about(job, track), is_temporary=kept is None)


async def _streamed(gateway: Gateway, job: Job, index: int, playback: Playback) -> bool:
    """Play the vendor's stream if there is one before the job ends; False if there was none."""
    async with display() as shown:
        async for newer in gateway.watch(job.id):
            shown.show(answer_of(gateway, newer))
            track = next((track for track in newer.tracks if track.index == index), None)
            if newer.state.is_final or newer.delivered_at is not None:
                return False
            if track is not None and track.stream_audio_url:
                job = newer
                break
    while True:
        try:
            async with gateway.listen(job, index) as (_, pieces):
                await playback.stream(pieces, about=_about(job, _track(job, index)))
        except RequestError as error:
            if error.reason != "stream_not_ready":
                return False  # it has ended meanwhile
        else:
            say(f"the job continues; {run.fetch_hint({'id': job.id})}", err=True)
            return True
        await asyncio.sleep(_AGAIN_S)
        job = await gateway.get(job.id) or job
        if job.state.is_final:
            return False


def _track(job: Job, index: int) -> Track:
    found = next((track for track in job.tracks if track.index == index), None)
    if found is None:
        message = f"job {job.id} has no track {index + 1}; it has {len(job.tracks)}"
        if job.failure is not None:
            message = f"job {job.id} failed: {job.failure.message}"
        raise FailedError(visible(message))
    return found


def _about(job: Job, track: Track) -> str:
    """Title and length of a track, for people."""
    title = track.title or job.request.title
    name = f'"{title}"' if title else f"track {track.index + 1} of {job.id}"
    length_s = track.asset.duration_s if track.asset else None
    return visible(f"{name} ({length_text(length_s)})" if length_s else name)
