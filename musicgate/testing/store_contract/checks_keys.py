"""Accounts and keys: changes by compare-and-set, and what survives them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.accounts import ApiKey, KeyringChange, ManagedAccount
from musicgate.model import Secret
from musicgate.settings import Account

if TYPE_CHECKING:
    from musicgate.testing.store_contract.subject import StoreUnderTest

_NOW: Final = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
_SECRET: Final = Secret("whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ==")
_STUDIO: Final = ManagedAccount(
    account=Account(
        name="studio",
        beta=True,
        requests_per_minute=0,
        max_open_jobs=3,
        max_usd_per_day=2.5,
        audio_days=30.0,
        webhook_url="https://hooks.test/a",
        webhook_secret=_SECRET,
    ),
    created_at=_NOW,
)
_PLAIN: Final = ManagedAccount(account=Account(name="plain"), created_at=_NOW, disabled_at=_NOW)
_KEY: Final = ApiKey(
    id="0123456789abcdef",
    account="studio",
    name="laptop ü \N{MUSICAL NOTE}",
    digest=bytes(range(32)),
    is_admin=True,
    created_at=_NOW,
    expires_at=_NOW + timedelta(days=1),
)
_OTHER: Final = ApiKey(id="fedcba9876543210", account="plain", digest=bytes(32), created_at=_NOW)


async def check_keyring_is_stored_whole(subject: StoreUnderTest) -> None:
    """Accounts and keys come back as they were, and the version counts."""
    keys = subject.store.keys
    empty = await keys.load()
    assert (empty.version, dict(empty.accounts), dict(empty.keys)) == (0, {}, {})
    change = KeyringChange(accounts=(_STUDIO, _PLAIN), keys=(_KEY, _OTHER))
    assert await keys.change(0, change)
    assert await keys.load() == empty.after(change)
    assert await keys.version() == 1


async def check_keyring_survives_a_restart(subject: StoreUnderTest) -> None:
    """Accounts and keys are there after a restart."""
    change = KeyringChange(accounts=(_STUDIO,), keys=(_KEY,))
    assert await subject.store.keys.change(0, change)
    ring = await (await subject.reopen()).keys.load()
    assert (ring.version, ring.accounts, ring.keys) == (1, {"studio": _STUDIO}, {_KEY.id: _KEY})


async def check_keys_change_and_go(subject: StoreUnderTest) -> None:
    """A row is replaced by its like and removed by its name; to remove an account leaves its keys."""
    keys = subject.store.keys
    assert await keys.change(0, KeyringChange(accounts=(_STUDIO, _PLAIN), keys=(_KEY, _OTHER)))
    disabled = attrs.evolve(_STUDIO, account=Account(name="studio"), disabled_at=_NOW)
    revoked = attrs.evolve(_KEY, name="", revoked_at=_NOW, expires_at=None, replaced_by=_OTHER.id)
    change = KeyringChange(
        accounts=(disabled,),
        keys=(revoked,),
        removed_accounts=("plain", "unknown"),
        removed_keys=("unknown",),
    )
    assert await keys.change(1, change)
    ring = await keys.load()
    assert (ring.accounts, ring.keys) == ({"studio": disabled}, {_KEY.id: revoked, _OTHER.id: _OTHER})
    assert await keys.change(2, KeyringChange(removed_keys=(_OTHER.id,)))
    assert set((await keys.load()).keys) == {_KEY.id}


async def check_change_of_an_older_keyring_is_refused(subject: StoreUnderTest) -> None:
    """A change that was decided on an older version stores nothing."""
    keys = subject.store.keys
    assert await keys.change(0, KeyringChange(accounts=(_STUDIO,)))
    assert not await keys.change(0, KeyringChange(accounts=(_PLAIN,), removed_accounts=("studio",)))
    assert not await keys.change(2, KeyringChange(accounts=(_PLAIN,)))
    ring = await keys.load()
    assert (ring.version, set(ring.accounts)) == (1, {"studio"})


async def check_one_of_racing_changes_wins(subject: StoreUnderTest) -> None:
    """Of changes that were decided on the same version one is stored."""
    keys = subject.store.keys
    changes = [
        KeyringChange(accounts=(ManagedAccount(account=Account(name=f"a{number}"), created_at=_NOW),))
        for number in range(5)
    ]
    done = await asyncio.gather(*(keys.change(0, change) for change in changes))
    ring = await keys.load()
    assert sum(done) == 1
    assert (ring.version, set(ring.accounts)) == (1, {f"a{done.index(True)}"})


async def check_use_of_a_key_is_no_change(subject: StoreUnderTest) -> None:
    """The last use is noted without a new version; and is not undone by a change of the key."""
    keys = subject.store.keys
    assert await keys.change(0, KeyringChange(keys=(_KEY, _OTHER)))
    later = _NOW + timedelta(minutes=1)
    await keys.note_uses({_KEY.id: later, "unknown": later})
    await keys.note_uses({_KEY.id: _NOW, _OTHER.id: _NOW})
    assert await keys.change(1, KeyringChange(keys=(attrs.evolve(_KEY, name="desk"),)))
    ring = await keys.load()
    assert ring.version == 2
    assert [ring.keys[key.id].used_at for key in (_KEY, _OTHER)] == [later, _NOW]
