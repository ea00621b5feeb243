"""Routes for administrators, below ``/v1/admin``. Start with `guard`, which says who may call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.gateway import key_admin, operation_of
from musicgate.web.admin.accounts import AccountRoutes
from musicgate.web.admin.guard import Guard
from musicgate.web.admin.keys import KeyRoutes
from musicgate.web.admin.notes import Notes
from musicgate.web.admin.operation import OperationRoutes

if TYPE_CHECKING:
    from aiohttp import web

    from musicgate.gateway import Gateway
    from musicgate.web.auth import Accounts

__all__ = ["Guard", "admin_routes"]


def admin_routes(gateway: Gateway, accounts: Accounts) -> list[web.RouteDef]:
    """Return the routes of one gateway."""
    guard, admin, notes = Guard(accounts), key_admin(gateway), Notes(operation_of(gateway).audit)
    parts = (
        AccountRoutes(admin, guard, notes),
        KeyRoutes(admin, guard, notes),
        OperationRoutes(gateway, guard),
    )
    return [route for part in parts for route in part.routes()]
