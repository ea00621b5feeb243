"""``jobs``, ``fetch`` and ``cancel``: list, finish and stop jobs of earlier runs or of a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from musicgate.cli.options import AS_JSON, CONFIG, KEY, URL, run_options

if TYPE_CHECKING:
    from datetime import timedelta


@click.command()
@AS_JSON
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    show_default=True,
    help="Maximum number of jobs, newest first.",
)
@CONFIG
def jobs(*, as_json: bool, limit: int, config: str | None) -> None:
    """List the jobs on this machine, including failed ones.

    No vendor is called. Jobs in a store that another musicgate process uses are not shown; a line on standard
    error names the store.
    """
    from datetime import UTC, datetime

    from musicgate.cli import stores
    from musicgate.cli.configuration import read_settings
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json, say
    from musicgate.views import render_job

    settings = read_settings(config)
    found, busy = asyncio.run(stores.list_jobs(settings, limit))
    for path in busy:
        say(f"{path} is in use by another musicgate; its jobs are not shown", err=True)
    if as_json:
        print_json({"object": "list", "data": [render_job(job, lambda *_: None) for job in found]})
        return
    now = datetime.now(UTC)
    rows = [
        (job.id, job.state.value, job.request.model, job.plugin or "-", age_text(now - job.created_at))
        for job in found
    ]
    print_table(
        ("job", "state", "model", "plugin", "age"),
        rows,
        empty="no other jobs here" if busy else "no jobs here yet",
    )


@click.command()
@click.argument("job_id")
@run_options
def fetch(
    *,
    job_id: str,
    output: str | None,
    force: bool,
    as_json: bool,
    url: str | None,
    key: str | None,
    timeout_s: float | None,
    config: str | None,
) -> None:
    """Wait until JOB_ID ends, and write its audio to files."""
    from musicgate.cli.files import find_target
    from musicgate.cli.run import Order

    order = Order(target=find_target(output, force=force), as_json=as_json, timeout_s=timeout_s)
    if url:
        from musicgate.cli.remote import fetch_remotely

        asyncio.run(fetch_remotely(url, key, job_id, order))
        return
    from musicgate.cli.local import fetch_locally

    asyncio.run(fetch_locally(job_id, order, config=config))


@click.command()
@click.argument("job_id")
@AS_JSON
@URL
@KEY
@CONFIG
def cancel(*, job_id: str, as_json: bool, url: str | None, key: str | None, config: str | None) -> None:
    """Cancel JOB_ID, at the vendor as well if the vendor supports that."""
    from musicgate.cli.terminal import print_json, say, visible

    if url:
        from musicgate.cli.remote import cancel_remotely

        answer = asyncio.run(cancel_remotely(url, key, job_id))
    else:
        from musicgate.cli.local import cancel_locally

        answer = asyncio.run(cancel_locally(job_id, config=config))
    if as_json:
        print_json(answer)
        return
    error = answer.get("error") or {}
    say(visible(f"{answer.get('id')}: {error.get('message')}"))


def age_text(age: timedelta) -> str:
    """Format an age as ``40 s``, ``12 min``, ``3 h`` or ``2 d``."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
