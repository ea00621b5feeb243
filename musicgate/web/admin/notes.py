"""What the routes of administrators report to the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from aiohttp import web

    from musicgate.accounts import Caller


class Audit(Protocol):
    """The audit log, as far as it is needed here. It neither waits nor fails."""

    def note(
        self, action: str, account: str, *, key_id: str = "", request_id: str = "", subject: str = ""
    ) -> None:
        """Note that a caller has done something.

        Args:
            account: whose key, or which account, it is about.
            key_id: of the caller.
            subject: id of the key, or name of the account, that it is about.
        """


class Notes:
    """Notes what was changed, after it was stored."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def account(self, action: str, request: web.Request, caller: Caller, name: str) -> None:
        """Note ``account.created``, ``account.changed`` or ``account.deleted``."""
        self._note(action, request, caller, name, name)

    def key(self, action: str, request: web.Request, caller: Caller, account: str, key_id: str) -> None:
        """Note ``key.created``, ``key.changed``, ``key.rotated`` or ``key.revoked``."""
        self._note(action, request, caller, account, key_id)

    def _note(self, action: str, request: web.Request, caller: Caller, account: str, subject: str) -> None:
        self._audit.note(
            action,
            account,
            key_id=caller.key_id,
            request_id=request[STATE].generation_id,
            subject=subject,
        )
