"""Accounts and keys for commands: on the store itself, or through a server.

Both give what ``/v1/admin`` answers, as JSON objects. Without ``--url`` the store of the settings is opened,
so that the first key can be made before there is a server. A store on SQLite belongs to one process: while a
server runs on it, what changes something needs ``--url``. One on PostgreSQL is changed beside its servers.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from musicgate.cli import SettingsError
from musicgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import timedelta

    from musicgate.gateway import KeyAdmin, ShownKey
    from musicgate.settings import Settings
    from musicgate.store import JobStore

Answer = dict[str, Any]


class Admin(Protocol):
    """What the commands need."""

    async def accounts(self) -> list[Answer]:
        """The accounts of the settings and of the store."""

    async def create_account(self, name: str, fields: Mapping[str, object]) -> Answer:
        """Make an account."""

    async def change_account(
        self, name: str, fields: Mapping[str, object], *, is_disabled: bool | None
    ) -> Answer:
        """Change an account."""

    async def delete_account(self, name: str) -> None:
        """Delete an account, and revoke its keys."""

    async def keys(self, account: str | None) -> list[Answer]:
        """The keys of the store, the newest first."""

    async def create_key(
        self, account: str, name: str, *, is_admin: bool, expires_at: datetime | None
    ) -> Answer:
        """Make a key; only this answer has it."""

    async def rotate_key(self, key_id: str, grace: timedelta) -> Answer:
        """Make the successor of a key; only this answer has it."""

    async def revoke_key(self, key_id: str) -> Answer:
        """End a key."""


@asynccontextmanager
async def open_admin(
    config: str | None, url: str | None, key: str | None, *, to_read: bool = False
) -> AsyncIterator[Admin]:
    """Open the server at ``url``, else the store of the settings.

    Args:
        to_read: nothing is changed, so that another process may use the store.

    Raises:
        ConfigError: a setting is wrong, or another process uses the store.
        click.ClickException: the address or the key is wrong, or the server failed.
    """
    if url:
        from musicgate.cli.remote import connected
        from musicgate.client import AdminClient

        async with connected(AdminClient, url, key) as client:
            yield client
        return
    from musicgate.cli.configuration import read_settings
    from musicgate.gateway import open_job_store, open_job_store_to_read

    settings = read_settings(config)
    store: JobStore
    try:
        async with (open_job_store_to_read if to_read else open_job_store)(settings) as store:
            yield _admin_of(settings, store)
    except ConfigError as error:
        if not isinstance(error.__cause__, TimeoutError):
            raise
        message = (
            f"{error}; or change accounts and keys through the server that uses it: --url http://127.0.0.1:8080, and "
            "an administrator's key in MUSICGATE_API_KEY"
        )
        raise SettingsError(message) from error


def _admin_of(settings: Settings, store: JobStore) -> Admin:
    from musicgate.accounts import AccountBook
    from musicgate.gateway import KeyAdmin

    return StoreAdmin(KeyAdmin(store.keys, AccountBook(settings)))


class StoreAdmin:
    """Works on a store."""

    def __init__(self, admin: KeyAdmin) -> None:
        self._admin = admin

    async def accounts(self) -> list[Answer]:
        """The accounts of the settings and of the store."""
        from musicgate.views import render_account

        return [render_account(entry) for entry in await self._admin.accounts()]

    async def create_account(self, name: str, fields: Mapping[str, object]) -> Answer:
        """Make an account."""
        from musicgate.views import render_account

        return render_account(await self._admin.add_account(name, fields))

    async def change_account(
        self, name: str, fields: Mapping[str, object], *, is_disabled: bool | None
    ) -> Answer:
        """Change an account."""
        from musicgate.views import render_account

        return render_account(await self._admin.change_account(name, fields, is_disabled))

    async def delete_account(self, name: str) -> None:
        """Delete an account, and revoke its keys."""
        await self._admin.remove_account(name)

    async def keys(self, account: str | None) -> list[Answer]:
        """The keys of the store, the newest first."""
        from musicgate.views import render_key

        now = datetime.now(UTC)
        return [render_key(key, now) for key in await self._admin.keys(account)]

    async def create_key(
        self, account: str, name: str, *, is_admin: bool, expires_at: datetime | None
    ) -> Answer:
        """Make a key."""
        return _shown(await self._admin.add_key(account, name=name, is_admin=is_admin, expires_at=expires_at))

    async def rotate_key(self, key_id: str, grace: timedelta) -> Answer:
        """Make the successor of a key."""
        return _shown(await self._admin.rotate_key(key_id, grace))

    async def revoke_key(self, key_id: str) -> Answer:
        """End a key."""
        from musicgate.views import render_key

        return render_key(await self._admin.revoke_key(key_id), datetime.now(UTC))


def _shown(made: ShownKey) -> Answer:
    from musicgate.views import render_key

    return {**render_key(made.key, datetime.now(UTC)), "key": made.secret.reveal()}
