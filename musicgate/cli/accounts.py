"""``accounts``: who may call, and within which limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from musicgate.cli.groups import SuggestingGroup
from musicgate.cli.keys import WHERE
from musicgate.cli.options import combined

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMITS = combined(
    click.option("--requests-per-minute", type=int, metavar="N", help="Create calls in any 60 seconds."),
    click.option("--max-open-jobs", type=int, metavar="N", help="Jobs that have not ended."),
    click.option("--max-usd-per-day", type=float, metavar="USD", help="Daily spend, from midnight UTC."),
    click.option("--jobs-days", type=float, metavar="DAYS", help="How long a job is kept after its end."),
    click.option("--audio-days", type=float, metavar="DAYS", help="How long its audio is kept."),
    click.option("--beta/--no-beta", default=None, help="May use providers in their beta stage."),
    click.option("--webhook-url", metavar="URL", help="Where its webhooks go."),
    click.option(
        "--webhook-secret",
        envvar="MUSICGATE_WEBHOOK_SECRET",
        metavar="WHSEC",
        help="Signs its webhooks.  [env: MUSICGATE_WEBHOOK_SECRET]",
    ),
)
_FIELDS = (
    *("requests_per_minute", "max_open_jobs", "max_usd_per_day", "jobs_days", "audio_days", "beta"),
    *("webhook_url", "webhook_secret"),
)


@click.group(cls=SuggestingGroup)
def accounts() -> None:
    """List, make, limit, disable and delete accounts.

    With --url the running server does it, and --key (MUSICGATE_API_KEY) is an administrator's key or the
    server's admin_key. Without --url the store of the settings is used directly, and no key is needed. While
    a server runs on a store of SQLite, only "list" works without --url.

    Accounts of the settings file are shown, and changed there. A limit of 0 is none; one that is not set is
    that of [limits] or [retention].
    """


@accounts.command(name="list")
@WHERE
def list_accounts(*, as_json: bool, url: str | None, key: str | None, config: str | None) -> None:
    """List the accounts of the settings and of the store, with what they set themselves."""
    from musicgate.cli.admin import open_admin
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json

    async def work() -> list[dict[str, Any]]:
        async with open_admin(config, url, key, to_read=True) as admin:
            return await admin.accounts()

    found = asyncio.run(work())
    if as_json:
        print_json({"object": "list", "data": found, "next_cursor": None})
        return
    head = ("account", "from", "state", "per minute", "open jobs", "USD a day", "beta")
    rows = [
        (
            *(str(entry["name"]), str(entry["source"]), "disabled" if entry["disabled"] else "active"),
            *(_shown(entry[name]) for name in ("requests_per_minute", "max_open_jobs", "max_usd_per_day")),
            "yes" if entry["beta"] else "-",
        )
        for entry in found
    ]
    print_table(
        head, rows, empty="no accounts yet; the first admin key makes one: musicgate keys create --admin"
    )


@accounts.command()
@click.argument("name")
@_LIMITS
@WHERE
def create(
    *, name: str, as_json: bool, url: str | None, key: str | None, config: str | None, **given: Any
) -> None:
    """Make the account NAME. Its keys are made with "musicgate keys create"."""
    from musicgate.cli.admin import open_admin

    async def work() -> dict[str, Any]:
        async with open_admin(config, url, key) as admin:
            return await admin.create_account(name, _set_of(given))

    _print(asyncio.run(work()), "made", as_json=as_json)


@accounts.command(name="set")
@click.argument("name")
@_LIMITS
@click.option(
    "--unset",
    multiple=True,
    type=click.Choice([field.replace("_", "-") for field in _FIELDS]),
    metavar="OPTION",
    help="Set an option no more, such as max-open-jobs; may be repeated.",
)
@click.option("--disable/--enable", "is_disabled", default=None, help="Whether its keys stop working.")
@WHERE
def change(
    *,
    name: str,
    unset: tuple[str, ...],
    is_disabled: bool | None,
    as_json: bool,
    url: str | None,
    key: str | None,
    config: str | None,
    **given: Any,
) -> None:
    """Change the account NAME: what is not given stays. The next create call obeys."""
    from musicgate.cli.admin import open_admin

    fields = {**_set_of(given), **{field.replace("-", "_"): None for field in unset}}
    if not fields and is_disabled is None:
        raise click.UsageError("nothing to change: give an option.")

    async def work() -> dict[str, Any]:
        async with open_admin(config, url, key) as admin:
            return await admin.change_account(name, fields, is_disabled=is_disabled)

    _print(asyncio.run(work()), "changed", as_json=as_json)


@accounts.command()
@click.argument("name")
@WHERE
def delete(*, name: str, as_json: bool, url: str | None, key: str | None, config: str | None) -> None:
    """Delete the account NAME and revoke its keys. Its jobs stay."""
    from musicgate.cli.admin import open_admin
    from musicgate.cli.terminal import print_json, say, visible

    async def work() -> None:
        async with open_admin(config, url, key) as admin:
            await admin.delete_account(name)

    asyncio.run(work())
    if as_json:
        print_json({"object": "account_deleted", "name": name})
    else:
        say(visible(f"deleted: account {name}, and its keys are revoked"))


def _set_of(given: Mapping[str, Any]) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}


def _print(answer: dict[str, Any], done: str, *, as_json: bool) -> None:
    from musicgate.cli.terminal import print_json, say, visible

    if as_json:
        print_json(answer)
        return
    limits = ", ".join(f"{name} {answer[name]:g}" for name in _FIELDS[:5] if answer[name] is not None)
    state = "; disabled" if answer["disabled"] else ""
    say(visible(f"{done}: account {answer['name']} ({limits or 'no limits of its own'}){state}"))


def _shown(value: object) -> str:
    return "-" if value is None else "no limit" if value == 0 else f"{value:g}"
