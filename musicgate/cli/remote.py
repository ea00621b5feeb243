"""Runs jobs on a musicgate server with `AsyncClient`, and converts its errors for the command line."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from musicgate.cli import FailedError, SettingsError, run
from musicgate.cli.progress import display
from musicgate.cli.terminal import print_json, say, visible
from musicgate.client import AsyncClient
from musicgate.errors import (
    AllCandidatesFailedError,
    ConfigError,
    RequestError,
    ServerError,
    UnauthorisedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from musicgate.cli.progress import Display
    from musicgate.cli.run import Order
    from musicgate.client import RemoteJob

#: How long a server that does not answer is asked again.
RETRY_S = 60.0
#: The settings of a client -> how the command line names them.
_OPTIONS = {"url": "--url", "api_key": "--key (MUSICGATE_API_KEY)"}
#: As the messages of a client name them.
_SETTINGS = {"url (MUSICGATE_URL)": "--url", "api_key (MUSICGATE_API_KEY)": "--key or MUSICGATE_API_KEY"}


async def generate_remotely(
    url: str, key: str | None, body: Mapping[str, Any], order: Order, *, strict: bool
) -> None:
    """Submit a request, wait for the job and write its audio.

    Raises:
        click.ClickException: The request was refused, the job failed or is not finished in time, or the
            server's answer cannot be read.
    """
    # A server that does not answer is not asked for longer than the run may take.
    retry_s = RETRY_S if order.timeout_s is None else min(RETRY_S, order.timeout_s)
    async with _connected(url, key, retry_s) as client, display() as shown:
        try:
            job = await client.submit(body, strict=strict)
        except asyncio.CancelledError:
            message = f"interrupted while waiting for {url}; it is not known whether a job was created"
            say(visible(f"\n{message}"), err=True)
            raise
        run.note_warnings(shown, job.answer.get("warnings") or [])
        shown.show(job.answer)
        if not job.state.is_final:
            job = await _follow(client, job.id, order, shown, url)
    await _finish(url, key, job, order)


async def fetch_remotely(url: str, key: str | None, job_id: str, order: Order) -> None:
    """Wait for a job of the server and write its audio.

    Raises:
        click.ClickException: The job is unknown, failed or is not finished in time, or the server's answer
            cannot be read.
    """
    async with _connected(url, key) as client, display() as shown:
        job = await _follow(client, job_id, order, shown, url)
    await _finish(url, key, job, order)


async def cancel_remotely(url: str, key: str | None, job_id: str) -> dict[str, Any]:
    """Cancel a job of the server.

    Raises:
        click.ClickException: The job is unknown or has ended, or the server's answer cannot be read.
    """
    async with _connected(url, key) as client:
        return dict((await client.cancel(job_id)).answer)


@asynccontextmanager
async def _connected(url: str, key: str | None, retry_s: float | None = None) -> AsyncIterator[AsyncClient]:
    """Open a client for the block, whose errors name options of the command line.

    Raises:
        click.ClickException: The address or the key is malformed, and is not shown; or the server's error.
    """
    try:
        client = AsyncClient(url, api_key=key, retry_s=RETRY_S if retry_s is None else retry_s)
    except ConfigError as error:
        name = error.key or ""
        message = _OPTIONS.get(name, name) + str(error).removeprefix(name)
        raise (click.UsageError if name == "url" else SettingsError)(message) from None
    async with client:
        try:
            yield client
        except UnauthorisedError as error:
            raise SettingsError(_message(error)) from error
        except AllCandidatesFailedError as error:  # the keys are settings of the server
            raise FailedError(visible(error.description)) from error
        except ServerError as error:
            raise FailedError(_message(error)) from error


def _message(error: Exception) -> str:
    """The message of a client, with the options of the command line."""
    text = str(error)
    for setting, option in _SETTINGS.items():
        text = text.replace(setting, option)
    return visible(text)


async def _follow(client: AsyncClient, job_id: str, order: Order, shown: Display, url: str) -> RemoteJob:
    """Show every change of a job until it is final."""
    hint = run.fetch_hint({"id": job_id}, url)
    try:
        async with asyncio.timeout(order.timeout_s), aclosing(client.watch(job_id)) as versions:
            async for job in versions:
                shown.show(job.answer)
    except TimeoutError as exc:
        if order.timeout_s is None:
            raise
        raise run.late(order, f"job {visible(job_id)} continues there; {hint}") from exc
    except ServerError as error:
        raise FailedError(f"{_message(error)}\nthe job continues there; {hint}") from error
    except asyncio.CancelledError:
        say(f"\ninterrupted: job {visible(job_id)} continues there; {hint}", err=True)
        raise
    return job


async def _finish(url: str, key: str | None, job: RemoteJob, order: Order) -> None:
    answer = dict(job.answer)
    if answer.get("status") == "failed" and order.as_json:
        print_json({**answer, "files": []})
    run.refuse_failed(answer)
    async with _connected(url, key) as client:
        with tempfile.TemporaryDirectory(prefix="musicgate-") as folder:
            audio = {}
            for track in job.tracks:
                if track.has_audio:
                    target = Path(folder) / str(track.index)
                    try:
                        audio[track.index] = await client.download(job, target, track.index)
                    except (RequestError, ServerError) as error:
                        raise FailedError(f"the audio cannot be fetched: {_message(error)}") from error
            run.deliver(answer, audio, order, in_sandbox=False)
