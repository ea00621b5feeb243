"""``usage`` and ``audit export``: what ended jobs used, and who did what.

Both read the store of the settings, or with ``--url`` ask a server.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
import click

from musicgate.cli.groups import SuggestingGroup
from musicgate.cli.options import AS_JSON, CONFIG, KEY, URL
from musicgate.model import UsageGroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from musicgate.client import AdminClient
    from musicgate.model import UsageQuery
    from musicgate.store import JobStore

#: Entries that are read at a time.
_PAGE = 1000
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option("--from", "first", type=_DAY, metavar="DAY", help="First day (UTC).  [default: 29 days before]")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Last day, included.  [default: today]")
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--key-id", metavar="ID", help="Only jobs that were created with this key.")
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
@URL
@KEY
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
    url: str | None,
    key: str | None,
    config: str | None,
) -> None:
    """Show what ended jobs used: jobs, cost and seconds of audio.

    A job is counted once, on the day of its end, and stays counted when it is deleted. A server may run on
    the store meanwhile. With --url the server is asked, and --key is an administrator's.
    """
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json, say_lines
    from musicgate.model import UsageQuery
    from musicgate.views import csv_text, usage_columns

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    to = datetime.now(UTC).date() if last is None else last.date()
    since = UsageQuery.usual_first(to) if first is None else first.date()
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

    async def work() -> dict[str, Any]:
        async with _opened(url, key, config) as records:
            return await records.usage(query)

    report = asyncio.run(work())
    rows, columns = report["data"], usage_columns(query.group_by)
    if as_json:
        print_json(report)
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
@URL
@KEY
@CONFIG
def export(*, after: int, as_csv: bool, url: str | None, key: str | None, config: str | None) -> None:
    """Write the audit log to standard output, the oldest entries first.

    To go on later, give the number of the last entry as --after. A server may run on the store meanwhile.
    With --url the server is asked, and --key is an administrator's.
    """
    from musicgate.cli.terminal import say_lines
    from musicgate.views import AUDIT_FIELDS, csv_text

    async def work() -> None:
        last = after
        async with _opened(url, key, config) as records:
            while page := await records.audit(last):
                say_lines(_lines(page, as_csv=as_csv))
                last = page[-1]["number"]

    if as_csv:
        say_lines(csv_text([], AUDIT_FIELDS))
    asyncio.run(work())


@attrs.frozen
class _Records:
    """What `AdminClient` reads, from a store; None has nothing."""

    store: JobStore | None

    async def usage(self, query: UsageQuery) -> dict[str, Any]:
        from musicgate.views import render_usage_report

        return render_usage_report(query, await self.store.usage(query) if self.store else [])

    async def audit(self, after: int) -> list[dict[str, Any]]:
        from musicgate.views import render_audit_entry

        page = await self.store.audit_log.entries(after, _PAGE) if self.store else []
        return [render_audit_entry(*numbered) for numbered in page]


@asynccontextmanager
async def _opened(
    url: str | None, key: str | None, config: str | None
) -> AsyncIterator[AdminClient | _Records]:
    """Open the server at ``url``, else the store of the settings."""
    if url:
        from musicgate.cli.remote import connected
        from musicgate.client import AdminClient

        async with connected(AdminClient, url, key) as client:
            yield client
        return
    from musicgate.cli.configuration import read_settings
    from musicgate.gateway import has_job_store, open_job_store_to_read

    settings = read_settings(config)
    if not has_job_store(settings):
        yield _Records(None)
        return
    async with open_job_store_to_read(settings) as store:
        yield _Records(store)


def _lines(page: Sequence[dict[str, Any]], *, as_csv: bool) -> str:
    from musicgate.plugin import write_json
    from musicgate.views import AUDIT_FIELDS, csv_text

    if as_csv:
        return csv_text(page, AUDIT_FIELDS).partition("\r\n")[2]
    return "".join(f"{write_json(row).decode()}\n" for row in page)


def _groups(text: str) -> tuple[UsageGroup, ...]:
    try:
        return UsageGroup.read([text])
    except ValueError:
        message = f"--by must be of {', '.join(UsageGroup)}."
        raise click.UsageError(message) from None
