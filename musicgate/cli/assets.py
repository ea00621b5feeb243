"""``assets``: verify, move, import and export the kept audio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from musicgate.cli.groups import SuggestingGroup
from musicgate.cli.options import AS_JSON, CONFIG

if TYPE_CHECKING:
    from datetime import datetime


@click.group(cls=SuggestingGroup)
def assets() -> None:
    """Verify, move, import and export the audio that is kept on this machine or in a bucket."""


@assets.command()
@click.option(
    "--repair-from",
    metavar="URL",
    help="Second store, from which missing and damaged objects are copied: a URL as in assets.url, or a folder.",
)
@click.option(
    "--remove-orphans",
    is_flag=True,
    help="Remove objects that no job refers to, if they are older than an hour. No server may run.",
)
@click.option("--force", is_flag=True, help="Remove orphans even where they are most of the objects.")
@AS_JSON
@CONFIG
def verify(
    *, repair_from: str | None, remove_orphans: bool, force: bool, as_json: bool, config: str | None
) -> None:
    """Read every kept object again, and compare its size and SHA-256 with what was recorded.

    Works beside a running server. Exits with 1 if an object is missing, damaged or unreadable, and was not
    repaired. Objects that no job refers to are reported, and are no failure.
    """
    from musicgate.cli.custody import verify_all

    is_well = asyncio.run(
        verify_all(
            config, repair_from=repair_from, remove_orphans=remove_orphans, force=force, as_json=as_json
        )
    )
    _exit_unless(is_well)


@assets.command()
@click.argument("url", required=False)
@click.option(
    "--from", "source", metavar="URL", help="Copy from this store.  [default: the setting assets.url]"
)
@click.option(
    "--delete-source",
    is_flag=True,
    help="Delete what was copied from the source, once all of it was read again. No server may run.",
)
@AS_JSON
@CONFIG
def move(
    *, url: str | None, source: str | None, delete_source: bool, as_json: bool, config: str | None
) -> None:
    """Copy all kept objects to the store URL (default: the setting assets.url), and read them there again.

    May be stopped at any time and run again: what is there already is compared, not copied. Nothing is
    deleted without --delete-source. A URL is one as in assets.url, or a folder.
    """
    from musicgate.cli.custody import move_all

    if url is None and source is None:
        raise click.UsageError("name the store to copy to, or --from the store to copy from.")
    is_well = asyncio.run(
        move_all(config, target_url=url, source_url=source, delete_source=delete_source, as_json=as_json)
    )
    _exit_unless(is_well)


@assets.command("import")
@click.argument("sources", metavar="FILE|URL...", nargs=-1, required=True)
@click.option("--job", "job_id", metavar="ID", help="Give this finished job the audio that it lacks.")
@click.option(
    "--track",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Track of that job, counted from 1.",
)
@click.option("--account", metavar="NAME", help="Owner of the new jobs.  [default: that of the command line]")
@click.option("--title", metavar="TEXT", help="Title of the song.  [default: the file's name]")
@click.option("--model", metavar="NAME", help="Model that made it.  [default: import]")
@AS_JSON
@CONFIG
def import_(
    *,
    sources: tuple[str, ...],
    job_id: str | None,
    track: int,
    account: str | None,
    title: str | None,
    model: str | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Take audio files into custody, each as a finished job, or as a track of the job of --job.

    With --job a failed job whose vendor's link died is completed. What is no audio that plays is refused. No
    server may run on this store of jobs.
    """
    from musicgate.cli.imports import check_restoring, import_all, restore
    from musicgate.gateway import LOCAL_ACCOUNT

    if job_id is not None:
        if account is not None or model is not None:
            raise click.UsageError("--account and --model are for new jobs; the job of --job has its own.")
        check_restoring(sources, title)
        asyncio.run(restore(config, sources[0], job_id=job_id, track=track, as_json=as_json))
        return
    is_well = asyncio.run(
        import_all(
            config,
            sources,
            account=account or LOCAL_ACCOUNT,
            title=title,
            model=model or "import",
            as_json=as_json,
        )
    )
    _exit_unless(is_well)


@assets.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="DATE",
    help="Songs that were finished then or later, in UTC: 2026-11-01.",
)
@click.option("--account", metavar="NAME", help="Songs of this account.  [default: all]")
@click.option("--originals", is_flag=True, help="Also the files as they were delivered, before a conversion.")
@AS_JSON
@CONFIG
def export(
    *,
    folder: str,
    since: datetime | None,
    account: str | None,
    originals: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Write the kept audio to FOLDER under readable names, with a line of JSON per song in index.jsonl.

    Works beside a running server. May be stopped and run again: what is there is not fetched again. Bytes
    that were delivered and do not play are written, too.
    """
    from datetime import UTC
    from pathlib import Path

    from musicgate.cli.export import export_all

    is_well = asyncio.run(
        export_all(
            config,
            Path(folder),
            since=since.replace(tzinfo=UTC) if since else None,
            account=account,
            originals=originals,
            as_json=as_json,
        )
    )
    _exit_unless(is_well)


def _exit_unless(is_well: bool) -> None:
    if not is_well:
        click.get_current_context().exit(1)
