"""Rows of accounts and keys, which both databases have alike; it knows no SQL."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from musicgate.accounts import ApiKey, Keyring, ManagedAccount, account_from_text, account_text
from musicgate.errors import ConfigError
from musicgate.store import columns

_log = logging.getLogger(__name__)

ACCOUNT_COLUMNS: Final = "name, created_at_us, disabled_at_us, doc"
KEY_COLUMNS: Final = "id, account, name, digest, is_admin, created_at_us, expires_at_us, revoked_at_us, replaced_by, used_at_us"


def account_row(entry: ManagedAccount) -> tuple[Any, ...]:
    """The columns of an account."""
    return (
        entry.name,
        columns.microseconds(entry.created_at),
        _us(entry.disabled_at),
        account_text(entry.account),
    )


def key_row(key: ApiKey) -> tuple[Any, ...]:
    """The columns of a key, but for the time of its last use."""
    return (
        *(key.id, key.account, columns.column(key.name), key.digest.hex(), key.is_admin),
        columns.microseconds(key.created_at),
        *(_us(key.expires_at), _us(key.revoked_at), key.replaced_by),
    )


def use_rows(used_at: Mapping[str, datetime]) -> list[tuple[int, str]]:
    """Times and ids of uses."""
    return [(columns.microseconds(at), key_id) for key_id, at in sorted(used_at.items())]


def read_keyring(version: int, accounts: Iterable[Sequence[Any]], keys: Iterable[Sequence[Any]]) -> Keyring:
    """The keyring of rows. What cannot be read is logged and left out: its keys do not work."""
    found: dict[str, ManagedAccount] = {}
    for name, created_at_us, disabled_at_us, doc in accounts:
        try:
            account = account_from_text(name, doc)
        except (ValueError, TypeError, ConfigError):  # its text may hold a secret
            _log.error("account of the store cannot be read, left out: account=%s", name)
            continue
        found[name] = ManagedAccount(
            account=account,
            created_at=columns.moment(created_at_us),
            disabled_at=_moment(disabled_at_us),
        )
    read: dict[str, ApiKey] = {}
    for row in keys:
        try:
            read[row[0]] = _key(row)
        except (ValueError, TypeError, OverflowError):
            _log.error("key of the store cannot be read, left out: key=%s", row[0])
    return Keyring(version=version, accounts=found, keys=read)


def _key(row: Sequence[Any]) -> ApiKey:
    (
        key_id,
        account,
        name,
        digest,
        is_admin,
        created_at_us,
        expires_at_us,
        revoked_at_us,
        replaced_by,
        used,
    ) = row
    return ApiKey(
        id=key_id,
        account=account,
        name=name,
        digest=bytes.fromhex(digest),
        is_admin=bool(is_admin),
        created_at=columns.moment(created_at_us),
        expires_at=_moment(expires_at_us),
        revoked_at=_moment(revoked_at_us),
        replaced_by=replaced_by,
        used_at=_moment(used),
    )


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else columns.microseconds(moment)


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else columns.moment(microseconds)
