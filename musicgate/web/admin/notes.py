"""What the routes of administrators report to the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiohttp import web

    from musicgate.accounts import Caller


class Audit(Protocol):
    """Notes what an administrator has changed, after it was stored."""

    async def note(self, action: str, request: web.Request, caller: Caller, *, about: str) -> None:
        """Note one action.

        Args:
            action: ``key.created``, ``key.changed``, ``key.rotated``, ``key.revoked``, ``account.created``,
                ``account.changed``, ``account.deleted``.
            about: the id of the key, or the name of the account.
        """


class NoAudit:
    """Notes nothing."""

    async def note(self, action: str, request: web.Request, caller: Caller, *, about: str) -> None:
        """Note nothing."""
