"""``usage`` and ``audit export``: what ended jobs used, and who did what, from the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from musicgate.cli.groups import SuggestingGroup
from musicgate.cli.options import AS_JSON, CONFIG
from musicgate.model import UsageGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.model import AuditEntry, UsageQuery, UsageSum
    from musicgate.settings import Settings

#: Entries that are read at a time.
_PAGE = 1000
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option("--from", "first", type=_DAY, metavar="DAY", help="First day (UTC).  [default: 29 days before]")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Last day, included.  [default: today]")
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--key", "key_id", metavar="ID", help="Only jobs that were created with this key.")
@click.option(
    "--by",
    "groups",
    metavar="NAMES",
    default="day",
    show_default=True,
    help=f"What the sums are told apart by, with commas: {', '.join(UsageGroup)}.",
)
@AS_JSON
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@CONFIG
def usage(
    *,
    first: datetime | None,
    last: datetime | None,
    account: str | None,
    key_id: str | None,
    groups: str,
    as_json: bool,
    as_csv: bool,
    config: str | None,
) -> None:
    """Show what ended jobs used: jobs, cost and seconds of audio.

    A job is counted once, on the day of its end, and stays counted when it is deleted. A server may run on
    the store meanwhile.
    """
    from musicgate.cli.configuration import read_settings
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json, say_lines
    from musicgate.model import UsageQuery
    from musicgate.views import csv_text, render_usage_report, render_usage_sum, usage_columns

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    to = datetime.now(UTC).date() if last is None else last.date()
    since = date.fromordinal(max(1, to.toordinal() - 29)) if first is None else first.date()
    if since > to:
        raise click.UsageError("--from is later than --to.")
    query = UsageQuery(
        first=since,
        last=to,
        account=account,
        key_id=key_id,
        group_by=_groups(groups),
        limit=1_000_000,
    )
    sums = asyncio.run(_usage(read_settings(config), query))
    rows = [render_usage_sum(query.group_by, found) for found in sums]
    columns = usage_columns(query.group_by)
    if as_json:
        print_json(render_usage_report(query, sums))
    elif as_csv:
        say_lines(csv_text(rows, columns))
    else:
        shown = [name for name in columns if name != "cost_nanos"]
        head = [name.replace("_", " ") for name in shown]
        print_table(
            head, [[str(row[name]) for name in shown] for row in rows], empty="no job ended in this time"
        )


@click.group(cls=SuggestingGroup)
def audit() -> None:
    """Export the audit log: who created, cancelled, deleted and downloaded."""


@audit.command()
@click.option(
    "--after", type=click.IntRange(min=0), metavar="NUMBER", default=0, help="Only entries after this one."
)
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV instead of one JSON object a line.")
@CONFIG
def export(*, after: int, as_csv: bool, config: str | None) -> None:
    """Write the audit log to standard output, the oldest entries first.

    To go on later, give the number of the last entry as --after. A server may run on the store meanwhile.
    """
    from musicgate.cli.configuration import read_settings

    asyncio.run(_export(read_settings(config), after, as_csv=as_csv))


async def _usage(settings: Settings, query: UsageQuery) -> Sequence[UsageSum]:
    from musicgate.gateway import has_job_store, open_job_store_to_read

    if not has_job_store(settings):
        return []
    async with open_job_store_to_read(settings) as store:
        return await store.usage(query)


async def _export(settings: Settings, after: int, *, as_csv: bool) -> None:
    from musicgate.cli.terminal import say_lines
    from musicgate.gateway import has_job_store, open_job_store_to_read
    from musicgate.views import AUDIT_FIELDS, csv_text

    if as_csv:
        say_lines(csv_text([], AUDIT_FIELDS))
    if not has_job_store(settings):
        return
    async with open_job_store_to_read(settings) as store:
        while page := await store.audit_log.entries(after, _PAGE):
            say_lines(_lines(page, as_csv=as_csv))
            after = page[-1][0]


def _lines(page: Sequence[tuple[int, AuditEntry]], *, as_csv: bool) -> str:
    from musicgate.plugin import write_json
    from musicgate.views import AUDIT_FIELDS, csv_text, render_audit_entry

    rows = [render_audit_entry(number, entry) for number, entry in page]
    if as_csv:
        return csv_text(rows, AUDIT_FIELDS).partition("\r\n")[2]
    return "".join(f"{write_json(row).decode()}\n" for row in rows)


def _groups(text: str) -> tuple[UsageGroup, ...]:
    names = [name.strip() for name in text.split(",")]
    try:
        return tuple(dict.fromkeys(UsageGroup(name) for name in names if name))
    except ValueError:
        message = f"--by must be of {', '.join(UsageGroup)}."
        raise click.UsageError(message) from None
