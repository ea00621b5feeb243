"""``keys``: list, make, rotate and revoke the keys of callers."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import click

from musicgate.cli.groups import SuggestingGroup
from musicgate.cli.options import AS_JSON, CONFIG, KEY, URL, combined

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"(\d{1,9})([smhd])")
#: The options that say where the accounts and keys are.
WHERE = combined(AS_JSON, URL, KEY, CONFIG)
_ADMIN_ACCOUNT = "admin"


@click.group(cls=SuggestingGroup)
def keys() -> None:
    """List, make, rotate and revoke the keys of callers.

    With --url the running server does it, and --key (MUSICGATE_API_KEY) is an administrator's key or the
    server's admin_key. Without --url the store of the settings is used directly: that needs no key, and is
    how the first one is made. While a server runs on a store of SQLite, only "list" works without --url.
    """


@keys.command(name="list")
@click.option("--account", metavar="NAME", help="Only the keys of this account.")
@WHERE
def list_keys(
    *, account: str | None, as_json: bool, url: str | None, key: str | None, config: str | None
) -> None:
    """List the keys of the store, the newest first. The keys themselves are not kept, and not shown."""
    from musicgate.cli.admin import open_admin
    from musicgate.cli.table import print_table
    from musicgate.cli.terminal import print_json

    async def work() -> list[dict[str, Any]]:
        async with open_admin(config, url, key, to_read=True) as admin:
            return await admin.keys(account)

    found = asyncio.run(work())
    if as_json:
        print_json({"object": "list", "data": found, "next_cursor": None})
        return
    head = ("id", "account", "name", "admin", "status", "expires", "used")
    rows = [
        (
            *(str(entry["id"]), str(entry["account"]), str(entry["name"]) or "-"),
            "yes" if entry["is_admin"] else "-",
            str(entry["status"]),
            *(_minute(entry["expires_at"]), _minute(entry["used_at"])),
        )
        for entry in found
    ]
    print_table(head, rows, empty="no keys yet; make the first one with: musicgate keys create --admin")


@keys.command()
@click.option(
    "--account", metavar="NAME", help="The account that calls with it.  [default with --admin: admin]"
)
@click.option("--name", default="", metavar="TEXT", help="What you call it, such as the machine that has it.")
@click.option("--admin", "is_admin", is_flag=True, help="It may change accounts and keys; makes its account.")
@click.option("--expires", metavar="WHEN", help="2027-01-01T00:00:00Z, or a time from now: 12h, 90d.")
@WHERE
def create(
    *,
    account: str | None,
    name: str,
    is_admin: bool,
    expires: str | None,
    as_json: bool,
    url: str | None,
    key: str | None,
    config: str | None,
) -> None:
    """Make a key and print it, once: it is not kept.

    The first key has to be an administrator's (--admin), unless the setting server.admin_key is set. From the
    first key on, a server without [[accounts]] answers only to callers with a key.
    """
    from musicgate.cli.admin import open_admin

    if account is None and not is_admin:
        raise click.UsageError("--account is missing.")
    expires_at = None if expires is None else _moment(expires)

    async def work() -> dict[str, Any]:
        async with open_admin(config, url, key) as admin:
            return await admin.create_key(
                account or _ADMIN_ACCOUNT, name, is_admin=is_admin, expires_at=expires_at
            )

    _print_made(asyncio.run(work()), as_json=as_json)


@keys.command()
@click.argument("key_id")
@click.option(
    "--grace",
    default="1d",
    show_default=True,
    metavar="TIME",
    help="How long the old key goes on working, such as 30m, 24h, 7d; 0s = it ends at once.",
)
@WHERE
def rotate(
    *, key_id: str, grace: str, as_json: bool, url: str | None, key: str | None, config: str | None
) -> None:
    """Make a key that takes the place of KEY_ID, and print it, once.

    The old one works until --grace is over. KEY_ID is what stands between the first two underscores of a key.
    """
    from musicgate.cli.admin import open_admin

    length = _length(grace)
    if length is None:
        raise click.UsageError("--grace: must be a time such as 30m, 24h or 7d.")

    async def work() -> dict[str, Any]:
        async with open_admin(config, url, key) as admin:
            return await admin.rotate_key(key_id, length)

    _print_made(asyncio.run(work()), as_json=as_json)


@keys.command()
@click.argument("key_id")
@WHERE
def revoke(*, key_id: str, as_json: bool, url: str | None, key: str | None, config: str | None) -> None:
    """End KEY_ID at once.

    Other servers on the same store stop accepting it within two seconds. KEY_ID is what stands between the
    first two underscores of a key.
    """
    from musicgate.cli.admin import open_admin
    from musicgate.cli.terminal import print_json, say, visible

    async def work() -> dict[str, Any]:
        async with open_admin(config, url, key) as admin:
            return await admin.revoke_key(key_id)

    answer = asyncio.run(work())
    if as_json:
        print_json(answer)
    else:
        say(visible(f"revoked: {answer['id']} of the account {answer['account']}"))


def _print_made(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print the key alone on standard output, so that a script can take it from there."""
    from musicgate.cli.terminal import print_json, say, visible

    if as_json:
        print_json(answer)
        return
    say(visible(answer["key"]))
    kind = "admin key" if answer["is_admin"] else "key"
    say(visible(f"{kind} {answer['id']} of the account {answer['account']}; it is not shown again"), err=True)


def _length(text: str) -> timedelta | None:
    from datetime import timedelta

    found = _LENGTH.fullmatch(text.strip())
    return None if found is None else timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _moment(text: str) -> datetime:
    from datetime import UTC, datetime

    from musicgate.errors import ConfigError
    from musicgate.settings import Moment

    length = _length(text)
    try:
        if length is not None:
            return datetime.now(UTC) + length
        moment = Moment().read(text, key="--expires")
    except OverflowError:
        raise click.UsageError("--expires: is too far away.") from None
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    if not isinstance(moment, datetime):
        raise click.UsageError("--expires: must be a time.")
    return moment


def _minute(text: object) -> str:
    return "-" if text is None else str(text)[:16].replace("T", " ")
