"""``store``: copy a job store to another database."""

from __future__ import annotations

import asyncio

import click

from musicgate.cli.groups import SuggestingGroup
from musicgate.cli.options import AS_JSON, CONFIG


@click.group(cls=SuggestingGroup)
def store() -> None:
    """Copy the store of jobs to another database."""


@store.command()
@click.argument("source")
@click.argument("target", required=False)
@AS_JSON
@CONFIG
def copy(*, source: str, target: str | None, as_json: bool, config: str | None) -> None:
    """Copy all jobs from the SQLite store SOURCE into the empty PostgreSQL store TARGET.

    Both are URLs as in store.url, and TARGET is the setting store.url unless it is given. No server may run
    on either. The source is only read; if the copy is stopped, nothing is in the target, and it can be run
    again. Kept audio stays where it is.
    """
    asyncio.run(_copy(source, target, config, as_json=as_json))


async def _copy(source: str, target: str | None, config: str | None, *, as_json: bool) -> None:
    import attrs

    from musicgate.cli.configuration import read_settings
    from musicgate.cli.counter import counter
    from musicgate.cli.terminal import print_json, say
    from musicgate.gateway import copy_job_store, job_store_name
    from musicgate.settings import StoreSettings

    settings = read_settings(config)
    old = attrs.evolve(settings, store=StoreSettings(url=source))
    new = attrs.evolve(settings, store=attrs.evolve(settings.store, url=target or settings.store_url))
    with counter("copying", "jobs") as done:

        def copied(table: str, rows: int) -> None:
            for _ in range(rows if table == "jobs" else 0):
                done.count()

        counts = await copy_job_store(old, new, copied)
    if as_json:
        print_json({"object": "store_copy", "to": job_store_name(new), "rows": counts})
        return
    rows = ", ".join(f"{count:,} {table}" for table, count in counts.items() if count)
    say(f"copied to {job_store_name(new)}: {rows or 'the store was empty'}")
    say("next: start the server with store.url set to the target; it follows the open jobs")
    say("do not start a server on the source again: it would follow the same jobs a second time")
