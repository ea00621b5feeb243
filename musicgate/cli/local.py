"""Runs jobs in this process, with a gateway opened for one command. `run` writes the results."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicgate.cli import run, stores
from musicgate.cli.configuration import read_all
from musicgate.cli.estimate import typical_s
from musicgate.cli.progress import describe_delivery, display
from musicgate.cli.terminal import print_json, say
from musicgate.emulation.sandbox import DEFAULT_SPEED, sandbox
from musicgate.gateway import account_book
from musicgate.views import AudioEnd, render_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from musicgate.cli.progress import Display
    from musicgate.cli.run import Order
    from musicgate.gateway import Gateway
    from musicgate.model import Job, Track

_DOWNLOAD_TIMEOUT_S = 300.0


async def generate_locally(
    body: Mapping[str, Any], order: Order, *, config: str | None, strict: bool, in_sandbox: bool
) -> None:
    """Submit a request, wait for the job and write its audio.

    Raises:
        FailedError: The job failed.
        TimeUpError: The job is not finished in time; it continues.
        MusicgateError: The request was refused, or could not be submitted.
    """
    settings, host = read_all(config)
    async with AsyncExitStack() as stack:
        if in_sandbox:
            speed = max(DEFAULT_SPEED, settings.follow.speed)
            settings = await stack.enter_async_context(sandbox(settings, host, speed=speed))
        gateway = await stores.open_free(stack, settings, host)
        _note_earlier_jobs(gateway)
        request = gateway.read(dict(body))
        own: list[str] = []
        limits = _limits(gateway, own, order, in_sandbox=in_sandbox)
        async with display() as shown, limits:
            job = await gateway.submit(
                request, strict=strict, wait_s=0, on_stored=lambda stored: own.append(stored.id)
            )
            job = await follow(gateway, job, shown)
        await _deliver(gateway, job, order, in_sandbox=in_sandbox)


async def fetch_locally(job_id: str, order: Order, *, config: str | None) -> None:
    """Wait for a job of this machine and write its audio.

    Raises:
        FailedError: The job failed.
        TimeUpError: The job is not finished in time; it continues.
        MusicgateError: There is no such job on this machine, or its store is in use.
    """
    settings, host = read_all(config)
    async with AsyncExitStack() as stack:
        gateway, job = await stores.open_with(stack, settings, host, job_id)
        limits = _limits(gateway, [job.id], order, in_sandbox=False)
        async with display() as shown, limits:
            job = await follow(gateway, job, shown)
        await _deliver(gateway, job, order, in_sandbox=False)


async def cancel_locally(job_id: str, *, config: str | None) -> dict[str, Any]:
    """Cancel a job of this machine.

    Returns:
        The job as JSON.

    Raises:
        MusicgateError: There is no such job on this machine, it has ended, or its store is in use.
    """
    settings, host = read_all(config)
    async with AsyncExitStack() as stack:
        gateway, job = await stores.open_with(stack, settings, host, job_id)
        return answer_of(gateway, await gateway.cancel(job.id, account=job.account))


async def follow(gateway: Gateway, job: Job, shown: Display) -> Job:
    """Show every change of a job until it is final."""
    shown_warnings: list[object] = []
    plugin = None
    async for newer in gateway.watch(job.id):
        job, answer = newer, answer_of(gateway, newer)
        if job.plugin != plugin:  # at first, and when another provider is asked
            plugin, shown.typical_s = job.plugin, await typical_s(gateway, job)
        warnings = answer.get("warnings") or []
        run.note_warnings(shown, [warning for warning in warnings if warning not in shown_warnings])
        shown_warnings = warnings
        shown.show(answer, describe_delivery(job))
    return job


async def _deliver(gateway: Gateway, job: Job, order: Order, *, in_sandbox: bool) -> None:
    answer = answer_of(gateway, job)
    if job.failure is not None and order.as_json:
        print_json({**answer, "files": []})
    run.refuse_failed(answer)
    with tempfile.TemporaryDirectory(prefix="musicgate-") as folder:
        audio = {}
        for track in job.tracks:
            path = gateway.audio_path(job, track.index) or await fetch_track(
                gateway, job, track, Path(folder)
            )
            if path is not None:
                audio[track.index] = path
        run.deliver(answer, audio, order, in_sandbox=in_sandbox)


async def fetch_track(gateway: Gateway, job: Job, track: Track, folder: Path) -> Path | None:
    """Fetch a track from the object store, or one that was not archived from the vendor's link."""
    sink = folder / str(track.index)
    if await gateway.save_audio(job, sink, track.index):
        return sink
    if not track.has_audio or not track.audio_url:
        return None
    await gateway.download(track.audio_url, sink, timeout_s=_DOWNLOAD_TIMEOUT_S)
    return sink


def answer_of(gateway: Gateway, job: Job) -> dict[str, Any]:
    """The job as JSON, with links to files of this machine."""

    def link(job: Job, track: Track, what: str) -> str | None:
        path = gateway.audio_path(job, track.index) if what == "audio" else None
        return path.absolute().as_uri() if path else None

    return render_job(job, link, gateway.masker(job), ends=AudioEnd(account_book(gateway).retention_of))


def _note_earlier_jobs(gateway: Gateway) -> None:
    count = gateway.open_jobs
    if count:
        jobs = "job of an earlier run continues" if count == 1 else "jobs of earlier runs continue"
        say(f"{count} unfinished {jobs} meanwhile; see: musicgate jobs", err=True)


@asynccontextmanager
async def _limits(
    gateway: Gateway, own: Sequence[str], order: Order, *, in_sandbox: bool
) -> AsyncIterator[None]:
    """End after ``--timeout`` or on Ctrl-C, and say how to get the job later."""
    try:
        async with asyncio.timeout(order.timeout_s):
            yield
    except TimeoutError as exc:
        raise run.late(order, await _hint_about(gateway, own, in_sandbox=in_sandbox)) from exc
    except asyncio.CancelledError:
        hint = await _hint_about(gateway, own, in_sandbox=in_sandbox)
        say(f"\ninterrupted: {hint}", err=True)
        raise


async def _hint_about(gateway: Gateway, own: Sequence[str], *, in_sandbox: bool) -> str:
    """How to get the unfinished job of this run; ``own`` holds its id once it is stored."""
    for job_id in own:
        job = await gateway.get(job_id)
        if job is not None and not job.state.is_final:
            return _hint(job, in_sandbox=in_sandbox)
    return "no job is left unfinished"


def _hint(job: Job, *, in_sandbox: bool) -> str:
    """How an unfinished job can be followed after this process has ended."""
    if in_sandbox:
        return f"job {job.id} ends with the sandbox; nothing was paid"
    if job.native_id is None and job.delivered_at is None:
        return (
            f"job {job.id} was still being submitted to {job.plugin}; "
            f"it is not known whether a song is made and billed.\nFind out with: musicgate fetch {job.id}"
        )
    return f"job {job.id} continues at {job.plugin}; fetch it with: musicgate fetch {job.id}"
