"""Accounts and keys in memory, for tests of code that uses a store."""

from collections.abc import Callable, Mapping
from datetime import datetime

import attrs

from musicgate.accounts import Keyring, KeyringChange


class MemoryKeys:
    """A keyring, for one test."""

    def __init__(self, check: Callable[[], None]) -> None:
        """Take what raises when a write would fail."""
        self._check = check
        self._ring = Keyring()

    async def version(self) -> int:
        """Return the number of changes so far."""
        return self._ring.version

    async def load(self) -> Keyring:
        """Return all accounts and keys."""
        return self._ring

    async def change(self, version: int, change: KeyringChange) -> bool:
        """Store a change that was decided on that version."""
        self._check()
        if version != self._ring.version:
            return False
        used_at = {key_id: key.used_at for key_id, key in self._ring.keys.items()}
        keys = tuple(attrs.evolve(key, used_at=used_at.get(key.id)) for key in change.keys)
        self._ring = self._ring.after(attrs.evolve(change, keys=keys))
        return True

    async def note_uses(self, used_at: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        self._check()
        keys = {
            key_id: attrs.evolve(key, used_at=max(key.used_at or at, at))
            if (at := used_at.get(key_id)) is not None
            else key
            for key_id, key in self._ring.keys.items()
        }
        self._ring = attrs.evolve(self._ring, keys=keys)
