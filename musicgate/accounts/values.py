"""Accounts and keys of the store as values."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from musicgate.settings import Account


@attrs.frozen(kw_only=True)
class ManagedAccount:
    """An account in the store.

    Attributes:
        account: its name, limits and webhook address, with the rules of ``[[accounts]]``; it has no key.
        disabled_at: since when none of its keys works; None = they do.
    """

    account: Account
    created_at: datetime
    disabled_at: datetime | None = None

    @property
    def name(self) -> str:
        """The name of the account."""
        return self.account.name


@attrs.frozen(kw_only=True)
class ApiKey:
    """A key in the store, which has its digest only.

    Attributes:
        id: the part of the key that is no secret; it never changes.
        account: the account that calls with it.
        name: what people call it.
        digest: SHA-256 of the whole key.
        is_admin: it may change accounts and keys.
        expires_at: from when on it does not work; None = never.
        revoked_at: since when it does not work.
        replaced_by: the id of the key that it was rotated to.
        used_at: the minute of a recent use, as far as that is stored.
    """

    id: str
    account: str
    name: str = ""
    digest: bytes = attrs.field(repr=False)
    is_admin: bool = False
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: str | None = None
    used_at: datetime | None = None

    def is_in_force(self, now: datetime) -> bool:
        """True if it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def ends_at(self) -> datetime | None:
        """When it stops working, or stopped; None = never."""
        return min((end for end in (self.expires_at, self.revoked_at) if end is not None), default=None)


@attrs.frozen(kw_only=True)
class KeyringChange:
    """Rows to write, together or not at all. To remove an account does not remove its keys."""

    accounts: tuple[ManagedAccount, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    removed_accounts: tuple[str, ...] = ()
    removed_keys: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Keyring:
    """All accounts and keys of a store.

    Attributes:
        version: counts the changes.
        accounts: by name.
        keys: by id.
    """

    version: int = 0
    accounts: Mapping[str, ManagedAccount] = MappingProxyType({})
    keys: Mapping[str, ApiKey] = MappingProxyType({})

    def after(self, change: KeyringChange) -> Keyring:
        """The same after a change."""
        accounts = {**self.accounts, **{entry.name: entry for entry in change.accounts}}
        keys = {**self.keys, **{key.id: key for key in change.keys}}
        return Keyring(
            version=self.version + 1,
            accounts={name: entry for name, entry in accounts.items() if name not in change.removed_accounts},
            keys={name: key for name, key in keys.items() if name not in change.removed_keys},
        )


@attrs.frozen(kw_only=True)
class Caller:
    """Who sent a request.

    Attributes:
        account: owner of what the request makes.
        key_id: the id of a key in the store; ``file:<account>`` for one of the settings, ``admin_key`` for
            ``server.admin_key``, and empty where the server needs no key.
        is_admin: it may change accounts and keys.
    """

    account: Account
    key_id: str
    is_admin: bool = False
