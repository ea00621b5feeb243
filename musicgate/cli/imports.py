"""Takes an operator's audio into custody for ``musicgate assets import``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from musicgate.accounts import AccountBook
from musicgate.cli import stores
from musicgate.cli.configuration import read_all
from musicgate.cli.files import length_text
from musicgate.cli.terminal import print_json, say, visible
from musicgate.errors import JobNotFoundError, MusicgateError
from musicgate.gateway import open_importer
from musicgate.views import AudioEnd, render_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.model import Job
    from musicgate.settings import Settings


async def restore(config: str | None, source: str, *, job_id: str, track: int, as_json: bool) -> None:
    """Give a track of a finished job the audio that it lacks.

    Args:
        track: counted from 1.

    Raises:
        MusicgateError: there is no such job, it has its audio, or another process uses its store; or the file
            is no audio that plays, or cannot be fetched.
    """
    settings, _ = read_all(config)
    for slot in stores.existing(settings):
        async with stores.open_to_read(slot) as store:
            if await store.get(job_id) is None:
                continue
        async with open_importer(slot) as importer:
            job = await importer.restore(source, job_id, track - 1)
        if as_json:
            print_json(_rendered(settings, job))
            return
        say(visible(f"{job.id}: track {track} has its audio, and the job is {job.state}"))
        return
    raise JobNotFoundError(job_id)


async def import_all(
    config: str | None,
    sources: Sequence[str],
    *,
    account: str,
    title: str | None,
    model: str,
    as_json: bool,
) -> bool:
    """Make a finished job for each file or link; those that cannot be imported are reported.

    Returns:
        True if all of them are in custody.

    Raises:
        ConfigError: a setting is wrong, or another process uses the store.
    """
    settings, _ = read_all(config)
    made: list[Job] = []
    failed: list[dict[str, str]] = []
    async with open_importer(settings) as importer:
        for source in sources:
            try:
                job, is_new = await importer.add(source, account=account, title=title, model=model)
            except MusicgateError as error:
                failed.append({"source": source, "reason": str(error)})
                say(visible(f"{source}: not imported: {error}"), err=True)
                continue
            made.append(job)
            if not as_json:
                asset = job.tracks[0].asset
                length = length_text(asset.duration_s if asset else None)
                say(visible(f"{job.id}  {length}  {source}{'' if is_new else '  (was imported before)'}"))
    if as_json:
        data = [_rendered(settings, job) for job in made]
        print_json({"object": "list", "data": data, "failed": failed})
    return not failed


def check_restoring(sources: Sequence[str], title: str | None) -> None:
    """Refuse options that do not fit ``--job``.

    Raises:
        click.UsageError: there are several files, or a title.
    """
    if len(sources) != 1:
        raise click.UsageError("--job takes one file or link.")
    if title is not None:
        raise click.UsageError("--title is for new jobs; with --job the track keeps its own.")


def _rendered(settings: Settings, job: Job) -> dict[str, Any]:
    return render_job(job, lambda *_: None, ends=AudioEnd(AccountBook(settings).retention_of))
