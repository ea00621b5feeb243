"""Authentication: bearer keys of accounts. Without accounts, only this machine may call."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import ConfigError, RequestError, UnauthorisedError
from musicgate.gateway import LOCAL_ACCOUNT
from musicgate.settings import Account
from musicgate.web.host_header import is_loopback, read_host, read_origin
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from musicgate.model import Secret
    from musicgate.web.capacity import Capacity

_SCHEME = "Bearer "
_MAX_KEY_CHARS = 512
_ADMIN = "admin_key"


@attrs.frozen
class Caller:
    """Who sent a request."""

    account: Account
    key_id: str
    is_admin: bool = False


class Accounts:
    """The configured accounts, by their keys."""

    def __init__(
        self, accounts: Sequence[Account], requests: Capacity, admin_key: Secret | None = None
    ) -> None:
        """Read the hashes of the keys.

        Args:
            requests: counts the requests that each account has in progress.
            admin_key: the key of administrators; None = there is none.

        Raises:
            ConfigError: a hash cannot be read.
        """
        # Found by digest, which tells a client nothing by the time that it takes: to come close to a digest
        # that it does not know, a client would have to invert SHA-256.
        self._by_digest = {_digest(account): account for account in accounts}
        self._key_ids = {account.name: f"file:{account.name}" for account in accounts}
        self._admin_key = None if admin_key is None else admin_key.reveal().encode()
        self._local = Account(name=LOCAL_ACCOUNT)
        self._requests = requests

    @property
    def is_open(self) -> bool:
        """True if no account is configured, so that requests need no key."""
        return not self._by_digest and self._admin_key is None

    def identify(self, request: web.Request) -> Account:
        """Return the account of a request, and count the request as in progress until it is answered.

        The request's state gets the id of its key.

        Raises:
            UnauthorisedError: the key is missing, malformed, unknown or expired; ``reason`` says which.
            LimitReachedError: the account has too many requests in progress.
        """
        account = self._authenticate(request)
        state = request[STATE]
        state.hold(self._requests, account.name)
        state.key_id = self._key_ids.get(account.name, "")
        return account

    def administrator(self, request: web.Request) -> Caller:
        """Return who sent a request that only an administrator may send, and count it.

        Raises:
            UnauthorisedError: the key is missing, malformed, unknown or expired.
            RequestError: 403, the key is not an administrator's.
            LimitReachedError: the account has too many requests in progress.
        """
        sent = (
            request.headers.get("Authorization", "").removeprefix(_SCHEME).encode("utf-8", "surrogateescape")
        )
        if self._admin_key is None or not hmac.compare_digest(sent, self._admin_key):
            self.identify(request)
            message = "this key is not an administrator's"
            raise RequestError("unauthorised", message, reason="not_an_admin", http_status=403)
        state = request[STATE]
        state.hold(self._requests, _ADMIN)
        state.key_id = _ADMIN
        return Caller(Account(name=_ADMIN), _ADMIN, is_admin=True)

    def count(self, request: web.Request, name: str) -> None:
        """Count a request as in progress under a name: an account's, or another one.

        Raises:
            LimitReachedError: too many requests of that name are in progress.
        """
        request[STATE].hold(self._requests, name)

    def _authenticate(self, request: web.Request) -> Account:
        if self.is_open:
            _refuse_foreign_pages(request)
            return self._local
        headers = request.headers.getall("Authorization", [])
        header = headers[0] if len(headers) == 1 else ""
        if not header.startswith(_SCHEME) or len(header) == len(_SCHEME):
            raise UnauthorisedError(
                "missing_or_invalid_authorization_header", "send Authorization: Bearer <key>"
            )
        key = header.removeprefix(_SCHEME)
        if len(key) > _MAX_KEY_CHARS or key.split() != [key]:
            raise UnauthorisedError("invalid_key_format", "the key has blanks in it or is too long")
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        account = self._by_digest.get(digest)
        if account is None:
            raise UnauthorisedError("key_not_found_or_revoked", "this key is not known here")
        if account.expires_at is not None and datetime.now(UTC) >= account.expires_at:
            raise UnauthorisedError("key_expired", "this key has expired")
        return account


def _refuse_foreign_pages(request: web.Request) -> None:
    """Refuse requests of web pages: without keys, a page in a browser must not spend money here.

    A foreign ``Origin`` is a page that sends requests behind the user's back; a foreign ``Host`` is one whose
    own name resolves to this machine (DNS rebinding). Neither header is guessed at: what is not exactly
    loopback is foreign.
    """
    hosts = [read_host(host) for host in request.headers.getall("Host", [""])]
    origins = [read_origin(origin) for origin in request.headers.getall("Origin", [])]
    is_ours = len(hosts) == 1 and len(origins) <= 1 and is_loopback(request.url.raw_host or "")
    if not is_ours or not all(found is not None and found.is_loopback for found in (*hosts, *origins)):
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
