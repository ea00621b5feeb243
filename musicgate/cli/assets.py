"""``assets``: verify, move, import and export the kept audio. The work is in `custody` and its neighbours."""

from __future__ import annotations

import asyncio

import click

from musicgate.cli.options import AS_JSON, CONFIG


@click.group()
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
@AS_JSON
@CONFIG
def verify(*, repair_from: str | None, remove_orphans: bool, as_json: bool, config: str | None) -> None:
    """Read every kept object again, and compare its size and SHA-256 with what was recorded.

    Works beside a running server. Exits with 1 if an object is missing, damaged or unreadable, and was not
    repaired. Objects that no job refers to are reported, and are no failure.
    """
    from musicgate.cli.custody import verify_all

    is_well = asyncio.run(
        verify_all(config, repair_from=repair_from, remove_orphans=remove_orphans, as_json=as_json)
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


def _exit_unless(is_well: bool) -> None:
    if not is_well:
        click.get_current_context().exit(1)
