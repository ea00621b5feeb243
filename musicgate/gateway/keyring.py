"""Change accounts and keys, and take over what other processes have changed.

Each change is decided on the newest keyring and stored by compare-and-set; when another one came first it is
decided again. It is in force here when the call returns, and elsewhere when the other process hears of it or
reads the counter again (`KeyringReader`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from musicgate.accounts import (
    ApiKey,
    KeyringChange,
    ManagedAccount,
    add_account,
    add_key,
    change_account,
    change_key,
    check_way_in,
    digest_of,
    make_key,
    remove_account,
    revoke_key,
    rotate_key,
)
from musicgate.errors import RequestError, StorageError
from musicgate.model import JobQuery, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from musicgate.accounts import AccountBook, Keyring
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Secret
    from musicgate.settings import Account
    from musicgate.store import KeyStore

_log = logging.getLogger(__name__)

#: Who changes keys at the same time is a person, or a script.
_MAX_TRIES: Final = 20
#: Seconds between two times at which the use of keys is noted: never a write for each request.
USES_EVERY_S: Final = 60.0
#: Open jobs that are read at a time.
_PAGE: Final = 200
_OPEN: Final = tuple(state for state in JobState if not state.is_final)


class ShownKey(NamedTuple):
    """A key that was just made. ``secret`` is told to its owner, and nowhere else."""

    key: ApiKey
    secret: Secret


class KeyAdmin:
    """Accounts and keys of one store.

    Args:
        book: what is in force in this process.
        changed: called after each change that was made here.
        now: the wall clock.
    """

    def __init__(
        self,
        store: KeyStore,
        book: AccountBook,
        changed: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.book = book
        self._store = store
        self._changed = changed
        self._now = now

    async def load(self) -> Keyring:
        """All accounts and keys of the store."""
        return await self._store.load()

    async def accounts(self) -> list[Account | ManagedAccount]:
        """The accounts of the settings, then those of the store."""
        book, ring = self.book, await self.load()
        stored = [entry for name, entry in ring.accounts.items() if name not in book.in_settings]
        return [*(book.entries_of(name)[0] for name in sorted(book.in_settings)), *stored]

    async def keys(self, account: str | None = None) -> list[ApiKey]:
        """The keys of the store, the newest first; of one account, or of all."""
        found = [key for key in (await self.load()).keys.values() if account in {None, key.account}]
        return sorted(found, key=lambda key: (key.created_at, key.id), reverse=True)

    async def add_account(self, name: str, fields: Mapping[str, object]) -> ManagedAccount:
        """Make an account.

        Raises:
            RequestError: see `musicgate.accounts.add_account`; or no administrator could call.
            StorageError: it could not be stored.
        """
        known = self.book.in_settings
        ring = await self._change(
            lambda ring: add_account(ring, name, fields, now=self._now(), in_settings=known)
        )
        return ring.accounts[name]

    async def change_account(
        self, name: str, fields: Mapping[str, object], is_disabled: bool | None = None
    ) -> ManagedAccount:
        """Change what an account sets, and whether its keys work.

        Raises:
            RequestError: see `musicgate.accounts.change_account`; or no administrator could call.
            StorageError: it could not be stored.
        """
        ring = await self._change(
            lambda ring: change_account(
                ring,
                name,
                fields,
                now=self._now(),
                in_settings=self.book.in_settings,
                is_disabled=is_disabled,
            )
        )
        return ring.accounts[name]

    async def remove_account(self, name: str) -> None:
        """Remove an account and revoke its keys. Its jobs stay.

        Raises:
            RequestError: see `musicgate.accounts.remove_account`; or no administrator could call.
            StorageError: it could not be stored.
        """
        known = self.book.in_settings
        await self._change(lambda ring: remove_account(ring, name, now=self._now(), in_settings=known))

    async def add_key(
        self, account: str, *, name: str = "", is_admin: bool = False, expires_at: datetime | None = None
    ) -> ShownKey:
        """Make a key of an account.

        Raises:
            RequestError: see `musicgate.accounts.add_key`; or no administrator could call.
            StorageError: it could not be stored.
        """
        new = make_key(os.urandom)
        ring = await self._change(
            lambda ring: add_key(
                ring,
                new.id,
                digest_of(new.key.reveal()),
                account=account,
                name=name,
                is_admin=is_admin,
                expires_at=expires_at,
                now=self._now(),
                in_settings=self.book.in_settings,
            )[0]
        )
        return ShownKey(ring.keys[new.id], new.key)

    async def change_key(self, key_id: str, changes: Callable[[ApiKey], ApiKey]) -> ApiKey:
        """Change the name and the expiry of a key that is in force.

        Args:
            changes: returns the key with another name or expiry.

        Raises:
            RequestError: see `musicgate.accounts.change_key`; or no administrator could call.
            StorageError: it could not be stored.
        """

        def edit(ring: Keyring) -> KeyringChange:
            key = ring.keys.get(key_id)
            wanted = None if key is None else changes(key)
            name, expires_at = ("", None) if wanted is None else (wanted.name, wanted.expires_at)
            return change_key(ring, key_id, name=name, expires_at=expires_at, now=self._now())[0]

        return (await self._change(edit)).keys[key_id]

    async def rotate_key(self, key_id: str, grace: timedelta) -> ShownKey:
        """Make a key that takes the place of another one, which works until the grace time is over.

        Raises:
            RequestError: see `musicgate.accounts.rotate_key`; or no administrator could call.
            StorageError: it could not be stored.
        """
        new = make_key(os.urandom)
        digest = digest_of(new.key.reveal())
        ring = await self._change(
            lambda ring: rotate_key(ring, key_id, new.id, digest, grace=grace, now=self._now())[0]
        )
        return ShownKey(ring.keys[new.id], new.key)

    async def revoke_key(self, key_id: str) -> ApiKey:
        """End a key at once. To revoke one again changes nothing.

        Raises:
            RequestError: 404, there is no such key; 409, no administrator could call.
            StorageError: it could not be stored.
        """
        ring = await self._change(lambda ring: revoke_key(ring, key_id, now=self._now())[0])
        return ring.keys[key_id]

    async def _change(self, edit: Callable[[Keyring], KeyringChange]) -> Keyring:
        """Decide on a change, store it, and put it in force here."""
        for _ in range(_MAX_TRIES):
            ring = await self._store.load()
            change = edit(ring)
            after = ring.after(change)
            check_way_in(ring, after, self._now(), has_admin_key=self.book.has_admin_key)
            if await self._store.change(ring.version, change):
                if after.version > self.book.version:  # else a later change was heard of meanwhile
                    self.book.update(after)
                self._changed()
                return after
        raise RequestError(
            "gateway_error",
            "accounts and keys are being changed by others all the time; try again",
            reason="keys_busy",
            http_status=503,
        )


class KeyringReader:
    """Takes over what other processes change, and notes the use of keys."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._is_news = asyncio.Event()
        self._reported = False
        self._limited: set[str] = set()
        context.accounts.listeners.append(self._note_limited)

    def wake(self) -> None:
        """Read at once: another process says that something was changed."""
        self._is_news.set()

    async def run(self) -> None:
        """Read the counter of changes now and then, until cancelled."""
        loop = asyncio.get_running_loop()
        noted_at = loop.time()
        while True:
            self._is_news.clear()
            await self._step()
            if loop.time() - noted_at >= USES_EVERY_S:
                noted_at = loop.time()
                await self.note_uses()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._context.reread_s or USES_EVERY_S):
                    await self._is_news.wait()

    async def refresh(self) -> None:
        """Take over what was changed elsewhere.

        Raises:
            StorageError: the store cannot be read.
        """
        keys, book = self._context.store.keys, self._context.accounts
        if await keys.version() != book.version:
            ring = await keys.load()
            if ring.version > book.version:
                book.update(ring)
        await self._count_open_jobs()

    async def note_uses(self) -> None:
        """Store when keys were last used, to the minute. What cannot be stored is left out."""
        book = self._context.accounts
        used, book.used = book.used, set()
        if not used:
            return
        minute = self._context.clock.now().replace(second=0, microsecond=0)
        with suppress(StorageError):
            await self._context.store.keys.note_uses(dict.fromkeys(used, minute))

    async def _step(self) -> None:
        try:
            await self.refresh()
        except StorageError as error:
            if not self._reported:
                _log.warning("keys not read again, retrying: error=%s", error)
            self._reported = True
            return
        if self._reported:
            _log.info("keys read again")
        self._reported = False

    def _note_limited(self, changed: Collection[str]) -> None:
        if self._context.ledger is not None and changed:
            limits_of = self._context.accounts.limits_of
            self._limited |= {name for name in changed if limits_of(name).has_any}
            self._is_news.set()

    async def _count_open_jobs(self) -> None:
        """Count the open jobs of accounts that have got limits: without any, they were not counted."""
        while self._limited:
            account = next(iter(self._limited))
            query = JobQuery(states=_OPEN, limit=_PAGE)
            while page := await self._context.store.list_jobs(account, query):
                for job in page:
                    self._context.quota.note(job)
                query = JobQuery(states=_OPEN, limit=_PAGE, before=(page[-1].created_at, page[-1].id))
            self._limited.discard(account)
