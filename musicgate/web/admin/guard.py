"""Who may call a route of administrators: a key with that mark, or ``server.admin_key``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

    from musicgate.accounts import Caller
    from musicgate.web.auth import Accounts


class Guard:
    """Lets administrators pass."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def admin(self, request: web.Request) -> Caller:
        """Return the administrator who sent a request. Call it before anything of the request is read.

        Raises:
            UnauthorisedError: 401, there is no key, or one that does not work.
            RequestError: 403 ``not_an_admin``.
            LimitReachedError: 429, the account has too many requests in progress.
        """
        return self._accounts.administrator(request)
