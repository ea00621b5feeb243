"""Who is calling: bearer keys to accounts, compared in constant time; without accounts, this machine's own callers only."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from musicgate.errors import ConfigError, UnauthorisedError
from musicgate.gateway.facade import LOCAL_ACCOUNT
from musicgate.settings import Account

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

_SCHEME = "Bearer "
_MAX_KEY_CHARS = 512


class Accounts:
    """The configured accounts, ready to be compared with a key."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        """Read hashes once.

        Raises:
            ConfigError: a hash cannot be read.
        """
        self._entries = [(_digest(account), account.expires_at, account) for account in accounts]
        self._local = Account(name=LOCAL_ACCOUNT)

    @property
    def is_open(self) -> bool:
        """True if no account is configured: everybody who reaches the server may use it."""
        return not self._entries

    def identify(self, request: web.Request) -> Account:
        """The account of a request.

        Raises:
            UnauthorisedError: with the contract's reason token.
        """
        if self.is_open:
            _refuse_strangers(request)
            return self._local
        header = request.headers.get("Authorization", "")
        if not header.startswith(_SCHEME) or len(header) == len(_SCHEME):
            raise UnauthorisedError(
                "missing_or_invalid_authorization_header", "send Authorization: Bearer <key>"
            )
        key = header.removeprefix(_SCHEME)
        if len(key) > _MAX_KEY_CHARS or any(character.isspace() for character in key):
            raise UnauthorisedError("invalid_key_format", "the key has blanks in it or is too long")
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found: tuple[datetime | None, Account] | None = None
        for known, expires_at, account in self._entries:  # all of them, so that the time says nothing
            if hmac.compare_digest(known, digest):
                found = (expires_at, account)
        if found is None:
            raise UnauthorisedError("key_not_found_or_revoked", "this key is not known here")
        expires_at, account = found
        if expires_at is not None and datetime.now(UTC) >= expires_at:
            raise UnauthorisedError("key_expired", "this key has expired")
        return account


def is_loopback(host: str) -> bool:
    """True for ``localhost`` and loopback addresses."""
    name = host.strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refuse_strangers(request: web.Request) -> None:
    """Without keys, a page in the user's browser must not be able to spend money here.

    A foreign ``Origin`` is a page that sends requests behind the user's back; a foreign ``Host`` is one that made its own name point here.
    """
    origin = request.headers.get("Origin")
    hosts = [urlsplit(f"//{request.host}").hostname or ""]
    if origin is not None:
        hosts.append(urlsplit(origin).hostname or "")
    if not all(is_loopback(host) for host in hosts):
        message = "without accounts only this machine may call; configure [[accounts]] to open the server"
        raise UnauthorisedError("missing_or_invalid_authorization_header", message)


def _digest(account: Account) -> bytes:
    if account.key is not None:
        return hashlib.sha256(account.key.reveal().encode()).digest()
    try:
        digest = bytes.fromhex(account.key_hash.removeprefix("sha256:"))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise ConfigError("must be sha256: and 64 hex digits", key=f"accounts.{account.name}.key_hash")
    return digest
