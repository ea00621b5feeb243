"""Routes for administrators, below ``/v1/admin``. Start with `guard`, which says who may call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.gateway import key_admin
from musicgate.web.admin.accounts import AccountRoutes
from musicgate.web.admin.guard import Guard
from musicgate.web.admin.keys import KeyRoutes
from musicgate.web.admin.notes import NoAudit, Notes

if TYPE_CHECKING:
    from aiohttp import web

    from musicgate.gateway import Gateway
    from musicgate.web.auth import Accounts

__all__ = ["Guard", "admin_routes"]


def admin_routes(gateway: Gateway, accounts: Accounts) -> list[web.RouteDef]:
    """Return the routes of one gateway."""
    guard, admin, notes = Guard(accounts), key_admin(gateway), Notes(NoAudit())
    return [*AccountRoutes(admin, guard, notes).routes(), *KeyRoutes(admin, guard, notes).routes()]
