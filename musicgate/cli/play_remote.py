"""Plays a job of a musicgate server: its kept audio, or its stream while it is made."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from musicgate.cli import FailedError, remote, run
from musicgate.cli.progress import display
from musicgate.cli.terminal import say, visible
from musicgate.client import AsyncClient
from musicgate.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.cli.playback import Playback
    from musicgate.client import RemoteJob
    from musicgate.model import Track

_PAUSE_S: Final = 2.0


async def play_remotely(url: str, key: str | None, job_id: str, index: int, playback: Playback) -> None:
    """Play a track of a job of a server, or write it to a file.

    Args:
        index: of the track, from 0.

    Raises:
        click.ClickException: the address or the key is wrong; the job failed or has no such audio; the server
            or the player failed.
        RequestError: there is no such job.
    """
    async with remote.connected(AsyncClient, url, key) as client:
        job = await _playable(client, job_id, index, playback)
        while not job.state.is_final:
            pieces = client.listen(job, index, timeout_s=remote.RETRY_S)
            async with aclosing(pieces):
                try:
                    first = await anext(pieces, b"")
                except RequestError:
                    first = b""
                if first:
                    await playback.stream(_joined(first, pieces), about=_about(job, index))
                    say(f"the job continues; {run.fetch_hint(job.answer, url)}", err=True)
                    return
            await asyncio.sleep(_PAUSE_S)  # it has ended just now, or there is nothing to hear yet
            job = await _playable(client, job_id, index, playback)
        run.refuse_failed(job.answer)
        track = _track(job, index)
        if track is None or not track.has_audio:
            raise FailedError(visible(f"job {job_id} has no track {index + 1} with audio"))
        with tempfile.TemporaryDirectory(prefix="musicgate-") as folder:
            path = await remote.download(client, job, index, folder)
            await playback.file(path, about=_about(job, index), is_temporary=True)


async def _playable(client: AsyncClient, job_id: str, index: int, playback: Playback) -> RemoteJob:
    """Show every change of a job until it has ended, or has a stream that can be played."""
    async with display() as shown, aclosing(client.watch(job_id)) as versions:
        async for job in versions:
            track = _track(job, index)
            if job.state.is_final or (playback.can_stream and track and track.stream_audio_url):
                break
            shown.show(job.answer)
    return job


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _track(job: RemoteJob, index: int) -> Track | None:
    return next((track for track in job.tracks if track.index == index), None)


def _about(job: RemoteJob, index: int) -> str:
    track = _track(job, index)
    return visible(f'"{track.title}"' if track and track.title else f"track {index + 1} of {job.id}")
