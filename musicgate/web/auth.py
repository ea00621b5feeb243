"""Authentication: bearer keys of accounts. Without any key, only this machine may call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import hdrs

from musicgate.accounts import ADMIN_KEY_ID, Caller, digest_of, id_of
from musicgate.errors import RequestError, UnauthorisedError
from musicgate.gateway import LOCAL_ACCOUNT
from musicgate.settings import Account
from musicgate.web.host_header import is_loopback, read_host, read_origin
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from aiohttp import web

    from musicgate.accounts import AccountBook
    from musicgate.web.capacity import Capacity

__all__ = ["Accounts", "Caller"]

_SCHEME = "Bearer "
_MAX_KEY_CHARS = 512


class Accounts:
    """Finds the caller of a request by its key."""

    def __init__(self, book: AccountBook, requests: Capacity) -> None:
        """Look keys up in a book.

        Args:
            requests: counts the requests that each account has in progress.
        """
        self._book = book
        self._find = book.find
        self._local = Caller(account=Account(name=LOCAL_ACCOUNT), key_id="")
        self._requests = requests

    @property
    def is_open(self) -> bool:
        """True if there is no key, so that requests need none."""
        return self._book.is_open

    def identify(self, request: web.Request) -> Account:
        """Return the account of a request, and count the request as in progress until it is answered.

        Raises:
            UnauthorisedError: the key is missing, malformed, unknown or expired; ``reason`` says which.
            RequestError: 403, the key is ``server.admin_key``.
            LimitReachedError: the account has too many requests in progress.
        """
        return self.caller(request).account

    def caller(self, request: web.Request) -> Caller:
        """Return who sent a request, and count the request, as `identify` does.

        Raises:
            UnauthorisedError, RequestError, LimitReachedError: as `identify` does.
        """
        caller = self._authenticate(request)
        if caller.key_id == ADMIN_KEY_ID:
            # It has no account, so there would be no owner of what it makes.
            message = "server.admin_key is for /v1/admin only; make a key with it, and use that one here"
            raise RequestError("unauthorised", message, reason="admin_key_only", http_status=403)
        state = request[STATE]
        state.hold(self._requests, caller.account.name)
        state.key_id = caller.key_id
        return caller

    def administrator(self, request: web.Request) -> Caller:
        """Return who sent a request that only an administrator may send, and count it.

        Raises:
            UnauthorisedError: the key is missing, malformed, unknown or expired.
            RequestError: 403, the key is not an administrator's.
            LimitReachedError: the account has too many requests in progress.
        """
        caller = self._authenticate(request)
        if not caller.is_admin:
            message = "this key is not an administrator's"
            if self.is_open:
                message = (
                    "this server has no administrator: set server.admin_key, or stop it and make the first key with "
                    "musicgate keys create --admin; from then on every request needs a key"
                )
            raise RequestError("unauthorised", message, reason="not_an_admin", http_status=403)
        state = request[STATE]
        state.hold(self._requests, caller.account.name)
        state.key_id = caller.key_id
        return caller

    def count(self, request: web.Request, name: str) -> None:
        """Count a request as in progress under a name: an account's, or another one.

        Raises:
            LimitReachedError: too many requests of that name are in progress.
        """
        request[STATE].hold(self._requests, name)

    def _authenticate(self, request: web.Request) -> Caller:
        if self._book.is_open:
            _refuse_foreign_pages(request)
            return self._local
        headers = request.headers.getall(hdrs.AUTHORIZATION, [])
        header = headers[0] if len(headers) == 1 else ""
        if not header.startswith(_SCHEME) or len(header) == len(_SCHEME):
            raise UnauthorisedError(
                "missing_or_invalid_authorization_header", "send Authorization: Bearer <key>"
            )
        key = header.removeprefix(_SCHEME)
        if len(key) > _MAX_KEY_CHARS or key.split() != [key]:
            raise UnauthorisedError("invalid_key_format", "the key has blanks in it or is too long")
        # Found by digest, which tells a client nothing by the time that it takes: to come close to a digest
        # that it does not know, a client would have to invert SHA-256.
        found = self._find(digest_of(key))
        if found is None:
            raise self._unknown(key)
        caller, expires_at, is_stored = found
        if expires_at is not None and datetime.now(UTC) >= expires_at:
            raise UnauthorisedError("key_expired", "this key has expired")
        if is_stored:
            self._book.used.add(caller.key_id)
        return caller

    def _unknown(self, key: str) -> UnauthorisedError:
        key_id = id_of(key)
        if key_id is not None and self._book.knows_id(key_id):
            return UnauthorisedError(
                "invalid_secret", "there is a key with this id, and its secret is another"
            )
        return UnauthorisedError("key_not_found_or_revoked", "this key is not known here")


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
        message = "without keys only this machine may call; make accounts and keys to open the server"
        raise UnauthorisedError("missing_or_invalid_authorization_header", message)
