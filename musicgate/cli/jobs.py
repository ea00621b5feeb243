"""``jobs``, ``fetch`` and ``cancel``: list, finish and stop jobs of earlier runs or of a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from musicgate.cli.options import AS_JSON, CONFIG, KEY, URL, run_options
from musicgate.cli.terminal import visible

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from musicgate.model import Job
    from musicgate.settings import Settings

#: Accounts that are named where their jobs are not shown.
_SHOWN_ACCOUNTS = 5


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
@click.option("--account", metavar="NAME", help="Jobs of this account.  [default: that of the command line]")
@click.option("--all-accounts", is_flag=True, help="Jobs of all accounts.")
@CONFIG
def jobs(*, as_json: bool, limit: int, account: str | None, all_accounts: bool, config: str | None) -> None:
    """List the jobs on this machine, including failed ones, and until when their audio is kept.

    No vendor is called. Jobs that a running server works on are shown, too.
    """
    from datetime import UTC, datetime

    from musicgate.cli import stores
    from musicgate.cli.configuration import read_settings
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json, say
    from musicgate.gateway import LOCAL_ACCOUNT
    from musicgate.views import AudioEnd, render_job

    if account is not None and all_accounts:
        raise click.UsageError("--account and --all-accounts exclude each other.")
    settings = read_settings(config)
    ends = AudioEnd(asyncio.run(stores.account_book(settings)).retention_of)
    owner = None if all_accounts else account or LOCAL_ACCOUNT
    found = asyncio.run(stores.list_jobs(settings, limit, owner))
    if owner == LOCAL_ACCOUNT and account is None and (others := _others(settings)):
        say(f"jobs of other accounts ({others}) are not shown; add --all-accounts", err=True)
    if as_json:
        data = [
            render_job(job, lambda *_: None, ends=ends) | ({"account": job.account} if owner is None else {})
            for job in found
        ]
        print_json({"object": "list", "data": data, "next_cursor": None})
        return
    now = datetime.now(UTC)
    head: tuple[str, ...] = ("job", "state", "model", "plugin", "age", "audio until")
    rows: list[tuple[str, ...]] = [
        (
            *(job.id, job.state.value, job.request.model, job.plugin or "-", age_text(now - job.created_at)),
            _end_text(job, ends(job), now),
        )
        for job in found
    ]
    if owner is None:
        head = ("account", *head)
        rows = [(job.account, *row) for job, row in zip(found, rows, strict=True)]
    print_table(head, rows, empty="no jobs here yet")


def _others(settings: Settings) -> str:
    """The other accounts that have jobs, as a text."""
    from musicgate.cli import stores
    from musicgate.gateway import LOCAL_ACCOUNT

    names = sorted(asyncio.run(stores.accounts(settings)) - {LOCAL_ACCOUNT})
    return ", ".join(visible(name) for name in names[:_SHOWN_ACCOUNTS]) + (
        f" and {len(names) - _SHOWN_ACCOUNTS} more" if len(names) > _SHOWN_ACCOUNTS else ""
    )


def _end_text(job: Job, ends_at: datetime | None, now: datetime) -> str:
    if not any(track.asset for track in job.tracks):
        return "-"
    if ends_at is None:
        return "always" if job.state.is_final else "-"
    return "removed" if ends_at <= now else ends_at.date().isoformat()


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
