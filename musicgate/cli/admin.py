"""Accounts and keys for commands: on the store itself, or through a server.

Both give what ``/v1/admin`` answers, as JSON objects. Without ``--url`` the store of the settings is opened,
so that the first key can be made before there is a server. A store on SQLite belongs to one process: while a
server runs on it, what changes something needs ``--url``. One on PostgreSQL is changed beside its servers.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from musicgate.cli import FailedError, RefusedError, SettingsError
from musicgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import timedelta

    import aiohttp

    from musicgate.gateway import KeyAdmin, ShownKey
    from musicgate.settings import Settings
    from musicgate.store import JobStore

_TIMEOUT_S = 30.0
_MAX_ANSWER_BYTES = 33_554_432
_MASK = "***"

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
        click.ClickException: the address or the key is malformed.
    """
    if url:
        async with _server(url, key) as server:
            yield server
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
        from musicgate.views import render_account, render_settings_account

        book, ring = self._admin.book, await self._admin.load()
        first = [render_settings_account(book.entries_of(name)[0]) for name in sorted(book.in_settings)]
        return first + [
            render_account(entry) for name, entry in ring.accounts.items() if name not in book.in_settings
        ]

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

        found = [key for key in (await self._admin.load()).keys.values() if account in {None, key.account}]
        found.sort(key=lambda key: (key.created_at, key.id), reverse=True)
        return [render_key(key, datetime.now(UTC)) for key in found]

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


class ServerAdmin:
    """Works through the routes of a server."""

    def __init__(self, session: aiohttp.ClientSession, origin: str, key: str | None) -> None:
        self._session = session
        self._origin = origin
        self._key = key

    async def accounts(self) -> list[Answer]:
        """The accounts of the settings and of the store."""
        return list((await self._call("GET", "accounts"))["data"])

    async def create_account(self, name: str, fields: Mapping[str, object]) -> Answer:
        """Make an account."""
        return await self._call("POST", "accounts", body={"name": name, **fields})

    async def change_account(
        self, name: str, fields: Mapping[str, object], *, is_disabled: bool | None
    ) -> Answer:
        """Change an account."""
        body = {**fields} if is_disabled is None else {**fields, "disabled": is_disabled}
        return await self._call("PATCH", "accounts", name, body=body)

    async def delete_account(self, name: str) -> None:
        """Delete an account, and revoke its keys."""
        await self._call("DELETE", "accounts", name)

    async def keys(self, account: str | None) -> list[Answer]:
        """The keys of the store, the newest first."""
        query = {} if account is None else {"account": account}
        return list((await self._call("GET", "keys", query=query))["data"])

    async def create_key(
        self, account: str, name: str, *, is_admin: bool, expires_at: datetime | None
    ) -> Answer:
        """Make a key."""
        body: dict[str, object] = {"account": account, "name": name, "is_admin": is_admin}
        if expires_at is not None:
            body["expires_at"] = expires_at.isoformat()
        return await self._call("POST", "keys", body=body)

    async def rotate_key(self, key_id: str, grace: timedelta) -> Answer:
        """Make the successor of a key."""
        return await self._call("POST", "keys", key_id, "rotate", body={"grace_s": grace.total_seconds()})

    async def revoke_key(self, key_id: str) -> Answer:
        """End a key."""
        return await self._call("POST", "keys", key_id, "revoke")

    async def _call(
        self,
        method: str,
        *parts: str,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        import aiohttp
        from yarl import URL

        path = "/".join(quote(part, safe="") for part in parts)
        address = URL(f"{self._origin}/v1/admin/{path}", encoded=True)
        headers = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        try:
            async with self._session.request(
                method, address, json=body, params=query, headers=headers, allow_redirects=False
            ) as response:
                raw = await response.content.read(_MAX_ANSWER_BYTES)
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise FailedError(f"{self._origin} cannot be reached: {_reason(exc)}") from None
        text = raw.decode("utf-8", "replace")
        if status == 204:
            return {}
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise FailedError(f"{self._origin} is no musicgate server: HTTP {status} without JSON")
        if status >= 300:
            raise self._refusal(status, answer)
        return answer

    def _refusal(self, status: int, answer: Answer) -> Exception:
        reason = f" ({answer['reason']})" if answer.get("reason") else ""
        message = f"{answer.get('description') or answer.get('error') or 'no reason given'}{reason}"
        if self._key is not None:
            message = message.replace(self._key, _MASK)
        if status in {401, 403}:
            return SettingsError(f"{self._origin} refuses the key: {message}; set --key or MUSICGATE_API_KEY")
        if status >= 500:
            return FailedError(message)
        return RefusedError(message)


def _reason(error: Exception) -> str:
    """Why a server cannot be reached."""
    if isinstance(error, TimeoutError):
        return "too slow"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error)


@asynccontextmanager
async def _server(url: str, key: str | None) -> AsyncIterator[ServerAdmin]:
    import aiohttp
    import click

    from musicgate.settings import Hidden, WebAddress

    try:
        address = WebAddress().read(url, key="--url")
        secret = Hidden(is_word=True).read(key, key="--key (MUSICGATE_API_KEY)")
    except ConfigError as exc:
        raise click.UsageError(str(exc)) from None
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield ServerAdmin(session, address.rstrip("/"), None if secret is None else secret.reveal())
