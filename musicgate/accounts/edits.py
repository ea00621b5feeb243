"""Every change of accounts and keys as a pure function of the keyring: what to write, or why not.

An edit decides on one version of the whole keyring, and the store takes it only while that is the newest one.
So two edits that would be right alone, and together leave no administrator, do not both happen.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.accounts.documents import FIELDS, SECRETS
from musicgate.accounts.values import ApiKey, Keyring, KeyringChange, ManagedAccount
from musicgate.errors import ConfigError, RequestError
from musicgate.model import is_address
from musicgate.settings import Account, read_secret, rule_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

#: All of them are in memory, some 1 kB each, and are read anew after a change.
MAX_ACCOUNTS: Final = 10_000
MAX_KEYS: Final = 20_000
#: A key that has ended is kept for so long, so that its id can be looked up.
_KEPT: Final = timedelta(days=90)
_MAX_NAME_CHARS: Final = 100
#: An account's name is part of paths and labels.
_ACCOUNT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_GRACE: Final = timedelta(days=90)
#: The end of the calendar is none that every offset can be applied to.
_LONGEST_LIFE: Final = timedelta(days=36_525)
_MAX_URL_CHARS: Final = 2048


def add_account(
    ring: Keyring, name: str, fields: Mapping[str, object], *, now: datetime, in_settings: Collection[str]
) -> KeyringChange:
    """Make an account.

    Args:
        fields: what it sets, by the names of ``[[accounts]]``; None = not set.
        in_settings: the names of the accounts of the settings.

    Raises:
        RequestError: 400, a value is wrong; 409, there is such an account, or there are too many.
    """
    if not _ACCOUNT_NAME.fullmatch(name):
        message = (
            "must be 1 to 64 letters, digits, dots, hyphens and underscores, the first a letter or a digit"
        )
        raise _invalid("name", message)
    if name in in_settings:
        raise _of_settings(name)
    if name in ring.accounts:
        raise _conflict("account_exists", f"there is an account {name}")
    if len(ring.accounts) >= MAX_ACCOUNTS:
        raise _conflict("too_many_accounts", f"there are {MAX_ACCOUNTS:,} accounts, and no more may be")
    return KeyringChange(
        accounts=(ManagedAccount(account=_account(Account(name=name), fields), created_at=now),)
    )


def change_account(
    ring: Keyring,
    name: str,
    fields: Mapping[str, object],
    *,
    now: datetime,
    in_settings: Collection[str],
    is_disabled: bool | None = None,
) -> KeyringChange:
    """Change what an account sets, and whether its keys work.

    Args:
        fields: what changes; None = not set any more.
        is_disabled: None = as it is.

    Raises:
        RequestError: 400, a value is wrong; 404, there is no such account; 409, it is one of the settings.
    """
    entry = _account_of(ring, name, in_settings)
    disabled_at = entry.disabled_at
    if is_disabled is not None:
        disabled_at = (disabled_at or now) if is_disabled else None
    changed = attrs.evolve(entry, account=_account(entry.account, fields), disabled_at=disabled_at)
    return KeyringChange(accounts=(changed,))


def remove_account(ring: Keyring, name: str, *, now: datetime, in_settings: Collection[str]) -> KeyringChange:
    """Remove an account and revoke its keys. Its jobs stay.

    Raises:
        RequestError: 404, there is no such account; 409, it is one of the settings, and the store has none of
            its name.
    """
    if name not in ring.accounts:
        _account_of(ring, name, in_settings)
    keys = tuple(
        attrs.evolve(key, revoked_at=now)
        for key in ring.keys.values()
        if key.account == name and key.revoked_at is None
    )
    return KeyringChange(removed_accounts=(name,), keys=keys)


def add_key(
    ring: Keyring,
    key_id: str,
    digest: bytes,
    *,
    account: str,
    name: str,
    is_admin: bool,
    expires_at: datetime | None,
    now: datetime,
    in_settings: Collection[str],
) -> tuple[KeyringChange, ApiKey]:
    """Make a key. One for an administrator makes its account, if there is none yet.

    Raises:
        RequestError: 400, a value is wrong; 404, there is no such account; 409, it is one of the settings, or
            there are too many keys.
    """
    _check_key(name, expires_at, now)
    made = KeyringChange()
    if is_admin and account not in ring.accounts:
        made = add_account(ring, account, {}, now=now, in_settings=in_settings)
    else:
        _account_of(ring, account, in_settings)
    old = _ended(ring, now)
    if len(ring.keys) - len(old) >= MAX_KEYS:
        raise _conflict("too_many_keys", f"there are {MAX_KEYS:,} keys, and no more may be; revoke some")
    key = ApiKey(
        id=key_id,
        account=account,
        name=name,
        digest=digest,
        is_admin=is_admin,
        created_at=now,
        expires_at=expires_at,
    )
    return attrs.evolve(made, keys=(key,), removed_keys=old), key


def change_key(
    ring: Keyring, key_id: str, *, name: str, expires_at: datetime | None, now: datetime
) -> tuple[KeyringChange, ApiKey]:
    """Change the name and the expiry of a key that is in force.

    Raises:
        RequestError: 400, a value is wrong; 404, there is no such key; 409, it has ended.
    """
    key = _key_in_force(ring, key_id, now)
    _check_key(name, expires_at, now)
    changed = attrs.evolve(key, name=name, expires_at=expires_at)
    return KeyringChange(keys=(changed,)), changed


def rotate_key(
    ring: Keyring, key_id: str, new_id: str, digest: bytes, *, grace: timedelta, now: datetime
) -> tuple[KeyringChange, ApiKey]:
    """Make a key that takes the place of another one, which works until the grace time is over.

    The new key has the expiry that the old one had.

    Raises:
        RequestError: 400, the grace time is out of range; 404, there is no such key; 409, it has ended, or
            was rotated before.
    """
    if not timedelta(0) <= grace <= _LONGEST_GRACE:
        raise _invalid("grace_s", f"must be 0 to {_LONGEST_GRACE // timedelta(seconds=1)} seconds")
    key = _key_in_force(ring, key_id, now)
    if key.replaced_by is not None:
        raise _conflict("key_was_rotated", f"the key {key_id} was rotated before, to {key.replaced_by}")
    new = attrs.evolve(key, id=new_id, digest=digest, created_at=now, expires_at=key.expires_at, used_at=None)
    until = now + grace
    old = attrs.evolve(key, replaced_by=new_id, expires_at=min(until, key.expires_at or until))
    if not grace:
        old = attrs.evolve(old, expires_at=key.expires_at, revoked_at=now)
    ended = tuple(name for name in _ended(ring, now) if name != key_id)
    return KeyringChange(keys=(new, old), removed_keys=ended), new


def revoke_key(ring: Keyring, key_id: str, *, now: datetime) -> tuple[KeyringChange, ApiKey]:
    """End a key at once. To revoke one again changes nothing.

    Raises:
        RequestError: 404, there is no such key.
    """
    key = _key_of(ring, key_id)
    revoked = attrs.evolve(key, revoked_at=key.revoked_at or now)
    return KeyringChange(keys=(revoked,)), revoked


def check_way_in(before: Keyring, after: Keyring, now: datetime, *, has_admin_key: bool) -> None:
    """Refuse a change after which no administrator could call.

    Args:
        has_admin_key: ``server.admin_key`` is set, which always works.

    Raises:
        RequestError: 409; ``last_admin_key``, or ``admin_key_needed`` where there was none before.
    """
    if has_admin_key:
        return
    lasting_before, lasting_after = _admins(before, now), _admins(after, now)
    if not lasting_after:
        if not lasting_before:
            message = (
                "make an admin key first (musicgate keys create --admin), or set server.admin_key: with the first "
                "key, callers without one are refused, and there would be none to make more with"
            )
            raise _conflict("admin_key_needed", message)
        raise _last_admin_key()
    # An expiry ends it as surely as a revocation, only later.
    if any(key.expires_at is None for key in lasting_before) and all(key.expires_at for key in lasting_after):
        raise _last_admin_key()


def _admins(ring: Keyring, now: datetime) -> list[ApiKey]:
    return [
        key
        for key in ring.keys.values()
        if key.is_admin
        and key.is_in_force(now)
        and (owner := ring.accounts.get(key.account)) is not None
        and owner.disabled_at is None
    ]


def _ended(ring: Keyring, now: datetime) -> tuple[str, ...]:
    """The keys that ended so long ago that they are forgotten."""
    return tuple(
        key.id for key in ring.keys.values() if key.ends_at is not None and key.ends_at < now - _KEPT
    )


def _account(account: Account, fields: Mapping[str, object]) -> Account:
    """An account with other values, checked as those of the settings are."""
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in FIELDS:
            raise _invalid(name, f"is not known; there are {', '.join(FIELDS)}")
        if value is None:
            values[name] = FIELDS[name].default
            continue
        try:
            values[name] = _checked(name, value)
        except ConfigError as error:
            # Without the name of a setting, which the message begins with.
            raise _invalid(name, str(error).partition(": ")[2] or str(error)) from None
    changed = attrs.evolve(account, **values)
    if changed.webhook_url and (
        len(changed.webhook_url) > _MAX_URL_CHARS or not is_address(changed.webhook_url)
    ):
        raise _invalid("webhook_url", "must be an http or https address")
    if changed.webhook_secret is None and (changed.webhook_url or changed.webhook_secret_previous):
        raise _invalid("webhook_secret", "is missing: webhooks are signed with it")
    return changed


def _checked(name: str, value: object) -> object:
    if name in SECRETS:
        if not isinstance(value, str):
            raise ConfigError("must be text", key=name)
        return read_secret(value, key=name)
    rule_of(FIELDS[name]).check(value, key=name)
    return value


def _check_key(name: str, expires_at: datetime | None, now: datetime) -> None:
    if len(name) > _MAX_NAME_CHARS or _CONTROL.search(name):
        raise _invalid(
            "name", f"must be at most {_MAX_NAME_CHARS} characters, none of them a control character"
        )
    if expires_at is not None and not now < expires_at <= now + _LONGEST_LIFE:
        raise _invalid("expires_at", "must be in the future, and within a hundred years")


def _account_of(ring: Keyring, name: str, in_settings: Collection[str]) -> ManagedAccount:
    if name in in_settings:
        raise _of_settings(name)
    entry = ring.accounts.get(name)
    if entry is None:
        raise RequestError("not_found", "there is no such account in the store", reason="account_not_found")
    return entry


def _key_of(ring: Keyring, key_id: str) -> ApiKey:
    key = ring.keys.get(key_id)
    if key is None:
        # The id is not repeated: it may be a whole key.
        message = "there is no key with this id; it is what stands between the first two underscores of a key"
        raise RequestError("not_found", message, reason="key_not_found")
    return key


def _key_in_force(ring: Keyring, key_id: str, now: datetime) -> ApiKey:
    key = _key_of(ring, key_id)
    if not key.is_in_force(now):
        raise _conflict("key_has_ended", f"the key {key_id} is revoked or expired; make a new one")
    return key


def _of_settings(name: str) -> RequestError:
    message = f"the account {name} is one of the settings file, where it is changed ([[accounts]])"
    return _conflict("account_in_settings", message)


def _last_admin_key() -> RequestError:
    message = (
        "no admin key without an end would be left: make another one first (musicgate keys create --admin), or set "
        "server.admin_key"
    )
    return _conflict("last_admin_key", message)


def _conflict(reason: str, message: str) -> RequestError:
    return RequestError("not_supported", message, reason=reason, http_status=409)


def _invalid(field: str, message: str) -> RequestError:
    return RequestError("validation_error", f"{field}: {message}", reason="invalid_value", path=(field,))
