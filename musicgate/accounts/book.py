"""The accounts and keys that are in force now: those of the settings and those of the store, merged.

Everything that depends on an account asks here, by a dictionary in memory. `AccountBook.update` replaces what
the store has, at once; who keeps something that follows from it registers a listener.

An account of the settings goes before one of the store that has its name: that one is left out,
with its keys.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from musicgate.accounts.tokens import digest_of
from musicgate.accounts.values import Caller, Keyring
from musicgate.errors import ConfigError
from musicgate.settings import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from musicgate.settings import AccountLimits, RetentionSettings, Settings

_log = logging.getLogger(__name__)

#: The id of ``server.admin_key``.
ADMIN_KEY_ID: Final = "admin_key"
_DIGEST_BYTES: Final = 32


class KeyInForce(NamedTuple):
    """What a key stands for.

    Attributes:
        is_stored: it is one of the store.
    """

    caller: Caller
    expires_at: datetime | None
    is_stored: bool


class _Limits(dict[str, "AccountLimits"]):
    """The limits of accounts, worked out when they are first asked for.

    A change must not hold everything up for thousands of accounts, and each create call asks several times.
    """

    def __init__(self, settings: Settings, entries: Mapping[str, Sequence[Account]]) -> None:
        super().__init__()
        self._settings = settings
        self._entries = entries

    def __missing__(self, account: str) -> AccountLimits:
        entries = self._entries.get(account)
        if entries is None:  # nothing is remembered: an application may name any account
            return self._settings.limits
        limits = self[account] = self._settings.limits_of(entries)
        return limits


class AccountBook:
    """Accounts and keys by what they are looked up by.

    Attributes:
        settings: the operator's settings.
        version: that of the store's keyring.
        is_open: requests need no key: none is configured, and none was ever made in the store.
        used: ids of keys of the store that were used since they were last taken from here.
        listeners: called after each change, with the names of the accounts that changed.
    """

    def __init__(self, settings: Settings) -> None:
        """Begin with the accounts of the settings.

        Raises:
            ConfigError: the hash of a key cannot be read, or ``server.admin_key`` is an account's key.
        """
        self.settings = settings
        self.version = 0
        self.used: set[str] = set()
        self.listeners: list[Callable[[Collection[str]], None]] = []
        self._in_settings = frozenset(account.name for account in settings.accounts)
        self._own_keys = _keys_of(settings)
        self._known_ids: Collection[str] = ()
        self._stored: Mapping[str, Account] = {}
        self._clashes: frozenset[str] = frozenset()
        self._keys: Mapping[bytes, KeyInForce] = self._own_keys
        self.is_open = not self._own_keys and not self._in_settings
        self._merge()

    @property
    def in_settings(self) -> Collection[str]:
        """The names of the accounts of the settings."""
        return self._in_settings

    @property
    def has_admin_key(self) -> bool:
        """True if ``server.admin_key`` is set."""
        return self.settings.server.admin_key is not None

    @property
    def names(self) -> Collection[str]:
        """The names of all accounts."""
        return self._entries.keys()

    def find(self, digest: bytes) -> KeyInForce | None:
        """What the key with that digest stands for; None for an unknown one, and for one that was revoked."""
        return self._keys.get(digest)

    def knows_id(self, key_id: str) -> bool:
        """True if the store has a key with that id which is in force, or has expired."""
        return key_id in self._known_ids

    def limits_of(self, account: str) -> AccountLimits:
        """What an account may use."""
        return self._limits[account]

    def retention_of(self, account: str) -> RetentionSettings:
        """How long an account's jobs and audio are kept."""
        entries = self._entries.get(account)
        return self.settings.retention if entries is None else self.settings.retention_of(entries)

    @property
    def has_retention(self) -> bool:
        """True if anything of any account is removed at some time."""
        usual = self.settings.retention
        return bool(usual.audio_days or usual.jobs_days) or any(
            entry.audio_days or entry.jobs_days for entries in self._entries.values() for entry in entries
        )

    def entries_of(self, account: str) -> Sequence[Account]:
        """What is set for an account: an account of the settings may have several keys, and so entries."""
        return self._entries.get(account, ())

    def update(self, ring: Keyring) -> None:
        """Take what the store has now."""
        self._report_clashes(self._in_settings.intersection(ring.accounts))
        stored = {name: entry for name, entry in ring.accounts.items() if name not in self._in_settings}
        before = self._stored
        self._stored = {name: entry.account for name, entry in stored.items()}
        working = [
            key
            for key in ring.keys.values()
            if key.revoked_at is None
            and (owner := stored.get(key.account)) is not None
            and owner.disabled_at is None
        ]
        keys = {
            key.digest: KeyInForce(
                Caller(account=self._stored[key.account], key_id=key.id, is_admin=key.is_admin),
                key.expires_at,
                is_stored=True,
            )
            for key in working
        }
        self._known_ids = frozenset(key.id for key in working)
        self._merge()
        self._keys = {**keys, **self._own_keys}
        self.version = ring.version
        self.is_open = self.is_open and not ring.version and not keys
        changed = {name for name in {*before, *self._stored} if before.get(name) != self._stored.get(name)}
        for told in self.listeners:
            told(changed)

    def _merge(self) -> None:
        entries: defaultdict[str, list[Account]] = defaultdict(list)
        for entry in (*self.settings.accounts, *self._stored.values()):
            entries[entry.name].append(entry)
        self._entries: Mapping[str, Sequence[Account]] = dict(entries)
        self._limits = _Limits(self.settings, self._entries)

    def _report_clashes(self, clashes: frozenset[str]) -> None:
        for name in sorted(clashes - self._clashes):
            _log.warning("account of the store left out, the settings have one of its name: account=%s", name)
        self._clashes = clashes


def _keys_of(settings: Settings) -> dict[bytes, KeyInForce]:
    """The keys of the settings, by their digests."""
    found: dict[bytes, KeyInForce] = {}
    for account in settings.accounts:
        if account.key is None and not account.key_hash:
            continue  # made in code, for an application that names its accounts itself
        caller = Caller(account=account, key_id=f"file:{account.name}")
        found[_digest(account)] = KeyInForce(caller, account.expires_at, is_stored=False)
    admin_key = settings.server.admin_key
    if admin_key is not None:
        digest = digest_of(admin_key.reveal())
        if digest in found:
            raise ConfigError(
                "is the key of an account, too: give the administrator one of its own",
                key="server.admin_key",
                source=settings.source_of("server.admin_key"),
            )
        # It owns nothing: see `musicgate.web.auth`.
        caller = Caller(account=Account(name=ADMIN_KEY_ID), key_id=ADMIN_KEY_ID, is_admin=True)
        found[digest] = KeyInForce(caller, None, is_stored=False)
    return found


def _digest(account: Account) -> bytes:
    if account.key is not None:
        return digest_of(account.key.reveal())
    try:
        digest = bytes.fromhex(account.key_hash.removeprefix("sha256:"))
    except ValueError:
        digest = b""
    if len(digest) != _DIGEST_BYTES:
        raise ConfigError("must be sha256: and 64 hex digits", key=f"accounts.{account.name}.key_hash")
    return digest
